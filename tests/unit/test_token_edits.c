/* 100,000 random edits of valid tokens, as the host can make them: with right checksums. Whatever
 * comes of it, what the pins let through names what is pinned, what the MAC lets through says what
 * was sealed, and every refusal has a name.
 *
 * The edits follow from their numbers. EDIT=NUMBER in the environment does that one alone and shows
 * it; EDITS=COUNT does fewer or more of them. */
#include "t.h"

#include "lk/log.h"
#include "lk/unlock.h"
#include "token_edits.h"

#define SEED   UINT64_C(20240229)
#define UUID_B "9b2c4d5e-1f3a-4b6c-8d7e-ba9876543210"
#define KEY    "https://kv1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff"
#define ATTEST "https://sharedweu.weu.attest.azure.net"
#define THUMB  "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
/* How an edit ended. */
enum end {
	E_HEADER,   /* the header is none */
	E_TOKEN,    /* the token is none: said in the log, and passed over */
	E_IDLE,     /* not active */
	E_PINS,     /* it contradicts the pins, or is not the one that they mean */
	E_MAC,      /* the released key says that it was changed */
	E_UNHARMED, /* it still says what was sealed */
	E_ENDS
};
static const char *const end_name[E_ENDS] = {"refused as headers", "refused as tokens",
    "refused as not active", "refused by the pins", "refused by the MAC", "unharmed"};

enum base { B_DERIVED, B_OCT, B_RAW, B_COMPAT, B_WRAPPED, B_MARKED, B_PENDING, B_BASES };

static struct lk_binding sealed[B_BASES], other[B_BASES]; /* of this disk and of another one */
static struct ed_token fields[B_BASES], other_fields[B_BASES];
static struct lk_secret ikm;
static struct lk_conf conf;
static struct lk_luks2 h, through;
static struct image m;
static int disk = -1;
static uint64_t number;
static bool shown;
static unsigned lines, bad_lines;

/* ---- the good ones */

static void make(enum base kind, bool elsewhere, struct lk_binding *b, struct ed_token *t)
{
	static const enum lk_kind is[B_BASES] = {
	    LK_DERIVED, LK_DERIVED, LK_RAW, LK_COMPAT, LK_WRAPPED, LK_DERIVED, LK_DERIVED};
	uint8_t text[LK_BINDING_JSON_MAX + 1] = {0};
	struct lk_buf json = {.p = text, .n = 0, .cap = LK_BINDING_JSON_MAX, .bad = false};
	struct lk_err e = {0};

	memset(b, 0, sizeof(*b));
	b->token = 3;
	b->slot = 5;
	strcpy(b->id, elsewhere ? "fedcba9876543210" : "0123456789abcdef");
	strcpy(b->kind, lk_kind_name(is[kind]));
	strcpy(b->key, KEY);
	strcpy(b->attest, ATTEST);
	strcpy(b->thumbprint, kind == B_OCT || kind == B_RAW ? "" : THUMB);
	strcpy(b->uuid, elsewhere ? UUID_B : IMG_UUID);
	memset(b->salt, elsewhere ? 0x4b : 0xa4, sizeof(b->salt));
	if (kind == B_COMPAT) {
		b->kdf_salt_len = 20;
		memset(b->kdf_salt, elsewhere ? 1 : 2, 20);
		strcpy(b->label, elsewhere ? "some other label" : "the label");
	}
	if (kind == B_WRAPPED) {
		memset(b->salt, 0, sizeof(b->salt));
		b->wrapped_len = 256;
		memset(b->wrapped, elsewhere ? 0x11 : 0x22, 256);
	}
	if (kind == B_MARKED)
		strcpy(b->replaced_by, "00000000000000aa");
	if (kind == B_PENDING)
		b->state = LK_BINDING_PENDING;
	if (kind != B_WRAPPED && lk_binding_seal(b, &ikm, &e) != LK_OK)
		T_FAIL("%s", e.msg);
	if (lk_binding_write(b, &json, &e) != LK_OK)
		T_FAIL("%s", e.msg);
	ed_split((const char *)text, t);
}

