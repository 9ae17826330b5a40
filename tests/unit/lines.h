/* lines.h - test data as lines of words from a script that runs at test time. A word "-" is empty.
 */
#ifndef LK_TEST_LINES_H
#define LK_TEST_LINES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lk/slice.h"

#define LINES_PYTHON "/usr/bin/python3 " /* Debian's: it has python3-cryptography */
#define LINE_WORDS   16

struct line {
	char *text;
	size_t room;
	char *w[LINE_WORDS];
	unsigned n;
	uint8_t *bytes; /* the words of line_hex, until the next line */
	size_t used;
};

/* false at the end; then everything is freed. */
static inline bool line_next(FILE *f, struct line *l)
{
	char *save = NULL;
	ssize_t got = getline(&l->text, &l->room, f);
	free(l->bytes);
	l->bytes = NULL;
	if (got < 0) {
		free(l->text);
		*l = (struct line){0};
		return false;
	}
	l->n = 0;
	l->used = 0;
	l->bytes = malloc((size_t)got + 1);
	for (char *s = l->text; l->n < LINE_WORDS; s = NULL) {
		char *w = strtok_r(s, " \n", &save);
		if (w == NULL)
			break;
		l->w[l->n++] = w;
	}
	return l->bytes != NULL;
}

/* Word i as bytes; a missing or odd one ends the program, since then the script is wrong. */
static inline struct lk_slice line_hex(struct line *l, unsigned i)
{
	size_t start = l->used;
	if (i >= l->n || (strcmp(l->w[i], "-") != 0 && strlen(l->w[i]) % 2 != 0)) {
		printf("Bail out! line without bytes in word %u\n", i);
		exit(1);
	}
	for (const char *p = l->w[i]; *p != 0 && *p != '-'; p += 2) {
		const char two[3] = {p[0], p[1], 0};
		l->bytes[l->used++] = (uint8_t)strtoul(two, NULL, 16);
	}
	return lk_slice_of(l->bytes + start, l->used - start);
}

#endif
