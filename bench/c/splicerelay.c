/* A relay of streams as small as it can be: one thread, and splice(2) through a pipe of 1 MiB for each direction.
 *
 *   splicerelay FROM TO    gives each client of FROM a connection of its own to TO */
#include "common.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS = 64, PIPE = 1 << 20 };

/* One direction. */
struct way {
	int from, to;
	int pipe[2]; /* made when something comes; 0 and 0 before */
	size_t held; /* in the pipe */
	int ended;
};

struct pair {
	struct way ways[2];
	int dead;
	struct pair *next; /* among those to be freed */
};

static void open_pipe(struct way *w)
{
	if (pipe2(w->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		fail("pipe2");
	if (fcntl(w->pipe[0], F_SETPIPE_SZ, PIPE) < 0)
		fail("F_SETPIPE_SZ");
}

/* pump moves what can be moved without waiting; -1 when the connection is lost. */
static int pump(struct way *w)
{
	while (!w->ended) {
		ssize_t n;
		if (w->pipe[1] == 0)
			open_pipe(w);
		if (w->held == 0) {
			n = splice(w->from, NULL, w->pipe[1], NULL, PIPE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n < 0)
				return errno == EAGAIN ? 0 : -1;
			if (n == 0) {
				w->ended = 1;
				shutdown(w->to, SHUT_WR); /* the other way goes on */
			}
			w->held = (size_t)n;
		}
		while (w->held > 0) {
			n = splice(w->pipe[0], NULL, w->to, NULL, w->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n < 0)
				return errno == EAGAIN ? 0 : -1;
			w->held -= (size_t)n;
		}
	}
	return 0;
}

/* end closes a pair, once. An event of it that was fetched already may still come, so it is freed later. */
static int end(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		close(p->ways[i].from);
		if (p->ways[i].pipe[1] != 0) {
			close(p->ways[i].pipe[0]);
			close(p->ways[i].pipe[1]);
		}
	}
	p->dead = 1;
	return 1;
}

/* move goes on with a pair; 1 when that ended it. */
static int move(struct pair *p)
{
	if (p->dead)
		return 0;
	if (pump(&p->ways[0]) < 0 || pump(&p->ways[1]) < 0 || (p->ways[0].ended && p->ways[1].ended))
		return end(p);
	return 0;
}

static void watch(int ep, int fd, void *p, unsigned events)
{
	struct epoll_event e = {.events = events, .data.ptr = p};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		fail("epoll_ctl");
}

static void begin_pair(int ep, int client, const struct address *from, const struct address *to)
{
	int server = connected(to);
	struct pair *p = calloc(1, sizeof *p);
	if (!p)
		fail("calloc");
	no_delay(client, from);
	if (fcntl(client, F_SETFL, O_NONBLOCK) < 0 || fcntl(server, F_SETFL, O_NONBLOCK) < 0)
		fail("O_NONBLOCK");
	p->ways[0].from = p->ways[1].to = client;
	p->ways[0].to = p->ways[1].from = server;
	watch(ep, client, p, EPOLLIN | EPOLLOUT | EPOLLET); /* what is there already is told of */
	watch(ep, server, p, EPOLLIN | EPOLLOUT | EPOLLET);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	begin();
	if (argc != 3)
		usage("splicerelay FROM TO");
	struct address from = parse(argv[1]), to = parse(argv[2]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	int l = bound(&from, 0), ep = epoll_create1(0);
	watch(ep, l, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event events[EVENTS];
		struct pair *over = NULL;
		int n = epoll_wait(ep, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct pair *p = events[i].data.ptr;
			if (!p) {
				int c = accept(l, NULL, NULL);
				if (c < 0)
					fail("accept");
				begin_pair(ep, c, &from, &to);
			} else if (move(p)) {
				p->next = over;
				over = p;
			}
		}
		while (over) {
			struct pair *p = over;
			over = p->next;
			free(p);
		}
	}
}
