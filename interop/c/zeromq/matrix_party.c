/* matrix_party TYPE listen|dial ENDPOINT [OPTION VALUE]...
 *
 * One side of any conversation between two ZeroMQ sockets, for the matrix test,
 * with the same words in every language:
 *
 *   TYPE: req rep dealer router pub sub xpub xsub push pull pair
 *   count N      messages; then it prints "done", and leaves when its input ends
 *   sizes A,B    bytes of a part; parts P: parts in a message; seed S
 *   answer yes   dealer and pair: return what comes, as rep and router do
 *   to ID        router: ask that peer rather than answer
 *   upstream yes   xsub: sends, once it has subscribed; xpub: receives
 *   delimiter yes   dealer, router: an empty part before each message
 *   identity ID, topic T
 *   plain-server USER:PASSWORD, plain-client USER:PASSWORD
 *   curve-server SECRET,CLIENTS-PUBLIC, curve-client SERVERS-PUBLIC,PUBLIC,SECRET
 *
 * Part p of message i has sizes[(i+p) mod n] bytes, the k-th of which is
 * (seed + 31i + 7p + k) mod 251. Who asks or receives checks every byte of every
 * message, in order. A pub sends TOPIC? again and again until its input says that
 * a subscriber has seen one. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"
#include "zap.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { MAX_SIZES = 64, MAX_PARTS = 64, PERIOD = 251, PROBE_MS = 20, LINGER_MS = 10000 };

static struct {
	int count, parts, seed, answer, upstream, delimiter;
	size_t sizes[MAX_SIZES];
	int nsizes;
	const char *to, *topic;
} opt = {.count = 1, .parts = 1, .sizes = {5}, .nsizes = 1, .topic = ""};

static char *pattern; /* bytes 0 to 250, over and over, for the longest part and more */

_Noreturn static void fail(const char *what, int message)
{
	fprintf(stderr, "message %d: %s\n", message, what);
	exit(1);
}

static size_t part_size(int i, int p)
{
	return opt.sizes[(i + p) % opt.nsizes];
}

static const char *part_data(int i, int p)
{
	return pattern + (opt.seed + 31 * i + 7 * p) % PERIOD;
}

/* send_message sends message i, with the peer's identity first where a router asks. */
static void send_message(void *s, int i)
{
	if (opt.to != NULL) /* until that peer is there, the router knows no way to it */
		while (zmq_send(s, opt.to, strlen(opt.to), ZMQ_SNDMORE) < 0) {
			if (zmq_errno() != EHOSTUNREACH)
				die("zmq_send");
			poll(NULL, 0, PROBE_MS);
		}
	if (opt.delimiter)
		send_part(s, "", 0, ZMQ_SNDMORE);
	for (int p = 0; p < opt.parts; p++) {
		int more = p + 1 < opt.parts ? ZMQ_SNDMORE : 0;
		size_t n = part_size(i, p), t = p == 0 ? strlen(opt.topic) : 0;
		if (t == 0) {
			send_part(s, part_data(i, p), n, more);
			continue;
		}
		char *first = malloc(t + n);
		if (first == NULL)
			die("malloc");
		memcpy(first, opt.topic, t);
		memcpy(first + t, part_data(i, p), n);
		send_part(s, first, t + n, more);
		free(first);
	}
}

/* receive_part takes one part into msg and tells whether another follows. */
static int receive_part(void *s, zmq_msg_t *msg)
{
	zmq_msg_init(msg);
	while (zmq_msg_recv(msg, s, 0) < 0)
		if (zmq_errno() != EINTR)
			die("zmq_msg_recv");
	return zmq_msg_more(msg);
}

static int same(zmq_msg_t *msg, const char *data, size_t size)
{
	return zmq_msg_size(msg) == size && memcmp(zmq_msg_data(msg), data, size) == 0;
}

/* is_probe tells whether a message of one part is the TOPIC? of a publisher. */
static int is_probe(zmq_msg_t *msg)
{
	size_t t = strlen(opt.topic);
	const char *data = zmq_msg_data(msg);
	return zmq_msg_size(msg) == t + 1 && memcmp(data, opt.topic, t) == 0 && data[t] == '?';
}

