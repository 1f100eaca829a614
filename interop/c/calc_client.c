/* calc_client [-s] + | '*' HOST PORT INT...
 *
 * Asks a calculator for the sum or product of 1 to 64 integers. A request is
 *
 *	bits 7..4 unused | bits 3..1 opcode | bit 0 format
 *	the integers, 32 bits each, big-endian
 *
 * and a reply one byte whose highest bit says success, then the result: 32 bits
 * big-endian, or with -s ASCII digits. A datagram may be lost, so the client asks
 * again when no reply comes: asking twice changes nothing. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_INTEGERS = 64, TRIES = 5, WAIT_MS = 500 };

/* put_integer writes the number in text to p; it returns 0 for a bad number. */
static int put_integer(unsigned char *p, const char *text)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || v > UINT32_MAX)
		return 0;
	uint32_t big_endian = htonl((uint32_t)v);
	memcpy(p, &big_endian, sizeof big_endian);
	return 1;
}

/* ask sends the request until a reply comes, and returns the reply's length. */
static size_t ask(int fd, const void *request, size_t len, void *reply, size_t size)
{
	for (int i = 0; i < TRIES; i++) {
		if (send(fd, request, len, 0) < 0)
			die("send");
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready;
		do
			ready = poll(&p, 1, WAIT_MS);
		while (ready < 0 && errno == EINTR);
		if (ready < 0)
			die("poll");
		if (ready == 0)
			continue; /* lost: ask again */
		ssize_t n = recv(fd, reply, size, 0);
		if (n < 0)
			die("receive"); /* a refused port is told here, at once */
		if (n > 0)
			return (size_t)n;
	}
	fprintf(stderr, "no reply\n");
	exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	int as_string = argc > 1 && strcmp(argv[1], "-s") == 0;
	char **word = argv + 1 + as_string; /* OP HOST PORT INT... */
	int integers = argc - 1 - as_string - 3;
	if (integers < 1 || integers > MAX_INTEGERS ||
	    (strcmp(word[0], "+") != 0 && strcmp(word[0], "*") != 0)) {
		fprintf(stderr, "usage: %s [-s] + | '*' HOST PORT INT... (1 to 64)\n", argv[0]);
		return 2;
	}
	int opcode = word[0][0] == '*';
	unsigned char request[1 + 4 * MAX_INTEGERS] = {(unsigned char)(opcode << 1 | as_string)};
	for (int i = 0; i < integers; i++) {
		if (!put_integer(request + 1 + 4 * i, word[3 + i])) {
			fprintf(stderr, "%s: not an integer in 0..4294967295\n", word[3 + i]);
			return 2;
		}
	}

	int fd = dial_inet(word[1], word[2], SOCK_DGRAM);
	unsigned char reply[1 + 256];
	size_t n = ask(fd, request, 1 + 4 * (size_t)integers, reply, sizeof reply);
	close(fd);

	int length = (int)n - 1;
	if ((reply[0] & 0x80) == 0) {
		fprintf(stderr, "the server says: %.*s\n", length, (char *)reply + 1);
		return 1;
	}
	if (as_string) {
		printf("Result: %.*s\n", length, (char *)reply + 1);
		return 0;
	}
	if (length != 4) {
		fprintf(stderr, "a result of %d bytes, not 4\n", length);
		return 1;
	}
	uint32_t result;
	memcpy(&result, reply + 1, sizeof result);
	printf("Result: %lu\n", (unsigned long)ntohl(result));
	return 0;
}
