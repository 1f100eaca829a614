/* A UDP echo server that takes and gives up to BATCH datagrams with one system call.
 *
 *   udpecho URL [gso]    with gso, those that the kernel hands over as one go back as one */
#include "common.h"
#include "gso.h"

enum { BATCH = 64, LARGEST = 2048 };

static char bufs[BATCH * STRIDE];
static struct control controls[BATCH];
static struct sockaddr_in from[BATCH];
static struct iovec iov[BATCH];
static struct mmsghdr msgs[BATCH];

int main(int argc, char **argv)
{
	begin();
	if (argc != 2 && argc != 3)
		usage("udpecho URL [gso]");
	struct address a = parse(argv[1]);
	int fd = bound(&a, 0), gso = argc == 3;
	if (gso)
		join(fd);
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){bufs + i * (gso ? STRIDE : LARGEST), gso ? STRIDE : LARGEST};
			msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
			if (gso)
				expect_joined(&msgs[i].msg_hdr, &controls[i]);
		}
		int n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0)
			fail("recvmmsg");
		for (int i = 0; i < n; i++) {
			iov[i].iov_len = msgs[i].msg_len;
			if (gso)
				cut_into(&msgs[i].msg_hdr, &controls[i], joined_of(&msgs[i].msg_hdr));
		}
		for (int sent = 0; sent < n;) {
			int m = sendmmsg(fd, msgs + sent, (unsigned)(n - sent), 0);
			if (m < 0)
				m = 1; /* this one can't be sent; the rest can */
			sent += m;
		}
	}
}
