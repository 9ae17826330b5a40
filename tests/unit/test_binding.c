/* The token of type latchkey: JSON both ways, the MAC and the disk key. Kinds other than derived
 * are in test_kinds.c and test_kind_json.c. */
#include "t.h"

#include "lk/binding.h"

/* Worked out with Python's hmac and hashlib from the text of lk/binding.h, not with this code:
 *
 *   prk = hmac(salt, ikm); out = hmac(prk, info + b"\x01")            (HKDF, one block)
 *   mac = hmac(out_token, b"".join(len(f).to_bytes(4, "little") + f for f in fields))
 *
 * with ikm = bytes(range(128)), salt = bytes(range(0xa0, 0xc0)) and the fields of sample(). */
#define WANT_KEY "xlcKCcgpVW_Quocv9OFSbm20gUBSLs-kHTHlZXHJ0m4"
static const uint8_t want_mac[32] = {0x3a, 0xfa, 0xb9, 0x47, 0xad, 0x4a, 0x44, 0x29, 0x7a, 0xe7,
    0xb8, 0xe9, 0x4f, 0x90, 0xf1, 0xc4, 0x9d, 0xaa, 0x32, 0x79, 0x37, 0x0f, 0xb3, 0xda, 0x75, 0xc5,
    0x79, 0xc9, 0x51, 0x8a, 0x9e, 0x66};

static struct lk_binding sample(void)
{
	struct lk_binding b;

	memset(&b, 0, sizeof(b));
	b.token = 3;
	b.slot = 5;
	strcpy(b.id, "0123456789abcdef");
	strcpy(b.kind, "derived");
	strcpy(b.key, "https://kv1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff");
	strcpy(b.attest, "https://sharedweu.weu.attest.azure.net");
	strcpy(b.thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	strcpy(b.uuid, "6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab");
	for (size_t i = 0; i < 32; i++)
		b.salt[i] = (uint8_t)(0xa0 + i);
	return b;
}

static void ikm_of(struct lk_secret *ikm)
{
	ikm->n = 128;
	for (size_t i = 0; i < ikm->n; i++)
		ikm->p[i] = (uint8_t)i;
}

T(the_mac_is_the_known_answer)
{
	struct lk_binding b = sample();
	struct lk_err e = {0};
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	EQ_CODE(LK_OK, lk_binding_seal(&b, &ikm, &e));
	EQ_MEM(b.mac, want_mac, 32);
	EQ_CODE(LK_OK, lk_binding_verify(&b, &ikm, &e));
}

T(the_disk_key_is_the_known_answer)
{
	struct lk_binding b = sample();
	const struct lk_pub pub = {.kty = LK_KTY_RSA};
	struct lk_err e = {0};
	LK_SECRET ikm = {0};
	LK_SECRET key = {0};

	ikm_of(&ikm);
	EQ_CODE(LK_OK, lk_binding_disk_key(&b, &pub, LK_S(""), &ikm, &key, &e));
	EQ_BYTES(key.p, key.n, WANT_KEY, strlen(WANT_KEY));
}

static void flip(struct lk_binding *b, int field)
{
	switch (field) {
	case 0:
		b->id[0] ^= 1;
		break;
	case 1:
		strcpy(b->kind, "raw");
		break;
	case 2:
		b->key[8] = 'x';
		break;
	case 3:
		b->attest[8] = 'x';
		break;
	case 4:
		b->thumbprint[0] = 'x';
		break;
	case 5:
		b->uuid[0] ^= 1;
		break;
	case 6:
		b->salt[31] ^= 0x80;
		break;
	case 7:
		b->mac[0] ^= 1;
		break;
	case 8: /* a byte that moves from one field to the next */
		memmove(b->attest + 1, b->attest, strlen(b->attest) + 1);
		b->attest[0] = b->key[strlen(b->key) - 1];
		b->key[strlen(b->key) - 1] = '\0';
		break;
	default:
		b->thumbprint[0] = '\0';
		break;
	}
}

T(every_edited_field_is_refused)
{
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	for (int i = 0; i < 10; i++) {
		struct lk_binding b = sample();
		struct lk_err e = {0};

		NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
		flip(&b, i);
		EQ_CODE(LK_ETRUST, lk_binding_verify(&b, &ikm, &e));
	}
}

T(another_key_is_refused)
{
	struct lk_binding b = sample();
	struct lk_err e = {0};
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
	ikm.p[127] ^= 1;
	EQ_CODE(LK_ETRUST, lk_binding_verify(&b, &ikm, &e));
	OK(strstr(e.msg, "token 3") != NULL);
	ikm.n = 0;
	EQ_CODE(LK_EBUG, lk_binding_verify(&b, &ikm, &e));
}

T(the_slot_and_the_token_number_are_not_covered)
{
	struct lk_binding b = sample();
	struct lk_err e = {0};
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
	b.slot = 1;
	b.token = 0;
	EQ_CODE(LK_OK, lk_binding_verify(&b, &ikm, &e));
}

T(what_became_of_it_is_not_covered)
{
	struct lk_binding b = sample();
	struct lk_err e = {0};
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
	EQ_MEM(b.mac, want_mac, 32);
	b.state = LK_BINDING_PENDING;
	strcpy(b.replaced_by, "fedcba9876543210");
	b.borrowed = true;
	EQ_CODE(LK_OK, lk_binding_verify(&b, &ikm, &e));
	NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
	EQ_MEM(b.mac, want_mac, 32);
}

/* ---- JSON */

static struct lk_json_tok toks[256];

static enum lk_code read_text(const char *text, struct lk_binding *out, struct lk_err *e)
{
	struct lk_json j;
	enum lk_code rc = lk_json_parse(lk_slice_str(text), toks, 256, &j, e);

