/* A load of UDP requests: several sockets, each with a bounded number of
 * datagrams under way, few enough for every queue to hold, so that none is lost.
 * Each socket is answered once before the next begins: a relay has then got to know it.
 *
 *   udpload URL SOCKETS WINDOW SIZE SECONDS [gso]    prints thousands of echoes per second; with gso, the
 *                                                    kernel takes those sent at once as one, and may give so what it has */
#include "common.h"
#include "gso.h"

#include <poll.h>

enum { MOST = 64, LARGEST = 1400 };

static char in[MOST * STRIDE], out[MOST * LARGEST];
static struct iovec in_iov[MOST], out_iov;
static struct mmsghdr in_msgs[MOST], out_msgs[MOST];
static struct control controls[MOST];
static struct pollfd socks[MOST];
static int n_socks, window, size, gso;

static void request(int fd, int n)
{
	if (gso && n > 1) {
		struct iovec all = {out, (size_t)n * (size_t)size};
		struct msghdr m = {.msg_iov = &all, .msg_iovlen = 1};
		cut_into(&m, &controls[0], size);
		if (sendmsg(fd, &m, 0) < 0)
			fail("sendmsg");
		return;
	}
	for (int sent = 0; sent < n;) {
		int m = sendmmsg(fd, out_msgs + sent, (unsigned)(n - sent), 0);
		if (m < 0)
			fail("sendmmsg");
		sent += m;
	}
}

/* collect gives the echoes that wait on fd. */
static int collect(int fd)
{
	for (int i = 0; gso && i < MOST; i++)
		expect_joined(&in_msgs[i].msg_hdr, &controls[i]);
	int n = recvmmsg(fd, in_msgs, MOST, MSG_DONTWAIT, NULL), echoes = 0;
	if (n < 0) {
		if (errno == EAGAIN)
			return 0;
		fail("recvmmsg");
	}
	for (int i = 0; i < n; i++) {
		int joined = gso ? joined_of(&in_msgs[i].msg_hdr) : 0, length = (int)in_msgs[i].msg_len;
		if ((joined ? joined : length) != size || length % size != 0) {
			fputs("an echo has another length\n", stderr);
			exit(1);
		}
		echoes += length / size;
	}
	return echoes;
}

/* greet makes one round trip. Only here may a datagram be lost: what starts a process for a peer may not be ready. */
static void greet(struct pollfd *sock)
{
	for (int tries = 0; tries < 5; tries++) {
		request(sock->fd, 1);
		if (poll(sock, 1, 1000) > 0 && collect(sock->fd) == 1)
			return;
	}
	fputs("nobody answers\n", stderr);
	exit(1);
}

/* run gives the echoes of one second. */
static double run(double limit)
{
	long done = 0, open = 0;
	double start = seconds(), now = start;
	for (int i = 0; i < n_socks; i++) {
		request(socks[i].fd, window);
		open += window;
	}
	while (open > 0) {
		int ready = poll(socks, (nfds_t)n_socks, 10000); /* more than a busy machine keeps a peer from its turn */
		if (ready <= 0) {
			fprintf(stderr, "%ld datagrams were lost\n", open);
			exit(1);
		}
		for (int i = 0; i < n_socks; i++) {
			if (!socks[i].revents)
				continue;
			int n = collect(socks[i].fd);
			done += n;
			open -= n;
			if (now - start < limit && n > 0) {
				request(socks[i].fd, n);
				open += n;
			}
		}
		now = seconds();
	}
	return (double)done / (now - start);
}

int main(int argc, char **argv)
{
	begin();
	if (argc != 6 && argc != 7)
		usage("udpload URL SOCKETS WINDOW SIZE SECONDS [gso]");
	gso = argc == 7;
	struct address a = parse(argv[1]);
	n_socks = atoi(argv[2]);
	window = atoi(argv[3]);
	size = atoi(argv[4]);
	double limit = atof(argv[5]);
	if (n_socks < 1 || n_socks > MOST || window < 1 || window > MOST || size < 1 || size > LARGEST || (gso && window * size > JOINED))
		usage("SOCKETS and WINDOW from 1 to 64, SIZE from 1 to 1400; with gso WINDOW * SIZE up to 65000");
	out_iov = (struct iovec){out, (size_t)size};
	for (int i = 0; i < MOST; i++) {
		in_iov[i] = (struct iovec){in + i * (gso ? STRIDE : LARGEST), gso ? STRIDE : LARGEST};
		in_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &in_iov[i], .msg_iovlen = 1};
		out_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &out_iov, .msg_iovlen = 1};
	}
	for (int i = 0; i < n_socks; i++) {
		socks[i] = (struct pollfd){.fd = connected(&a), .events = POLLIN};
		if (gso)
			join(socks[i].fd);
		greet(&socks[i]);
	}
	run(limit / 5); /* warm */
	printf("%.6g\n", run(limit) / 1e3);
	return 0;
}
