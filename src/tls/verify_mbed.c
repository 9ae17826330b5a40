#include "verify_mbed.h"

#include <string.h>
#include <time.h>

#include <mbedtls/oid.h>

#include "lk/fmt.h"
#include "lk/log.h"
#include "lk/pem.h"

#define SAN_DNS (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2) /* dNSName */

static uint8_t der_store[LK_PEM_DER_MAX];

static bool label_ok(struct lk_slice label)
{
	if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		uint8_t c = label.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* Addresses of either family, in every spelling of inet_aton, end in a label of this kind. */
static bool numeric(struct lk_slice label)
{
	if (label.n >= 2 && label.p[0] == '0' && label.p[1] == 'x')
		return true;
	for (size_t i = 0; i < label.n; i++)
		if (label.p[i] < '0' || label.p[i] > '9')
			return false;
	return true;
}

enum lk_code lk_host_normal(const char *host, char out[static LK_HOST_MAX + 1], struct lk_err *e)
{
	size_t n = host == NULL ? 0 : strlen(host);
	if (n != 0 && host[n - 1] == '.')
		n--;
	if (n == 0 || n > LK_HOST_MAX)
		return lk_fail(e, LK_ECONF, "no server name, or one that is too long");
	for (size_t i = 0; i < n; i++) {
		char c = host[i];
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	out[n] = 0;
	struct lk_slice rest = lk_slice_str(out), label;
	for (bool more = true; more;) {
		size_t dot = rest.n;
		more = lk_slice_find(rest, '.', &dot);
		label = lk_slice_sub(rest, 0, dot);
		rest = lk_slice_sub(rest, dot + 1, rest.n);
		if (!label_ok(label))
			return lk_fail(e, LK_ECONF, "\"%s\" is not a host name", out);
	}
	if (numeric(label))
		return lk_fail(
		    e, LK_ECONF, "\"%s\" is an address: certificates are checked by name", out);
	return LK_OK;
}

enum lk_code lk_roots_load(const struct lk_roots *roots, mbedtls_x509_crt *list, unsigned *count,
    unsigned *first_bad, struct lk_err *e)
{
	struct lk_slice text = roots->pem;
	struct lk_buf der = LK_BUF(der_store);
	unsigned seen = 0;
	*count = 0;
	*first_bad = 0;
	for (;;) {
		enum lk_pem got = lk_pem_next(&text, &der);
		if (got == LK_PEM_END)
			break;
		seen++;
		if (got == LK_PEM_CERT && mbedtls_x509_crt_parse_der(list, der.p, der.n) == 0)
			++*count;
		else if (*first_bad == 0)
			*first_bad = seen;
	}
	if (seen == 0)
		return lk_fail(e, LK_ECONF, "the trust anchors hold no PEM certificate");
	if (*count == 0)
		return lk_fail(e, LK_ECONF, "none of the %u trust anchors can be read", seen);
	if (*first_bad != 0)
		lk_log(LK_LOG_DEBUG, "trust anchor %u cannot be read and is left out", *first_bad);
	return LK_OK;
}

void lk_verify_start(struct lk_verify *v)
{
	memset(v, 0, sizeof(*v));
	v->wall = lk_wall_now();
}

static void put_common_name(struct lk_buf *b, const mbedtls_x509_name *name)
{
	for (; name != NULL; name = name->next)
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
			lk_buf_byte(b, '"');
			lk_log_printable(b, lk_slice_of(name->val.p, name->val.len), 48);
			lk_buf_byte(b, '"');
			return;
		}
	lk_buf_str(b, "a nameless issuer");
}

static void put_dates(struct lk_buf *b, const mbedtls_x509_crt *crt)
{
	const mbedtls_x509_time *f = &crt->valid_from, *t = &crt->valid_to;
	lk_buf_fmt(b, ", valid %04d-%02d-%02d to %04d-%02d-%02d", f->year, f->mon, f->day, t->year,
	    t->mon, t->day);
}

/* The first names that the certificate is for. */
static void put_names(struct lk_buf *b, const mbedtls_x509_crt *crt)
{
	unsigned n = 0;
	if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
		for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL;
		     s = s->next) {
			if (s->buf.tag != SAN_DNS)
				continue;
			if (n == 2) {
				lk_buf_str(b, ", ...");
				break;
			}
			if (n++ != 0)
				lk_buf_str(b, ", ");
			lk_log_printable(b, lk_slice_of(s->buf.p, s->buf.len), 40);
		}
	if (n == 0)
		lk_buf_str(b, "no host name");
}

static void describe(char *text, size_t cap, const mbedtls_x509_crt *crt, bool leaf)
{
	struct lk_buf b = {.p = (uint8_t *)text, .cap = cap - 1};
	if (leaf) {
		lk_buf_str(&b, "it is for ");
		put_names(&b, crt);
	} else {
		lk_buf_str(&b, "above it ");
		put_common_name(&b, &crt->subject);
	}
	lk_buf_str(&b, ", from ");
	put_common_name(&b, &crt->issuer);
	put_dates(&b, crt);
	text[b.n] = 0;
}

int lk_verify_step(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct lk_verify *v = ctx;
	if (v->wall.below_build && (*flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
		*flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_FUTURE;
		lk_log(LK_LOG_DEBUG, "the clock is before the build time: \"valid from\" of a "
				     "certificate is ignored");
	}
	if (depth == 0 && !mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	if (depth == 0)
		describe(v->leaf, sizeof(v->leaf), crt, true);
	else if (*flags != 0)
		describe(v->ca, sizeof(v->ca), crt, false);
	return 0;
}

static const struct {
	uint32_t flags;
	const char *text;
} reasons[] = {
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "no trust anchor stands behind it"},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, "it is for another name"},
    {MBEDTLS_X509_BADCERT_EXPIRED, "it has expired"},
    {MBEDTLS_X509_BADCERT_FUTURE, "it is not valid yet"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
	    MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
	"it is not meant for a TLS server"},
    {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
	"its signature or key is too weak"},
};

static void put_hint(const struct lk_verify *v, uint32_t flags, struct lk_err *e)
{
	struct tm tm;
	time_t now = (time_t)v->wall.unix_s;
	if ((flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0 &&
	    gmtime_r(&now, &tm) != NULL)
		lk_hint(e, "today is taken to be %04d-%02d-%02d%s", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday,
		    v->wall.below_build ? ", the build date, since the clock is earlier" : "");
	else if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
		lk_hint(e,
		    "the trust file must hold the root of that issuer; something between here and "
		    "the service that opens TLS looks like this, too");
}

enum lk_code lk_verify_fail(
    const struct lk_verify *v, const char *host, uint32_t flags, struct lk_err *e)
{
	char why[160];
	size_t n = 0;
	why[0] = 0;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((flags & reasons[i].flags) != 0 && n < sizeof(why))
			n += lk_fmt(
			    why + n, sizeof(why) - n, "%s%s", n == 0 ? "" : ", ", reasons[i].text);
	if (n == 0)
		(void)lk_fmt(why, sizeof(why), "the check says 0x%x", (unsigned)flags);
	lk_fail(e, LK_ETRUST, "certificate of %s refused: %s (%s%s%s)", host, why,
	    v->leaf[0] == 0 ? "none was read" : v->leaf, v->ca[0] == 0 ? "" : "; ", v->ca);
	e->lib = flags;
	put_hint(v, flags, e);
	return e->code;
}
