/* The attestation courier as a process, for the SNP path: the test is its keeper and, over plain
 * HTTP on the loopback, the attestation service. The vault's courier is asked what needs no vault.
 */
#include "t.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "azure_answer.h"
#include "lk/b64.h"
#include "lk/courier.h"
#include "lk/io.h"

#define NONCE "0123456789_bcdef-BCDEF"

static uint8_t room[LK_FRAME_MAX], request[1 << 20], scratch_bytes[LK_FRAME_MAX];
static struct lk_err err;
static int listener = -1;

static struct lk_buf store(void)
{
	memset(&err, 0, sizeof(err));
	return (struct lk_buf){.p = room, .n = 0, .cap = sizeof(room), .bad = false};
}

static bool start(enum lk_peer peer, struct lk_courier *c)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(at);
	const struct timeval patience = {.tv_sec = 60}; /* a test that waits in vain ends */
	struct lk_courier_conf conf;

	memset(&conf, 0, sizeof(conf));
	memset(&err, 0, sizeof(err));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 8) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) != 0)
		return false;
	conf.peer = peer;
	(void)snprintf(conf.host, sizeof(conf.host), "127.0.0.1");
	conf.port = ntohs(at.sin_port);
	conf.disk_fd = -1;
	conf.deadline = lk_deadline_in(60000);
	return lk_courier_start(&conf, c, &err) == LK_OK;
}

static void stop(struct lk_courier *c)
{
	lk_courier_stop(c);
	lk_close(&listener);
}

/* ---- the service */

/* Take one request whole and answer it; the request stays in `request`, *body is its body. */
static void serve(const char *response, struct lk_slice *body)
{
	size_t n = 0, want = 0, head = 0;
	int fd = accept(listener, NULL, NULL);

	*body = lk_slice_of(NULL, 0);
	NEED(fd >= 0);
	while (want == 0 || n < want) {
		ssize_t got = read(fd, request + n, sizeof(request) - 1 - n);

		NEED(got > 0);
		n += (size_t)got;
		request[n] = '\0';
		const char *end = strstr((const char *)request, "\r\n\r\n");
		const char *length = strstr((const char *)request, "Content-Length: ");

		if (want == 0 && end && length) {
			head = (size_t)(end + 4 - (const char *)request);
			want = head + strtoul(length + 16, NULL, 10);
		}
	}
	*body = lk_slice_of(request + head, n - head);
	OK(write(fd, response, strlen(response)) == (ssize_t)strlen(response));
	close(fd);
}

static const char *http(const char *status, const char *body)
{
	static char out[65536];

	(void)snprintf(out, sizeof(out),
	    "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
	    "x-ms-request-id: r-1\r\n\r\n%s",
	    status, strlen(body), body);
	return out;
}

/* ---- evidence to token */

static uint8_t ramp[1184];

static struct lk_maa_snp evidence(void)
{
	for (size_t i = 0; i < sizeof(ramp); i++)
		ramp[i] = (uint8_t)(i * 7 + i / 256);
	return (struct lk_maa_snp){
	    .api_version = text("2025-06-01"),
	    .nonce = text(NONCE),
	    .report = lk_slice_of(ramp, sizeof(ramp)),
	    .certs_pem = text("-----BEGIN CERTIFICATE-----\n"),
	    .runtime = text("{\"keys\":[]}"),
	    .init_data = text("package policy"),
	    .endorsements = text("\xd2\x84"),
	};
}

static enum lk_code attest(struct lk_courier *c, const struct lk_maa_snp *ev, const char *response,
    struct lk_slice *body, struct lk_slice *jwt)
{
	struct lk_buf b = store();
	enum lk_code rc = lk_ask_attest_snp(c, ev, &b, &err);

	*jwt = *body = lk_slice_of(NULL, 0);
	if (rc == LK_OK && response)
		serve(response, body);
	b = store();
	return rc == LK_OK ? lk_wait_token(c, &b, jwt, &err) : rc;
}

