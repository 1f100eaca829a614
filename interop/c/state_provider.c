/* state_provider HOST PORT | PATH
 *
 * Publishes management information of this host, five times a second, to any number of clients, which
 * "tincan watch" shows. A thread serves each: first the whole state, then each change in turn. While it waits
 * for a slow client, a later change of a key takes the place of an earlier: nobody else waits, nothing grows. */
#define _DEFAULT_SOURCE /* getloadavg */

#include "endpoint.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 3 };
static struct entry {
	const char *key;
	double value;
	unsigned long long seq; /* of its last change */
	char time[32];
} state[KEYS] = {{.key = "cpu.load1"}, {.key = "mem.free"}, {.key = "provider.beats"}};
static unsigned long long seq;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards state and seq */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* next finds the earliest change after the last that a client was told of, or NULL. */
static struct entry *next(unsigned long long last)
{
	struct entry *found = NULL;
	for (struct entry *e = state; e < state + KEYS; e++)
		if (e->seq > last && (!found || e->seq < found->seq))
			found = e;
	return found;
}

static void *serve(void *arg)
{
	FILE *client = arg; /* its buffer takes a line, so that nobody is waited for while the mutex is held */
	pthread_mutex_lock(&mutex);
	unsigned long long last = seq;
	fprintf(client, "{\"seq\":%llu,\"snapshot\":{", seq);
	for (struct entry *e = state; e < state + KEYS; e++)
		fprintf(client, "%s\"%s\":%.15g", e > state ? "," : "", e->key, e->value);
	fprintf(client, "}}\n");
	for (;;) {
		pthread_mutex_unlock(&mutex);
		if (fflush(client) != 0)
			break; /* it has gone */
		pthread_mutex_lock(&mutex);
		struct entry *e;
		while (!(e = next(last)))
			pthread_cond_wait(&changed, &mutex);
		fprintf(client, "{\"seq\":%llu,\"time\":\"%s\",\"key\":\"%s\",\"value\":%.15g,\"missed\":%llu}\n",
			e->seq, e->time, e->key, e->value, e->seq - last - 1);
		last = e->seq;
	}
	fclose(client);
	return NULL;
}

static void *measure(void *arg)
{
	for (double value[KEYS] = {0};; usleep(200000)) {
		getloadavg(&value[0], 1);
		value[1] = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
		value[2]++;
		time_t now = time(NULL);
		pthread_mutex_lock(&mutex);
		for (struct entry *e = state; e < state + KEYS; e++) {
			if (e->value == value[e - state])
				continue; /* it is no change */
			e->value = value[e - state];
			e->seq = ++seq;
			strftime(e->time, sizeof e->time, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
		}
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s HOST PORT | PATH\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a lost client is an error of write, not our death */
	int listener = listen_stream(argc - 1, argv + 1);
	pthread_t thread;
	if (pthread_create(&thread, NULL, measure, NULL) != 0)
		die("pthread_create");
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
		if (pthread_create(&thread, NULL, serve, fdopen(fd, "w")) != 0)
			die("pthread_create");
		pthread_detach(thread);
	}
	die("accept");
}
