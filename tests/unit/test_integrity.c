/* The line on data authentication: what the host can do to the blocks of a volume. */
#include "t.h"

#include "../../src/cli/ctl/parts.h"

static const char *line(const char *cipher, const char *integrity)
{
	static char text[400];
	static struct lk_luks2 h;
	struct lk_buf out = {.p = (uint8_t *)text, .n = 0, .cap = sizeof(text) - 1, .bad = false};

	memset(&h, 0, sizeof(h));
	strcpy(h.cipher, cipher);
	strcpy(h.integrity, integrity);
	lk_integrity_line(&h, &out);
	text[out.n] = '\0';
	OK(!out.bad);
	return text;
}

T(a_volume_without_integrity)
{
	EQ_S(line("aes-xts-plain64", ""),
	    "data is not authenticated (aes-xts-plain64): whoever has the disk can change blocks "
	    "unnoticed and present old ones");
	EQ_S(line("", "none"),
	    "data is not authenticated (cipher not known): whoever has the disk can change blocks "
	    "unnoticed and present old ones");
}

T(tags_that_need_a_key)
{
	static const char *const keyed[] = {
	    "hmac(sha256)", "hmac(sha512)", "aead", "poly1305", "cmac(aes)", "phmac(sha256)"};

	for (size_t i = 0; i < sizeof(keyed) / sizeof(keyed[0]); i++)
		if (strstr(line("aes-xts-plain64", keyed[i]), "data is authenticated (") == NULL)
			T_FAIL("%s: %s", keyed[i], line("", keyed[i]));
	EQ_S(line("aes-xts-plain64", "hmac(sha256)"),
	    "data is authenticated (aes-xts-plain64, hmac(sha256)): a changed block is noticed, an "
	    "old one that is presented again is not");
}

/* What the host may write there is no promise. */
T(sums_that_anybody_can_compute)
{
	static const char *const plain[] = {"crc32c", "sha256", "xxhash64", "hmac", "aeadx", "?"};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strstr(line("x", plain[i]), "need no key") == NULL)
			T_FAIL("%s: %s", plain[i], line("x", plain[i]));
}

T(the_longest_texts_fit)
{
	OK(strlen(line("ccccccccccccccccccccccccccccccccccccccc",
	       "hmac(iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii")) > 150);
}
