/* pubkey.c - the public half of a vault key from a file; see parts.h.
 *
 * Azure's command line tool has written n and e as base64url, as base64 with padding, with zero
 * bytes in front, and kty as null: all of that is taken. A private key is not, whatever it comes
 * with: who makes an image has no use for one, and a vault's key that lies in a file as well proves
 * nothing.
 */
#include "lk/b64.h"
#include "lk/der.h"
#include "lk/io.h"
#include "lk/json.h"
#include "lk/pem.h"
#include "parts.h"

#define FILE_MAX   16384
#define TOKENS_MAX 512
#define KID_MAX    600

#define BEGIN LK_S("-----BEGIN PUBLIC KEY-----")
#define END   LK_S("-----END PUBLIC KEY-----")

LK_CHECK static enum lk_code not_one(struct lk_err *e, const char *why)
{
	(void)lk_fail(e, LK_ECONF, "no public key: %s", why);
	return lk_hint(e,
	    "give the vault key as `az keyvault key show` prints it, as a JWK, or as PEM (BEGIN "
	    "PUBLIC KEY)");
}

LK_CHECK static enum lk_code private_one(struct lk_err *e)
{
	(void)lk_fail(e, LK_ECONF, "WARNING: this is a PRIVATE key; it was not used");
	return lk_hint(e,
	    "give the public half alone, and find out why the private one lies in a file: whoever "
	    "has it opens the volumes that are bound to it");
}

LK_CHECK static enum lk_code not_rsa(struct lk_err *e, const char *what)
{
	(void)lk_fail(e, LK_ECONF, "%s: a binding of kind wrapped needs an RSA key", what);
	return lk_hint(e,
	    "make an RSA-HSM key, or bind with this one where it can be released (without "
	    "--offline)");
}

LK_CHECK static enum lk_code rsa(
    struct lk_slice n, struct lk_slice exp, struct lk_pub *out, struct lk_err *e)
{
	if (lk_pub_rsa(n, exp, out, e) == LK_OK)
		return LK_OK;
	e->code = LK_ECONF;
	return lk_hint(e, "the key must have 2048 to 4096 bits");
}

/* ---- PEM */

static bool positive(struct lk_slice *in, struct lk_slice *out)
{
	return lk_der_take(in, LK_DER_INTEGER, out) && out->n > 0 && (out->p[0] & 0x80) == 0;
}

/* SubjectPublicKeyInfo (RFC 5280, section 4.1; RFC 8017, appendix A.1.1). */
LK_CHECK static enum lk_code spki(struct lk_slice der, struct lk_pub *out, struct lk_err *e)
{
	static const uint8_t rsa_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
	static const uint8_t ec_oid[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
	struct lk_slice info, algorithm, oid, bits, key, n, exp, none;

	if (!lk_der_take(&der, LK_DER_SEQUENCE, &info) || der.n != 0 ||
	    !lk_der_take(&info, LK_DER_SEQUENCE, &algorithm) ||
	    !lk_der_take(&algorithm, LK_DER_OID, &oid) ||
	    !lk_der_take(&info, LK_DER_BITSTR, &bits) || info.n != 0)
		return not_one(e, "the DER inside is damaged");
	if (lk_slice_eq(oid, lk_slice_of(ec_oid, sizeof(ec_oid))))
		return not_rsa(e, "an EC key");
	if (!lk_slice_eq(oid, lk_slice_of(rsa_oid, sizeof(rsa_oid))))
		return not_rsa(e, "neither RSA nor EC");
	if ((algorithm.n > 0 && !lk_der_take(&algorithm, LK_DER_NULL, &none)) || algorithm.n != 0 ||
	    bits.n == 0 || bits.p[0] != 0)
		return not_one(e, "the DER inside is damaged");
	key = lk_slice_sub(bits, 1, bits.n);
	if (!lk_der_take(&key, LK_DER_SEQUENCE, &info) || key.n != 0 || !positive(&info, &n) ||
	    !positive(&info, &exp) || info.n != 0)
		return not_one(e, "the RSA key inside is damaged");
	return rsa(n, exp, out, e);
}

LK_CHECK static enum lk_code pem(struct lk_slice text, struct lk_pub *out, struct lk_err *e)
{
	uint8_t store[2048];
	struct lk_buf der = LK_BUF(store);
	struct lk_slice rest = text;
	size_t at;

	switch (lk_pem_between(&rest, BEGIN, END, &der)) {
	case LK_PEM_END:
		return not_one(e, lk_slice_search(text, LK_S("BEGIN CERTIFICATE"), &at)
				      ? "a certificate"
				      : "in no form that is known");
	case LK_PEM_BAD:
		return not_one(e, "the PEM text is damaged");
	case LK_PEM_CERT:
		break;
	}
	if (lk_slice_search(rest, BEGIN, &at))
		return not_one(e, "there are several");
	return spki(lk_slice_buf(&der), out, e);
}

/* ---- JSON */

/* A string member; *out is empty when it is null or not there. */
LK_CHECK static enum lk_code text_of(
    const struct lk_json *j, const char *name, struct lk_slice *out, struct lk_err *e)
{
	struct lk_err absent = {0};
	struct lk_json v;

	*out = (struct lk_slice){NULL, 0};
	if (lk_json_member(j, name, &v, &absent) != LK_OK) {
		if (absent.code == LK_EABSENT)
			return LK_OK;
		return not_one(e, absent.msg);
	}
	if (lk_json_type(&v) == LK_JSON_STRING)
		*out = lk_json_raw(&v);
	else if (lk_json_type(&v) != LK_JSON_NULL)
		return not_one(e, "a member is not text");
	return LK_OK;
}

LK_CHECK static enum lk_code number_of(
    const struct lk_json *j, const char *name, struct lk_buf *out, struct lk_err *e)
{
	struct lk_err why = {0};
	struct lk_slice text;
	size_t at;
	bool plain;

	if (text_of(j, name, &text, e) != LK_OK)
		return e->code;
	plain = lk_slice_find(text, '=', &at) || lk_slice_find(text, '+', &at) ||
		lk_slice_find(text, '/', &at);
	if ((plain ? lk_b64_decode(text, out, &why) : lk_b64url_decode(text, out, &why)) != LK_OK)
		return not_one(e, why.msg);
	return LK_OK;
}

LK_CHECK static enum lk_code no_private(const struct lk_json *j, struct lk_err *e)
{
	static const char *const names[] = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct lk_err absent = {0};
		struct lk_json v;

		if (lk_json_member(j, names[i], &v, &absent) == LK_OK
			? lk_json_type(&v) != LK_JSON_NULL
			: absent.code != LK_EABSENT)
			return private_one(e);
	}
	return LK_OK;
}

