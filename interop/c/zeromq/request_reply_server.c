/* request_reply_server ENDPOINT
 *
 * Answers a request of integers in decimal, "1 2 3", by their sum, "6", and any other
 * by a text that begins with "error: ". */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { MAX_REQUEST = 4096 };

static const char *sum(char *request, long long *total)
{
	*total = 0;
	for (char *word = strtok(request, " "); word != NULL; word = strtok(NULL, " ")) {
		char *end;
		errno = 0;
		long long n = strtoll(word, &end, 10);
		if (*end != '\0')
			return "error: not an integer";
		if (errno == ERANGE || __builtin_add_overflow(*total, n, total))
			return "error: too large";
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *rep = zmq_socket(context, ZMQ_REP);
	listen_on(rep, argv[1]);
	for (;;) {
		char request[MAX_REQUEST + 1], reply[32];
		int n = zmq_recv(rep, request, MAX_REQUEST, 0);
		if (n < 0) {
			if (zmq_errno() == EINTR)
				continue;
			die("zmq_recv");
		}
		long long total;
		const char *error = "error: too long";
		if (n <= MAX_REQUEST) { /* else it was cut */
			request[n] = '\0';
			error = sum(request, &total);
		}
		if (error == NULL)
			snprintf(reply, sizeof reply, "%lld", total);
		else
			snprintf(reply, sizeof reply, "%s", error);
		send_part(rep, reply, strlen(reply), 0);
	}
}
