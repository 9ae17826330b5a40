/* The TPM module when something is missing, changes in between or does not answer. */
#include "../../src/hw/tpm_int.h"

#include "tpm_rig.h"

static struct lk_tpm *tpm;
static struct lk_tpm_evidence ev;
static lk_time soon;

#define READY(...)                                                                                 \
	do {                                                                                       \
		const char *why = rig_ready();                                                     \
		if (why)                                                                           \
			SKIP(why);                                                                 \
		NEED(rig_serve(__VA_ARGS__, NULL));                                                \
		NEED(attach());                                                                    \
	} while (0)

static bool attach(void)
{
	soon = lk_deadline_in(30000);
	err = (struct lk_err){0};
	if (lk_tpm_open(rig_link, soon, &tpm, &err))
		T_FAIL("%s", err.msg);
	return err.code == LK_OK;
}

static void done(void)
{
	lk_tpm_close(tpm);
	rig_stop();
}

/* The last error says all of this. */
static void says(enum lk_code code, bool retry, const char *words, const char *hint)
{
	EQ_U(err.code, code);
	EQ_U(err.retry, retry);
	if (!strstr(err.msg, words))
		T_FAIL("\"%s\" does not say \"%s\"", err.msg, words);
	if (!strstr(err.hint, hint))
		T_FAIL("hint \"%s\" does not say \"%s\"", err.hint, hint);
}

static enum lk_code nv(uint32_t index)
{
	static uint8_t store[2048];
	struct lk_buf b = LK_BUF(store);
	err = (struct lk_err){0};
	return lk_tpm_nv_read(tpm, index, &b, soon, &err);
}

static enum lk_code evidence(void)
{
	err = (struct lk_err){0};
	return lk_tpm_evidence(tpm, &ev, soon, &err);
}

static enum lk_code decrypt(void)
{
	uint8_t cipher[256];
	LK_SECRET out = {0};
	if (!rig_encrypt("sha256", ev.key_n, "text", cipher))
		return LK_EBUG;
	err = (struct lk_err){0};
	enum lk_code r =
	    lk_tpm_decrypt(tpm, LK_TPM_OAEP_SHA256, lk_slice_of(cipher, 256), &out, soon, &err);
	EQ_U(out.n, r ? 0 : 4);
	return r;
}

T(words_for_response_codes)
{
	static const struct {
		uint32_t object, rc;
		enum lk_code code;
		bool retry;
		const char *words, *hint;
	} cases[] = {
	    {LK_NV_HCL_REPORT, 0x18B, LK_EABSENT, false,
		"index 0x01400001: handle 1: does not exist", "not an Azure confidential VM"},
	    {LK_NV_AK_CERT, 0x18B, LK_EABSENT, false, "0x01C101D0", "not an Azure VM"},
	    {LK_NV_AK_CERT, 0x14A, LK_ETPM, true, "never written (response code 0x14A)", "wait"},
	    {0x80000000, 0x18B, LK_ETPM, false, "0x80000000", "reset"},
	    {LK_AK_HANDLE, 0x12F, LK_ETPM, false, "authorisation method", "template"},
	    {LK_AK_HANDLE, 0x99D, LK_ETPM, false, "session 1: policy", "attest again"},
	    {LK_AK_HANDLE, 0x1C4, LK_ETPM, false, "parameter 1: value out of range", ""},
	    {0x80000000, 0x910, LK_ETPM, false, "not loaded", "reset"},
	    {LK_AK_HANDLE, 0x921, LK_ETPM, true, "lock-out", "--clear-lockout"},
	    {LK_AK_HANDLE, 0x922, LK_ETPM, true, "0x922", ""},
	    {LK_NV_AK_CERT, 0x9A2, LK_ETPM, false, "session 1: authorisation failed", "password"},
	    {LK_AK_HANDLE, 0xB0143, LK_ETPM, false, "command not supported (response code 0xB0143)",
		""},
	    {LK_AK_HANDLE, 0xFFFFFFFF, LK_ETPM, false, "unknown", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lk_tpm_call c = {.name = "X", .what = "index", .object = cases[i].object};
		err = (struct lk_err){0};
		EQ_U(lk_tpm_rc_fail(&c, cases[i].rc, &err), cases[i].code);
		says(cases[i].code, cases[i].retry, cases[i].words, cases[i].hint);
		EQ_U(err.lib, cases[i].rc);
	}
}

T(absent_index)
{
	READY("good");
	EQ_CODE(LK_EABSENT, nv(0x01400077));
	says(LK_EABSENT, false, "NV_ReadPublic of index 0x01400077", "");
	done();
}

T(index_that_was_never_written)
{
	if (!rig_ready() && !rig_variant("unwritten"))
		return;
	READY("unwritten");
	EQ_CODE(LK_ETPM, nv(LK_NV_AK_CERT));
	says(LK_ETPM, true, "0x14A", "wait");
	EQ_CODE(LK_OK, nv(LK_NV_HCL_REPORT));
	done();
}

T(index_larger_than_the_room)
{
	READY("good");
	uint8_t small[2047];
	struct lk_buf b = LK_BUF(small);
	EQ_CODE(LK_ELIMIT, lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, &b, soon, &err));
	EQ_U(b.n, 0);
	done();
}

