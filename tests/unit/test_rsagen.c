/* New RSA keys: checked by another implementation, made from getrandom(2) alone, and what is left
 * behind. */
#include "t.h"

#include <errno.h>
#include <sys/syscall.h>

#include "../../src/crypto/pkcs8.h"
#include "lines.h"
#include "lk/key.h"
#include "lk/kwp.h"

static struct lk_err e;
static struct lk_secret key;
static struct lk_pub pub;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

/* ---- the kernel's generator, or a repeatable one, or one that fails */

/* with these, a key of 2048 bits is found quickly */
#define SEED       42
#define OTHER_SEED 136

static uint64_t state; /* 0: the kernel's */
static unsigned calls, fail_at;

ssize_t getrandom(void *to, size_t n, unsigned flags);
ssize_t getrandom(void *to, size_t n, unsigned flags)
{
	uint8_t *p = to;

	calls++;
	if (calls == fail_at) {
		errno = ENOSYS;
		return -1;
	}
	if (state == 0)
		return (ssize_t)syscall(SYS_getrandom, to, n, flags);
	for (size_t i = 0; i < n; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		p[i] = (uint8_t)(state >> 24);
	}
	return (ssize_t)n;
}

static enum lk_code make(unsigned bits, uint64_t seed, unsigned when)
{
	memset(&e, 0, sizeof(e));
	memset(&key, 0x5a, sizeof(key));
	memset(&pub, 0x5a, sizeof(pub));
	state = seed;
	calls = 0;
	fail_at = when;
	enum lk_code rc = lk_rsa_generate(bits, &key, &pub, &e);
	state = 0;
	fail_at = 0;
	return rc;
}

static bool is_clear(const struct lk_secret *s)
{
	return s->n == 0 && lk_slice_is_zero(lk_slice_of(s->p, sizeof(s->p)));
}

/* ---- */

static void agrees(unsigned bits)
{
	struct lk_rsa_parts k;

	NEED(lk_pkcs8_rsa(lk_secret_slice(&key), &k));
	EQ_U(pub.kty, LK_KTY_RSA);
	EQ_U(pub.n_len, bits / 8);
	EQ_BYTES(pub.n, pub.n_len, k.n.p, k.n.n);
	EQ_BYTES(pub.e, pub.e_len, "\1\0\1", 3);
	EQ_U(k.p.n, bits / 16);
	EQ_U(k.q.n, bits / 16);
	OK(lk_slice_is_zero(lk_slice_of(key.p + key.n, sizeof(key.p) - key.n)));
}

static enum lk_hash hash_of(const char *name)
{
	int n = atoi(name);

	return n == 1 ? LK_SHA1 : n == 256 ? LK_SHA256 : n == 384 ? LK_SHA384 : LK_SHA512;
}

static void check_oaep(struct line *l, struct lk_slice der, enum lk_hash h)
{
	struct lk_slice plain = line_hex(l, 3), in = line_hex(l, 4);
	struct lk_secret out = {0};

	EQ_CODE(LK_OK, lk_rsa_oaep_decrypt(der, h, in, &out, &e));
	EQ_BYTES(out.p, out.n, plain.p, plain.n);
}

/* As a vault sends it: the RSA block, as long as our modulus, then the wrapped PKCS#8. */
static void check_blob(struct line *l, struct lk_slice der, enum lk_hash h)
{
	struct lk_slice n = line_hex(l, 3), exp = line_hex(l, 4), ikm = line_hex(l, 5),
			blob = line_hex(l, 6);
	struct lk_secret kek = {0}, plain = {0}, out = {0};
	struct lk_rsa_parts k;
	struct lk_pub released;

	NEED(lk_pkcs8_rsa(der, &k));
	struct lk_slice block = lk_slice_sub(blob, 0, k.n.n),
			wrapped = lk_slice_sub(blob, k.n.n, blob.n);
	EQ_CODE(LK_OK, lk_rsa_oaep_decrypt(der, h, block, &kek, &e));
	EQ_U(kek.n, 32);
	EQ_CODE(LK_OK, lk_kwp_unwrap(lk_secret_slice(&kek), wrapped, &plain, &e));
	EQ_CODE(LK_OK, lk_pub_rsa(n, exp, &released, &e));
	EQ_CODE(LK_OK, lk_key_canonical(&released, lk_secret_slice(&plain), &out, &e));
	EQ_BYTES(out.p, out.n, ikm.p, ikm.n);
	block.n -= 128;
	EQ_CODE(LK_EPROTO, lk_rsa_oaep_decrypt(der, h, block, &kek, &e));
	block.n += 256;
	EQ_CODE(LK_EPROTO, lk_rsa_oaep_decrypt(der, h, block, &kek, &e));
}

