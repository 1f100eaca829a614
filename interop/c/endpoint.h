/* The few socket steps that every program in this folder takes.
 *
 * An address is one word, the path of a Unix stream socket, or two, the host
 * and port of a TCP one. Each function that returns a descriptor prints what
 * went wrong and ends the program when it cannot have one: these are small
 * programs, and without their socket they have nothing left to do. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stddef.h>
#include <sys/socket.h>

/* dial_stream connects to the address made of n words. */
int dial_stream(int n, char **words);

/* listen_stream listens on the address made of n words and prints
 * "listening on PORT", or the path. Port 0 takes a free one. */
int listen_stream(int n, char **words);

/* dial_inet and bind_inet do the same for one host and port and either kind of
 * socket, SOCK_STREAM or SOCK_DGRAM. bind_inet does not listen. */
int dial_inet(const char *host, const char *port, int socktype);
int bind_inet(const char *host, const char *port, int socktype);

/* print_port prints "listening on PORT" for a bound Internet socket. */
void print_port(int fd);

/* write_all writes all n bytes, or returns -1 with errno set. */
int write_all(int fd, const void *data, size_t n);

/* read_some is read(2) that goes on after a signal. */
ptrdiff_t read_some(int fd, void *data, size_t n);

/* die prints what failed and why (errno), and exits with status 1. */
_Noreturn void die(const char *what);

#endif
