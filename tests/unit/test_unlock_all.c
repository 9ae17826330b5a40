/* Several volumes of one run: which keys are released, in what order, what each volume gets, and
 * that nothing secret is left when a courier could be started. The run itself is played here; the
 * headers are real, each read by its courier. */
#include "t.h"

#include "lk/unlock.h"
#include "luks2_image.h"
#include "../../src/flow/run.h"

#define VAULT  "https://kv1.vault.azure.net/keys/"
#define V1     "/00112233445566778899aabbccddeeff"
#define ATTEST "https://sharedweu.weu.attest.azure.net"
#define JOBS   4

/* ---- the run, played */

static struct lk_run run;
static struct lk_run_hidden hidden;
static char asked[16][600]; /* keys that were released, in order */
static size_t releases;
static unsigned attestations;
static enum lk_code attest_fails, release_fails; /* the latter for key "no" */
static bool attest_lost;                         /* by that failing release */

/* An oct key is what its name says, 32 times. */
static void bytes_of(const char *url, uint8_t out[32])
{
	memset(out, url[strlen(VAULT)], 32);
}

static bool clean(void)
{
	static const struct lk_secret none;

	return memcmp(&hidden.released, &none, sizeof(none)) == 0 &&
	       memcmp(&hidden.ikm, &none, sizeof(none)) == 0 &&
	       memcmp(&hidden.volume, &none, sizeof(none)) == 0;
}

lk_time lk_run_deadline(const struct lk_run *r)
{
	(void)r;
	return lk_deadline_in(10000);
}

enum lk_code lk_run_use_key(
    struct lk_run *r, const char *url, const char *thumbprint, struct lk_err *e)
{
	(void)e;
	OK(clean());
	strcpy(r->key_text, url);
	strcpy(r->thumbprint, thumbprint);
	return LK_OK;
}

enum lk_code lk_run_attest(
    struct lk_run *r, struct lk_slice *jwt, struct lk_maa_claims *claims, struct lk_err *e)
{
	(void)jwt;
	(void)claims;
	OK(clean());
	if (!r->attested)
		attestations++;
	if (attest_fails)
		return lk_fail(e, attest_fails, "not attested");
	r->attested = true;
	return LK_OK;
}

enum lk_code lk_run_release(
    struct lk_run *r, struct lk_key *key, struct lk_secret *plain, struct lk_err *e)
{
	OK(clean());
	OK(r->attested);
	memset(key, 0, sizeof(*key));
	key->pub.kty = LK_KTY_OCT;
	strcpy(asked[releases++], r->key_text);
	if (strstr(r->key_text, "/no/") && release_fails) {
		r->attested = !attest_lost;
		return lk_fail(e, release_fails, "not released");
	}
	bytes_of(r->key_text, plain->p);
	plain->n = 32;
	return LK_OK;
}

/* ---- volumes */

static struct volume {
	struct lk_conf conf;
	struct lk_binding b;
	char got[64];
	size_t order;
	uint32_t slot;
	enum lk_code refuses;
} vol[JOBS];
static struct lk_unlock_job job[JOBS];
static size_t served;
static bool forged; /* the next token's MAC is wrong */
static const char *thumbprint = "";

static enum lk_code use(void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e)
{
	struct volume *v = ctx;

	OK(!clean());
	memcpy(v->got, key->p, key->n);
	v->got[key->n] = '\0';
	v->slot = slot;
	v->order = ++served;
	return v->refuses ? lk_fail(e, v->refuses, "not opened") : LK_OK;
}

