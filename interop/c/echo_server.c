/* echo_server HOST PORT | PATH
 *
 * Sends every byte back, in order, to any number of clients, in one thread: each
 * client has one buffer, and is read only while that is empty. A client that does
 * not read its echo therefore stops being read, and holds up nobody else. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_CLIENTS = 1000, REST_MS = 100 };

struct client {
	size_t from, to; /* buf[from..to) waits to be sent back */
	char buf[16384];
};

static struct pollfd fds[1 + MAX_CLIENTS]; /* fds[0] is the listener */
static struct client *clients[1 + MAX_CLIENTS];
static nfds_t count = 1;

/* serve takes one step with a client; it returns 0 when the client is done. */
static int serve(int fd, struct client *c)
{
	if (c->from == c->to) {
		ssize_t n = read(fd, c->buf, sizeof c->buf);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0) { /* the client half-closed; all its echo is sent */
			shutdown(fd, SHUT_WR);
			return 0;
		}
		c->from = 0;
		c->to = (size_t)n;
	}
	ssize_t n = write(fd, c->buf + c->from, c->to - c->from);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
	c->from += (size_t)n;
	return 1;
}

/* admit takes one new client. When there is no room for it the listener rests
 * until another client leaves, or REST_MS: asking again at once would only burn
 * the CPU. */
static void admit(void)
{
	int fd = accept(fds[0].fd, NULL, NULL);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			fds[0].events = 0;
		return; /* any other fault is of that one client, which is gone */
	}
	struct client *c = malloc(sizeof *c);
	if (c == NULL || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		perror("a client");
		free(c);
		close(fd);
		return;
	}
	c->from = c->to = 0;
	fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
	clients[count++] = c;
	if (count == 1 + MAX_CLIENTS)
		fds[0].events = 0;
}

static void drop(nfds_t i)
{
	close(fds[i].fd);
	free(clients[i]);
	count--;
	fds[i] = fds[count]; /* the last one moves into the gap */
	clients[i] = clients[count];
	fds[0].events = POLLIN;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s HOST PORT | PATH\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a lost client is an error of write, not our death */
	int listener = listen_stream(argc - 1, argv + 1);
	if (fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) < 0)
		die("fcntl");
	fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};

	for (;;) {
		int ready = poll(fds, count, fds[0].events ? -1 : REST_MS);
		if (ready < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		if (ready == 0 && count < 1 + MAX_CLIENTS)
			fds[0].events = POLLIN;
		/* Downwards, so that the client which drop moves is one already served. */
		for (nfds_t i = count - 1; i >= 1; i--) {
			if (fds[i].revents == 0)
				continue;
			if (serve(fds[i].fd, clients[i]))
				fds[i].events = clients[i]->from < clients[i]->to ? POLLOUT : POLLIN;
			else
				drop(i);
		}
		if (fds[0].revents)
			admit();
	}
}
