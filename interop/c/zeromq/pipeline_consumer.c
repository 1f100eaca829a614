/* pipeline_consumer ENDPOINT
 *
 * Collects what any number of producers send, and prints each message as a line. It
 * takes from them in turn, so that a busy producer doesn't hold up the others. */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *pull = zmq_socket(context, ZMQ_PULL);
	listen_on(pull, argv[1]);
	for (;;) {
		zmq_msg_t msg;
		zmq_msg_init(&msg);
		if (zmq_msg_recv(&msg, pull, 0) < 0) {
			if (zmq_errno() == EINTR)
				continue;
			die("zmq_msg_recv");
		}
		fwrite(zmq_msg_data(&msg), 1, zmq_msg_size(&msg), stdout);
		putchar('\n');
		fflush(stdout);
		zmq_msg_close(&msg);
	}
}
