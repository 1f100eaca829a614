/* calc_server HOST PORT
 *
 * The calculator over UDP (calc_client.c shows the wire). One socket and one loop
 * serve every client, as each datagram is a whole request. The result is exact: a
 * product is worked out in full, and one that does not fit is an error. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REQUEST = 1 + 4 * 64, MAX_PAYLOAD = 256 };

/* A number of any size we can meet, least digit first, in base 10^9: 64 integers
 * of 32 bits make at most 617 decimal digits, which is 69 of these. */
enum { BASE = 1000000000, DIGITS = 70 };

/* accumulate makes number = number * factor + term. */
static void accumulate(uint32_t number[DIGITS], uint32_t factor, uint32_t term)
{
	uint64_t carry = term;
	for (int i = 0; i < DIGITS; i++) {
		carry += (uint64_t)number[i] * factor;
		number[i] = (uint32_t)(carry % BASE);
		carry /= BASE;
	}
}

/* to_text writes number in decimal to text, and returns its length. */
static size_t to_text(const uint32_t number[DIGITS], char text[9 * DIGITS + 1])
{
	int top = DIGITS - 1;
	while (top > 0 && number[top] == 0)
		top--;
	size_t len = (size_t)sprintf(text, "%lu", (unsigned long)number[top]);
	while (top-- > 0)
		len += (size_t)sprintf(text + len, "%09lu", (unsigned long)number[top]);
	return len;
}

static size_t refuse(unsigned char *reply, const char *reason)
{
	reply[0] = 0;
	memcpy(reply + 1, reason, strlen(reason));
	return 1 + strlen(reason);
}

/* answer works out the reply to a request of n bytes, and returns its length. */
static size_t answer(const unsigned char *request, size_t n, unsigned char *reply)
{
	int opcode = request[0] >> 1 & 7, as_string = request[0] & 1;
	if (opcode > 1)
		return refuse(reply, "unknown operation");
	if (n == 1)
		return refuse(reply, "no integers");
	if (n > MAX_REQUEST)
		return refuse(reply, "more than 64 integers");
	if (n % 4 != 1)
		return refuse(reply, "length is not 1 + 4n");

	uint32_t number[DIGITS] = {(uint32_t)opcode}; /* 0 for a sum, 1 for a product */
	for (size_t at = 1; at < n; at += 4) {
		uint32_t v;
		memcpy(&v, request + at, sizeof v); /* it may not be aligned */
		v = ntohl(v);
		if (opcode == 1)
			accumulate(number, v, 0);
		else
			accumulate(number, 1, v);
	}

	reply[0] = 0x80;
	if (as_string) {
		char text[9 * DIGITS + 1];
		size_t len = to_text(number, text);
		if (len > MAX_PAYLOAD)
			return refuse(reply, "result has more than 256 digits");
		memcpy(reply + 1, text, len);
		return 1 + len;
	}
	uint64_t value = (uint64_t)number[1] * BASE + number[0];
	for (int i = 2; i < DIGITS; i++)
		if (number[i] != 0)
			value = UINT64_MAX;
	if (value > UINT32_MAX)
		return refuse(reply, "result does not fit 32 bits");
	uint32_t big_endian = htonl((uint32_t)value);
	memcpy(reply + 1, &big_endian, sizeof big_endian);
	return 1 + sizeof big_endian;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
		return 2;
	}
	int fd = bind_inet(argv[1], argv[2], SOCK_DGRAM);
	print_port(fd);
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof peer;
		/* One byte more than a request may have, so that a longer one shows. */
		unsigned char request[MAX_REQUEST + 1], reply[1 + MAX_PAYLOAD];
		ssize_t n = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&peer, &len);
		if (n < 0 && (errno == EBADF || errno == ENOTSOCK))
			die("receive");
		if (n <= 0) /* some client's fault, or a datagram with no header */
			continue;
		size_t size = answer(request, (size_t)n, reply);
		if (sendto(fd, reply, size, 0, (struct sockaddr *)&peer, len) < 0)
			perror("a reply"); /* the client will ask again */
	}
}
