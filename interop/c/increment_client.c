/* increment_client [HOST PORT | PATH]
 *
 * The classic client: it sends the byte 'A', prints the byte that comes back, and
 * closes. Without an address it dials the Unix socket server_socket here. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char *classic[] = {"server_socket"};
	if (argc > 3) {
		fprintf(stderr, "usage: %s [HOST PORT | PATH]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	int fd = argc == 1 ? dial_stream(1, classic) : dial_stream(argc - 1, argv + 1);

	char ch = 'A';
	if (write_all(fd, &ch, 1) < 0)
		die("send");
	ptrdiff_t n = read_some(fd, &ch, 1);
	if (n < 0)
		die("receive");
	if (n == 0) {
		fprintf(stderr, "the server closed without an answer\n");
		return 1;
	}
	printf("char from server = %c\n", ch);
	close(fd);
	return 0;
}
