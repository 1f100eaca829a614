/* Numbered messages one way over a stream, in batches of 64 KiB: what the kernel can do.
 *
 *   flow push URL SIZE           sends as fast as it goes, to one connection after another
 *   flow pull URL SIZE SECONDS   checks each message; prints the thousand that came in a second */
#include "pace.h"

enum { BATCH = 64 << 10 };

static char buf[BATCH];

static void push(const struct address *a, size_t size)
{
	int l = bound(a, 0);
	for (;;) {
		ssize_t sent = 1;
		uint64_t n = 0;
		int c = accept(l, NULL, NULL);
		if (c < 0)
			fail("accept");
		no_delay(c, a);
		while (sent > 0) {
			for (size_t at = 0; at < BATCH; at += size)
				set_number(buf + at, n++);
			for (size_t done = 0; done < BATCH && sent > 0; done += (size_t)sent)
				sent = send(c, buf + done, BATCH - done, MSG_NOSIGNAL);
		}
		close(c); /* its peer has gone */
	}
}

static uint64_t due;

/* pull gives the messages that came in one second. */
static double pull(int fd, size_t size, double limit)
{
	static size_t have;
	uint64_t first = due;
	double start = seconds(), took;
	do {
		ssize_t n = recv(fd, buf + have, BATCH - have, 0);
		if (n <= 0)
			fail("recv");
		have += (size_t)n;
		size_t at = 0;
		for (; have - at >= size; at += size)
			must_be(buf + at, size, size, due++);
		memmove(buf, buf + at, have - at);
		have -= at;
		took = seconds() - start;
	} while (took < limit);
	return (double)(due - first) / took;
}

int main(int argc, char **argv)
{
	begin();
	if (argc < 4)
		usage("flow push URL SIZE | flow pull URL SIZE SECONDS");
	struct address a = parse(argv[2]);
	size_t size = (size_t)atol(argv[3]);
	if (size < 8 || BATCH % size != 0)
		usage("SIZE: a power of two from 8 to 65536");
	if (argc == 4 && strcmp(argv[1], "push") == 0)
		push(&a, size);
	if (argc != 5 || strcmp(argv[1], "pull") != 0)
		usage("flow push URL SIZE | flow pull URL SIZE SECONDS");
	double limit = atof(argv[4]);
	int fd = connected(&a);
	pull(fd, size, limit / 5); /* warm */
	printf("%.6g\n", pull(fd, size, limit) / 1e3);
	return 0;
}
