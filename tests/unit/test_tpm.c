/* The TPM module against a software TPM behind a pty: a whole run, its commands and its evidence.
 */
#include "lk/hcl.h"
#include "tpm_rig.h"

#define LIMIT 22 /* commands for attest and release */

static struct lk_tpm *tpm;
static struct lk_tpm_evidence ev;
static uint8_t cert[LK_NV_MAX], report[LK_NV_MAX], ak_pub[600], ak_n[256];
static struct lk_buf cert_b, report_b, pub_b, n_b;
static lk_time soon;

#define DO(call)                                                                                   \
	do {                                                                                       \
		err = (struct lk_err){0};                                                          \
		if (call)                                                                          \
			T_FAIL("%s; %s", err.msg, err.hint);                                       \
	} while (0)

static bool collect(void)
{
	cert_b = LK_BUF(cert);
	report_b = LK_BUF(report);
	pub_b = LK_BUF(ak_pub);
	n_b = LK_BUF(ak_n);
	soon = lk_deadline_in(30000);
	DO(lk_tpm_open(rig_link, soon, &tpm, &err));
	if (err.code)
		return false;
	DO(lk_tpm_nv_read(tpm, LK_NV_AK_CERT, &cert_b, soon, &err));
	DO(lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, &report_b, soon, &err));
	DO(lk_tpm_ak(tpm, &pub_b, &n_b, soon, &err));
	DO(lk_tpm_evidence(tpm, &ev, soon, &err));
	return err.code == LK_OK;
}

static void round_trip(enum lk_tpm_scheme scheme, const char *name, const char *text)
{
	uint8_t cipher[256];
	LK_SECRET out = {0};
	if (!rig_encrypt(name, ev.key_n, text, cipher))
		return;
	DO(lk_tpm_decrypt(tpm, scheme, lk_slice_of(cipher, 256), &out, soon, &err));
	EQ_BYTES(out.p, out.n, text, strlen(text));
}

static struct lk_slice sha256_of(const void *p, size_t n)
{
	static uint8_t digest[32];
	EQ_CODE(LK_OK, lk_sha256(lk_slice_of(p, n), digest, &err));
	return lk_slice_of(digest, 32);
}

/* A signature of the attestation key. */
static void check_signed(const uint8_t *attest, size_t n, const uint8_t *sig, size_t sig_n)
{
	struct lk_slice e = LK_S("\1\0\1"), s = lk_slice_of(sig, sig_n);
	DO(lk_rsa_verify(lk_slice_buf(&n_b), e, LK_SHA256, sha256_of(attest, n), s, &err));
	uint8_t other[256];
	NEED(n > 0 && n <= sizeof(other));
	memcpy(other, attest, n);
	other[n - 1] ^= 1;
	OK(lk_rsa_verify(lk_slice_buf(&n_b), e, LK_SHA256, sha256_of(other, n), s, &err) ==
	    LK_ETRUST);
}

static void check_evidence(void)
{
	check_signed(ev.quote, ev.quote_n, ev.quote_sig, ev.quote_sig_n);
	check_signed(ev.certify, ev.certify_n, ev.certify_sig, ev.certify_sig_n);

	/* The quote ends in the digest of the registers, those in the evidence are hashed. */
	NEED(ev.quote_n > 34);
	EQ_MEM(ev.quote + ev.quote_n - 32, sha256_of(ev.pcrs, sizeof(ev.pcrs)).p, 32);

	/* policyDigest = H(0..0 || TPM_CC_PolicyPCR || selection || pcrDigest), at offset 12 */
	uint8_t text[32 + 4 + 10 + 32] = {0};
	memcpy(text + 32, "\0\0\x01\x7f\0\0\0\1\0\x0b\3\xff\0\0", 14);
	memcpy(text + 46, sha256_of(ev.pcrs, sizeof(ev.pcrs)).p, 32);
	EQ_U(ev.key_pub_n, 312);
	EQ_MEM(ev.key_pub, "\x01\x36\0\1\0\x0b\0\2\4\x32\0\x20", 12);
	EQ_MEM(ev.key_pub + 12, sha256_of(text, sizeof(text)).p, 32);
	EQ_MEM(ev.key_pub + 312 - 256, ev.key_n, 256);

	/* Certify's name is 000b || SHA-256 of the public area. */
	struct lk_slice c = lk_slice_of(ev.certify, ev.certify_n), name;
	struct lk_slice digest = sha256_of(ev.key_pub + 2, 310);
	NEED(c.n == 141);
	name = lk_slice_sub(c, 141 - 2 * 36, 36);
	EQ_MEM(name.p, "\0\x22\0\x0b", 4);
	EQ_MEM(name.p + 4, digest.p, 32);
}

