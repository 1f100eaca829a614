/* A relay of UDP datagrams that takes and gives up to BATCH of a peer with one system call.
 *
 *   udprelay FROM TO [gso]    gives each peer of FROM a socket of its own to TO; with gso, datagrams of
 *                             one length that go the same way are handed to the kernel as one, and taken so
 *
 * Peers are told apart by their ports, and never forgotten: it is for loads from this machine. */
#include "common.h"
#include "gso.h"

#include <sys/epoll.h>

enum { BATCH = 64, LARGEST = 1500, PORTS = 1 << 16 };

static char bufs[BATCH * STRIDE];
static struct control controls[BATCH];
static int joined[BATCH]; /* the length of the datagrams that each was joined of, 0 for one */
static struct sockaddr_in from[BATCH];
static struct iovec iov[BATCH];
static struct mmsghdr msgs[BATCH];
static struct peer {
	int up;
	struct sockaddr_in addr;
} peers[PORTS];
static int gso;

static int receive(int fd)
{
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){bufs + i * (gso ? STRIDE : LARGEST), gso ? STRIDE : LARGEST};
		msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
		if (gso)
			expect_joined(&msgs[i].msg_hdr, &controls[i]);
	}
	int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		iov[i].iov_len = msgs[i].msg_len;
		joined[i] = gso ? joined_of(&msgs[i].msg_hdr) : 0;
		cut_into(&msgs[i].msg_hdr, &controls[i], joined[i]);
	}
	return n;
}

/* send_one hands datagrams of one length to the kernel as one; 0 where they aren't of one, or it can't. */
static int send_one(int fd, int first, int n, struct sockaddr_in *to)
{
	struct control space;
	for (int i = first; i < first + n; i++)
		if (joined[i] || iov[i].iov_len != iov[first].iov_len)
			return 0;
	struct msghdr m = {.msg_name = to, .msg_namelen = to ? sizeof *to : 0, .msg_iov = iov + first, .msg_iovlen = (size_t)n};
	cut_into(&m, &space, (int)iov[first].iov_len);
	return sendmsg(fd, &m, MSG_DONTWAIT) >= 0;
}

static void give(int fd, int first, int n, struct sockaddr_in *to)
{
	if (gso && n > 1 && send_one(fd, first, n, to))
		return;
	for (int i = first; i < first + n; i++) {
		msgs[i].msg_hdr.msg_name = to;
		msgs[i].msg_hdr.msg_namelen = to ? sizeof *to : 0;
	}
	for (int sent = 0; sent < n;) {
		int m = sendmmsg(fd, msgs + first + sent, (unsigned)(n - sent), MSG_DONTWAIT);
		sent += m > 0 ? m : 1; /* one that can't be sent is lost; the rest can */
	}
}

static struct peer *peer_of(int ep, int i, const struct address *to)
{
	struct peer *p = &peers[from[i].sin_port];
	if (p->up == 0) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
		p->up = connected(to);
		p->addr = from[i];
		if (epoll_ctl(ep, EPOLL_CTL_ADD, p->up, &e) < 0)
			fail("epoll_ctl");
	}
	return p;
}

int main(int argc, char **argv)
{
	begin();
	if (argc != 3 && argc != 4)
		usage("udprelay FROM TO [gso]");
	struct address at = parse(argv[1]), to = parse(argv[2]);
	gso = argc == 4;
	int l = bound(&at, 0), ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) < 0)
		fail("epoll_ctl");
	for (;;) {
		struct epoll_event events[BATCH];
		int ready = epoll_wait(ep, events, BATCH, -1);
		for (int i = 0; i < ready; i++) {
			struct peer *p = events[i].data.ptr;
			int n = receive(p ? p->up : l);
			if (p && n > 0)
				give(l, 0, n, &p->addr);
			for (int j = 0, run; !p && j < n; j += run) {
				for (run = 1; j + run < n && from[j + run].sin_port == from[j].sin_port; run++)
					;
				give(peer_of(ep, j, &to)->up, j, run, NULL);
			}
		}
	}
}