/* A volume bound to a key of this name, in the slot of its number. */
static void volume(size_t i, const char *key)
{
	static struct image m;
	struct lk_secret ikm = {.n = 32};
	static uint8_t json[LK_BINDING_JSON_MAX];
	struct lk_buf token = LK_BUF(json);
	static char text[LK_BINDING_JSON_MAX + 200];
	struct lk_binding *b = &vol[i].b;
	struct lk_err e = {0};

	memset(&vol[i], 0, sizeof(vol[i]));
	snprintf(vol[i].conf.name, sizeof(vol[i].conf.name), "v%zu", i);
	strcpy(vol[i].conf.uuid, IMG_UUID);
	snprintf(vol[i].conf.key, sizeof(vol[i].conf.key), VAULT "%s" V1, key);
	strcpy(vol[i].conf.attest, ATTEST);
	*b = (struct lk_binding){.slot = (uint32_t)i + 1, .kind = "derived"};
	strcpy(b->id, "0123456789abcdef");
	strcpy(b->key, vol[i].conf.key);
	strcpy(b->attest, ATTEST);
	strcpy(b->uuid, IMG_UUID);
	strcpy(b->thumbprint, thumbprint);
	memset(b->salt, (int)i + 1, sizeof(b->salt));
	bytes_of(b->key, ikm.p);
	EQ_CODE(LK_OK, lk_crypto_start(&e));
	EQ_CODE(LK_OK, lk_binding_seal(b, &ikm, &e));
	b->mac[0] ^= forged;
	EQ_CODE(LK_OK, lk_binding_write(b, &token, &e));
	snprintf(text, sizeof(text), "{\"keyslots\":{\"%zu\":{}},\"tokens\":{\"0\":%.*s}}", i + 1,
	    (int)token.n, (const char *)token.p);
	image_make(&m, 0x4000, text);
	if (job[i].disk_fd > 0)
		close(job[i].disk_fd);
	job[i] = (struct lk_unlock_job){
	    .conf = &vol[i].conf, .disk_fd = image_fd(&m, IMG_SIZE), .use = use, .ctx = &vol[i]};
}

static void volumes(const char *a, const char *b, const char *c, const char *d)
{
	const char *key[JOBS] = {a, b, c, d};

	memset(&run, 0, sizeof(run));
	run.h = &hidden;
	releases = attestations = 0;
	served = 0;
	attest_fails = release_fails = LK_OK;
	attest_lost = false;
	for (size_t i = 0; i < JOBS; i++)
		volume(i, key[i]);
}

static void opened(size_t i)
{
	uint8_t raw[32];
	struct lk_secret ikm = {.n = 32}, want = {0};
	struct lk_pub pub = {.kty = LK_KTY_OCT};
	struct lk_err e = {0};

	if (job[i].e.code != LK_OK)
		T_FAIL("volume %zu: %s", i, job[i].e.msg);
	bytes_of(vol[i].conf.key, raw);
	memcpy(ikm.p, raw, 32);
	EQ_CODE(LK_OK, lk_binding_disk_key(&vol[i].b, &pub, lk_slice_of(raw, 32), &ikm, &want, &e));
	EQ_BYTES(vol[i].got, strlen(vol[i].got), want.p, want.n);
	EQ_U(vol[i].slot, i + 1);
	EQ_S(job[i].found.id, "0123456789abcdef");
	EQ_MEM(job[i].found.salt, vol[i].b.salt, 32);
}

static void failed(size_t i, enum lk_code code, const char *word)
{
	EQ_U(job[i].e.code, code);
	if (!strstr(job[i].e.msg, word))
		T_FAIL("volume %zu: no \"%s\" in: %s", i, word, job[i].e.msg);
}

/* ---- */

T(volumes_of_one_key_share_one_release)
{
	volumes("a", "a", "a", "a");
	lk_unlock_all(&run, job, JOBS);
	for (size_t i = 0; i < JOBS; i++) {
		opened(i);
		EQ_U(vol[i].order, i + 1);
	}
	EQ_U(attestations, 1);
	EQ_U(releases, 1);
	OK(strcmp(vol[0].got, vol[1].got) != 0);
	OK(clean());
}

T(as_many_releases_as_there_are_keys)
{
	volumes("a", "b", "a", "c");
	lk_unlock_all(&run, job, JOBS);
	for (size_t i = 0; i < JOBS; i++)
		opened(i);
	EQ_U(attestations, 1);
	EQ_U(releases, 3);
	EQ_S(asked[0], VAULT "a" V1);
	EQ_S(asked[1], VAULT "b" V1);
	EQ_S(asked[2], VAULT "c" V1);
	EQ_U(vol[2].order, 2); /* with the first one, whose key it shares */
	OK(clean());
}

T(versions_are_keys_of_their_own)
{
	volumes("a", "a", "a", "a");
	strcpy(vol[1].conf.key, VAULT "a/ff112233445566778899aabbccddeeff");
	lk_unlock_all(&run, job, JOBS);
	failed(1, LK_ETRUST, "token 0: key is");
	EQ_U(releases, 1);
	for (size_t i = 0; i < JOBS; i += 2)
		opened(i);
}