static void check_indices(void)
{
	EQ_U(cert_b.n, 2048);
	EQ_MEM(cert, "\x30\x82", 2);
	EQ_U(report_b.n, 2048);
	EQ_U(pub_b.n, 282);
	EQ_U(n_b.n, 256);
	static struct lk_hcl hcl;
	DO(lk_hcl_parse(lk_slice_buf(&report_b), &hcl, &err));
	EQ_BYTES(hcl.ak.n, hcl.ak.n_len, ak_n, n_b.n);
}

/* What each command must look like: hexadecimal, '?' where a value of the moment stands. Written
 * from TPM 2.0 part 3 and the notes on the known client; with VECTORS its capture must match too.
 */
struct pattern {
	const char *name, *head; /* of the command */
	const char *tail;
	bool captured, whole;
};
#define Q4  "????"
#define Q8  Q4 Q4
#define Q64 Q8 Q8 Q8 Q8 Q8 Q8 Q8 Q8
#define Z64 "0000000000000000000000000000000000000000000000000000000000000000"
#define PW  "400000090000000000"
static const struct pattern patterns[] = {
    {"NV_ReadPublic", "80010000000e0000016901c101d0", "", true, true},
    {"NV_Read cert", "8002000000230000014e4000000101c101d000000009" PW Q4 Q4, "", true, true},
    {"NV_Read report", "8002000000230000014e400000010140000100000009" PW Q4 Q4, "", true, true},
    {"ReadPublic", "80010000000e0000017381000003", "", true, true},
    {"PCR_Read", "8001000000140000017e00000001000b03ff0000", "", true, true},
    {"Quote",
	"80020000002900000158"
	"81000003"
	"00000009" PW "0000"
	"0010"
	"00000001000b03ff0000",
	"", true, true},
    {"CreatePrimary",
	"80020000015f00000131"
	"40000007"
	"00000009" PW "000400000000"
	"0136"
	"0001"
	"000b"
	"00020432"
	"0020" Q64 "0010"
	"0010"
	"0800"
	"00000000"
	"0100" Z64 Z64 Z64 Z64 Z64 Z64 Z64 Z64 "0000"
	"00000000",
	"", true, true},
    {"Certify",
	"80020000002c00000148"
	"80"
	"??????"
	"81000003"
	"00000012" PW PW "0000"
	"0010",
	"", true, true},
    {"StartAuthSession",
	"80010000002f00000176"
	"40000007"
	"40000007"
	"0014"
	"0000000000000000000000000000000000000000"
	"0000"
	"01"
	"0010"
	"000b",
	"", true, true},
    {"PolicyPCR",
	"80010000003a0000017f"
	"03"
	"??????"
	"0020" Q64 "00000001000b03ff0000",
	"", true, true},
    {"RSA_Decrypt RSAES",
	"80020000" Q4 "0000015980"
	"??????",
	"00150000", true, false},
    {"RSA_Decrypt OAEP",
	"80020000" Q4 "0000015980"
	"??????",
	"0017000b0000", true, false},
    /* our shorter session: empty nonce, the TPM ends it */
    {"RSA_Decrypt ours",
	"8002000001210000015980"
	"??????"
	"00000009"
	"03"
	"??????"
	"0000000000"
	"0100",
	"00150000", false, false},
    {"FlushContext",
	"80010000000e0000016580"
	"??????",
	"", true, true},
};

static bool matches(struct lk_slice hex, const char *pattern, size_t at)
{
	size_t n = strlen(pattern);
	if (at + n > hex.n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pattern[i] != '?' && (uint8_t)pattern[i] != hex.p[at + i])
			return false;
	return true;
}

