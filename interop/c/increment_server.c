/* increment_server [HOST PORT | PATH]
 *
 * Answers each byte by that byte + 1, and 255 by 0. One thread serves one client,
 * so the code of a client reads from top to bottom. Without an address it listens
 * on the Unix socket server_socket in the working folder. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char buf[4096];
	ptrdiff_t n;
	while ((n = read_some(fd, buf, sizeof buf)) > 0) {
		for (ptrdiff_t i = 0; i < n; i++)
			buf[i]++; /* an unsigned char wraps to 0 by itself */
		if (write_all(fd, buf, (size_t)n) < 0)
			break;
	}
	shutdown(fd, SHUT_WR);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	char *classic[] = {"server_socket"};
	if (argc > 3) {
		fprintf(stderr, "usage: %s [HOST PORT | PATH]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a lost client is an error of write, not our death */
	int listener = argc == 1 ? listen_stream(1, classic) : listen_stream(argc - 1, argv + 1);

	pthread_attr_t detached; /* nobody waits for a client's thread */
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && (errno == EBADF || errno == EINVAL))
			die("accept");
		pthread_t thread;
		int err = fd < 0 ? errno
				 : pthread_create(&thread, &detached, serve, (void *)(intptr_t)fd);
		if (err == 0)
			continue;
		/* Out of descriptors, memory or threads: breathe, then try again. */
		errno = err;
		perror("a client");
		if (fd >= 0)
			close(fd);
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
	}
}