T(one_bad_volume_does_not_keep_the_others_closed)
{
	volumes("a", "a", "b", "a");
	close(job[0].disk_fd);
	job[0].disk_fd = memfd_create("empty", MFD_CLOEXEC);
	vol[1].conf.uuid[0] = '7';
	vol[3].refuses = LK_ELUKS;
	lk_unlock_all(&run, job, JOBS);
	failed(0, LK_ELUKS, "");
	failed(1, LK_ETRUST, "UUID");
	opened(2);
	failed(3, LK_ELUKS, "not opened");
	EQ_U(job[0].found.id[0], 0);
	EQ_U(job[1].found.id[0], 0);
	EQ_U(releases, 2);
	OK(clean());
}

T(a_token_that_is_not_proved_is_the_affair_of_its_volume)
{
	volumes("a", "a", "a", "b");
	forged = true;
	volume(0, "a");
	forged = false;
	strcpy(vol[2].conf.thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	lk_unlock_all(&run, job, JOBS);
	failed(0, LK_ETRUST, "MAC");
	EQ_U(vol[0].order, 0);
	opened(1);
	failed(2, LK_ETRUST, "thumbprint");
	opened(3);
	EQ_U(releases, 2);
}

/* Each release is held to the pin of those that it is for. */
T(another_pin_is_another_release)
{
	volumes("a", "a", "a", "a");
	thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
	volume(2, "a");
	thumbprint = "";
	strcpy(vol[2].conf.thumbprint, vol[2].b.thumbprint);
	lk_unlock_all(&run, job, JOBS);
	failed(2, LK_ETRUST, "thumbprint");
	EQ_U(releases, 2);
	opened(0);
	opened(1);
	opened(3);
}

T(without_a_volume_nobody_is_asked)
{
	volumes("a", "a", "a", "a");
	for (size_t i = 0; i < JOBS; i++)
		vol[i].conf.attest[0] = '\0';
	lk_unlock_all(&run, job, JOBS);
	for (size_t i = 0; i < JOBS; i++)
		failed(i, LK_ECONF, "pins no attest");
	EQ_U(attestations + releases, 0);
}

T(a_failed_attestation_is_everybodys)
{
	volumes("a", "b", "a", "c");
	attest_fails = LK_EATTEST;
	vol[1].conf.uuid[0] = '7';
	lk_unlock_all(&run, job, JOBS);
	failed(0, LK_EATTEST, "not attested");
	failed(1, LK_ETRUST, "UUID"); /* which came first */
	failed(2, LK_EATTEST, "not attested");
	failed(3, LK_EATTEST, "not attested");
	EQ_U(attestations, 1);
	EQ_U(releases, 0);
}

T(a_refused_release_is_the_affair_of_its_key)
{
	volumes("a", "no", "b", "no");
	release_fails = LK_EDENIED;
	lk_unlock_all(&run, job, JOBS);
	opened(0);
	failed(1, LK_EDENIED, "not released");
	opened(2);
	failed(3, LK_EDENIED, "not released");
	EQ_U(releases, 3);
	EQ_S(job[1].found.id, "0123456789abcdef"); /* that one was tried */
	OK(clean());
}

T(a_failure_of_the_machine_ends_the_run)
{
	static const enum lk_code code[] = {LK_ETPM, LK_ESNP, LK_EATTEST};

	for (size_t i = 0; i < 3; i++) {
		volumes("a", "no", "b", "a");
		release_fails = code[i];
		attest_lost = code[i] == LK_EATTEST; /* evidence was asked for once more */
		lk_unlock_all(&run, job, JOBS);
		opened(0);
		failed(1, code[i], "not released");
		failed(2, code[i], "not released");
		opened(3);
		EQ_U(releases, 2);
	}
}

T(one_volume_is_one_job)
{
	struct lk_secret key = {0};
	struct lk_err e = {0};
	uint32_t slot = 0;

	volumes("a", "a", "a", "no");
	EQ_CODE(LK_OK, lk_unlock_key(&run, &vol[2].conf, job[2].disk_fd, &key, &slot, &e));
	EQ_U(slot, 3);
	memcpy(vol[2].got, key.p, key.n);
	vol[2].slot = slot;
	job[2].found = vol[2].b;
	opened(2);
	EQ_U(e.code, LK_OK);
	memset(&key, 0, sizeof(key));
	release_fails = LK_EDENIED;
	EQ_CODE(LK_EDENIED, lk_unlock_key(&run, &vol[3].conf, job[3].disk_fd, &key, &slot, &e));
	EQ_S(e.msg, "not released");
	EQ_U(key.n, 0);
}
