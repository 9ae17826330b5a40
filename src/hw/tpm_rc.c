/* Response codes in words (TPM 2.0 part 2, section 6.6). */
#include "tpm_int.h"

#include <string.h>

#define RM_LAYER 0x000B0000u /* the kernel's resource manager answers for the TPM */

struct word {
	uint16_t rc;
	const char *text;
};

/* Format 0: the whole code. */
static const struct word whole[] = {
    {0x100, "the TPM was not started by the firmware"},
    {0x101, "the TPM is in failure mode or the operation failed"},
    {0x120, "disabled"},
    {0x128, "PCRs changed since they were checked"},
    {0x12D, "exclusive session lost"},
    {0x12F, "authorisation method not available for this object"},
    {0x143, "command not supported"},
    {0x146, "range outside of the index"},
    {0x148, "index locked"},
    {0x149, "authorisation does not allow access to the index"},
    {0x14A, "index defined but never written"},
    {0x14B, "index already defined or out of space"},
    {0x902, "no memory for another object"},
    {0x903, "no memory for another session"},
    {0x905, "no memory"},
    {0x908, "the TPM yielded"},
    {0x90A, "self test running"},
    {0x910, "object is not loaded"},
    {0x918, "session is not loaded"},
    {0x920, "index is rate limited"},
    {0x921, "dictionary attack lock-out"},
    {0x922, "the TPM could not start the command"},
};

/* Format 1: the error number, without what it is about. */
static const struct word numbered[] = {
    {0x02, "attributes not allowed"},
    {0x03, "hash algorithm not supported"},
    {0x04, "value out of range"},
    {0x05, "hierarchy disabled"},
    {0x07, "key size"},
    {0x09, "mode"},
    {0x0A, "key type"},
    {0x0B, "does not exist"},
    {0x0E, "authorisation failed"},
    {0x0F, "nonce"},
    {0x12, "scheme"},
    {0x15, "size"},
    {0x18, "selector"},
    {0x1C, "key"},
    {0x1D, "policy not satisfied"},
    {0x22, "authorisation failed without lock-out"},
};

struct remedy {
	uint16_t rc;
	const char *text;
};

static const struct remedy remedies[] = {
    {0x100, "the virtual machine's firmware must start the TPM"},
    {0x101, "restart the machine if other TPM commands fail as well"},
    {0x128, "PCRs changed since the evidence was made: attest again"},
    {0x12F, "the key was not made by latchkey's template"},
    {0x149, "the index was defined anew with other attributes"},
    {0x14A, "a new machine gets it some minutes after its first boot: wait and try again"},
    {0x902, "a program has left objects in the TPM: use /dev/tpmrm0, or restart"},
    {0x903, "a program has left sessions in the TPM: use /dev/tpmrm0, or restart"},
    {0x910, "the TPM was reset since the evidence was made: attest again"},
    {0x918, "the TPM was reset since the session was begun: attest again"},
    {0x921, "wait until the lock-out ends, or clear it: tpm2_dictionarylockout --clear-lockout"},
    {0x98E, "somebody set a password for this hierarchy or key: latchkey needs the empty one"},
    {0x99D, "PCRs changed since the evidence was made: attest again"},
    {0x9A2, "somebody set a password for this hierarchy or key: latchkey needs the empty one"},
};

static const char *look_up(const struct word *w, size_t n, uint32_t rc)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].rc == rc)
			return w[i].text;
	return "unknown response code";
}

static void describe(uint32_t rc, struct lk_buf *out)
{
	if (!(rc & 0x80)) {
		lk_buf_str(out, look_up(whole, sizeof(whole) / sizeof(whole[0]), rc));
		return;
	}
	if (rc & 0x40)
		lk_buf_fmt(out, "parameter %u: ", (unsigned)(rc >> 8 & 0xF));
	else
		lk_buf_fmt(
		    out, "%s %u: ", rc & 0x800 ? "session" : "handle", (unsigned)(rc >> 8 & 7));
	lk_buf_str(out, look_up(numbered, sizeof(numbered) / sizeof(numbered[0]), rc & 0x3F));
}

bool lk_tpm_rc_again(uint32_t rc)
{
	return rc == TPM2_RC_RETRY || rc == TPM2_RC_YIELDED || rc == TPM2_RC_TESTING ||
	       rc == TPM2_RC_NV_RATE;
}

/* Response 0x18B depends on what is not there. */
static void hint_absent(const struct lk_tpm_call *c, bool transient, struct lk_err *e)
{
	if (transient)
		(void)lk_hint(e, "the TPM was reset since the evidence was made: attest again");
	else if (c->object == LK_NV_HCL_REPORT)
		(void)lk_hint(
		    e, "not an Azure confidential VM with a vTPM: this index holds its report");
	else if (c->object == LK_NV_AK_CERT || c->object == LK_AK_HANDLE)
		(void)lk_hint(e, "not an Azure VM with a vTPM (Trusted Launch or confidential)");
}

enum lk_code lk_tpm_rc_fail(const struct lk_tpm_call *c, uint32_t rc, struct lk_err *e)
{
	uint32_t code = (rc & 0xFFFF0000u) == RM_LAYER ? rc & 0xFFFF : rc;
	bool none = code == 0x18B && c->what, transient = c->object >> 24 == TPM2_HT_TRANSIENT;
	bool absent = none && !transient;
	char words[128], object[40] = "";
	struct lk_buf w = {.p = (uint8_t *)words, .cap = sizeof(words) - 1};
	describe(code, &w);
	words[w.n] = 0;
	if (c->what) {
		struct lk_buf o = {.p = (uint8_t *)object, .cap = sizeof(object) - 1};
		lk_buf_fmt(&o, " of %s 0x%08X", c->what, (unsigned)c->object);
		object[o.n] = 0;
	}
	(void)lk_fail(e, absent ? LK_EABSENT : LK_ETPM, "tpm: %s%s: %s (response code 0x%X)",
	    c->name, object, words, (unsigned)rc);
	e->lib = rc;
	if (none)
		hint_absent(c, transient, e);
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (remedies[i].rc == code)
			(void)lk_hint(e, "%s", remedies[i].text);
	if (lk_tpm_rc_again(code) || code == 0x14A || code == 0x921)
		(void)lk_err_retry(e);
	return e->code;
}
