/* state_consumer HOST PORT | PATH [PREFIX...]
 *
 * Follows a published state and prints its lines as they come: JSON, one object a line, which any
 * JSON library reads. The first is the whole state, each further one a change. With PREFIXes it asks
 * for the keys that begin so; the answer is a snapshot of these. A host is followed by its port, and
 * a path is told by its slash. */
#define _POSIX_C_SOURCE 200809L

#include "endpoint.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* narrow asks for the keys that begin with one of n prefixes. */
static void narrow(int fd, int n, char **prefixes)
{
	char line[4096] = "{\"keys\":[";
	size_t used = strlen(line);
	for (int i = 0; i < n; i++) {
		if (strpbrk(prefixes[i], "\"\\")) {
			fprintf(stderr, "a prefix with a quote in it needs a JSON library\n");
			exit(2);
		}
		used += (size_t)snprintf(line + used, sizeof line - used, "%s\"%s\"", i > 0 ? "," : "", prefixes[i]);
		if (used + sizeof "]}\n" > sizeof line) {
			fprintf(stderr, "the prefixes are too long\n");
			exit(2);
		}
	}
	strcpy(line + used, "]}\n");
	if (write_all(fd, line, used + 3) < 0)
		die("send");
}

int main(int argc, char **argv)
{
	int words = argc > 1 && strchr(argv[1], '/') ? 1 : 2;
	if (argc < 1 + words) {
		fprintf(stderr, "usage: %s HOST PORT | PATH [PREFIX...]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a lost peer is an error of write, not our death */
	int fd = dial_stream(words, argv + 1);
	if (argc > 1 + words)
		narrow(fd, argc - 1 - words, argv + 1 + words);

	/* A line may come in pieces, and several at once: stdio puts them together. */
	FILE *in = fdopen(fd, "r");
	if (!in)
		die("fdopen");
	char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, in) > 0) {
		fputs(line, stdout);
		fflush(stdout);
	}
	if (ferror(in))
		die("receive");
	free(line);
	fclose(in);
	return 0;
}