static bool in_log(struct lk_slice log, const struct pattern *p)
{
	struct lk_slice hex;
	size_t tail = strlen(p->tail);
	while (rig_next_command(&log, &hex))
		if (matches(hex, p->head, 0) && hex.n >= tail &&
		    matches(hex, p->tail, hex.n - tail) && (!p->whole || hex.n == strlen(p->head)))
			return true;
	return false;
}

static unsigned count_commands(struct lk_slice log)
{
	struct lk_slice hex;
	unsigned n = 0;
	while (rig_next_command(&log, &hex))
		n++;
	return n;
}

T(attest_and_release)
{
	const char *why = rig_ready();
	if (why)
		SKIP(why);
	NEED(rig_serve("good", NULL));
	if (collect()) {
		check_indices();
		check_evidence();
		round_trip(LK_TPM_RSAES, "rsaes", "inner key of a token");
		round_trip(LK_TPM_OAEP_SHA256, "sha256", "key that wraps the released key");
	}
	lk_tpm_close(tpm);
	unsigned sent = lk_tpm_commands(tpm);
	struct lk_slice log = rig_read_log(rig_log, true);
	printf("# %u commands\n", sent);
	OK(sent <= LIMIT);
	EQ_U(count_commands(log), sent);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (!in_log(log, &patterns[i]))
			T_FAIL("no command like %s", patterns[i].name);
	rig_stop();
}

T(commands_of_the_known_client)
{
	const char *dir = getenv("VECTORS");
	if (!dir)
		SKIP("VECTORS is not set");
	char path[400];
	(void)snprintf(path, sizeof(path), "%s/azureguest/skr-release.tpm.txt", dir);
	struct lk_slice log = rig_read_log(path, false);
	OK(count_commands(log) > 60);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (in_log(log, &patterns[i]) != patterns[i].captured)
			T_FAIL("%s: the capture says otherwise", patterns[i].name);
}

T(every_padding)
{
	const char *why = rig_ready();
	if (why)
		SKIP(why);
	NEED(rig_serve("good", NULL));
	if (collect()) {
		round_trip(LK_TPM_RSAES, "rsaes", "");
		round_trip(LK_TPM_RSAES, "rsaes", "x");
		round_trip(LK_TPM_OAEP_SHA1, "sha1", "0123456789abcdef0123456789abcdef");
		round_trip(LK_TPM_OAEP_SHA256, "sha256", "0123456789abcdef0123456789abcdef");
		round_trip(LK_TPM_OAEP_SHA384, "sha384", "0123456789abcdef0123456789abcdef");
	}
	lk_tpm_close(tpm);
	rig_stop();
}

T(wrong_padding_is_refused_and_leaves_nothing_behind)
{
	const char *why = rig_ready();
	if (why)
		SKIP(why);
	NEED(rig_serve("good", NULL));
	if (collect()) {
		uint8_t cipher[256];
		LK_SECRET out = {0};
		OK(rig_encrypt("sha1", ev.key_n, "text", cipher));
		struct lk_slice in = lk_slice_of(cipher, 256);
		EQ_CODE(LK_ECRYPTO, lk_tpm_decrypt(tpm, LK_TPM_OAEP_SHA256, in, &out, soon, &err));
		EQ_U(out.n, 0);
		EQ_CODE(LK_ECRYPTO, lk_tpm_decrypt(tpm, LK_TPM_RSAES, in, &out, soon, &err));
		memset(cipher, 0xFF, 256); /* not below the modulus */
		EQ_CODE(LK_ECRYPTO, lk_tpm_decrypt(tpm, LK_TPM_RSAES, in, &out, soon, &err));
		EQ_CODE(LK_EPROTO,
		    lk_tpm_decrypt(tpm, LK_TPM_RSAES, lk_slice_of(cipher, 255), &out, soon, &err));
		round_trip(LK_TPM_OAEP_SHA1, "sha1", "text");
	}
	lk_tpm_close(tpm);
	struct lk_slice log = rig_read_log(rig_log, true), hex;
	unsigned started = 0, ended = 0;
	while (rig_next_command(&log, &hex)) {
		started += matches(hex, "80010000002f00000176", 0);
		ended += matches(hex, "80010000000e0000016503", 0);
	}
	EQ_U(started, 4);
	EQ_U(ended, 3); /* the fourth was ended by the TPM */
	rig_stop();
}
