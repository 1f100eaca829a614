/* libzmq, with its defaults but where this says otherwise.
 *
 *   zeromq answer URL                                          REP: answers with the request
 *   zeromq request URL SIZE SECONDS                            REQ: prints the microseconds of one round trip
 *   zeromq push URL SIZE                                       PUSH: numbered messages as fast as it goes
 *   zeromq pull URL SIZE SECONDS                               PULL: prints the thousand that came in a second
 *   zeromq serve URL                                           ROUTER: sends back whatever comes
 *   zeromq call URL CALLERS SIZE SECONDS                       DEALER: so many requests under way; prints the thousand answers in a second
 *   zeromq publish URL SIZE TOPICS                             PUB that doesn't drop: the topics in turn
 *   zeromq subscribe URL SIZE SUBSCRIBERS TOPICS SECONDS       so many SUBs; prints the thousand deliveries in a second
 *   zeromq version                                             prints that of the library */
#include "pace.h"

#include <zmq.h>

enum { LARGEST = 64 << 10, MOST_SUBSCRIBERS = 1000 };

static char buf[LARGEST];
static void *context;

__attribute__((noreturn)) static void zmq_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
	exit(1);
}

static void must(const char *what, int result)
{
	if (result < 0)
		zmq_fail(what);
}

static void *opened(int type)
{
	void *s = zmq_socket(context, type);
	if (!s)
		zmq_fail("zmq_socket");
	return s;
}

static void *listening(int type, const char *url)
{
	void *s = opened(type);
	must("zmq_bind", zmq_bind(s, endpoint_of(url)));
	return s;
}

static void *dialled(int type, const char *url)
{
	void *s = opened(type);
	must("zmq_connect", zmq_connect(s, endpoint_of(url)));
	return s;
}

__attribute__((noreturn)) static void print_version(void)
{
	int major, minor, patch;
	zmq_version(&major, &minor, &patch);
	printf("%d.%d.%d\n", major, minor, patch);
	exit(0);
}

/* echo sends back whatever comes, part by part. */
__attribute__((noreturn)) static void echo(void *s)
{
	zmq_msg_t m;
	zmq_msg_init(&m);
	for (;;) {
		must("zmq_msg_recv", zmq_msg_recv(&m, s, 0));
		must("zmq_msg_send", zmq_msg_send(&m, s, zmq_msg_more(&m) ? ZMQ_SNDMORE : 0));
	}
}

static double trips(void *s, size_t size, double limit)
{
	static uint64_t number;
	double start = seconds(), took;
	long n = 0;
	do {
		for (int i = 0; i < PIECE; i++, number++) {
			set_number(buf, number);
			must("zmq_send", zmq_send(s, buf, size, 0));
			int got = zmq_recv(s, buf, sizeof buf, 0);
			must("zmq_recv", got);
			must_be(buf, (size_t)got, size, number);
		}
		n += PIECE;
		took = seconds() - start;
	} while (took < limit);
	return took / (double)n;
}

__attribute__((noreturn)) static void push(void *s, size_t size)
{
	for (uint64_t n = 0;; n++) {
		set_number(buf, n);
		must("zmq_send", zmq_send(s, buf, size, 0));
	}
}

static uint64_t due;

/* receive takes the message that is due, without copying it. */
static void receive(void *s, zmq_msg_t *m, size_t size)
{
	must("zmq_msg_recv", zmq_msg_recv(m, s, 0));
	must_be(zmq_msg_data(m), zmq_msg_size(m), size, due++);
}

static double pull(void *s, size_t size, double limit)
{
	zmq_msg_t m;
	uint64_t first = due;
	double start = seconds(), took;
	zmq_msg_init(&m);
	do {
		for (int i = 0; i < PIECE; i++)
			receive(s, &m, size);
		took = seconds() - start;
	} while (took < limit);
	return (double)(due - first) / took;
}

static uint64_t sent;

static void ask(void *s, size_t size)
{
	set_number(buf, sent++);
	must("zmq_send", zmq_send(s, buf, size, 0));
}

static double call(void *s, size_t size, double limit)
{
	zmq_msg_t m;
	uint64_t first = due;
	double start = seconds(), took;
	zmq_msg_init(&m);
	do {
		for (int i = 0; i < PIECE; i++) {
			receive(s, &m, size);
			ask(s, size);
		}
		took = seconds() - start;
	} while (took < limit);
	return (double)(due - first) / took;
}

/* publish finds out when all are there by messages of the last topic, which is the last that each subscribes to. */
__attribute__((noreturn)) static void publish(const char *url, size_t size, int topics)
{
	struct address pace = pace_address(url);
	int all = 1, l = bound(&pace, 0);
	void *s = listening(ZMQ_PUB, url);
	must("ZMQ_XPUB_NODROP", zmq_setsockopt(s, ZMQ_XPUB_NODROP, &all, sizeof all));
	struct pollfd reports = {.fd = accept(l, NULL, NULL), .events = POLLIN};
	if (reports.fd < 0)
		fail("accept");
	do {
		name_topic(buf, topics - 1);
		set_number(buf + TOPIC, PROBE);
		must("zmq_send", zmq_send(s, buf, size, 0));
	} while (poll(&reports, 1, 10) == 0);
	close(reports.fd); /* who drops nothing needs no pace */
	for (uint64_t n = 0;; n++) {
		name_topic(buf, (int)(n % (uint64_t)topics));
		set_number(buf + TOPIC, n);
		must("zmq_send", zmq_send(s, buf, size, 0));
	}
}

