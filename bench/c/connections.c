/* Loads of connections to an echo server.
 *
 *   connections rate URL IN-FLIGHT SECONDS   connect, echo one byte, close; prints connections per second
 *   connections idle URL N                   opens N, echoes a byte over each, prints N, keeps them until its input ends */
#include "common.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS = 256, SOURCES = 64 };

static struct address to;

/* bind_source spreads TCP connections over the addresses 127.0.0.2 and up: a
 * client that closes first keeps each pair of ports for a minute, and there are 28,000 of one address. */
static void bind_source(int fd)
{
	static unsigned next;
	int on = 1;
	if (to.sa.any.sa_family != AF_INET)
		return;
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + next++ % SOURCES)};
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
		fail("bind");
}

/* launch begins a connection and sends its byte if that can be done at once.
 * It gives -1 where the listener's backlog is full. */
static int launch(int ep)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd = socket(to.sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fail("socket");
	bind_source(fd);
	if (connect(fd, &to.sa.any, to.len) < 0 && errno != EINPROGRESS) {
		if (errno != EAGAIN)
			fail("connect");
		close(fd);
		return -1;
	}
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) {
		if (errno != EAGAIN && errno != ENOTCONN)
			fail("send");
		e.events = EPOLLOUT; /* not connected yet */
	}
	e.data.fd = fd;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		fail("epoll_ctl");
	return fd;
}

/* step goes on with a connection; 1 when it is done. */
static int step(int ep, int fd, unsigned events)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	char c;
	if (events & EPOLLIN) {
		if (recv(fd, &c, 1, 0) != 1 || c != 'x')
			fail("no echo");
		close(fd);
		return 1;
	}
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		fail("send");
	if (epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) < 0)
		fail("epoll_ctl");
	return 0;
}

/* rate gives the connections that were done in one second. */
static double rate(int in_flight, double limit)
{
	int ep = epoll_create1(0), open = 0;
	long done = 0;
	double start = seconds(), now = start;
	while (now - start < limit || open > 0) {
		struct epoll_event events[EVENTS];
		int full = 0;
		while (now - start < limit && open < in_flight && !full) {
			if (launch(ep) < 0)
				full = 1;
			else
				open++;
		}
		int n = epoll_wait(ep, events, EVENTS, open == 0 ? 1 : full ? 5 : 5000);
		if (n == 0 && !full)
			fail("the server doesn't answer");
		for (int i = 0; i < n; i++)
			if (step(ep, events[i].data.fd, events[i].events)) {
				open--;
				done++;
			}
		now = seconds();
	}
	close(ep);
	return (double)done / (now - start);
}

/* idle holds n connections, each of which has carried a byte both ways. */
static void idle(long n)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (long i = 0; i < n; i++) {
		char c;
		int fd = socket(to.sa.any.sa_family, SOCK_STREAM, 0);
		if (fd < 0)
			fail("socket");
		bind_source(fd);
		if (connect(fd, &to.sa.any, to.len) < 0)
			fail("connect");
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
			fail("no echo");
	}
	printf("%ld\n", n);
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	begin();
	if (argc < 4)
		usage("connections rate URL IN-FLIGHT SECONDS | connections idle URL N");
	to = parse(argv[2]);
	if (argc == 5 && strcmp(argv[1], "rate") == 0) {
		int in_flight = atoi(argv[3]);
		double limit = atof(argv[4]);
		rate(in_flight, limit / 5); /* warm */
		printf("%.6g\n", rate(in_flight, limit));
	} else {
		idle(atol(argv[3]));
	}
	return 0;
}
