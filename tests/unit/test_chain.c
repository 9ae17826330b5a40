/* Chains outside of TLS, trust files, and the few fields of a certificate. */
#include "t.h"

#include <time.h>

#include "tls_peer.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

static enum lk_code verify(const char *name, const struct lk_roots *roots, struct lk_pub *leaf)
{
	const struct peer_chain *c = peer_chain(name);
	memset(&e, 0, sizeof(e));
	return lk_chain_verify(c->der, c->n, PEER_HOST, roots, leaf, &e);
}

T(the_same_verdicts_as_in_a_handshake)
{
	static const struct {
		const char *name;
		enum lk_code want;
		const char *text;
	} v[] = {
	    {"rsa", LK_OK, ""},
	    {"rsa-root", LK_OK, ""},
	    {"upper", LK_OK, ""},
	    {"wildcard", LK_OK, ""},
	    {"year-2104", LK_OK, ""},
	    {"ec", LK_EPROTO, "does not hold an RSA key"},
	    {"wildcard-deep", LK_ETRUST, "it is for another name"},
	    {"wrong-host", LK_ETRUST, "it is for another name"},
	    {"no-san", LK_ETRUST, "it is for another name"},
	    {"wrong-ca", LK_ETRUST, "no trust anchor"},
	    {"self-signed", LK_ETRUST, "no trust anchor"},
	    {"no-intermediate", LK_ETRUST, "no trust anchor"},
	    {"leaf-as-ca", LK_ETRUST, "no trust anchor"},
	    {"expired", LK_ETRUST, "it has expired"},
	    {"not-yet", LK_ETRUST, "it is not valid yet"},
	    {"old-intermediate", LK_ETRUST, "it has expired"},
	    {"client-only", LK_ETRUST, "not meant for a TLS server"},
	    {"cannot-sign", LK_ETRUST, "not meant for a TLS server"},
	    {"rsa-1024", LK_ETRUST, "too weak"},
	    {"sha1", LK_ETRUST, "too weak"},
	};
	peer_start();
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct lk_pub leaf = {0};
		enum lk_code rc = verify(v[i].name, &peer.roots, &leaf);
		if (rc != v[i].want || strstr(e.msg, v[i].text) == NULL)
			T_FAIL("%s: code %d, %s", v[i].name, (int)rc, e.msg);
		if (rc == LK_OK)
			OK(leaf.kty == LK_KTY_RSA && leaf.n_len >= 256 && leaf.e_len == 3);
		EQ_CODE(v[i].want == LK_EPROTO               ? LK_ETRUST
			: strcmp(v[i].name, "wrong-ca") == 0 ? LK_OK
							     : LK_ETRUST,
		    verify(v[i].name, &peer.other_roots, &leaf));
	}
}

T(shape_of_a_chain)
{
	const struct peer_chain *c = peer_chain("rsa");
	struct lk_pub leaf;
	struct lk_slice der[7];
	uint8_t longer[4096];
	for (unsigned i = 0; i < 7; i++)
		der[i] = c->der[i == 0 ? 0 : 1];
	EQ_CODE(LK_EPROTO, lk_chain_verify(der, 0, PEER_HOST, &peer.roots, &leaf, &e));
	EQ_CODE(LK_OK, lk_chain_verify(der, 6, PEER_HOST, &peer.roots, &leaf, &e));
	EQ_CODE(LK_ELIMIT, lk_chain_verify(der, 7, PEER_HOST, &peer.roots, &leaf, &e));
	EQ_CODE(LK_ECONF, lk_chain_verify(der, 2, "127.0.0.1", &peer.roots, &leaf, &e));
	EQ_CODE(LK_ECONF, lk_chain_verify(der, 2, "", &peer.roots, &leaf, &e));
	/* leaf first */
	const struct lk_slice turned[2] = {der[1], der[0]};
	EQ_CODE(LK_ETRUST, lk_chain_verify(turned, 2, PEER_HOST, &peer.roots, &leaf, &e));
	memcpy(longer, der[1].p, der[1].n);
	longer[der[1].n] = 0;
	der[1] = lk_slice_of(longer, der[1].n + 1);
	EQ_CODE(LK_EPROTO, lk_chain_verify(der, 2, PEER_HOST, &peer.roots, &leaf, &e));
	der[1].n -= 2;
	EQ_CODE(LK_EPROTO, lk_chain_verify(der, 2, PEER_HOST, &peer.roots, &leaf, &e));
	der[1] = LK_S("");
	EQ_CODE(LK_EPROTO, lk_chain_verify(der, 2, PEER_HOST, &peer.roots, &leaf, &e));
}

