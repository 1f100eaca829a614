/* notifications_subscriber ENDPOINT [TOPIC...]
 *
 * Prints notifications as they come, a line "TOPIC TEXT" each: those whose topic
 * begins with one of the words given, or all. The publisher may come later, or go
 * away and come back. */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

static void subscribe(void *sub, const char *topic)
{
	if (zmq_setsockopt(sub, ZMQ_SUBSCRIBE, topic, strlen(topic)) < 0)
		die("ZMQ_SUBSCRIBE");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s ENDPOINT [TOPIC...]\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *sub = zmq_socket(context, ZMQ_SUB);
	if (argc == 2)
		subscribe(sub, "");
	for (int i = 2; i < argc; i++)
		subscribe(sub, argv[i]);
	dial(sub, argv[1]);
	for (;;) {
		zmq_msg_t part;
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, sub, 0) < 0) {
			if (zmq_errno() == EINTR)
				continue;
			die("zmq_msg_recv");
		}
		fwrite(zmq_msg_data(&part), 1, zmq_msg_size(&part), stdout);
		putchar(zmq_msg_more(&part) ? ' ' : '\n');
		fflush(stdout);
		zmq_msg_close(&part);
	}
}
