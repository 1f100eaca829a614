#define _POSIX_C_SOURCE 200809L

#include "zap.h"

#include "endpoint.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* The frames of a request, in their order, and of a reply. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, MAX_FRAMES = 16 };

struct frame {
	size_t size;
	char data[256];
};

static void *handler, *stop;
static pthread_t thread;
static int running;

/* The mechanism that is allowed, and its credentials: of PLAIN two, of CURVE one. */
static struct frame allowed[3];
static int nallowed;

static void allow(const void *data, size_t size)
{
	struct frame *f = &allowed[nallowed++];
	if (data == NULL || size > sizeof f->data)
		exit(2);
	memcpy(f->data, data, size);
	f->size = size;
}

static int equal(const struct frame *a, const struct frame *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* decide takes one request and answers it. */
static void decide(void)
{
	static struct frame frames[MAX_FRAMES];
	int n = 0, more = 1;
	for (; more; n++) {
		size_t len = sizeof more;
		struct frame *f = &frames[n < MAX_FRAMES ? n : MAX_FRAMES - 1];
		int got = zmq_recv(handler, f->data, sizeof f->data, 0);
		if (got < 0)
			die("ZAP");
		f->size = (size_t)got < sizeof f->data ? (size_t)got : sizeof f->data;
		if (zmq_getsockopt(handler, ZMQ_RCVMORE, &more, &len) < 0)
			die("ZMQ_RCVMORE");
	}
	int ok = n == MECHANISM + nallowed;
	for (int i = 0; ok && i < nallowed; i++)
		ok = equal(&frames[MECHANISM + i], &allowed[i]);
	send_part(handler, "1.0", 3, ZMQ_SNDMORE);
	send_part(handler, frames[REQUEST_ID].data, frames[REQUEST_ID].size, ZMQ_SNDMORE);
	send_part(handler, ok ? "200" : "400", 3, ZMQ_SNDMORE);
	send_part(handler, ok ? "OK" : "no", 2, ZMQ_SNDMORE);
	send_part(handler, "", 0, ZMQ_SNDMORE); /* user id */
	send_part(handler, "", 0, 0);           /* metadata */
}

static void *decide_all(void *unused)
{
	(void)unused;
	zmq_pollitem_t items[] = {
		{.socket = handler, .events = ZMQ_POLLIN},
		{.socket = stop, .events = ZMQ_POLLIN},
	};
	while (zmq_poll(items, 2, -1) >= 0 && !items[1].revents)
		if (items[0].revents)
			decide();
	zmq_close(stop);
	zmq_close(handler);
	return NULL;
}

static void *caller; /* stop's other end */

static void start(void *context)
{
	handler = zmq_socket(context, ZMQ_REP);
	stop = zmq_socket(context, ZMQ_PAIR);
	caller = zmq_socket(context, ZMQ_PAIR);
	if (zmq_bind(handler, "inproc://zeromq.zap.01") < 0 || zmq_bind(stop, "inproc://stop") < 0 ||
	    zmq_connect(caller, "inproc://stop") < 0)
		die("ZAP");
	running = pthread_create(&thread, NULL, decide_all, NULL) == 0;
	if (!running)
		die("pthread_create");
}

void allow_plain(void *context, const char *user, const char *password)
{
	allow("PLAIN", 5);
	allow(user, strlen(user));
	allow(password, strlen(password));
	start(context);
}

void allow_curve(void *context, const char *public_key)
{
	unsigned char key[32];
	allow("CURVE", 5);
	allow(zmq_z85_decode(key, public_key), sizeof key);
	start(context);
}

void stop_zap(void)
{
	if (!running)
		return;
	send_part(caller, "", 0, 0);
	pthread_join(thread, NULL);
	zmq_close(caller);
}