T(evidence_becomes_a_token)
{
	static uint8_t want_bytes[65536];
	struct lk_buf scratch = LK_BUF(scratch_bytes), want = LK_BUF(want_bytes);
	struct lk_maa_snp ev = evidence();
	struct lk_slice jwt, body;
	struct lk_courier c;

	NEED(lk_maa_snp_body(&ev, &scratch, &want, &err) == LK_OK);
	NEED(start(LK_PEER_MAA, &c));
	EQ_CODE(
	    LK_OK, attest(&c, &ev, http("200 OK", "{\"token\":\"e30.e30.AAAA\"}"), &body, &jwt));
	EQ_BYTES(jwt.p, jwt.n, "e30.e30.AAAA", 12);
	EQ_BYTES(body.p, body.n, want.p, want.n);
	static const char line[] = "POST /attest/SevSnpVm?api-version=2025-06-01 HTTP/1.1\r\n";
	EQ_MEM(request, line, sizeof(line) - 1);
	OK(strstr((const char *)request, "\r\nContent-Type: application/json\r\n") != NULL);
	OK(strstr((const char *)request, "\r\nx-ms-client-request-id: ") != NULL);
	OK(strstr((const char *)request, "Authorization") == NULL);
	/* The same courier serves the next request. */
	EQ_CODE(
	    LK_OK, attest(&c, &ev, http("200 OK", "{\"token\":\"e30.e31.AAAA\"}"), &body, &jwt));
	EQ_BYTES(jwt.p, jwt.n, "e30.e31.AAAA", 12);
	stop(&c);
}

T(refusals_and_nonsense_are_not_repeated)
{
	static const struct {
		const char *status, *body;
		enum lk_code want;
		unsigned http;
	} rows[] = {
	    {"400 Bad Request", "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"m\"}}",
		LK_EATTEST, 400},
	    {"401 Unauthorized", "{}", LK_EDENIED, 401},
	    {"202 Accepted", "{\"token\":\"e30.e30.AAAA\"}", LK_EHTTP, 202},
	    {"200 OK", "{\"token\":\"e30.e30\"}", LK_EPROTO, 0},
	    {"200 OK", "{}", LK_EPROTO, 0},
	};
	struct lk_maa_snp ev = evidence();
	struct lk_slice jwt, body;
	struct lk_courier c;

	NEED(start(LK_PEER_MAA, &c));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum lk_code rc = attest(&c, &ev, http(rows[i].status, rows[i].body), &body, &jwt);
		if (rc != rows[i].want || err.retry)
			T_FAIL("row %zu: code %d, %s", i, (int)rc, err.msg);
		EQ_U(err.http, rows[i].http);
		EQ_U(jwt.n, 0);
	}
	stop(&c);
}

T(evidence_that_cannot_be_sent_is_named)
{
	static uint8_t big[LK_INIT_DATA_MAX + 1];
	struct lk_maa_snp ev = evidence();
	struct lk_slice jwt, body;
	struct lk_courier c;

	NEED(start(LK_PEER_MAA, &c));
	ev.init_data = lk_slice_of(big, sizeof(big));
	EQ_CODE(LK_ELIMIT, attest(&c, &ev, NULL, &body, &jwt));
	EQ_S(err.msg, "evidence: 65537 bytes of init data, at most 65536");
	ev = evidence();
	ev.api_version = text("2025-06-01&x=y");
	EQ_CODE(LK_ECONF, attest(&c, &ev, NULL, &body, &jwt));
	ev = evidence();
	ev.report.n--;
	EQ_CODE(LK_EATTEST, attest(&c, &ev, NULL, &body, &jwt));
	stop(&c);
}

/* ---- frames */

/* A frame of raw bytes is an error that says so, and the courier goes on. */
static enum lk_code answer_to(struct lk_courier *c, enum lk_frame type, struct lk_buf *b)
{
	static uint8_t mem[4096];
	struct lk_buf s = LK_BUF(mem);
	struct lk_frame_reader r;

	memset(&err, 0, sizeof(err));
	if (lk_courier_ask(c, type, b, &err) != LK_OK)
		return LK_EBUG;
	return lk_courier_wait(c, LK_F_CLAIMS, &s, &r, &err);
}

static struct lk_buf attest_frame(void)
{
	struct lk_maa_snp ev = evidence();
	struct lk_buf b = store();

	lk_frame_field(&b, ev.api_version);
	lk_frame_field(&b, ev.nonce);
	lk_frame_field(&b, ev.report);
	lk_frame_field(&b, ev.certs_pem);
	lk_frame_field(&b, ev.runtime);
	lk_frame_field(&b, ev.init_data);
	lk_frame_field(&b, ev.endorsements);
	return b;
}

T(an_attest_frame_is_whole)
{
	struct lk_courier c;
	struct lk_buf b = attest_frame();
	const size_t whole = b.n;

	NEED(start(LK_PEER_MAA, &c));
	for (size_t n = 0; n < whole; n += n < 60 || n > 1200 ? 1 : 97) {
		b = attest_frame();
		b.n = n;
		EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_ATTEST_SNP, &b));
	}
	b = attest_frame();
	lk_buf_byte(&b, 0);
	EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_ATTEST_SNP, &b));
	b = attest_frame();
	lk_frame_field(&b, LK_S(""));
	EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_ATTEST_SNP, &b));
	b = attest_frame();
	EQ_CODE(LK_EBUG, answer_to(&c, LK_F_TOKENS, &b)); /* another courier's */
	OK(c.fd >= 0);
	stop(&c);
}

