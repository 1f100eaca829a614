/* An echo server for any number of streams: one thread, one epoll, one buffer
 * for all. A connection that doesn't read is not read from.
 *
 *   epollecho URL */
#include "common.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS = 256, BUFFER = 64 << 10 };

/* rest is what a connection could not take yet. */
struct rest {
	char *bytes;
	size_t at, len;
};

static char buf[BUFFER];
static struct rest *rests; /* by descriptor */

static void set(int ep, int op, int fd, unsigned events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	if (epoll_ctl(ep, op, fd, &e) < 0)
		fail("epoll_ctl");
}

static void end(int fd)
{
	free(rests[fd].bytes);
	rests[fd] = (struct rest){0};
	close(fd);
}

/* put sends what it can; 0 when all is gone, 1 when some is left, -1 on failure. */
static int put(int fd, const char *p, size_t n, size_t *sent)
{
	for (*sent = 0; *sent < n;) {
		ssize_t w = send(fd, p + *sent, n - *sent, MSG_NOSIGNAL);
		if (w < 0)
			return errno == EAGAIN ? 1 : -1;
		*sent += (size_t)w;
	}
	return 0;
}

static void readable(int ep, int fd)
{
	size_t sent;
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		end(fd);
		return;
	}
	switch (put(fd, buf, (size_t)n, &sent)) {
	case -1:
		end(fd);
		return;
	case 1:
		rests[fd].len = (size_t)n - sent;
		rests[fd].at = 0;
		rests[fd].bytes = malloc(rests[fd].len);
		if (!rests[fd].bytes)
			fail("malloc");
		memcpy(rests[fd].bytes, buf + sent, rests[fd].len);
		set(ep, EPOLL_CTL_MOD, fd, EPOLLOUT);
	}
}

static void writable(int ep, int fd)
{
	struct rest *r = &rests[fd];
	size_t sent;
	int left = put(fd, r->bytes + r->at, r->len - r->at, &sent);
	if (left < 0) {
		end(fd);
		return;
	}
	r->at += sent;
	if (left)
		return;
	free(r->bytes);
	*r = (struct rest){0};
	set(ep, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void accept_all(int ep, int l, const struct address *a)
{
	for (;;) {
		int c = accept4(l, NULL, NULL, SOCK_NONBLOCK);
		if (c < 0) {
			if (errno == EAGAIN || errno == ECONNABORTED)
				return;
			fail("accept");
		}
		no_delay(c, a);
		set(ep, EPOLL_CTL_ADD, c, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	begin();
	if (argc != 2)
		usage("epollecho URL");
	struct address a = parse(argv[1]);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	rests = calloc(files.rlim_cur, sizeof *rests);
	int l = bound(&a, SOCK_NONBLOCK), ep = epoll_create1(0);
	if (ep < 0 || !rests)
		fail("epoll_create");
	set(ep, EPOLL_CTL_ADD, l, EPOLLIN);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(ep, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == l)
				accept_all(ep, l, &a);
			else if (events[i].events & EPOLLOUT)
				writable(ep, fd);
			else
				readable(ep, fd);
		}
	}
}