static void configure(enum base kind)
{
	struct lk_err e = {0};

	memset(&conf, 0, sizeof(conf));
	strcpy(conf.name, "root");
	strcpy(conf.uuid, IMG_UUID);
	strcpy(conf.key, KEY);
	strcpy(conf.attest, ATTEST);
	strcpy(conf.thumbprint, sealed[kind].thumbprint);
	conf.kind = kind == B_RAW ? LK_RAW : kind == B_COMPAT ? LK_COMPAT : LK_DERIVED;
	if (kind == B_WRAPPED) {
		conf.kind = LK_WRAPPED;
		if (lk_binding_pin(&sealed[kind], conf.wrapped, &e) != LK_OK)
			T_FAIL("%s", e.msg);
	}
}

/* ---- one edit */

/* Out of twenty: twelve edits of fields, four of the token's text, one of the document's, three
 * with two tokens: another disk's beside this one's, and the same one twice. */
static void edit(enum base kind, char *doc)
{
	static void (*const of_fields[])(struct ed_token *, const struct ed_token *) = {
	    ed_replace, ed_swap, ed_delete, ed_insert, ed_reorder, ed_escape, ed_nest, ed_lengthen};
	static void (*const of_text[])(char *, size_t) = {ed_flip, ed_spaces, ed_cut, ed_double};
	static struct ed_token t;
	static char text[ED_TEXT], second[ED_TEXT];
	const struct ed_token *o = &other_fields[ed_below(4) ? kind : ed_below(B_BASES)];
	const size_t rounds = ed_below(3) ? 1 : 1 + ed_below(4), where = ed_below(20);

	t = fields[kind];
	for (size_t i = 0; where < 12 && i < rounds; i++)
		ED_PICK(of_fields)(&t, o);
	ed_join(&t, text, sizeof(text));
	for (size_t i = 0; where >= 12 && where < 16 && i < rounds; i++)
		ED_PICK(of_text)(text, sizeof(text));
	document(doc, text);
	for (size_t i = 0; where == 16 && i < rounds; i++)
		ED_PICK(of_text)(doc, ED_ROOM);
	if (where <= 16)
		return;
	ed_join(where == 19 ? &fields[kind] : o, second, sizeof(second));
	doc[0] = '\0';
	add(doc, ED_HEAD);
	add_token(doc, ed_below(5), second);
	add_token(doc, ed_below(40), text);
	add(doc, ED_TAIL);
}

/* The host writes what it likes into the binary header as well. */
static void write_disk(const char *doc, bool binary)
{
	memset(&m, 0, ED_SIZE);
	image_copy(&m, 0, ED_SIZE, 4, doc);
	const size_t at = ed_below(512), bit = ed_below(8);

	if (binary)
		m.p[at] ^= (uint8_t)(1u << bit);
	if (binary && ed_below(4))
		image_sum(&m, 0, ED_SIZE);
	if (pwrite(disk, m.p, ED_SIZE, 0) != ED_SIZE)
		abort();
}

/* ---- and what became of it */

static void line_said(void *ctx, enum lk_level level, const char *line)
{
	(void)ctx;
	(void)level;
	lines++;
	bad_lines += !one_line(line);
	if (shown)
		printf("# log: %s\n", line);
}

static bool named(enum lk_code rc, const struct lk_err *e)
{
	if (rc == e->code && one_line(e->msg) && (e->hint[0] == '\0' || one_line(e->hint)))
		return true;
	T_FAIL("edit %ju: code %d, error %d without a proper name: %s", (uintmax_t)number, (int)rc,
	    (int)e->code, e->msg);
	return false;
}

static bool names_what_is_pinned(const struct lk_binding *b)
{
	return same_place(b->key, conf.key) && same_place(b->attest, conf.attest) &&
	       strcmp(b->uuid, conf.uuid) == 0 && strcmp(b->thumbprint, conf.thumbprint) == 0 &&
	       b->state == LK_BINDING_ACTIVE && b->slot <= LK_SLOT_MAX &&
	       (strcmp(b->kind, "derived") == 0 || strcmp(b->kind, lk_kind_name(conf.kind)) == 0);
}