	return rc == LK_OK ? lk_binding_read(&j, 3, out, e) : rc;
}

T(what_is_written_is_read)
{
	struct lk_binding b = sample(), got;
	char text[2048];
	struct lk_buf json = {.p = (uint8_t *)text, .n = 0, .cap = sizeof(text) - 1, .bad = false};
	struct lk_err e = {0};

	memset(b.mac, 0x5a, 32);
	NEED(lk_binding_write(&b, &json, &e) == LK_OK);
	text[json.n] = '\0';
	EQ_CODE(LK_OK, read_text(text, &got, &e));
	EQ_MEM(&got, &b, sizeof(b));
	OK(strstr(text, "\"keyslots\":[\"5\"]") != NULL);
	OK(strstr(text, "\"version\":1,") != NULL);
}

/* Both ways in every state; `want` is in the text. */
static void state_both_ways(const struct lk_binding *b, const char *want)
{
	struct lk_binding got;
	char text[2048];
	struct lk_buf json = {.p = (uint8_t *)text, .n = 0, .cap = sizeof(text) - 1, .bad = false};
	struct lk_err e = {0};

	NEED(lk_binding_write(b, &json, &e) == LK_OK);
	text[json.n] = '\0';
	EQ_CODE(LK_OK, read_text(text, &got, &e));
	EQ_MEM(&got, b, sizeof(got));
	if (strstr(text, want) == NULL)
		T_FAIL("no %s in %s", want, text);
	OK((strstr(text, "pending-slot") != NULL) == (b->state == LK_BINDING_PENDING));
	OK((strstr(text, "replaced-by") != NULL) == (b->replaced_by[0] != '\0'));
	OK((strstr(text, "borrowed") != NULL) == b->borrowed);
}

T(every_state_is_written_and_read)
{
	struct lk_binding b = sample();

	state_both_ways(&b, "\"keyslots\":[\"5\"],\"version\"");
	b.state = LK_BINDING_PENDING;
	state_both_ways(&b, "\"keyslots\":[],\"pending-slot\":\"5\",");
	b.state = LK_BINDING_CUT;
	b.slot = 0;
	state_both_ways(&b, "\"keyslots\":[],\"version\"");
	b = sample();
	strcpy(b.replaced_by, "fedcba9876543210");
	state_both_ways(&b, "\"replaced-by\":\"fedcba9876543210\"");
	b.borrowed = true;
	state_both_ways(&b, "\"borrowed\":true");
	b.replaced_by[0] = 'F';
	struct lk_err e = {0};
	uint8_t mem[2048];
	struct lk_buf json = LK_BUF(mem);
	EQ_CODE(LK_EUSAGE, lk_binding_write(&b, &json, &e));
	EQ_U(json.n, 0);
}

T(an_oct_key_has_no_thumbprint)
{
	struct lk_binding b = sample(), got;
	char text[2048];
	struct lk_buf json = {.p = (uint8_t *)text, .n = 0, .cap = sizeof(text) - 1, .bad = false};
	struct lk_err e = {0};

	memset(b.thumbprint, 0, sizeof(b.thumbprint));
	NEED(lk_binding_write(&b, &json, &e) == LK_OK);
	text[json.n] = '\0';
	EQ_CODE(LK_OK, read_text(text, &got, &e));
	EQ_MEM(&got, &b, sizeof(b));
}

#define GOOD                                                                                       \
	"{\"type\":\"latchkey\",\"keyslots\":[\"1\"],\"version\":1,\"id\":\"0123456789abcdef\","   \
	"\"kind\":\"derived\",\"key\":\"https:\\/\\/kv1.vault.azure.net\\/keys\\/disk\","          \
	"\"attest\":\"https://a.attest.azure.net\",\"thumbprint\":\"\","                           \
	"\"uuid\":\"6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab\","                                       \
	"\"salt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","                                \
	"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"more\":[1,2]}"

T(escaped_slashes_and_unknown_members_are_fine)
{
	struct lk_binding b;
	struct lk_err e = {0};

	EQ_CODE(LK_OK, read_text(GOOD, &b, &e));
	EQ_S(b.key, "https://kv1.vault.azure.net/keys/disk");
	EQ_U(b.slot, 1);
	EQ_U(b.token, 3);
}

T(a_token_that_lists_no_slot_is_cut)
{
	struct lk_binding b;
	struct lk_err e = {0};
	char text[2048];
	const char *at = strstr(GOOD, "[\"1\"]");

	NEED(at != NULL);
	snprintf(text, sizeof(text), "%.*s[]%s", (int)(at - GOOD), GOOD, at + 5);
	EQ_CODE(LK_OK, read_text(text, &b, &e));
	EQ_U(b.state, LK_BINDING_CUT);
	EQ_U(b.slot, 0);
}

/* Each row: a text in GOOD and what takes its place. */
static void rows_are_refused(const char *const row[][2], size_t n)
{
	char text[2048];

	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(GOOD, row[i][0]);
		struct lk_binding b;
		struct lk_err e = {0};

		NEED(at != NULL);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - GOOD), GOOD, row[i][1],
		    at + strlen(row[i][0]));
		enum lk_code rc = read_text(text, &b, &e);
		if (rc != LK_ELUKS)
			T_FAIL("row %zu gives code %d: %s", i, (int)rc, e.msg);
		else if (strncmp(e.msg, "token 3: ", 9) != 0)
			T_FAIL("row %zu does not name the token: %s", i, e.msg);
	}
}

