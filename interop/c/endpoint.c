#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

ptrdiff_t read_some(int fd, void *data, size_t n)
{
	ssize_t got;
	do
		got = read(fd, data, n);
	while (got < 0 && errno == EINTR);
	return got;
}

int write_all(int fd, const void *data, size_t n)
{
	const char *p = data;
	while (n > 0) {
		ssize_t sent = write(fd, p, n); /* may take less than it is given */
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -1;
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* connect_fully is connect(2), seen through to its end: a connect that a signal
 * interrupts goes on by itself, and calling it again would be an error. */
static int connect_fully(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (connect(fd, addr, len) == 0)
		return 0;
	if (errno != EINTR)
		return -1;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -1;
	int err = 0;
	socklen_t size = sizeof err;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		return -1;
	errno = err;
	return err == 0 ? 0 : -1;
}

/* open_inet tries each address of host and port until one can be dialled, or
 * bound where passive is set. */
static int open_inet(const char *host, const char *port, int socktype, int passive)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = socktype}, *list;
	int err = getaddrinfo(host, port, &hints, &list);
	if (err != 0) {
		fprintf(stderr, "%s port %s: %s\n", host, port, gai_strerror(err));
		exit(EXIT_FAILURE);
	}
	int fd = -1;
	for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (fd < 0)
			continue;
		int on = 1, off = 0, failed;
		if (passive) {
			/* A listener may be restarted while old connections linger (UDP has
			 * none, and sharing its port would be a fault), and one on "::"
			 * serves IPv4 too. */
			if (socktype == SOCK_STREAM)
				setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
			if (a->ai_family == AF_INET6)
				setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
			failed = bind(fd, a->ai_addr, a->ai_addrlen);
		} else {
			failed = connect_fully(fd, a->ai_addr, a->ai_addrlen);
		}
		if (failed) {
			int why = errno;
			close(fd);
			errno = why;
			fd = -1;
		}
	}
	if (fd < 0)
		die(host);
	freeaddrinfo(list);
	return fd;
}

int dial_inet(const char *host, const char *port, int socktype)
{
	return open_inet(host, port, socktype, 0);
}

int bind_inet(const char *host, const char *port, int socktype)
{
	return open_inet(host, port, socktype, 1);
}

void print_port(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	char port[sizeof "65535"];
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		die("getsockname");
	int err = getnameinfo((struct sockaddr *)&addr, len, NULL, 0, port, sizeof port,
			      NI_NUMERICSERV);
	if (err != 0) {
		fprintf(stderr, "getnameinfo: %s\n", gai_strerror(err));
		exit(EXIT_FAILURE);
	}
	printf("listening on %s\n", port);
	fflush(stdout); /* whoever waits for this line may read it through a pipe */
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof addr.sun_path) { /* never cut a path short */
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(addr.sun_path, path);
	return addr;
}

static int unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

/* remove_dead removes a socket that a dead server left at addr. A live server's
 * socket, or a file that is no socket, stays, and bind then fails. */
static void remove_dead(const struct sockaddr_un *addr)
{
	struct stat st;
	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	int fd = unix_socket();
	if (connect_fully(fd, (const struct sockaddr *)addr, sizeof *addr) < 0 &&
	    errno == ECONNREFUSED)
		unlink(addr->sun_path);
	close(fd);
}

int dial_stream(int n, char **words)
{
	if (n == 2)
		return dial_inet(words[0], words[1], SOCK_STREAM);
	struct sockaddr_un addr = unix_address(words[0]);
	int fd = unix_socket();
	if (connect_fully(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		die(words[0]);
	return fd;
}

int listen_stream(int n, char **words)
{
	int fd;
	if (n == 2) {
		fd = bind_inet(words[0], words[1], SOCK_STREAM);
	} else {
		struct sockaddr_un addr = unix_address(words[0]);
		remove_dead(&addr);
		fd = unix_socket();
		if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
			die(words[0]);
	}
	if (listen(fd, SOMAXCONN) < 0)
		die("listen");
	if (n == 2) {
		print_port(fd);
	} else {
		printf("listening on %s\n", words[0]);
		fflush(stdout);
	}
	return fd;
}
