/* lk/luks2.h - read what matters from a LUKS2 header: UUID and the tokens of type "latchkey".
 *
 * Format: LUKS2 on-disk format specification, sections 2 and 3 (two copies of a binary header of
 * 4096 bytes and a JSON area, SHA-256 over the whole; the newer valid copy by sequence id wins).
 * The host owns these bytes: everything is bounds-checked, the JSON area is at most 4 MiB in the
 * format and at most LK_LUKS2_JSON_MAX here. Runs in a courier only.
 */
#ifndef LK_LUKS2_H
#define LK_LUKS2_H

#include "lk/binding.h"

#define LK_LUKS2_JSON_MAX ((size_t)64 * 1024)

#define LK_SLOT_ITERATIONS 1000 /* of PBKDF2: 256 bits of entropy need no slow hash */

struct lk_luks2 {
	uint32_t slots_used;  /* bit n: key slot n exists */
	uint32_t tokens_used; /* bit n: token n exists */
	uint32_t tokens_bad;  /* bit n: one of type latchkey that is malformed, there twice, or one
			       * too many; it is not among the bindings (or only the first is) */
	uint32_t size;        /* bytes of one copy of the header, with its JSON area */
	uint32_t json_len;    /* bytes of JSON text in use */
	char uuid[37];
	size_t count;
	struct lk_binding bindings[LK_BINDINGS_MAX];

	/* These only by lk_luks2_facts. */
	uint32_t slots_open;  /* bit n: it holds the key of the data, and no other */
	uint32_t slots_light; /* bit n: latchkey may have made it: PBKDF2 with LK_SLOT_ITERATIONS,
				 and no token of another type names it */
	uint32_t area;        /* bytes from the start that both copies and the key slots take, as
			       * the header says; 0: it does not say, or 4 GiB and more */
	/* Of the first segment, as the header says; printable, cut off at the end. */
	char cipher[40];    /* "aes-xts-plain64" */
	char integrity[40]; /* "hmac(sha256)", "aead", ...; "": blocks are not authenticated */
	bool reencrypting;  /* a reencryption is under way */
};

/* Looks at more of a header than a boot needs, when it is set to lk_luks2_facts: before a courier
 * to a disk is started. */
extern void (*lk_luks2_more)(const struct lk_json *root, struct lk_luks2 *out);
void lk_luks2_facts(const struct lk_json *root, struct lk_luks2 *out);

/* Reads with pread(2). LK_ELUKS: no LUKS2 header, or both copies damaged. A malformed latchkey
 * token is skipped with a warning in the log. */
LK_CHECK enum lk_code lk_luks2_read(int fd, struct lk_luks2 *out, struct lk_err *e);

#endif
