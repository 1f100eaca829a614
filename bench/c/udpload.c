/* A load of UDP requests: several sockets, each with a bounded number of
 * datagrams under way, few enough for every queue to hold, so that none is lost.
 * Each socket is answered once before the next begins: a relay has then got to know it.
 *
 *   udpload URL SOCKETS WINDOW SIZE SECONDS    prints thousands of echoes per second */
#include "common.h"

#include <poll.h>

enum { MOST = 64, LARGEST = 1400 };

static char in[MOST][LARGEST], out[LARGEST];
static struct iovec in_iov[MOST], out_iov;
static struct mmsghdr in_msgs[MOST], out_msgs[MOST];
static struct pollfd socks[MOST];
static int n_socks, window, size;

static void request(int fd, int n)
{
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
	int n = recvmmsg(fd, in_msgs, MOST, MSG_DONTWAIT, NULL);
	if (n < 0) {
		if (errno == EAGAIN)
			return 0;
		fail("recvmmsg");
	}
	for (int i = 0; i < n; i++)
		if (in_msgs[i].msg_len != (unsigned)size) {
			fputs("an echo has another length\n", stderr);
			exit(1);
		}
	return n;
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
		int ready = poll(socks, (nfds_t)n_socks, 1000);
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
	if (argc != 6)
		usage("udpload URL SOCKETS WINDOW SIZE SECONDS");
	struct address a = parse(argv[1]);
	n_socks = atoi(argv[2]);
	window = atoi(argv[3]);
	size = atoi(argv[4]);
	double limit = atof(argv[5]);
	if (n_socks < 1 || n_socks > MOST || window < 1 || window > MOST || size < 1 || size > LARGEST)
		usage("SOCKETS and WINDOW from 1 to 64, SIZE from 1 to 1400");
	out_iov = (struct iovec){out, (size_t)size};
	for (int i = 0; i < MOST; i++) {
		in_iov[i] = (struct iovec){in[i], LARGEST};
		in_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &in_iov[i], .msg_iovlen = 1};
		out_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &out_iov, .msg_iovlen = 1};
	}
	for (int i = 0; i < n_socks; i++) {
		socks[i] = (struct pollfd){.fd = connected(&a), .events = POLLIN};
		greet(&socks[i]);
	}
	run(limit / 5); /* warm */
	printf("%.6g\n", run(limit) / 1e3);
	return 0;
}
