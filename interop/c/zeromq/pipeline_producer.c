/* pipeline_producer ENDPOINT
 *
 * Sends each line of its input as one message to whoever collects them. Any number
 * of producers may do so; while the consumer is away or slow, they wait. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
	dial(push, argv[1]);
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	while ((n = getline(&line, &room, stdin)) > 0) {
		if (line[n - 1] == '\n')
			n--;
		send_part(push, line, (size_t)n, 0);
	}
	free(line);
	zmq_close(push);
	zmq_ctx_term(context); /* waits until the last message is sent */
	return 0;
}