/* A token for n = 01 .. 10 (16 bytes) and that nonce, of either path. */
#define KEYS                                                                                       \
	"\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQIDBAUGBwgJCgsMDQ4PEA\",\"e\":"       \
	"\"AQAB\"}]"
#define CLAIMS                                                                                     \
	"{\"iss\":\"https://127.0.0.1\",\"exp\":7,\"x-ms-attestation-type\":\"sevsnpvm\","         \
	"\"x-ms-runtime\":{" KEYS ",\"latchkey\":{\"boot-nonce\":\"" NONCE "\"}}}"

static struct lk_buf check_frame_of(uint32_t path, size_t token_size)
{
	static const uint8_t n[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	static uint8_t jwt[LK_TOKEN_MAX + 1];
	struct lk_buf j = LK_BUF(jwt), b = store();

	lk_buf_str(&j, "e30.");
	lk_b64url_encode(text(CLAIMS), &j);
	lk_buf_byte(&j, '.');
	while (j.n < token_size)
		lk_buf_byte(&j, 'A');
	lk_frame_u32(&b, path);
	lk_frame_field(&b, lk_slice_buf(&j));
	lk_frame_field(&b, lk_slice_of(n, sizeof(n)));
	lk_frame_field(&b, text(NONCE));
	return b;
}

static struct lk_buf check_frame(uint32_t path)
{
	return check_frame_of(path, 1000);
}

T(a_token_check_names_its_path)
{
	struct lk_courier c;
	struct lk_buf b = check_frame(LK_MAA_SNP);
	const size_t whole = b.n;

	NEED(start(LK_PEER_MAA, &c));
	EQ_CODE(LK_OK, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	b = check_frame(LK_MAA_GUEST);
	EQ_CODE(LK_EATTEST, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	b = check_frame(2);
	EQ_CODE(LK_EBUG, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	b = check_frame(UINT32_MAX);
	EQ_CODE(LK_EBUG, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	for (size_t n = 0; n < whole; n += 5) {
		b = check_frame(LK_MAA_SNP);
		b.n = n;
		EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	}
	b = check_frame(LK_MAA_SNP);
	lk_frame_u32(&b, 0);
	EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	b = check_frame_of(LK_MAA_SNP, LK_TOKEN_MAX);
	EQ_CODE(LK_OK, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	b = check_frame_of(LK_MAA_SNP, LK_TOKEN_MAX + 1);
	EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_TOKEN_CHECK, &b));
	stop(&c);
}

/* ---- the vault's courier */

static struct lk_buf release_frame(uint32_t enc, uint32_t block)
{
	struct lk_buf b = store();

	lk_frame_field(&b, text("https://v.vault.azure.net/keys/k"));
	lk_frame_field(&b, text("7.4"));
	lk_frame_field(&b, text("b"));
	lk_frame_field(&b, text("e30.e30.AAAA"));
	lk_frame_field(&b, text("n"));
	lk_frame_u32(&b, enc);
	lk_frame_field(&b, text("k"));
	lk_frame_u32(&b, block);
	return b;
}

T(a_release_is_for_an_rsa_key)
{
	static const uint32_t bad[] = {0, 8, 255, 257, 264, 320, 383, 448, 511, 513, 768, 1024};
	struct lk_courier c;
	struct lk_buf b;

	NEED(start(LK_PEER_VAULT, &c));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = release_frame(LK_ENC_SHA256, bad[i]);
		EQ_CODE(LK_EBUG, answer_to(&c, LK_F_RELEASE, &b));
		OK(strncmp(err.msg, "release: a wrapping key of ", 27) == 0);
	}
	for (uint32_t block = 256; block <= 512; block += 128) {
		b = release_frame(LK_ENC_SHA1, block);
		EQ_CODE(LK_EBUG, answer_to(&c, LK_F_RELEASE, &b));
		OK(strstr(err.msg, "asked of the courier for 127.0.0.1") != NULL);
	}
	b = release_frame(3, 256);
	EQ_CODE(LK_EBUG, answer_to(&c, LK_F_RELEASE, &b));
	OK(strstr(err.msg, "wrapping of kind 3") != NULL);
	b = release_frame(LK_ENC_SHA256, 256);
	for (size_t n = b.n; n-- > 0;) {
		b = release_frame(LK_ENC_SHA256, 256);
		b.n = n;
		EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_RELEASE, &b));
	}
	b = release_frame(LK_ENC_SHA256, 256);
	lk_frame_u32(&b, 0);
	EQ_CODE(LK_EPROTO, answer_to(&c, LK_F_RELEASE, &b));
	stop(&c);
}
