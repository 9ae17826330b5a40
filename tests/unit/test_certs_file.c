/* The file of platform certificates that confidential containers have, asked of a real courier. */
#include "certs_rig.h"

#include "lk/b64.h"
#include "lk/io.h"

static struct lk_slice encoded(const char *text)
{
	static uint8_t mem[40000];
	struct lk_buf b = LK_BUF(mem);

	lk_b64_encode(lk_slice_of(text, strlen(text)), &b);
	lk_buf_byte(&b, 0);
	return lk_slice_of(mem, b.n - 1);
}

static enum lk_code file_of(const struct made *m, bool with_report, const char *tcbm)
{
	return ask(LK_CERTS_FILE, with_report ? m->report : NONE, encoded(document(m, tcbm)));
}

T(file_says_its_tcb)
{
	const struct made *m = made("milan3"), *stale = made("tcb8");
	const char *pem;

	NO_PEER;
	EQ_CODE(LK_OK, file_of(m, true, "\"tcbm\":\"DB81000003020104\",")); /* gen_snp's TCB */
	pem = pem_of(&m->certs, LK_SNP_VCEK);
	EQ_BYTES(got.pem.p, got.pem.n, pem, strlen(pem));
	EQ_U(got.tcbm, 0xDB81000003020104u);
	EQ_U(got.tcbm, m->snp.reported_tcb);
	EQ_CODE(LK_OK, file_of(m, true, "")); /* then the certificate says it */
	OK(got.has_tcbm);
	EQ_U(got.tcbm, m->snp.reported_tcb);
	EQ_CODE(LK_OK, file_of(m, false, ""));
	OK(!got.has_tcbm);
	/* A VCEK of other firmware shows in the TCB, which the caller compares. */
	EQ_CODE(LK_OK, file_of(stale, true, ""));
	EQ_U(got.tcbm, made_tcb(stale));
	OK(got.tcbm != stale->snp.reported_tcb);
	EQ_CODE(LK_EATTEST, file_of(m, true, "\"tcbm\":\"DB81000003020105\","));
	says("tcbm is db81000003020105, but the VCEK is for TCB db81000003020104");
	EQ_CODE(LK_OK, file_of(m, false, "\"tcbm\":\"DB81000003020105\","));
	EQ_CODE(LK_EATTEST, file_of(made("chip"), true, ""));
	says("another processor");
	lk_courier_stop(&courier);
}

static enum lk_code file_text(const char *text)
{
	return ask(LK_CERTS_FILE, NONE, lk_slice_of(text, strlen(text)));
}

T(file_of_every_form)
{
	static char text[40000], with[42000];
	struct lk_slice b64;

	NO_PEER;
	for (unsigned pad = 0; pad < 3; pad++) { /* blanks that move the padding */
		char extra[8] = "   ";

		extra[pad] = '\0';
		b64 = encoded(document(made("milan3"), extra));
		memcpy(text, b64.p, b64.n + 1);
		EQ_CODE(LK_OK, file_text(text));
		strcat(text, "\r\n \t\n");
		EQ_CODE(LK_OK, file_text(text));
		*strpbrk(text, "=\r") = '\0';
		EQ_CODE(LK_OK, file_text(text));
		strcat(text, "\n");
		EQ_CODE(LK_OK, file_text(text));
	}
	b64 = encoded(document(made("milan3"), ""));
	size_t n = 0;
	for (size_t i = 0; i < b64.n; i++) { /* as base64(1) breaks lines */
		with[n++] = (char)b64.p[i];
		if (i % 76 == 75)
			with[n++] = '\n';
	}
	with[n] = '\0';
	EQ_CODE(LK_OK, file_text(with));
	lk_courier_stop(&courier);
}

T(file_that_is_none)
{
	static char text[40000];

	NO_PEER;
	EQ_CODE(LK_EPROTO, file_text(""));
	EQ_CODE(LK_EPROTO, file_text("\n"));
	EQ_CODE(LK_EPROTO, file_text("="));
	EQ_CODE(LK_EPROTO, file_text("e30===")); /* {} */
	EQ_CODE(LK_EPROTO, file_text("e30="));
	EQ_CODE(LK_EPROTO, file_text("e30==="));
	EQ_CODE(LK_EPROTO, file_text("{}"));
	EQ_CODE(LK_EPROTO, file_text(document(made("milan3"), "")));
	struct lk_slice b64 = encoded(document(made("milan3"), ""));
	memcpy(text, b64.p, b64.n + 1);
	text[100] = '-'; /* base64url is something else */
	EQ_CODE(LK_EPROTO, file_text(text));
	memcpy(text, b64.p, b64.n + 1);
	text[b64.n / 2] = '\0';
	EQ_CODE(LK_EPROTO, file_text(text));
	EQ_CODE(LK_OK, ask(LK_CERTS_FILE, NONE, b64));
	lk_courier_stop(&courier);
}

T(file_whose_pem_is_damaged)
{
	const struct made *m = made("milan3");
	char *text = strdup(document(m, ""));

	NO_PEER;
	NEED(text != NULL);
	strstr(text, "MII")[0] = '!';
	EQ_CODE(LK_OK, file_text((const char *)encoded(text).p)); /* nobody looked */
	EQ_CODE(LK_EPROTO, ask(LK_CERTS_FILE, m->report, encoded(text)));
	says("PEM");
	free(text);
	lk_courier_stop(&courier);
}

T(file_larger_than_there_is_room)
{
	static uint8_t big[LK_FRAME_MAX - 2000];

	memset(big, 'A', sizeof(big));
	NO_PEER;
	EQ_CODE(LK_ELIMIT, ask(LK_CERTS_FILE, NONE, lk_slice_of(big, sizeof(big))));
	lk_courier_stop(&courier);
}

/* The real pair of Milan. */
T(real_file)
{
	static uint8_t raw[LK_SNP_REPORT_SIZE], json[16000], b64[24000];
	struct lk_buf r = LK_BUF(raw), j = LK_BUF(json), b = LK_BUF(b64);
	const char *dir = getenv("VECTORS");
	char path[300];

	if (!dir)
		SKIP("VECTORS is not set");
	(void)snprintf(path, sizeof(path), "%s/snp/milan-v2-report.bin", dir);
	EQ_CODE(LK_OK, lk_file_read(path, &r, &e));
	(void)snprintf(path, sizeof(path), "%s/snp/milan-thim.json", dir);
	EQ_CODE(LK_OK, lk_file_read(path, &j, &e));
	lk_b64_encode(lk_slice_buf(&j), &b);
	lk_buf_byte(&b, '\n');
	NO_PEER;
	EQ_CODE(LK_OK, ask(LK_CERTS_FILE, lk_slice_buf(&r), lk_slice_buf(&b)));
	EQ_U(got.tcbm, 0x7308000000000003u);
	raw[0x187] = 0x74; /* a report of newer firmware: the TCB stays that of the VCEK */
	EQ_CODE(LK_OK, ask(LK_CERTS_FILE, lk_slice_buf(&r), lk_slice_buf(&b)));
	EQ_U(got.tcbm, 0x7308000000000003u);
	raw[0x1A0] ^= 1;
	EQ_CODE(LK_EATTEST, ask(LK_CERTS_FILE, lk_slice_buf(&r), lk_slice_buf(&b)));
	says("(b12164b4");
	lk_courier_stop(&courier);
}
