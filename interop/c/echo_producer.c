/* echo_producer HOST PORT
 *
 * The classic first client: it sends "this is a test", half-closes, and counts
 * what comes back, read by read, until the server closes. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	int fd = dial_stream(2, argv + 1);

	const char text[] = "this is a test";
	if (write_all(fd, text, strlen(text)) < 0)
		die("send");
	printf("Bytes Sent: %zu\n", strlen(text));
	if (shutdown(fd, SHUT_WR) < 0)
		die("shutdown");

	char buf[512];
	ptrdiff_t n;
	while ((n = read_some(fd, buf, sizeof buf)) > 0)
		printf("Bytes received: %td\n", n);
	if (n < 0)
		die("receive");
	printf("Connection closed\n");
	close(fd);
	return 0;
}