static bool says_what_was_sealed(const struct lk_binding *b, const struct lk_binding *was)
{
	if (lk_binding_is(was, LK_WRAPPED))
		return strcmp(b->kind, was->kind) == 0 && b->wrapped_len == was->wrapped_len &&
		       memcmp(b->wrapped, was->wrapped, was->wrapped_len) == 0;
	return strcmp(b->id, was->id) == 0 && strcmp(b->kind, was->kind) == 0 &&
	       strcmp(b->key, was->key) == 0 && strcmp(b->attest, was->attest) == 0 &&
	       strcmp(b->thumbprint, was->thumbprint) == 0 && strcmp(b->uuid, was->uuid) == 0 &&
	       memcmp(b->salt, was->salt, sizeof(b->salt)) == 0 &&
	       (!lk_binding_is(was, LK_COMPAT) ||
		   (b->kdf_salt_len == was->kdf_salt_len && strcmp(b->label, was->label) == 0 &&
		       memcmp(b->kdf_salt, was->kdf_salt, was->kdf_salt_len) == 0));
}

static enum end judge(enum base kind)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	/* What only latchkeyctl looks at is looked at by every second edit. */
	lk_luks2_more = number % 2 == 0 ? NULL : lk_luks2_facts;
	enum lk_code rc = lk_luks2_read(disk, &h, &e);

	if (shown)
		printf("# header: code %d %s; %zu bindings\n", (int)rc, e.msg, h.count);
	if (rc != LK_OK) {
		OK(named(rc, &e) && rc == LK_ELUKS);
		return E_HEADER;
	}
	rc = lk_unlock_pins(&conf, &h, &b, &e);
	if (shown)
		printf("# pins: code %d %s\n", (int)rc, e.msg);
	if (rc != LK_OK) {
		OK(named(rc, &e) && e.hint[0] != '\0' && b == NULL);
		if (h.count == 0 && h.tokens_bad != 0 && lines == 0)
			T_FAIL(
			    "edit %ju: a token was passed over without a word", (uintmax_t)number);
		return h.count == 0 ? E_TOKEN : rc == LK_ETRUST ? E_PINS : E_IDLE;
	}
	if (!names_what_is_pinned(b))
		T_FAIL("edit %ju: taken although it says %s, %s, %s, %s", (uintmax_t)number, b->key,
		    b->attest, b->uuid, b->thumbprint);
	rc = lk_binding_is(b, LK_WRAPPED) ? lk_binding_pinned(b, conf.wrapped, &e)
					  : lk_binding_verify(b, &ikm, &e);
	if (rc != LK_OK) {
		OK(named(rc, &e) && rc == LK_ETRUST);
		return E_MAC;
	}
	if (!says_what_was_sealed(b, &sealed[kind]))
		T_FAIL("edit %ju: proved although it is not what was sealed", (uintmax_t)number);
	return E_UNHARMED;
}

/* A boot reads through a courier; it must see the same. */
static void through_a_courier(void)
{
	struct lk_err e = {0}, direct = {0};
	enum lk_code want = lk_luks2_read(disk, &h, &direct);
	enum lk_code rc = lk_disk_header(disk, lk_deadline_in(60000), &through, &e);

	EQ_U(rc, want);
	EQ_S(e.msg, direct.msg);
	if (rc != LK_OK)
		return;
	EQ_U(through.count, h.count);
	EQ_U(through.tokens_bad, h.tokens_bad);
	for (size_t i = 0; i < h.count; i++)
		if (memcmp(&h.bindings[i], &through.bindings[i], sizeof(h.bindings[i])) != 0)
			T_FAIL("edit %ju: another binding through the courier", (uintmax_t)number);
}

static enum end one(uint64_t n)
{
	static char doc[ED_ROOM], good[ED_ROOM], token[ED_TEXT];
	const enum base kind = (enum base)(n % B_BASES);

