/* workers_client FRONT
 *
 * Sends each line of its input to a queue of workers and prints the reply, then goes
 * on with the next. Exit 1 when no reply comes in 10 seconds. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000 };

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FRONT\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *req = zmq_socket(context, ZMQ_REQ);
	set_int(req, ZMQ_RCVTIMEO, PATIENCE_MS);
	set_int(req, ZMQ_LINGER, 0); /* at the end a request without an answer is not worth a wait */
	dial(req, argv[1]);
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	while ((n = getline(&line, &room, stdin)) > 0) {
		if (line[n - 1] == '\n')
			n--;
		send_part(req, line, (size_t)n, 0);
		zmq_msg_t reply;
		zmq_msg_init(&reply);
		if (zmq_msg_recv(&reply, req, 0) < 0)
			die("no reply");
		printf("%.*s\n", (int)zmq_msg_size(&reply), (char *)zmq_msg_data(&reply));
		fflush(stdout);
		zmq_msg_close(&reply);
	}
	free(line);
	zmq_close(req);
	zmq_ctx_term(context);
	return 0;
}