T(every_size_against_another_implementation)
{
	char path[] = "/tmp/latchkey-rsagen-XXXXXX", cmd[200];
	struct line l = {0};
	unsigned rows = 0;
	int fd = mkstemp(path);
	NEED(fd >= 0);
	FILE *f = fdopen(fd, "w");
	NEED(f != NULL);
	for (unsigned bits = 2048; bits <= 4096; bits += 1024) {
		EQ_CODE(LK_OK, make(bits, 0, 0));
		agrees(bits);
		for (size_t i = 0; i < key.n; i++)
			fprintf(f, "%02x", key.p[i]);
		fputc('\n', f);
	}
	fclose(f);
	snprintf(cmd, sizeof(cmd), LINES_PYTHON "tests/unit/gen_keys.py made %s", path);
	f = popen(cmd, "r");
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_slice der = line_hex(&l, 1);
		enum lk_hash h = hash_of(l.w[2]);
		strcmp(l.w[0], "oaep") == 0 ? check_oaep(&l, der, h) : check_blob(&l, der, h);
		rows++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(rows, 24);
	unlink(path);
}

T(other_sizes_are_a_bug)
{
	static const unsigned bits[] = {0, 1024, 2047, 2049, 2056, 4097, 8192, 65536};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		EQ_CODE(LK_EBUG, make(bits[i], 0, 0));
		EQ_U(calls, 0);
		OK(is_clear(&key));
	}
}

/* The same stream gives the same key: there is no other source. Another gives another. */
T(getrandom_is_the_only_source)
{
	static struct lk_secret first;

	EQ_CODE(LK_OK, make(2048, SEED, 0));
	agrees(2048);
	first = key;
	EQ_CODE(LK_OK, make(2048, SEED, 0));
	EQ_BYTES(key.p, key.n, first.p, first.n);
	EQ_CODE(LK_OK, make(2048, OTHER_SEED, 0));
	OK(!lk_secret_eq(lk_secret_slice(&key), lk_secret_slice(&first)));
	EQ_CODE(LK_OK, make(2048, 0, 0));
	OK(!lk_secret_eq(lk_secret_slice(&key), lk_secret_slice(&first)));
	first = key;
	EQ_CODE(LK_OK, make(2048, 0, 0));
	OK(!lk_secret_eq(lk_secret_slice(&key), lk_secret_slice(&first)));
}

T(without_randomness_there_is_no_key)
{
	EQ_CODE(LK_OK, make(2048, SEED, 0));
	const unsigned all = calls, when[] = {1, 2, all / 2, all - 1, all};

	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++) {
		EQ_CODE(LK_ESYS, make(2048, SEED, when[i]));
		EQ_U(calls, when[i]);
		OK(is_clear(&key));
		EQ_I(e.sys, ENOSYS);
		OK(strstr(e.msg, "getrandom") != NULL);
	}
}

/* ---- what is left behind */

#define PART 24

/* Is `part`, whose bytes are stored inverted, anywhere that this process can write? */
static unsigned found(const uint8_t part[PART])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[300], perm[5];
	unsigned n = 0;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, perm) != 3 || perm[0] != 'r' ||
		    perm[1] != 'w')
			continue;
		for (const volatile uint8_t *p = (const volatile uint8_t *)from;
		     p + PART <= (const volatile uint8_t *)to; p++) {
			size_t i = 0;
			while (i < PART && (p[i] ^ part[i]) == 0xff)
				i++;
			n += i == PART;
		}
	}
	if (maps != NULL)
		fclose(maps);
	return n;
}

/* The middle of a member, inverted: as DER has it, and in the order of the library's limbs. */
static void part_of(struct lk_slice v, uint8_t der[PART], uint8_t limbs[PART])
{
	for (size_t i = 0; i < PART; i++) {
		der[i] = (uint8_t)~v.p[v.n / 2 + i];
		limbs[PART - 1 - i] = der[i];
	}
}

T(nothing_is_left_in_memory)
{
	if (SANITIZED)
		SKIP("the sanitizer's own memory is too large to be searched");
	static uint8_t part[5][2][PART];
	struct lk_rsa_parts k;

	EQ_CODE(LK_OK, make(2048, SEED, 0));
	NEED(lk_pkcs8_rsa(lk_secret_slice(&key), &k));
	part_of(k.p, part[0][0], part[0][1]);
	part_of(k.q, part[1][0], part[1][1]);
	part_of(k.d, part[2][0], part[2][1]);
	/* the CRT members follow q, each with a head of 3 bytes and perhaps a zero */
	part_of(lk_slice_of(k.q.p + k.q.n, 132), part[3][0], part[3][1]);
	part_of(lk_slice_of(k.q.p + k.q.n + 264, 132), part[4][0], part[4][1]);
	for (size_t i = 0; i < 5; i++) {
		EQ_U(found(part[i][0]), 1); /* in `key`, so the search does find */
		EQ_U(found(part[i][1]), 0);
	}
	lk_secret_clear(&key);
	for (size_t i = 0; i < 5; i++)
		EQ_U(found(part[i][0]), 0);
	/* a failure at the last call, when both primes are almost known */
	EQ_CODE(LK_ESYS, make(2048, SEED, calls));
	for (size_t i = 0; i < 2; i++)
		EQ_U(found(part[i][0]) + found(part[i][1]), 0);
}
