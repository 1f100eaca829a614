/* notifications_publisher ENDPOINT
 *
 * Tells any number of clients what is new. A line of its input is "TOPIC TEXT"; it
 * goes out as a message of two parts, and only to those who subscribed to the topic.
 *
 * A client that comes late has missed what was said. So the last text of each topic
 * is kept, and an XPUB, which is a PUB that sees subscriptions, says it again to a
 * new one. Clients of the same topic then hear it twice. */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { MAX_TOPICS = 100, MAX_LINE = 1000 };

static struct {
	char topic[MAX_LINE], text[MAX_LINE];
} topics[MAX_TOPICS];
static int ntopics;

static void publish(void *xpub, int i)
{
	send_part(xpub, topics[i].topic, strlen(topics[i].topic), ZMQ_SNDMORE);
	send_part(xpub, topics[i].text, strlen(topics[i].text), 0);
}

/* change takes a line of input. */
static void change(void *xpub, char *line)
{
	char *text = strchr(line, ' ');
	if (text == NULL) {
		fprintf(stderr, "want TOPIC TEXT, not %s\n", line);
		return;
	}
	*text++ = '\0';
	int i = 0;
	while (i < ntopics && strcmp(topics[i].topic, line) != 0)
		i++;
	if (i == MAX_TOPICS) {
		fprintf(stderr, "more than %d topics\n", MAX_TOPICS);
		return;
	}
	if (i == ntopics)
		strcpy(topics[ntopics++].topic, line); /* a line is no longer than either */
	strcpy(topics[i].text, text);
	publish(xpub, i);
}

/* read_input takes what is there, and tells whether more may come. It is read(2)
 * that poll agrees with: the lines that stdio holds would be seen by nobody. */
static int read_input(void *xpub)
{
	static char buf[MAX_LINE];
	static size_t held;
	ssize_t n = read(STDIN_FILENO, buf + held, sizeof buf - held);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	held += (size_t)n;
	char *line = buf, *end;
	while ((end = memchr(line, '\n', held)) != NULL) {
		*end = '\0';
		held -= (size_t)(end + 1 - line);
		change(xpub, line);
		line = end + 1;
	}
	memmove(buf, line, held);
	if (held == sizeof buf) {
		fprintf(stderr, "a line of more than %d bytes\n", MAX_LINE);
		exit(1);
	}
	return 1;
}

/* welcome takes one subscription, which is 1 and a prefix, or its end, which is 0. */
static void welcome(void *xpub)
{
	char prefix[1 + MAX_LINE];
	int n = zmq_recv(xpub, prefix, sizeof prefix, 0);
	if (n < 1 || n > (int)sizeof prefix || prefix[0] != 1)
		return;
	for (int i = 0; i < ntopics; i++)
		if (strncmp(topics[i].topic, prefix + 1, (size_t)n - 1) == 0)
			publish(xpub, i);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
		return 2;
	}
	void *context = zmq_ctx_new(), *xpub = zmq_socket(context, ZMQ_XPUB);
	set_int(xpub, ZMQ_XPUB_VERBOSE, 1); /* show every subscription, not each topic's first */
	listen_on(xpub, argv[1]);
	zmq_pollitem_t items[] = {
		{.socket = xpub, .events = ZMQ_POLLIN},
		{.fd = STDIN_FILENO, .events = ZMQ_POLLIN},
	};
	for (int open = 1; open;) {
		if (zmq_poll(items, 2, -1) < 0) {
			if (zmq_errno() == EINTR)
				continue;
			die("zmq_poll");
		}
		if (items[0].revents)
			welcome(xpub);
		if (items[1].revents)
			open = read_input(xpub);
	}
	zmq_close(xpub);
	zmq_ctx_term(context); /* waits until all is sent */
	return 0;
}