/* Only one that can be the key's address; others may be anything. */
static void copy_kid(struct lk_slice text, char kid[static KID_MAX])
{
	struct lk_err ignored = {0};

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f || text.p[i] == '\\')
			return;
	if (!lk_slice_starts(text, LK_S("https://")) ||
	    lk_slice_cstr(text, kid, KID_MAX, &ignored) != LK_OK)
		kid[0] = '\0';
}

LK_CHECK static enum lk_code jwk(
    const struct lk_json *j, struct lk_pub *out, char kid[static KID_MAX], struct lk_err *e)
{
	/* Zero bytes in front are cut off later. */
	uint8_t n_store[LK_RSA_MAX + 16], e_store[LK_RSA_MAX + 16];
	struct lk_buf n = LK_BUF(n_store), exp = LK_BUF(e_store);
	struct lk_slice kty, said;

	if (no_private(j, e) != LK_OK || text_of(j, "kty", &kty, e) != LK_OK ||
	    text_of(j, "kid", &said, e) != LK_OK)
		return e->code;
	if (lk_slice_starts(kty, LK_S("EC")))
		return not_rsa(e, "an EC key");
	if (lk_slice_starts(kty, LK_S("oct")))
		return not_rsa(e, "a symmetric key, which has no public half");
	if (kty.n > 0 && !lk_slice_eq_str(kty, "RSA") && !lk_slice_eq_str(kty, "RSA-HSM"))
		return not_rsa(e, "neither RSA nor EC");
	if (number_of(j, "n", &n, e) != LK_OK || number_of(j, "e", &exp, e) != LK_OK)
		return e->code;
	if (n.n == 0 || exp.n == 0)
		return not_one(e, "n and e of an RSA key are not there");
	copy_kid(said, kid);
	return rsa(lk_slice_buf(&n), lk_slice_buf(&exp), out, e);
}

LK_CHECK static enum lk_code json(
    struct lk_slice text, struct lk_pub *out, char kid[static KID_MAX], struct lk_err *e)
{
	static struct lk_json_tok toks[TOKENS_MAX];
	struct lk_err why = {0};
	struct lk_json root, inner;

	if (lk_json_parse(text, toks, TOKENS_MAX, &root, &why) != LK_OK)
		return not_one(e, why.msg);
	if (lk_json_member(&root, "key", &inner, &why) == LK_OK) {
		if (lk_json_type(&inner) != LK_JSON_OBJECT)
			return not_one(e, "its member key is no JWK");
		return no_private(&root, e) == LK_OK ? jwk(&inner, out, kid, e) : e->code;
	}
	return why.code == LK_EABSENT ? jwk(&root, out, kid, e) : not_one(e, why.msg);
}

enum lk_code lk_pubkey_text(
    struct lk_slice text, struct lk_pub *out, char kid[static KID_MAX], struct lk_err *e)
{
	size_t at = 0;

	kid[0] = '\0';
	if (lk_slice_search(text, LK_S("PRIVATE KEY-----"), &at))
		return private_one(e);
	while (at < text.n && text.p[at] <= ' ')
		at++;
	if (at < text.n && text.p[at] == '{')
		return json(text, out, kid, e);
	return pem(text, out, e);
}

enum lk_code lk_pubkey_file(
    const char *path, struct lk_pub *out, char kid[static KID_MAX], struct lk_err *e)
{
	static uint8_t store[FILE_MAX];
	struct lk_buf text = LK_BUF(store);

	kid[0] = '\0';
	if (lk_file_read(path, &text, e) != LK_OK) {
		if (e->code == LK_EABSENT || e->code == LK_ELIMIT) {
			e->code = LK_ECONF;
			(void)lk_hint(e, "name the file with the public half of the vault key");
		}
	} else if (lk_pubkey_text(lk_slice_buf(&text), out, kid, e) != LK_OK) {
		(void)lk_err_prefix(e, "%s", path);
	}
	lk_wipe(store, sizeof(store));
	return e->code;
}
