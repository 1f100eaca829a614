/* The few steps that every ZeroMQ program in this folder takes.
 *
 * Each prints what went wrong and ends the program when it cannot be done:
 * these are small programs, and without their socket they have nothing left
 * to do. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stddef.h>

/* listen_on binds a socket and prints "listening on ENDPOINT", with the port
 * that was taken when 0 was asked for. */
void listen_on(void *socket, const char *endpoint);

/* dial connects a socket. The peer need not be there yet. */
void dial(void *socket, const char *endpoint);

/* set_int sets an option of a socket that is an int, as most are. */
void set_int(void *socket, int option, int value);

/* send_part sends one part of a message, and waits while the queue is full.
 * flags is 0 or ZMQ_SNDMORE. */
void send_part(void *socket, const void *data, size_t size, int flags);

/* die prints what failed and why (zmq_errno), and exits with status 1. */
_Noreturn void die(const char *what);

#endif
