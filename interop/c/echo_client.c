/* echo_client HOST PORT | PATH
 *
 * Sends its standard input to a server, half-closes, and prints what comes back
 * until the server closes too. It reads and writes at once: a client that sent
 * everything first would stop for ever as soon as the buffers between the two
 * are full of echo that nobody reads. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char out[65536]; /* bytes of standard input that wait to be sent */
static size_t from, to;
static unsigned long long sent, received;

/* send_some sends what waits, as much as the socket takes now. */
static void send_some(int fd)
{
	ssize_t n = write(fd, out + from, to - from);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n < 0)
		die("send");
	from += (size_t)n;
	sent += (size_t)n;
}

/* fill takes more of standard input; at its end it half-closes the socket and
 * returns 0. */
static int fill(int fd)
{
	ptrdiff_t n = read_some(STDIN_FILENO, out, sizeof out);
	if (n < 0)
		die("standard input");
	from = 0;
	to = (size_t)n;
	/* A server that has already closed may answer ENOTCONN; its end is seen
	 * when we read. */
	if (n == 0 && shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN)
		die("shutdown");
	return n > 0;
}

/* receive prints what has come; it returns 0 once the server has ended. */
static int receive(int fd)
{
	char in[65536];
	ptrdiff_t n = read_some(fd, in, sizeof in);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 1;
	if (n < 0)
		die("receive");
	if (write_all(STDOUT_FILENO, in, (size_t)n) < 0)
		die("standard output");
	received += (size_t)n;
	return n > 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s HOST PORT | PATH\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a lost peer is an error of write, not our death */
	int fd = dial_stream(argc - 1, argv + 1);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		die("fcntl");

	int more_input = 1, more_output = 1;
	while (more_output) {
		int waiting = from < to;
		struct pollfd p[2] = {
			{.fd = fd, .events = waiting ? POLLIN | POLLOUT : POLLIN},
			{.fd = more_input && !waiting ? STDIN_FILENO : -1, .events = POLLIN},
		};
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		if (p[1].revents)
			more_input = fill(fd);
		if (p[0].revents & POLLOUT)
			send_some(fd);
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			more_output = receive(fd);
	}
	close(fd);
	if (received != sent || more_input) {
		fprintf(stderr, "cut short: %llu bytes sent, %llu came back\n", sent, received);
		return 1;
	}
	return 0;
}