/* receive_message takes message i and checks it. It returns 0 for a probe. */
static int receive_message(void *s, int i, int probes)
{
	zmq_msg_t msg;
	int more = receive_part(s, &msg);
	if (probes && !more && is_probe(&msg)) {
		zmq_msg_close(&msg);
		return 0;
	}
	if (opt.to != NULL) {
		if (!same(&msg, opt.to, strlen(opt.to)) || !more)
			fail("not from the peer that was asked", i);
		zmq_msg_close(&msg);
		more = receive_part(s, &msg);
	}
	if (opt.delimiter) {
		if (zmq_msg_size(&msg) != 0 || !more)
			fail("no delimiter", i);
		zmq_msg_close(&msg);
		more = receive_part(s, &msg);
	}
	for (int p = 0;; p++) {
		size_t t = p == 0 ? strlen(opt.topic) : 0;
		const char *data = zmq_msg_data(&msg);
		size_t size = zmq_msg_size(&msg);
		if (p == opt.parts || more != (p + 1 < opt.parts))
			fail("another number of parts", i);
		if (size != t + part_size(i, p) || memcmp(data, opt.topic, t) != 0 ||
		    memcmp(data + t, part_data(i, p), size - t) != 0)
			fail("another content", i);
		zmq_msg_close(&msg);
		if (!more)
			return 1;
		more = receive_part(s, &msg);
	}
}

static void receive_all(void *s, int probes)
{
	for (int i = 0; i < opt.count;) {
		if (receive_message(s, i, probes)) {
			i++;
		} else if (i == 0) {
			printf("subscribed\n");
			fflush(stdout);
		}
	}
}

static void send_all(void *s)
{
	for (int i = 0; i < opt.count; i++) {
		if (opt.topic[0] != '\0') /* what nobody has subscribed to */
			send_part(s, "~other", 6, 0);
		send_message(s, i);
	}
}

/* ask sends every message and wants each back. A req takes turns. */
static void ask(void *s, int turns)
{
	for (int i = 0; i < opt.count; i++) {
		send_message(s, i);
		if (turns)
			receive_message(s, i, 0);
	}
	if (!turns)
		receive_all(s, 0);
}

/* answer returns every message as it came: the whole of it, as a rep may not send
 * before it has all of the request. */
static void answer(void *s)
{
	static zmq_msg_t parts[MAX_PARTS];
	for (int i = 0; i < opt.count; i++) {
		int n = 0;
		while (receive_part(s, &parts[n++]))
			if (n == MAX_PARTS)
				fail("too many parts", i);
		for (int p = 0; p < n; p++)
			while (zmq_msg_send(&parts[p], s, p + 1 < n ? ZMQ_SNDMORE : 0) < 0)
				if (zmq_errno() != EINTR)
					die("zmq_msg_send");
	}
}

/* probe sends TOPIC? until the input says go. */
static void probe(void *s)
{
	char text[256];
	int n = snprintf(text, sizeof text, "%s?", opt.topic);
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	do
		send_part(s, text, (size_t)n, 0);
	while (poll(&input, 1, PROBE_MS) == 0);
	if (read(STDIN_FILENO, text, sizeof text) <= 0)
		exit(0);
}

/* subscription is what an xsub sends and an xpub receives. */
static size_t subscription(char *text, size_t size)
{
	return (size_t)snprintf(text, size, "\1%s", opt.topic);
}

static void await_subscription(void *s)
{
	zmq_msg_t msg;
	char text[256];
	size_t n = subscription(text, sizeof text);
	receive_part(s, &msg);
	if (!same(&msg, text, n))
		fail("not the subscription", 0);
	zmq_msg_close(&msg);
}

static void converse(void *s, int type)
{
	char text[256];
	switch (type) {
	case ZMQ_PUSH:
		send_all(s);
		break;
	case ZMQ_PUB:
		probe(s);
		send_all(s);
		break;
	case ZMQ_XPUB:
		await_subscription(s);
		for (int i = 0; opt.upstream && i < opt.count; i++)
			receive_message(s, i, 0);
		if (!opt.upstream)
			send_all(s);
		break;
	case ZMQ_PULL:
		receive_all(s, 0);
		break;
	case ZMQ_SUB:
		if (zmq_setsockopt(s, ZMQ_SUBSCRIBE, opt.topic, strlen(opt.topic)) < 0)
			die("ZMQ_SUBSCRIBE");
		receive_all(s, 1);
		break;
	case ZMQ_XSUB:
		send_part(s, text, subscription(text, sizeof text), 0);
		for (int i = 0; opt.upstream && i < opt.count; i++)
			send_message(s, i);
		if (!opt.upstream)
			receive_all(s, 1);
		break;
	case ZMQ_REP:
		answer(s);
		break;
	case ZMQ_ROUTER:
		opt.to != NULL ? ask(s, 0) : answer(s);
		break;
	default:
		opt.answer ? answer(s) : ask(s, type == ZMQ_REQ);
	}
}

