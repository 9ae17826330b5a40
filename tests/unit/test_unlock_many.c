/* Volumes with several bindings, and volumes that share a run. */
#include "lk/log.h"
#include "pins_sample.h"

/* ---- several bindings */

static const struct lk_binding *taken(struct lk_err *e)
{
	const struct lk_binding *b = NULL;

	memset(e, 0, sizeof(*e));
	return lk_unlock_pins(&conf, &h, &b, e) == LK_OK ? b : NULL;
}

/* Lines at warning level and above. */
static unsigned warnings;
static void count(void *ctx, enum lk_level level, const char *line)
{
	(void)ctx;
	(void)line;
	warnings += level <= LK_LOG_WARN;
}

T(another_binding_is_nothing_odd_and_a_contradiction_is)
{
	struct lk_err e;

	warnings = 0;
	lk_log_hook(count, NULL);
	sample();
	h.bindings[2] = h.bindings[1] = h.bindings[0];
	strcpy(h.bindings[0].key, "https://kv2.vault.azure.net/keys/disk" V1);
	strcpy(h.bindings[1].attest, "https://sharedneu.neu.attest.azure.net");
	h.count = 3;
	OK(taken(&e) == &h.bindings[2]);
	EQ_U(warnings, 0);
	h.bindings[1] = h.bindings[2];
	strcpy(h.bindings[1].kind, "raw");
	OK(taken(&e) == &h.bindings[2]);
	EQ_U(warnings, 1);
	/* A host that nobody here has named is one, though the binding is not the one that is
	 * meant. */
	strcpy(h.bindings[1].key, "https://kv1.evil.example/keys/disk" V1);
	OK(taken(&e) == &h.bindings[2]);
	EQ_U(warnings, 2);
	lk_log_hook(NULL, NULL);
}

T(what_is_meant_is_named_before_the_others)
{
	struct lk_err e;

	for (size_t i = 0; i < 3; i++) {
		sample();
		h.bindings[2] = h.bindings[1] = h.bindings[0];
		h.count = 3;
		for (size_t j = 0; j < 3; j++) {
			h.bindings[j].token = (uint32_t)j;
			if (j == i)
				h.bindings[j].thumbprint[0] = 'M';
			else
				strcpy(h.bindings[j].key, KEY V2);
		}
		char want[20];
		snprintf(want, sizeof(want), "token %zu: thumb", i);
		refused(want, "MzbLs", "NzbLs");
	}
	sample();
	strcpy(h.bindings[0].key, KEY V2);
	h.bindings[1] = h.bindings[0];
	h.count = 2;
	OK(!taken(&e));
	refused("key is", V2, V1);
	/* Of several the first. */
	sample();
	h.bindings[1] = h.bindings[0];
	h.bindings[0].thumbprint[0] = 'M';
	h.bindings[1].thumbprint[0] = 'X';
	h.count = 2;
	refused("thumbprint", "MzbLs", "NzbLs");
}

T(only_an_active_binding_is_taken)
{
	struct lk_err e;

	for (enum lk_binding_state s = LK_BINDING_PENDING; s <= LK_BINDING_CUT; s++) {
		warnings = 0;
		lk_log_hook(count, NULL);
		sample();
		h.bindings[1] = h.bindings[0];
		h.bindings[1].token = 9;
		h.bindings[0].state = s;
		h.count = 2;
		OK(taken(&e) == &h.bindings[1]);
		h.bindings[0] = h.bindings[1];
		h.bindings[1].state = s;
		OK(taken(&e) == &h.bindings[0]);
		EQ_U(warnings, 0);
		lk_log_hook(NULL, NULL);
	}
}

