/* Datagrams of one length that pass the kernel as one, both ways (udp(7), UDP_SEGMENT and UDP_GRO). */
#ifndef GSO_H
#define GSO_H

#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* JOINED bounds what goes as one. STRIDE holds the longest; at a power of two all buffers would share the lines of the cache. */
enum { JOINED = 65000, STRIDE = (1 << 16) + 192 };

struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

/* join lets the kernel hand over as one what came as one. */
static inline void join(int fd)
{
	int on = 1;
	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
		fail("setsockopt UDP_GRO");
}

/* expect_joined makes room to be told of it. */
static inline void expect_joined(struct msghdr *m, struct control *c)
{
	m->msg_control = c->bytes;
	m->msg_controllen = sizeof c->bytes;
}

/* joined_of gives the length of the datagrams that m was joined of, 0 where it is one. */
static inline int joined_of(struct msghdr *m)
{
	int size = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof size);
	return size;
}

/* cut_into has the kernel cut m into datagrams of size bytes; 0 for one. */
static inline void cut_into(struct msghdr *m, struct control *space, int size)
{
	uint16_t piece = (uint16_t)size;
	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (size == 0)
		return;
	memset(space, 0, sizeof *space);
	m->msg_control = space->bytes;
	m->msg_controllen = CMSG_SPACE(sizeof piece);
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof piece);
	memcpy(CMSG_DATA(c), &piece, sizeof piece);
}

#endif
