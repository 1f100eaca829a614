/* Messages in works that count them: each begins with its number, in the machine's order, and topics precede that.
 * Where the sender has to know how far its receivers are, they tell it over a socket beside the one that is measured:
 * the abstract Unix socket that is called as the address's place, with ".pace" after it. There the receiving process
 * writes eight bytes for each report: 0 when all its receivers are there, then how many messages all of them have had. */
#ifndef PACE_H
#define PACE_H

#include "common.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACE = 250, /* messages between reports */
	TOPIC = 16, /* bytes of a topic */
	PIECE = 64, /* messages between looks at the clock */
};

/* PROBE is the number of the messages that only find out whether the receivers are there. */
static const uint64_t PROBE = UINT64_MAX;

static inline uint64_t number_of(const char *message)
{
	uint64_t n;
	memcpy(&n, message, sizeof n);
	return n;
}

static inline void set_number(char *message, uint64_t n) { memcpy(message, &n, sizeof n); }

/* must_be ends the program where a message isn't the one that is due, and whole. */
static inline void must_be(const char *body, size_t len, size_t size, uint64_t due)
{
	if (len == size && number_of(body) == due)
		return;
	fprintf(stderr, "message %llu: got number %llu, %zu bytes\n", (unsigned long long)due,
		(unsigned long long)(len == size ? number_of(body) : 0), len);
	exit(1);
}

/* name_topic writes the i-th topic, without an end. */
static inline void name_topic(char *to, int i)
{
	char name[32];
	snprintf(name, sizeof name, "topic.%010d", i);
	memcpy(to, name, TOPIC);
}

static inline struct address pace_address(const char *url)
{
	const char *at = strchr(url, ':');
	if (!at)
		usage("no address");
	at++;
	if (strncmp(at, "//", 2) == 0)
		at += 2;
	struct address a = {.type = SOCK_STREAM};
	a.sa.un.sun_family = AF_UNIX;
	int n = snprintf(a.sa.un.sun_path + 1, sizeof a.sa.un.sun_path - 1, "%s.pace", at);
	if (n < 0 || (size_t)n >= sizeof a.sa.un.sun_path - 1)
		usage("address too long");
	a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return a;
}

/* pace_report tells a sender that may have hung up, which it does once it needs no more. */
static inline void pace_report(int fd, uint64_t n)
{
	if (send(fd, &n, sizeof n, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		fail("reporting the pace");
}

/* endpoint_of gives a URL as ZeroMQ and nng have it: ipc:// for unix: */
static inline const char *endpoint_of(const char *url)
{
	static char endpoint[sizeof((struct sockaddr_un *)0)->sun_path + 8];
	if (strncmp(url, "unix:", 5) != 0)
		return url;
	snprintf(endpoint, sizeof endpoint, "ipc://%s", url + 5);
	return endpoint;
}

#endif
