/* Requests of many callers over one stream: what came is answered at once in a batch. Its server is "pingpong serve".
 *
 *   callers URL CALLERS SIZE SECONDS   prints the thousand answers that came in a second */
#include "pace.h"

enum { LARGEST = 64 << 10 };

static char buf[LARGEST];
static uint64_t due, sent;

/* ask sends as many requests. */
static void ask(int fd, size_t size, size_t count)
{
	static char out[LARGEST];
	for (size_t i = 0; i < count; i++)
		set_number(out + i * size, sent++);
	for (size_t done = 0; done < count * size;) {
		ssize_t n = send(fd, out + done, count * size - done, MSG_NOSIGNAL);
		if (n < 0)
			fail("send");
		done += (size_t)n;
	}
}

/* rate gives the answers that came in one second. */
static double rate(int fd, size_t size, double limit)
{
	static size_t have;
	uint64_t first = due;
	double start = seconds(), took;
	do {
		ssize_t n = recv(fd, buf + have, sizeof buf - have, 0);
		if (n <= 0)
			fail("recv");
		have += (size_t)n;
		size_t at = 0;
		for (; have - at >= size; at += size)
			must_be(buf + at, size, size, due++);
		ask(fd, size, at / size);
		memmove(buf, buf + at, have - at);
		have -= at;
		took = seconds() - start;
	} while (took < limit);
	return (double)(due - first) / took;
}

int main(int argc, char **argv)
{
	begin();
	if (argc != 5)
		usage("callers URL CALLERS SIZE SECONDS");
	struct address a = parse(argv[1]);
	size_t callers = (size_t)atol(argv[2]), size = (size_t)atol(argv[3]);
	double limit = atof(argv[4]);
	if (size < 8 || callers < 1 || callers * size > LARGEST)
		usage("SIZE of 8 and more, CALLERS times SIZE of 65536 at most");
	int fd = connected(&a);
	ask(fd, size, callers);
	rate(fd, size, limit / 5); /* warm */
	printf("%.6g\n", rate(fd, size, limit) / 1e3);
	return 0;
}
