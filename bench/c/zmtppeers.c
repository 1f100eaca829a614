/* Many idle ZMTP 3.1 peers of one socket, as DEALERs without security (37/ZMTP).
 *
 *   zmtppeers URL N   connects N, has a message of each answered, prints N, keeps them until its input ends */
#include "common.h"

#include <sys/resource.h>

enum { GREETING = 64, SOURCES = 64, DUE = 4 };

static struct address to;

/* A READY command whose properties are a type of DEALER and no identity, then a message: an empty delimiter and a body. */
static const char ready[] = "\4\x29\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0\0";
static const char request[] = "\1\0\0\4ping";

static void write_all(int fd, const char *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail("send");
}

static void read_all(int fd, char *p, size_t n)
{
	ssize_t got = recv(fd, p, n, MSG_WAITALL);
	if (got >= 0 && got < (ssize_t)n) {
		fputs("the server ended\n", stderr);
		exit(1);
	}
	if (got < 0)
		fail("recv");
}

/* read_frame reads a short frame and gives its flags. */
static int read_frame(int fd, char *body, size_t *len)
{
	unsigned char header[2];
	read_all(fd, (char *)header, sizeof header);
	*len = header[1];
	if (*len > 0)
		read_all(fd, body, *len);
	return header[0];
}

/* bind_source spreads TCP connections over the addresses 127.0.0.2 and up, which have 28,000 ports each. */
static void bind_source(int fd, long i)
{
	int on = 1;
	if (to.sa.any.sa_family != AF_INET)
		return;
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)(0x7f000002 + i % SOURCES))};
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
		fail("bind");
}

static void join(long i)
{
	char greeting[GREETING] = {(char)0xff, [9] = 0x7f, 3, 1, 'N', 'U', 'L', 'L'}, body[256];
	size_t len;
	int fd = socket(to.sa.any.sa_family, SOCK_STREAM, 0);
	if (fd < 0)
		fail("socket");
	bind_source(fd, i);
	if (connect(fd, &to.sa.any, to.len) < 0)
		fail("connect");
	no_delay(fd, &to);
	write_all(fd, greeting, sizeof greeting);
	write_all(fd, ready, sizeof ready - 1);
	read_all(fd, greeting, sizeof greeting);
	if (read_frame(fd, body, &len) != 4 || len < 6 || memcmp(body, "\5READY", 6) != 0) {
		fputs("no READY\n", stderr);
		exit(1);
	}
	write_all(fd, request, sizeof request - 1);
	if (read_frame(fd, body, &len) != 1 || len != 0 || read_frame(fd, body, &len) != 0 || len != DUE || memcmp(body, "ping", DUE) != 0) {
		fputs("no answer\n", stderr);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	begin();
	if (argc != 3)
		usage("zmtppeers URL N");
	to = parse(argv[1]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	long n = atol(argv[2]);
	for (long i = 0; i < n; i++)
		join(i);
	printf("%ld\n", n);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