T(attestation_keys_of_other_kinds)
{
	static const struct {
		const char *kind, *words;
	} cases[] = {{"ecc", "elliptic"}, {"pss", "RSAPSS"}, {"sha384", "another hash"},
	    {"unrestricted", "not restricted"}, {"decrypt", "not a signing key"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!rig_ready() && !rig_variant(cases[i].kind))
			return;
		READY(cases[i].kind);
		EQ_CODE(LK_EATTEST, evidence());
		says(LK_EATTEST, false, cases[i].words, "RSA-2048");
		EQ_U(lk_tpm_commands(tpm), 2); /* the probe and ReadPublic: it was not used */
		done();
	}
	if (!rig_variant("none"))
		return;
	READY("none");
	EQ_CODE(LK_EABSENT, evidence());
	says(LK_EABSENT, false, "handle 0x81000003", "not an Azure VM");
	done();
}

T(pcr_moves_between_reading_and_quote)
{
	READY("good", "Quote#1:extend=4");
	EQ_CODE(LK_ETPM, evidence());
	says(LK_ETPM, true, "PCR 4 changed", "attest again");
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_OK, decrypt());
	done();
}

T(pcr_moves_before_the_policy)
{
	READY("good", "PolicyPCR#1:extend=7");
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_ETPM, decrypt());
	says(LK_ETPM, true, "PCR 7 changed", "attest again");
	EQ_CODE(LK_OK, evidence()); /* the key is made anew under the new values */
	EQ_CODE(LK_OK, decrypt());
	done();
}

T(pcr_moves_between_policy_and_use)
{
	READY("good", "RSA_Decrypt#1:extend=0", "RSA_Decrypt#1:extend=5");
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_ETPM, decrypt());
	says(LK_ETPM, true, "PCR 0, 5 changed", "attest again");
	done();
}

T(retry_is_repeated)
{
	READY("good", "NV_Read:retry=2", "Certify:retry=1", "RSA_Decrypt#1:rc=908",
	    "Quote#1:rc=90a", "PCR_Read#1:rc=920");
	EQ_CODE(LK_OK, nv(LK_NV_HCL_REPORT));
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_OK, decrypt());
	unsigned sent = lk_tpm_commands(tpm);
	done();
	/* probe, capability, ReadPublic, 2 reads; AK, PCRs, quote, key, certify; 3 for decrypt, and
	 * the repeats */
	EQ_U(sent, 5 + 5 + 3 + 6);
}

T(retry_ends_at_the_deadline)
{
	READY("good", "Quote:retry=100000");
	soon = lk_deadline_in(400);
	EQ_CODE(LK_ETPM, evidence());
	says(LK_ETPM, true, "0x922", "");
	OK(lk_now() <= soon + 5000);
	OK(lk_tpm_commands(tpm) > 5);
	done();
}

T(silence_ends_at_the_deadline)
{
	READY("good", "PCR_Read:drop");
	soon = lk_deadline_in(300);
	EQ_CODE(LK_ETIME, evidence());
	says(LK_ETIME, false, "PCR_Read", "");
	OK(lk_now() <= soon + 5000);
	EQ_CODE(LK_ETPM, nv(LK_NV_HCL_REPORT));
	says(LK_ETPM, false, "broken exchange", "");
	done();
}

T(answers_that_are_none)
{
	READY("good", "PCR_Read:garbage");
	soon = lk_deadline_in(500);
	OK(evidence() != LK_OK);
	OK(err.code == LK_ETPM || err.code == LK_ETIME);
	done();
	static const char *const cuts[] = {"Quote:cut=10", "Quote:cut=11", "Certify:cut=200"};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		READY("good", cuts[i]);
		soon = lk_deadline_in(500);
		EQ_CODE(LK_ETIME, evidence());
		done();
	}
}

T(lockout_has_a_remedy)
{
	READY("good", "RSA_Decrypt:lockout");
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_ETPM, decrypt());
	says(LK_ETPM, true, "lock-out", "--clear-lockout");
	done();
}

T(reset_between_evidence_and_use)
{
	READY("good", "StartAuthSession#1:reset");
	EQ_CODE(LK_OK, evidence());
	EQ_CODE(LK_ETPM, decrypt());
	says(LK_ETPM, false, "handle 0x80", "reset");
	done();
}

T(decrypt_needs_evidence)
{
	READY("good");
	uint8_t cipher[256] = {0};
	LK_SECRET out = {0};
	struct lk_slice in = lk_slice_of(cipher, 256);
	EQ_CODE(LK_EBUG, lk_tpm_decrypt(tpm, LK_TPM_RSAES, in, &out, soon, &err));
	done();
}

T(device_that_comes_late_is_waited_for)
{
	const char *why = rig_ready();
	if (why)
		SKIP(why);
	NEED(rig_serve("good", NULL));
	char late[96];
	rig_path(late, sizeof(late), "late");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)usleep(1000000);
		_exit(symlink(rig_link, late) != 0);
	}
	lk_time from = lk_now();
	tpm = NULL;
	EQ_CODE(LK_OK, lk_tpm_open(late, lk_deadline_in(20000), &tpm, &err));
	OK(lk_now() - from >= 900);
	OK(lk_now() - from < 5000);
	soon = lk_deadline_in(10000);
	if (tpm)
		EQ_CODE(LK_OK, evidence());
	done();
	(void)waitpid(pid, NULL, 0);
	(void)unlink(late);
}

T(device_that_never_comes)
{
	lk_time from = lk_now();
	EQ_CODE(LK_ETPM, lk_tpm_open("/nonexistent/tpmrm0", lk_deadline_in(400), &tpm, &err));
	says(LK_ETPM, false, "/nonexistent/tpmrm0 does not exist", "no TPM driver");
	OK(lk_now() - from < 1000);
	OK(lk_now() - from >= 250);
	lk_tpm_close(NULL);
}

T(device_that_is_none)
{
	EQ_CODE(LK_ESYS, lk_tpm_open("/", lk_deadline_in(400), &tpm, &err));
	says(LK_ESYS, false, "/: ", "");
}
