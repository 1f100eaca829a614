/* nng, with its defaults but where this says otherwise. Messages are handed over and not copied; one way,
 * several operations are under way at once.
 *
 *   nng answer URL                  REP: answers with the request
 *   nng request URL SIZE SECONDS    REQ: prints the microseconds of one round trip
 *   nng push URL SIZE               PUSH: numbered messages as fast as it goes
 *   nng pull URL SIZE SECONDS       PULL: prints the thousand that came in a second
 *   nng version                     prints that of the library */
#include "pace.h"

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

enum { UNDER_WAY = 64, LARGEST = 64 << 10 };

static void must(const char *what, int result)
{
	if (result == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, nng_strerror(result));
	exit(1);
}

static nng_socket opened(int (*open)(nng_socket *))
{
	nng_socket s;
	must("nng_open", open(&s));
	must("NNG_OPT_RECVMAXSZ", nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, 0));
	return s;
}

static nng_socket listening(int (*open)(nng_socket *), const char *url)
{
	nng_socket s = opened(open);
	must("nng_listen", nng_listen(s, endpoint_of(url), NULL, 0));
	return s;
}

/* dialled waits until the server is there. */
static nng_socket dialled(int (*open)(nng_socket *), const char *url)
{
	nng_socket s = opened(open);
	must("nng_dial", nng_dial(s, endpoint_of(url), NULL, NNG_FLAG_NONBLOCK));
	return s;
}

static nng_msg *numbered(size_t size, uint64_t n)
{
	nng_msg *m;
	must("nng_msg_alloc", nng_msg_alloc(&m, size));
	set_number(nng_msg_body(m), n);
	return m;
}

__attribute__((noreturn)) static void answer(nng_socket s)
{
	for (;;) {
		nng_msg *m;
		must("nng_recvmsg", nng_recvmsg(s, &m, 0));
		must("nng_sendmsg", nng_sendmsg(s, m, 0));
	}
}

static double trips(nng_socket s, size_t size, double limit)
{
	static uint64_t number;
	double start = seconds(), took;
	long n = 0;
	do {
		for (int i = 0; i < PIECE; i++, number++) {
			nng_msg *m = numbered(size, number);
			must("nng_sendmsg", nng_sendmsg(s, m, 0));
			must("nng_recvmsg", nng_recvmsg(s, &m, 0));
			must_be(nng_msg_body(m), nng_msg_len(m), size, number);
			nng_msg_free(m);
		}
		n += PIECE;
		took = seconds() - start;
	} while (took < limit);
	return took / (double)n;
}

static nng_aio *operations[UNDER_WAY];

static void make_operations(void)
{
	for (int i = 0; i < UNDER_WAY; i++)
		must("nng_aio_alloc", nng_aio_alloc(&operations[i], NULL, NULL));
}

__attribute__((noreturn)) static void push(nng_socket s, size_t size)
{
	make_operations();
	for (uint64_t n = 0;; n++) {
		nng_aio *a = operations[n % UNDER_WAY];
		nng_aio_wait(a); /* at once where it was never begun */
		must("nng_send_aio", nng_aio_result(a));
		nng_aio_set_msg(a, numbered(size, n));
		nng_send_aio(s, a);
	}
}

static uint64_t due;

static double pull(nng_socket s, size_t size, double limit)
{
	uint64_t first = due;
	double start = seconds(), took;
	do {
		for (int i = 0; i < PIECE; i++) {
			nng_aio *a = operations[due % UNDER_WAY];
			nng_aio_wait(a);
			must("nng_recv_aio", nng_aio_result(a));
			nng_msg *m = nng_aio_get_msg(a);
			must_be(nng_msg_body(m), nng_msg_len(m), size, due++);
			nng_msg_free(m);
			nng_recv_aio(s, a);
		}
		took = seconds() - start;
	} while (took < limit);
	return (double)(due - first) / took;
}

int main(int argc, char **argv)
{
	begin();
	if (argc == 2 && strcmp(argv[1], "version") == 0)
		return puts(nng_version()) < 0;
	if (argc < 3)
		usage("nng VERB URL ...");
	const char *verb = argv[1], *url = argv[2];
	if (argc == 3 && strcmp(verb, "answer") == 0)
		answer(listening(nng_rep0_open, url));
	if (argc < 4)
		usage("nng VERB URL ...");
	size_t size = (size_t)atol(argv[3]);
	double limit = atof(argv[argc - 1]);
	if (size < 8 || size > LARGEST)
		usage("SIZE from 8 to 65536");
	if (argc == 4 && strcmp(verb, "push") == 0)
		push(listening(nng_push0_open, url), size);
	if (argc == 5 && strcmp(verb, "request") == 0) {
		nng_socket s = dialled(nng_req0_open, url);
		trips(s, size, limit / 5); /* warm */
		printf("%.6g\n", trips(s, size, limit) * 1e6);
	} else if (argc == 5 && strcmp(verb, "pull") == 0) {
		nng_socket s = dialled(nng_pull0_open, url);
		make_operations();
		for (int i = 0; i < UNDER_WAY; i++)
			nng_recv_aio(s, operations[i]);
		pull(s, size, limit / 5); /* warm */
		printf("%.6g\n", pull(s, size, limit) / 1e3);
	} else {
		usage("nng VERB URL ...");
	}
	fflush(stdout);
	_exit(0); /* what is still under way is of no use */
}
