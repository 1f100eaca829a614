/* A UDP echo server that takes and gives up to BATCH datagrams with one system call.
 *
 *   udpecho URL */
#include "common.h"

enum { BATCH = 64, LARGEST = 2048 };

static char bufs[BATCH][LARGEST];
static struct sockaddr_in from[BATCH];
static struct iovec iov[BATCH];
static struct mmsghdr msgs[BATCH];

int main(int argc, char **argv)
{
	begin();
	if (argc != 2)
		usage("udpecho URL");
	struct address a = parse(argv[1]);
	int fd = bound(&a, 0);
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){bufs[i], LARGEST};
			msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
		}
		int n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0)
			fail("recvmmsg");
		for (int i = 0; i < n; i++)
			iov[i].iov_len = msgs[i].msg_len;
		for (int sent = 0; sent < n;) {
			int m = sendmmsg(fd, msgs + sent, (unsigned)(n - sent), 0);
			if (m < 0)
				m = 1; /* this one can't be sent; the rest can */
			sent += m;
		}
	}
}