T(a_changed_byte_anywhere_in_the_leaf)
{
	const struct peer_chain *c = peer_chain("rsa");
	struct lk_slice der[2] = {c->der[0], c->der[1]};
	struct lk_pub leaf;
	uint8_t bad[4096];
	NEED(der[0].n < sizeof(bad));
	for (size_t i = 0; i < c->der[0].n; i++) {
		memcpy(bad, c->der[0].p, c->der[0].n);
		bad[i] ^= 0x01;
		der[0] = lk_slice_of(bad, c->der[0].n);
		enum lk_code rc = lk_chain_verify(der, 2, PEER_HOST, &peer.roots, &leaf, &e);
		if (rc != LK_ETRUST && rc != LK_EPROTO)
			T_FAIL("byte %zu: code %d", i, (int)rc);
	}
}

/* A trust file in pieces. */
static enum lk_code check(struct lk_slice a, struct lk_slice b, struct lk_slice c, unsigned *count)
{
	static uint8_t text[1 << 18];
	struct lk_buf t = LK_BUF(text);
	lk_buf_slice(&t, a);
	lk_buf_slice(&t, b);
	lk_buf_slice(&t, c);
	const struct lk_roots roots = {lk_slice_buf(&t)};
	memset(&e, 0, sizeof(e));
	*count = 99;
	return lk_roots_check(&roots, count, &e);
}

T(trust_files)
{
	static uint8_t crlf[1 << 14], many[1 << 16];
	struct lk_buf c = LK_BUF(crlf), m = LK_BUF(many);
	unsigned n;
	peer_start();
	const struct lk_slice two = peer.roots.pem, one = peer.other_roots.pem, none = LK_S("");
	EQ_CODE(LK_OK, check(two, none, none, &n));
	EQ_U(n, 2);
	EQ_CODE(LK_OK, check(LK_S("# a comment - with dashes -----\n\0"), two, one, &n));
	EQ_U(n, 3);
	for (size_t i = 0; i < two.n; i++) {
		if (two.p[i] == '\n')
			lk_buf_byte(&c, '\r');
		lk_buf_byte(&c, two.p[i]);
	}
	EQ_CODE(LK_OK, check(lk_slice_buf(&c), none, none, &n));
	EQ_U(n, 2);
	EQ_CODE(LK_ECONF, check(none, none, none, &n));
	EQ_CODE(LK_ECONF, check(LK_S("text"), none, none, &n));
	OK(strstr(e.msg, "no PEM certificate") != NULL);
	EQ_CODE(LK_ECONF, check(one, lk_slice_sub(two, 0, 200), none, &n));
	OK(strstr(e.msg, "trust anchor 2 of the file cannot be read") != NULL);
	EQ_CODE(LK_ECONF,
	    check(one, LK_S("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"), two, &n));
	EQ_CODE(LK_ECONF,
	    check(one, LK_S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), two,
		&n));
	EQ_CODE(LK_ECONF,
	    check(one, LK_S("-----BEGIN CERTIFICATE-----\nAA?A\n-----END CERTIFICATE-----"), two,
		&n));
	EQ_CODE(
	    LK_ECONF, check(LK_S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
			  none, none, &n));
	OK(strstr(e.msg, "none of the 1 trust anchors") != NULL);
	/* larger than any certificate */
	lk_buf_str(&m, "-----BEGIN CERTIFICATE-----\n");
	for (unsigned i = 0; i < 3000; i++)
		lk_buf_str(&m, "AAAAAAAA\n");
	lk_buf_str(&m, "-----END CERTIFICATE-----\n");
	EQ_CODE(LK_ECONF, check(one, lk_slice_buf(&m), none, &n));
	OK(strstr(e.msg, "trust anchor 2 ") != NULL);
	/* a connection makes do with the rest */
	struct lk_pub leaf;
	static uint8_t text[1 << 17];
	struct lk_buf t = LK_BUF(text);
	lk_buf_slice(&t, lk_slice_buf(&m));
	lk_buf_slice(&t, two);
	EQ_CODE(LK_OK, verify("rsa", &(const struct lk_roots){lk_slice_buf(&t)}, &leaf));
}