struct subscriber {
	void *socket;
	int there;
	uint64_t had;
};

static struct subscriber subscribers[MOST_SUBSCRIBERS];
static zmq_pollitem_t items[MOST_SUBSCRIBERS];

/* drain takes what one subscriber has, and gives how many messages these were. */
static uint64_t drain(struct subscriber *s, zmq_msg_t *m, size_t size)
{
	uint64_t before = s->had;
	for (;;) {
		if (zmq_msg_recv(m, s->socket, ZMQ_DONTWAIT) < 0) {
			if (zmq_errno() != EAGAIN)
				zmq_fail("zmq_msg_recv");
			return s->had - before;
		}
		const char *body = (const char *)zmq_msg_data(m) + TOPIC;
		if (zmq_msg_size(m) == size && number_of(body) == PROBE)
			s->there = 1;
		else
			must_be(body, zmq_msg_size(m), size, s->had++);
	}
}

/* report tells the publisher how far the last of n is. */
static void report(int fd, int n)
{
	static uint64_t last;
	static int ready;
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < n; i++) {
		if (!subscribers[i].there)
			return;
		if (subscribers[i].had < least)
			least = subscribers[i].had;
	}
	if (ready && least < last + PACE)
		return;
	ready = 1;
	last = least;
	pace_report(fd, least);
}

static double deliveries(int fd, int n, size_t size, double limit)
{
	zmq_msg_t m;
	uint64_t count = 0;
	double start = seconds(), took;
	zmq_msg_init(&m);
	do {
		uint64_t came = 0;
		for (int i = 0; i < n; i++)
			came += drain(&subscribers[i], &m, size);
		report(fd, n);
		if (came == 0)
			must("zmq_poll", zmq_poll(items, n, 100));
		count += came;
		took = seconds() - start;
	} while (took < limit || count == 0);
	return (double)count / took;
}

static double subscribe(const char *url, size_t size, int n, int topics, double limit)
{
	struct address pace = pace_address(url);
	char topic[TOPIC];
	int fd = connected(&pace), unbounded = 0;
	for (int i = 0; i < n; i++) {
		void *s = opened(ZMQ_SUB);
		/* Subscriptions over the high-water mark would be dropped. */
		must("ZMQ_SNDHWM", zmq_setsockopt(s, ZMQ_SNDHWM, &unbounded, sizeof unbounded));
		for (int t = 0; t < topics; t++) {
			name_topic(topic, t);
			must("ZMQ_SUBSCRIBE", zmq_setsockopt(s, ZMQ_SUBSCRIBE, topic, sizeof topic));
		}
		must("zmq_connect", zmq_connect(s, endpoint_of(url)));
		subscribers[i].socket = s;
		items[i] = (zmq_pollitem_t){.socket = s, .events = ZMQ_POLLIN};
	}
	deliveries(fd, n, size, 0); /* until they are there */
	deliveries(fd, n, size, limit / 5); /* warm */
	return deliveries(fd, n, size, limit);
}

int main(int argc, char **argv)
{
	begin();
	if (argc == 2 && strcmp(argv[1], "version") == 0)
		print_version();
	if (argc < 3)
		usage("zeromq VERB URL ...");
	const char *verb = argv[1], *url = argv[2];
	context = zmq_ctx_new();
	if (argc == 3 && strcmp(verb, "answer") == 0)
		echo(listening(ZMQ_REP, url));
	if (argc == 3 && strcmp(verb, "serve") == 0)
		echo(listening(ZMQ_ROUTER, url));
	if (argc < 4)
		usage("zeromq VERB URL ...");
	size_t size = (size_t)atol(argv[3]);
	double limit = atof(argv[argc - 1]);
	if (argc == 6 && strcmp(verb, "call") == 0)
		size = (size_t)atol(argv[4]);
	if (size < 8 || size > sizeof buf)
		usage("SIZE from 8 to 65536");
	if (argc == 4 && strcmp(verb, "push") == 0)
		push(listening(ZMQ_PUSH, url), size);
	if (argc == 5 && strcmp(verb, "publish") == 0)
		publish(url, size, atoi(argv[4]));
	if (argc == 5 && strcmp(verb, "request") == 0) {
		void *s = dialled(ZMQ_REQ, url);
		trips(s, size, limit / 5); /* warm */
		printf("%.6g\n", trips(s, size, limit) * 1e6);
	} else if (argc == 5 && strcmp(verb, "pull") == 0) {
		void *s = dialled(ZMQ_PULL, url);
		pull(s, size, limit / 5); /* warm */
		printf("%.6g\n", pull(s, size, limit) / 1e3);
	} else if (argc == 6 && strcmp(verb, "call") == 0) {
		void *s = dialled(ZMQ_DEALER, url);
		for (int i = 0; i < atoi(argv[3]); i++)
			ask(s, size);
		call(s, size, limit / 5); /* warm */
		printf("%.6g\n", call(s, size, limit) / 1e3);
	} else if (argc == 7 && strcmp(verb, "subscribe") == 0) {
		int n = atoi(argv[4]);
		if (n < 1 || n > MOST_SUBSCRIBERS)
			usage("SUBSCRIBERS from 1 to 1000");
		printf("%.6g\n", subscribe(url, size, n, atoi(argv[5]), limit) / 1e3);
	} else {
		usage("zeromq VERB URL ...");
	}
	fflush(stdout);
	_exit(0); /* what is still under way is of no use */
}
