/* What the programs of this folder share: addresses, time, and how to fail.
 *
 * Every program is one party of one work: it is told an address as the URL that
 * tincan takes (tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unixpacket:PATH,
 * unixgram:PATH), bounds its own life, and a client prints one number. */
#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* LIFE bounds every program, in seconds, should nobody end it. */
enum { LIFE = 120 };

struct address {
	int type; /* SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM */
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} sa;
};

__attribute__((noreturn)) static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn)) static inline void usage(const char *line)
{
	fprintf(stderr, "usage: %s\n", line);
	exit(2);
}

/* begin is the first call of every main. */
static inline void begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	alarm(LIFE);
}

/* seconds is a clock that never steps. */
static inline double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline struct address parse_unix(int type, const char *path)
{
	struct address a = {.type = type};
	a.sa.un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof a.sa.un.sun_path) {
		fprintf(stderr, "path too long: %s\n", path);
		exit(2);
	}
	strcpy(a.sa.un.sun_path, path);
	a.len = sizeof a.sa.un;
	return a;
}

static inline struct address parse_inet(int type, const char *at)
{
	struct address a = {.type = type};
	char host[64];
	const char *colon = strrchr(at, ':');
	if (!colon || (size_t)(colon - at) >= sizeof host)
		usage("HOST:PORT with an IPv4 address");
	memcpy(host, at, (size_t)(colon - at));
	host[colon - at] = 0;
	a.sa.in.sin_family = AF_INET;
	a.sa.in.sin_port = htons((unsigned short)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &a.sa.in.sin_addr) != 1)
		usage("HOST:PORT with an IPv4 address");
	a.len = sizeof a.sa.in;
	return a;
}

static inline struct address parse(const char *url)
{
	static const struct {
		const char *scheme;
		int type;
		struct address (*parse)(int, const char *);
	} schemes[] = {
		{"tcp://", SOCK_STREAM, parse_inet},     {"udp://", SOCK_DGRAM, parse_inet},
		{"unix:", SOCK_STREAM, parse_unix},      {"unixpacket:", SOCK_SEQPACKET, parse_unix},
		{"unixgram:", SOCK_DGRAM, parse_unix},
	};
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t n = strlen(schemes[i].scheme);
		if (strncmp(url, schemes[i].scheme, n) == 0)
			return schemes[i].parse(schemes[i].type, url + n);
	}
	fprintf(stderr, "not an address: %s\n", url);
	exit(2);
}

static inline void no_delay(int fd, const struct address *a)
{
	int on = 1;
	if (a->sa.any.sa_family == AF_INET && a->type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* bound gives a socket bound to a, listening where its type does that. */
static inline int bound(const struct address *a, int flags)
{
	int on = 1, fd = socket(a->sa.any.sa_family, a->type | flags, 0);
	if (fd < 0)
		fail("socket");
	if (a->sa.any.sa_family == AF_INET)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &a->sa.any, a->len) < 0)
		fail("bind");
	if (a->type != SOCK_DGRAM && listen(fd, SOMAXCONN) < 0)
		fail("listen");
	return fd;
}

/* connected gives a socket connected to a. A Unix datagram socket gets a path
 * of its own, so that it can be answered. */
static inline int connected(const struct address *a)
{
	int fd = socket(a->sa.any.sa_family, a->type, 0);
	if (fd < 0)
		fail("socket");
	if (a->sa.any.sa_family == AF_UNIX && a->type == SOCK_DGRAM) {
		char path[sizeof a->sa.un.sun_path + 8];
		snprintf(path, sizeof path, "%s.client", a->sa.un.sun_path);
		unlink(path);
		struct address own = parse_unix(SOCK_DGRAM, path);
		if (bind(fd, &own.sa.any, own.len) < 0)
			fail("bind");
	}
	if (connect(fd, &a->sa.any, a->len) < 0)
		fail("connect");
	no_delay(fd, a);
	return fd;
}

#endif