T(key_and_end_date_of_a_certificate)
{
	struct lk_pub key;
	int64_t until;
	uint8_t nv[2048] = {0};
	struct lk_slice der = peer_chain("expired-2001")->der[0];
	EQ_CODE(LK_OK, lk_cert_rsa(der, &key, &until, &e));
	EQ_I(until, 981244800);
	EQ_U(key.n_len, 256);
	EQ_BYTES(key.e, key.e_len, "\1\0\1", 3);
	/* as in an NV index: zeros follow, and nothing else may */
	memcpy(nv, der.p, der.n);
	EQ_CODE(LK_OK, lk_cert_rsa(lk_slice_of(nv, sizeof(nv)), &key, &until, &e));
	EQ_U(key.n_len, 256);
	nv[sizeof(nv) - 1] = 1;
	EQ_CODE(LK_EPROTO, lk_cert_rsa(lk_slice_of(nv, sizeof(nv)), &key, &until, &e));
	der = peer_chain("year-2104")->der[0];
	EQ_CODE(LK_OK, lk_cert_rsa(der, &key, &until, &e));
	EQ_I(until, INT64_C(4233772798));
	der = peer_chain("rsa")->der[0];
	EQ_CODE(LK_OK, lk_cert_rsa(der, &key, &until, &e));
	OK(until > time(NULL) + 9 * 86400 && until < time(NULL) + 11 * 86400);
	for (size_t n = 0; n < der.n; n++)
		EQ_CODE(LK_EPROTO, lk_cert_rsa(lk_slice_sub(der, 0, n), &key, &until, &e));
	EQ_CODE(LK_EPROTO, lk_cert_rsa(peer_chain("ec")->der[0], &key, &until, &e));
	EQ_CODE(LK_EPROTO, lk_cert_rsa(peer_chain("rsa-1024")->der[0], &key, &until, &e));
	EQ_CODE(LK_OK, lk_cert_rsa(peer_chain("rsa-root")->der[0], &key, &until, &e));
	EQ_U(key.n_len, 512);
}

/* Nothing is read outside of the certificate, whatever its bytes say (the sanitizers look). */
T(damaged_certificates)
{
	struct lk_slice der = peer_chain("rsa")->der[0];
	uint8_t *bad = malloc(der.n);
	struct lk_pub key;
	int64_t until;
	NEED(bad != NULL);
	for (size_t i = 0; i < der.n; i++)
		for (unsigned x = 1; x < 256; x = x * 2 + 1) {
			memcpy(bad, der.p, der.n);
			bad[i] ^= (uint8_t)x;
			enum lk_code rc = lk_cert_rsa(lk_slice_of(bad, der.n), &key, &until, &e);
			if (rc != LK_OK && rc != LK_EPROTO)
				T_FAIL("byte %zu: code %d", i, (int)rc);
		}
	free(bad);
}
