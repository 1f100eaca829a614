/* One way, as fast as it goes, over a stream.
 *
 *   bulk sink URL                  reads to the end of a connection, then answers one byte
 *   bulk pour URL SIZE SECONDS     writes pieces of SIZE; prints GB/s until that answer came */
#include "common.h"

enum { LARGEST = 64 << 10 };

static char buf[LARGEST];

static void sink(const struct address *a)
{
	int l = bound(a, 0);
	for (;;) {
		int c = accept(l, NULL, NULL);
		if (c < 0)
			fail("accept");
		while (recv(c, buf, sizeof buf, 0) > 0)
			;
		send(c, "", 1, MSG_NOSIGNAL); /* a peer that is gone needs no answer */
		close(c);
	}
}

int main(int argc, char **argv)
{
	begin();
	if (argc == 3 && strcmp(argv[1], "sink") == 0) {
		struct address a = parse(argv[2]);
		sink(&a);
	}
	if (argc != 5 || strcmp(argv[1], "pour") != 0)
		usage("bulk sink URL | bulk pour URL SIZE SECONDS");
	struct address a = parse(argv[2]);
	size_t size = (size_t)atol(argv[3]);
	double limit = atof(argv[4]), bytes = 0;
	if (size < 1 || size > sizeof buf)
		usage("SIZE from 1 to 65536");
	int fd = connected(&a);
	double start = seconds();
	do {
		for (int i = 0; i < 64; i++) {
			ssize_t n = send(fd, buf, size, MSG_NOSIGNAL);
			if (n < 0)
				fail("send");
			bytes += (double)n;
		}
	} while (seconds() - start < limit);
	if (shutdown(fd, SHUT_WR) < 0)
		fail("shutdown");
	if (recv(fd, buf, 1, 0) != 1)
		fail("no answer");
	printf("%.6g\n", bytes / (seconds() - start) / 1e9);
	return 0;
}
