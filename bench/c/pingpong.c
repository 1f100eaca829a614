/* Round trips in plain blocking calls, for every kind of socket.
 *
 *   pingpong serve URL                 sends back what it receives, one connection at a time
 *   pingpong ping URL SIZE SECONDS     prints the microseconds of one round trip */
#include "common.h"

enum { LARGEST = 64 << 10, CHUNK = 64 };

static char buf[LARGEST];

static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
		if (w < 0)
			fail("send");
		p += w;
		n -= (size_t)w;
	}
}

static void serve_datagrams(int fd)
{
	for (;;) {
		struct address from;
		from.len = sizeof from.sa;
		ssize_t n = recvfrom(fd, buf, sizeof buf, 0, &from.sa.any, &from.len);
		if (n < 0)
			fail("recvfrom");
		/* An answer that its peer no longer awaits is no fault of ours. */
		if (sendto(fd, buf, (size_t)n, 0, &from.sa.any, from.len) < 0 && errno != ECONNREFUSED && errno != ENOENT && errno != ENOTCONN)
			fail("sendto");
	}
}

static void serve(const struct address *a)
{
	int l = bound(a, 0);
	if (a->type == SOCK_DGRAM)
		serve_datagrams(l);
	for (;;) {
		ssize_t n;
		int c = accept(l, NULL, NULL);
		if (c < 0)
			fail("accept");
		no_delay(c, a);
		while ((n = recv(c, buf, sizeof buf, 0)) > 0)
			write_all(c, buf, (size_t)n);
		close(c);
	}
}

static void trip(int fd, size_t size)
{
	size_t got = 0;
	write_all(fd, buf, size);
	while (got < size) {
		ssize_t n = recv(fd, buf + got, size - got, 0);
		if (n < 0)
			fail("recv");
		if (n == 0) {
			fputs("the server ended\n", stderr);
			exit(1);
		}
		got += (size_t)n;
	}
}

/* trips makes round trips for so long and gives the time of one. */
static double trips(int fd, size_t size, double limit)
{
	double start = seconds(), took;
	long n = 0;
	do {
		for (int i = 0; i < CHUNK; i++)
			trip(fd, size);
		n += CHUNK;
		took = seconds() - start;
	} while (took < limit);
	return took / (double)n;
}

int main(int argc, char **argv)
{
	begin();
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		struct address a = parse(argv[2]);
		serve(&a);
	}
	if (argc != 5 || strcmp(argv[1], "ping") != 0)
		usage("pingpong serve URL | pingpong ping URL SIZE SECONDS");
	struct address a = parse(argv[2]);
	size_t size = (size_t)atol(argv[3]);
	double limit = atof(argv[4]);
	if (size < 1 || size > sizeof buf)
		usage("SIZE from 1 to 65536");
	int fd = connected(&a);
	trips(fd, size, limit / 5); /* warm */
	printf("%.6g\n", trips(fd, size, limit) * 1e6);
	return 0;
}
