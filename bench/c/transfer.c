/* A transfer of a fixed size, one way, that is checked at its end.
 *
 *   transfer sink URL          answers each connection with how many of the bytes that it announced came as they should
 *   transfer pour URL BYTES    sends so many, and prints GB/s until the answer came
 *
 * The number comes first, and not a half-close last, for ncat ends both directions at that.
 *
 * What is sent is a sequence whose period has nothing in common with the sizes of
 * pieces and buffers. The sink compares the ends of what each of its reads gives: data that is
 * lost, doubled or out of order shows there, at a cost that doesn't count. */
#include "common.h"

#include <stdint.h>

enum { PERIOD = 65537, PIECE = 64 << 10, READ = 256 << 10, SAMPLE = 32 };

static unsigned char sequence[PERIOD + READ], buf[READ];

static void fill(void)
{
	uint32_t x = 2463534242;
	for (size_t i = 0; i < sizeof sequence; i++) {
		if (i >= PERIOD) {
			sequence[i] = sequence[i - PERIOD];
			continue;
		}
		x ^= x << 13; /* xorshift, Marsaglia 2003 */
		x ^= x >> 17;
		x ^= x << 5;
		sequence[i] = (unsigned char)x;
	}
}

static int as_sent(uint64_t at, size_t n)
{
	const unsigned char *want = sequence + at % PERIOD;
	size_t m = n < SAMPLE ? n : SAMPLE;
	return memcmp(buf, want, m) == 0 && memcmp(buf + n - m, want + n - m, m) == 0;
}

/* receive gives how many of the announced bytes came as they should. */
static uint64_t receive(int c)
{
	uint64_t size = 0, got = 0, right = 0;
	if (recv(c, &size, sizeof size, MSG_WAITALL) != sizeof size)
		return 0;
	while (got < size) {
		ssize_t n = recv(c, buf, size - got < sizeof buf ? size - got : sizeof buf, 0);
		if (n <= 0)
			break;
		if (as_sent(got, (size_t)n))
			right += (uint64_t)n;
		got += (uint64_t)n;
	}
	return right;
}

static void sink(const struct address *a)
{
	int l = bound(a, 0);
	for (;;) {
		int c = accept(l, NULL, NULL);
		if (c < 0)
			fail("accept");
		uint64_t right = receive(c);
		send(c, &right, sizeof right, MSG_NOSIGNAL); /* a peer that is gone needs no answer */
		if (recv(c, buf, sizeof buf, 0) > 0) {
			fputs("more came than was announced\n", stderr);
			exit(1);
		}
		close(c);
	}
}

static void send_all(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0)
			fail("send");
		p = (const char *)p + sent;
		n -= (size_t)sent;
	}
}

static void pour(const struct address *a, uint64_t size)
{
	uint64_t right = 0;
	int fd = connected(a);
	double start = seconds();
	send_all(fd, &size, sizeof size);
	for (uint64_t sent = 0; sent < size; sent += PIECE)
		send_all(fd, sequence + sent % PERIOD, size - sent < PIECE ? size - sent : PIECE);
	if (recv(fd, &right, sizeof right, MSG_WAITALL) != sizeof right)
		fail("no answer");
	double took = seconds() - start;
	if (right != size) {
		fprintf(stderr, "of %llu bytes %llu came as they should\n", (unsigned long long)size, (unsigned long long)right);
		exit(1);
	}
	if (shutdown(fd, SHUT_WR) < 0)
		fail("shutdown");
	if (recv(fd, buf, sizeof buf, 0) != 0) {
		fputs("the end was not passed on\n", stderr);
		exit(1);
	}
	printf("%.6g\n", (double)size / took / 1e9);
}

int main(int argc, char **argv)
{
	begin();
	fill();
	if (argc != 3 && argc != 4)
		usage("transfer sink URL | transfer pour URL BYTES");
	struct address a = parse(argv[2]);
	if (argc == 3 && strcmp(argv[1], "sink") == 0)
		sink(&a);
	if (argc == 4 && strcmp(argv[1], "pour") == 0)
		pour(&a, strtoull(argv[3], NULL, 10));
	else
		usage("transfer sink URL | transfer pour URL BYTES");
	return 0;
}
