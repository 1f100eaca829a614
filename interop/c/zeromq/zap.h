/* Who may connect to a PLAIN or CURVE server. libzmq asks a ZAP handler
 * (rfc.zeromq.org 27/ZAP), a REP socket in the same context: these start one,
 * in a thread, that lets in one client and nobody else. */
#ifndef ZAP_H
#define ZAP_H

/* allow_plain lets in who knows this name and password. */
void allow_plain(void *context, const char *user, const char *password);

/* allow_curve lets in who holds the secret of this public key, in Z85. */
void allow_curve(void *context, const char *public_key);

/* stop_zap ends the thread, if there is one: a context waits for its sockets. */
void stop_zap(void);

#endif