T(an_unfinished_binding_says_how_to_finish_it)
{
	struct lk_err e;

	sample();
	h.bindings[0].state = LK_BINDING_PENDING;
	EQ_CODE(LK_ELUKS, pins(&e));
	EQ_S(e.msg, "token 2: the enrolment of this binding was not finished");
	OK(strstr(e.hint, "latchkeyctl enroll DEVICE --name root --key " KEY V1
			  " --attest " ATTEST) == e.hint);
	OK(strstr(e.hint, "finishes it") != NULL);
	h.bindings[0].state = LK_BINDING_CUT;
	EQ_CODE(LK_ELUKS, pins(&e));
	OK(strstr(e.msg, "key slot of this binding is gone") != NULL);
	OK(strstr(e.hint, "anew") != NULL);
	/* Also one for another key, when there is nothing else; */
	strcpy(h.bindings[0].key, KEY V2);
	EQ_CODE(LK_ELUKS, pins(&e));
	/* but an active one beside it says more, */
	h.bindings[1] = h.bindings[0];
	h.bindings[1].state = LK_BINDING_ACTIVE;
	h.count = 2;
	EQ_CODE(LK_ETRUST, pins(&e));
	/* unless the unfinished one is what is meant, */
	strcpy(h.bindings[0].key, KEY V1);
	EQ_CODE(LK_ELUKS, pins(&e));
	/* and a contradiction most of all. */
	strcpy(h.bindings[1].key, KEY V1);
	h.bindings[1].thumbprint[0] = 'M';
	refused("thumbprint", "MzbLs", "NzbLs");
}

/* ---- volumes that may share a run */

T(volumes_share_a_run_unless_it_would_be_another)
{
	static struct lk_conf a, b;

	sample();
	a = b = conf;
	OK(lk_unlock_together(&a, &b));
	/* The volume's own. */
	strcpy(b.name, "data");
	b.uuid[0] = '7';
	strcpy(b.device, "/dev/sdb");
	strcpy(b.key, "https://KV1.vault.azure.net/keys/other");
	strcpy(b.attest, "https://SharedWEU.weu.attest.azure.net/");
	b.thumbprint[0] = 'M';
	b.kind = LK_RAW;
	strcpy(b.wrapped, "0");
	strcpy(b.cryptsetup, "/x");
	strcpy(b.digest, "0");
	b.timeout_s = 5;
	b.kmsg = true;
	OK(lk_unlock_together(&a, &b));
	OK(lk_unlock_together(&b, &a));
#define APART(change)                                                                              \
	do {                                                                                       \
		b = a;                                                                             \
		change;                                                                            \
		if (lk_unlock_together(&a, &b) || lk_unlock_together(&b, &a))                      \
			T_FAIL("%s: still together", #change);                                     \
	} while (0)
	APART(strcpy(b.key, "https://kv2.vault.azure.net/keys/disk"));
	APART(strcpy(b.key, "https://kv1.vault.azure.net:8443/keys/disk"));
	APART(b.key[0] = '\0');
	APART(strcpy(b.attest, "https://sharedneu.neu.attest.azure.net"));
	APART(b.attest[0] = '\0');
	APART(b.identity = LK_ID_CLIENT);
	APART(strcpy(b.identity_id, "x"));
	APART(b.enc = LK_ENC_SHA384);
	APART(strcpy(b.api_version, "7.5"));
	APART(strcpy(b.trust, "/x"));
	APART(strcpy(b.tpm, "/x"));
	APART(strcpy(b.event_log, "/x"));
	APART(b.evidence = LK_EV_TSM);
	APART(strcpy(b.snp_path, "/x"));
	APART(b.vmpl = 1);
	APART(b.wrap_bits = 4096);
	APART(strcpy(b.attest_api_version, "x"));
	APART(strcpy(b.security_context, "/x"));
	APART(strcpy(b.init_data, "/x"));
	APART(b.kds = true);
#undef APART
	b = a;
	strcpy(b.key, "https://kv2.vault.azure.net/keys/disk");
	OK(lk_unlock_same_machine(&a, &b));
	strcpy(b.tpm, "/x");
	OK(!lk_unlock_same_machine(&a, &b));
}