	number = n;
	ed_state = SEED + n * UINT64_C(0xd1342543de82ef95);
	configure(kind);
	ed_join(&fields[kind], token, sizeof(token));
	document(good, token);
	const bool binary = ed_below(40) == 0;
	do
		edit(kind, doc);
	while (!binary && strcmp(doc, good) == 0);
	write_disk(doc, binary);
	if (shown)
		printf("# %s\n", doc);
	lines = 0;
	const enum end how = judge(kind);
	if (n % 128 == 0)
		through_a_courier();
	return how;
}

static void start(void)
{
	struct lk_err e = {0};

	OK(lk_crypto_start(&e) == LK_OK);
	ikm.n = 128;
	memset(ikm.p, 0x77, ikm.n);
	for (enum base k = 0; k < B_BASES; k++) {
		make(k, false, &sealed[k], &fields[k]);
		make(k, true, &other[k], &other_fields[k]);
	}
	lk_log_hook(line_said, NULL);
	disk = memfd_create("disk", MFD_CLOEXEC);
	if (disk < 0 || ftruncate(disk, IMG_SIZE) != 0)
		abort();
}

static enum end unedited(const struct ed_token *t, enum base kind)
{
	static char doc[ED_ROOM], token[ED_TEXT];

	configure(kind);
	ed_join(t, token, sizeof(token));
	document(doc, token);
	write_disk(doc, false);
	return judge(kind);
}

T(what_was_not_edited_is_taken)
{
	start();
	for (enum base k = 0; k < B_BASES; k++) {
		EQ_U(unedited(&fields[k], k), k == B_PENDING ? E_IDLE : E_UNHARMED);
		EQ_U(unedited(&other_fields[k], k), k == B_PENDING ? E_IDLE : E_PINS);
	}
}

struct tally {
	uint64_t at; /* the edit in work */
	uint64_t ends[E_ENDS];
	unsigned failures, bad_lines;
};

/* Two processors, two processes; the shared page tells which edit one died of. */
static void half(struct tally *t, uint64_t from, uint64_t count)
{
	start();
	for (uint64_t n = from; n < count; n += 2) {
		t->at = n;
		t->ends[one(n)]++;
	}
	t->failures = t_failures;
	t->bad_lines = bad_lines;
	fflush(stdout);
	_exit(0);
}

T(hostile_edits_are_refused_by_name_or_harmless)
{
	const char *text = getenv("EDITS"), *alone = getenv("EDIT");
	const uint64_t count = text ? strtoull(text, NULL, 10) : 100000;
	struct tally *t =
	    mmap(NULL, 2 * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t sum = 0;
	pid_t pid[2];

	NEED(t != MAP_FAILED);
	if (alone) {
		shown = true;
		start();
		printf("# %s\n", end_name[one(strtoull(alone, NULL, 10))]);
		return;
	}
	printf("# seed %ju\n", (uintmax_t)SEED);
	fflush(stdout);
	for (unsigned i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			half(&t[i], i, count);
	}
	for (unsigned i = 0; i < 2; i++) {
		int st = -1;

		if (waitpid(pid[i], &st, 0) != pid[i] || st != 0)
			T_FAIL("wait status %d: died of edit %ju", st, (uintmax_t)t[i].at);
		t_failures += t[i].failures;
		EQ_U(t[i].bad_lines, 0);
	}
	printf("# counted:");
	for (enum end k = 0; k < E_ENDS; k++) {
		const uint64_t n = t[0].ends[k] + t[1].ends[k];

		printf(" %ju %s,", (uintmax_t)n, end_name[k]);
		sum += n;
	}
	printf(" of %ju edits of valid tokens\n", (uintmax_t)sum);
	for (enum end k = 0; k < E_ENDS; k++)
		if (t[0].ends[k] + t[1].ends[k] < count / 1000)
			T_FAIL("hardly any are %s", end_name[k]);
	EQ_U(sum, count);
}
