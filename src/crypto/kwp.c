/* RFC 5649, section 4.2, over the unwrapping function of RFC 3394. */
#include "lk/kwp.h"

#include <string.h>

#include "lk/crypto.h"

#define SEMI  8 /* half an AES block: the unit of the algorithm */
#define BLOCK 16

/* W^-1: the first semiblock of `b` (n + 1 of them, n >= 2) becomes the integrity value. */
static enum lk_code unwrap(struct lk_slice kek, uint8_t *b, size_t n, struct lk_err *e)
{
	uint8_t blk[BLOCK];
	enum lk_code rc = LK_OK;
	for (uint64_t t = 6 * (uint64_t)n; rc == LK_OK && t != 0; t--) {
		uint8_t *r = b + ((t - 1) % n + 1) * SEMI;
		memcpy(blk, b, SEMI);
		memcpy(blk + SEMI, r, SEMI);
		for (unsigned i = 0; i < SEMI; i++)
			blk[SEMI - 1 - i] ^= (uint8_t)(t >> 8 * i);
		rc = lk_aes_block(kek, true, blk, blk, e);
		memcpy(b, blk, SEMI);
		memcpy(r, blk + SEMI, SEMI);
	}
	lk_wipe(blk, sizeof(blk));
	return rc;
}

/* All ones if v is not zero, without a branch. */
static uint32_t mask_nonzero(uint32_t v)
{
	return 0 - ((v | (0 - v)) >> 31);
}

/* All ones if a < b (both below 2^31). */
static uint32_t mask_less(uint32_t a, uint32_t b)
{
	return 0 - ((a - b) >> 31);
}

/* Checks the alternative initial value, the length and the padding of the plaintext `p` of n
 * semiblocks, always to the end and always the same bytes: not zero if anything is wrong. */
static uint32_t check(const uint8_t aiv[static SEMI], const uint8_t *p, size_t n, uint32_t *len)
{
	static const uint8_t magic[4] = {0xa6, 0x59, 0x59, 0xa6};
	uint32_t bad = 0;
	uint32_t mli = 0;
	for (unsigned i = 0; i < 4; i++) {
		bad |= aiv[i] ^ magic[i];
		mli = mli << 8 | aiv[4 + i];
	}
	uint32_t full = (uint32_t)(n * SEMI);
	bad |= mask_nonzero(mli >> 16); /* longer than any secret; keeps mask_less in range */
	mli &= 0xffff;
	bad |= mask_less(full, mli) | ~mask_less(full - SEMI, mli);
	/* only the last semiblock can hold padding */
	for (uint32_t i = full - SEMI; i < full; i++)
		bad |= p[i] & ~mask_less(i, mli);
	*len = mli;
	return mask_nonzero(bad);
}

enum lk_code lk_kwp_unwrap(
    struct lk_slice kek, struct lk_slice in, struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET work = {0};
	uint8_t first[BLOCK];
	size_t n = in.n / SEMI - 1;
	if (in.n < BLOCK || in.n % SEMI != 0)
		return lk_fail(e, LK_EPROTO,
		    "wrapped key of %zu bytes: not a multiple of 8 of at least 16", in.n);
	if (n * SEMI > sizeof(out->p) || in.n > sizeof(work.p))
		return lk_fail(e, LK_ELIMIT, "wrapped key of %zu bytes is too long", in.n);

	memcpy(work.p, in.p, in.n);
	enum lk_code rc;
	if (n == 1) {
		rc = lk_aes_block(kek, true, in.p, first, e);
		memcpy(work.p, first, sizeof(first));
		lk_wipe(first, sizeof(first));
	} else {
		rc = unwrap(kek, work.p, n, e);
	}
	if (rc != LK_OK)
		return rc;
	uint32_t len = 0;
	if (check(work.p, work.p + SEMI, n, &len) != 0) {
		lk_secret_clear(out);
		return lk_fail(e, LK_ECRYPTO, "key unwrap failed: wrong key or altered data");
	}
	memcpy(out->p, work.p + SEMI, len);
	out->n = len;
	return LK_OK;
}
