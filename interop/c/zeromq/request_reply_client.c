/* request_reply_client ENDPOINT INT...
 *
 * Asks for the sum of integers and prints "Result: N". Exit 1 when the reply is an
 * error, or when none comes in 10 seconds. */
#include "endpoint.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000, MAX_TEXT = 4096 };

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s ENDPOINT INT...\n", argv[0]);
		return 2;
	}
	char text[MAX_TEXT + 1] = "";
	for (int i = 2; i < argc; i++) {
		if (strlen(text) + 1 + strlen(argv[i]) > MAX_TEXT) {
			fprintf(stderr, "too many integers\n");
			return 2;
		}
		if (i > 2)
			strcat(text, " ");
		strcat(text, argv[i]);
	}
	void *context = zmq_ctx_new(), *req = zmq_socket(context, ZMQ_REQ);
	set_int(req, ZMQ_RCVTIMEO, PATIENCE_MS);
	set_int(req, ZMQ_LINGER, 0);
	dial(req, argv[1]);
	send_part(req, text, strlen(text), 0);
	int n = zmq_recv(req, text, MAX_TEXT, 0);
	if (n < 0)
		die("no reply");
	text[n < MAX_TEXT ? n : MAX_TEXT] = '\0';
	zmq_close(req);
	zmq_ctx_term(context);
	if (strncmp(text, "error: ", 7) == 0) {
		fprintf(stderr, "%s\n", text);
		return 1;
	}
	printf("Result: %s\n", text);
	return 0;
}
