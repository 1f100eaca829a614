/* workers_queue FRONT BACK
 *
 * Stands between clients and workers, none of whom need to know each other: listens
 * for both, gives requests to the workers in turn, and takes each reply back to the
 * client who asked. */
#include "endpoint.h"

#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s FRONT BACK\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new();
	void *router = zmq_socket(context, ZMQ_ROUTER), *dealer = zmq_socket(context, ZMQ_DEALER);
	listen_on(router, argv[1]);
	listen_on(dealer, argv[2]);
	zmq_proxy(router, dealer, NULL);
	die("zmq_proxy");
}