static int socket_type(const char *name)
{
	static const char *names[] = {"pair", "pub", "sub", "req", "rep", "dealer",
	                              "router", "pull", "push", "xpub", "xsub"};
	for (int type = 0; type < 11; type++) /* their order is that of ZMQ_PAIR and so on */
		if (strcmp(name, names[type]) == 0)
			return type;
	fprintf(stderr, "no such socket type: %s\n", name);
	exit(2);
}

static void set_text(void *s, int option, const char *value)
{
	if (zmq_setsockopt(s, option, value, strlen(value)) < 0)
		die("zmq_setsockopt");
}

/* cut ends text at the first separator and returns what follows it. */
static char *cut(char *text, char separator)
{
	char *end = strchr(text, separator);
	if (end == NULL) {
		fprintf(stderr, "no %c in %s\n", separator, text);
		exit(2);
	}
	*end = '\0';
	return end + 1;
}

/* set_option takes one pair of words from the command line. */
static void set_option(void *context, void *s, const char *name, char *value)
{
	if (strcmp(name, "count") == 0) {
		opt.count = atoi(value);
	} else if (strcmp(name, "parts") == 0) {
		opt.parts = atoi(value);
	} else if (strcmp(name, "seed") == 0) {
		opt.seed = atoi(value);
	} else if (strcmp(name, "sizes") == 0) {
		opt.nsizes = 0;
		for (char *w = strtok(value, ","); w && opt.nsizes < MAX_SIZES; w = strtok(NULL, ","))
			opt.sizes[opt.nsizes++] = strtoul(w, NULL, 10);
	} else if (strcmp(name, "answer") == 0) {
		opt.answer = 1;
	} else if (strcmp(name, "upstream") == 0) {
		opt.upstream = 1;
	} else if (strcmp(name, "delimiter") == 0) {
		opt.delimiter = 1;
	} else if (strcmp(name, "to") == 0) {
		opt.to = value;
		set_int(s, ZMQ_ROUTER_MANDATORY, 1);
	} else if (strcmp(name, "topic") == 0) {
		opt.topic = value;
	} else if (strcmp(name, "identity") == 0) {
		set_text(s, ZMQ_ROUTING_ID, value);
	} else if (strcmp(name, "plain-server") == 0) {
		char *password = cut(value, ':');
		set_int(s, ZMQ_PLAIN_SERVER, 1);
		allow_plain(context, value, password);
	} else if (strcmp(name, "plain-client") == 0) {
		char *password = cut(value, ':');
		set_text(s, ZMQ_PLAIN_USERNAME, value);
		set_text(s, ZMQ_PLAIN_PASSWORD, password);
	} else if (strcmp(name, "curve-server") == 0) {
		char *client = cut(value, ',');
		set_int(s, ZMQ_CURVE_SERVER, 1);
		set_text(s, ZMQ_CURVE_SECRETKEY, value);
		allow_curve(context, client);
	} else if (strcmp(name, "curve-client") == 0) {
		char *public = cut(value, ','), *secret = cut(public, ',');
		set_text(s, ZMQ_CURVE_SERVERKEY, value);
		set_text(s, ZMQ_CURVE_PUBLICKEY, public);
		set_text(s, ZMQ_CURVE_SECRETKEY, secret);
	} else {
		fprintf(stderr, "no such option: %s\n", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc % 2 != 0) {
		fprintf(stderr, "usage: %s TYPE listen|dial ENDPOINT [OPTION VALUE]...\n", argv[0]);
		return 2;
	}
	int type = socket_type(argv[1]);
	void *context = zmq_ctx_new();
	void *s = zmq_socket(context, type);
	if (s == NULL)
		die("zmq_socket");
	set_int(s, ZMQ_LINGER, LINGER_MS);
	for (int i = 4; i < argc; i += 2)
		set_option(context, s, argv[i], argv[i + 1]);

	size_t longest = 0;
	for (int i = 0; i < opt.nsizes; i++)
		if (opt.sizes[i] > longest)
			longest = opt.sizes[i];
	pattern = malloc(longest + PERIOD);
	if (pattern == NULL)
		die("malloc");
	for (size_t k = 0; k < longest + PERIOD; k++)
		pattern[k] = (char)(k % PERIOD);

	if (strcmp(argv[2], "listen") == 0)
		listen_on(s, argv[3]);
	else
		dial(s, argv[3]);
	converse(s, type);
	printf("done\n");
	fflush(stdout);
	char rest[256];
	while (read(STDIN_FILENO, rest, sizeof rest) > 0)
		;
	zmq_close(s);
	stop_zap();
	zmq_ctx_term(context); /* waits until all is sent, LINGER_MS at most */
	free(pattern);
	return 0;
}
