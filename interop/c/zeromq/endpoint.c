#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

void listen_on(void *socket, const char *endpoint)
{
	char bound[256];
	size_t size = sizeof bound;
	if (zmq_bind(socket, endpoint) < 0 ||
	    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) < 0)
		die(endpoint);
	printf("listening on %s\n", bound);
	fflush(stdout);
}

void dial(void *socket, const char *endpoint)
{
	if (zmq_connect(socket, endpoint) < 0)
		die(endpoint);
}

void set_int(void *socket, int option, int value)
{
	if (zmq_setsockopt(socket, option, &value, sizeof value) < 0)
		die("zmq_setsockopt");
}

void send_part(void *socket, const void *data, size_t size, int flags)
{
	while (zmq_send(socket, data, size, flags) < 0)
		if (zmq_errno() != EINTR)
			die("zmq_send");
}

void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
	exit(1);
}
