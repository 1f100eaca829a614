/* workers_worker BACK
 *
 * Does the work that a queue hands out: puts a text in capitals. It prints what it
 * has done, a line each. Start as many as there is work for. */
#include "endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s BACK\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *rep = zmq_socket(context, ZMQ_REP);
	dial(rep, argv[1]);
	for (;;) {
		zmq_msg_t msg;
		zmq_msg_init(&msg);
		if (zmq_msg_recv(&msg, rep, 0) < 0) {
			if (zmq_errno() == EINTR)
				continue;
			die("zmq_msg_recv");
		}
		char *text = zmq_msg_data(&msg);
		size_t n = zmq_msg_size(&msg);
		for (size_t i = 0; i < n; i++)
			text[i] = (char)toupper((unsigned char)text[i]);
		printf("%.*s\n", (int)n, text);
		fflush(stdout);
		send_part(rep, text, n, 0);
		zmq_msg_close(&msg);
	}
}