T(malformed_members_are_refused)
{
	static const char *const row[][2] = {
	    {"\"type\":\"latchkey\"", "\"type\":\"clevis\""},
	    {"[\"1\"]", "[\"1\",\"2\"]"},
	    {"[\"1\"]", "[1]"},
	    {"[\"1\"]", "[\"32\"]"},
	    {"[\"1\"]", "[\"-1\"]"},
	    {"[\"1\"]", "\"1\""},
	    {"\"version\":1", "\"version\":2"},
	    {"\"version\":1", "\"version\":\"1\""},
	    {"\"id\":\"0123456789abcdef\"", "\"id\":\"0123456789abcde\""},
	    {"\"id\":\"0123456789abcdef\"", "\"id\":\"0123456789ABCDEF\""},
	    {"\"id\":\"0123456789abcdef\",", ""},
	    {"\"id\":\"0123456789abcdef\",",
		"\"id\":\"0123456789abcdef\",\"id\":\"0123456789abcdef\","},
	    {"\"kind\":\"derived\"", "\"kind\":\"\""},
	    {"\"kind\":\"derived\"", "\"kind\":\"a word too long\""},
	    {"\"kind\":\"derived\"", "\"kind\":null"},
	    {"https:\\/\\/kv1", "http:\\/\\/kv1"},
	    {"kv1.vault.azure.net\\/keys\\/disk", "kv1.vault.azure.net\\/secrets\\/disk"},
	    {"https://a.attest.azure.net", "https://a.attest.azure.net/x"},
	    {"https://a.attest.azure.net", "https://a.attest.azure.net\\u001b"},
	    {"\"thumbprint\":\"\"", "\"thumbprint\":\"abc\""},
	    {"6a3b1f2e-0c4d", "6a3b1f2e-0c4"},
	    {"6a3b1f2e-0c4d", "6A3B1F2E-0C4D"},
	    {"\"salt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "\"salt\":\"AAAA\""},
	    {"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
		"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""},
	    {"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
		"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\""},
	};
	rows_are_refused(row, sizeof(row) / sizeof(row[0]));
}

T(malformed_states_are_refused)
{
	static const char *const row[][2] = {
	    {"[\"1\"]", "[\"1\"],\"pending-slot\":\"1\""},
	    {"[\"1\"]", "[],\"pending-slot\":1"},
	    {"[\"1\"]", "[],\"pending-slot\":\"32\""},
	    {"[\"1\"]", "[],\"pending-slot\":\"\""},
	    {"[\"1\"]", "[],\"pending-slot\":null"},
	    {"[\"1\"]", "[],\"pending-slot\":[\"1\"]"},
	    {"[\"1\"]", "[],\"pending-slot\":\"1\",\"pending-slot\":\"1\""},
	    {"[\"1\"]", "[],\"pending-slot\":\"1\",\"pending-sl\\u006ft\":\"2\""},
	    {"\"version\":1", "\"version\":1,\"replaced-by\":\"\""},
	    {"\"version\":1", "\"version\":1,\"replaced-by\":\"0123456789abcde\""},
	    {"\"version\":1", "\"version\":1,\"replaced-by\":\"0123456789ABCDEF\""},
	    {"\"version\":1", "\"version\":1,\"replaced-by\":\"0123456789abcdef0\""},
	    {"\"version\":1", "\"version\":1,\"replaced-by\":null"},
	    {"\"version\":1", "\"version\":1,\"borrowed\":false"},
	    {"\"version\":1", "\"version\":1,\"borrowed\":\"true\""},
	    {"\"version\":1", "\"version\":1,\"borrowed\":null"},
	    {"\"version\":1", "\"version\":1,\"borrowed\":true,\"borrowed\":true"},
	};

	rows_are_refused(row, sizeof(row) / sizeof(row[0]));
}

T(what_could_not_be_read_is_not_written)
{
	struct lk_binding b = sample();
	uint8_t mem[2048];
	struct lk_buf json = LK_BUF(mem);
	struct lk_err e = {0};

	b.uuid[3] = 'X';
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	b = sample();
	b.slot = 32;
	EQ_CODE(LK_EUSAGE, lk_binding_write(&b, &json, &e));
	b = sample();
	json.cap = 100;
	json.n = 0;
	EQ_CODE(LK_ELIMIT, lk_binding_write(&b, &json, &e));
}
