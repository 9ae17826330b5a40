/* Bindings removed from LUKS2 headers on image files, and headers and programs that are not as they
 * should be. Adding is in test_header.c. */
#include "t.h"

#include "header_rig.h"

#define ID  "0123456789abcdef"
#define ID2 "00000000000000bb"

static const struct lk_binding *found(const char *id)
{
	EQ_CODE(LK_OK, rig_read());
	return lk_header_find(&rig_h, id);
}

T(slot_and_token_go)
{
	struct lk_binding b;
	struct lk_err e;
	const char *stays = "x";

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	EQ_CODE(LK_OK, lk_header_remove(&rig_h, lk_header_find(&rig_h, ID), &stays, &e));
	OK(stays == NULL);
	OK(found(ID) == NULL);
	EQ_U(rig_h.now.slots_used, 1);
	EQ_U(rig_h.now.tokens_used, 0);
	OK(rig_opens(RIG_PASS, ""));
	OK(!rig_opens(RIG_SECRET, ""));
	rig_gone();
}

T(the_only_slot_that_opens_stays)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	OK(rig_sh("$C luksKillSlot -q $I 0"));
	OK(rig_sh("printf u >$I.k && $C luksAddKey -q " RIG_LIGHT
		  " --unbound --key-size 256 --key-slot 2 "
		  "$I $I.k && rm $I.k"));
	lk_header_close(&rig_h);
	rig_hash(rig_sum);
	NEED(rig_open(&e) == LK_OK);
	EQ_U(rig_h.now.slots_used, 6);
	EQ_U(rig_h.now.slots_open, 2); /* the unbound one holds another key */
	EQ_CODE(LK_EUSAGE, lk_header_remove(&rig_h, lk_header_find(&rig_h, ID), NULL, &e));
	OK(strstr(e.msg, "key slot 1 is the only one that opens") != NULL);
	OK(rig_same());
	rig_gone();
}

/* The host can have our token name the administrator's slot. */
T(a_slot_that_latchkey_did_not_make_stays)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("--pbkdf-force-iterations 2000");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	b.slot = 0;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &b, &e));
	lk_header_close(&rig_h);
	rig_hash(rig_sum);
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_ELUKS, lk_header_remove(&rig_h, lk_header_find(&rig_h, ID), NULL, &e));
	OK(strstr(e.msg, "key slot 0 of binding " ID " is none that latchkey made") != NULL);
	OK(rig_same());
	rig_gone();
}

/* A binding in `state` of slot 1, which exists if `add` says so. */
static const struct lk_binding *half(enum lk_binding_state state, bool add, bool borrowed)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	if (rig_open(&e) != LK_OK)
		abort();
	b.slot = 1;
	if (add)
		EQ_CODE(LK_OK, rig_slot(1));
	b.state = state;
	b.borrowed = borrowed;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &b, &e));
	return found(ID);
}

T(what_an_enrolment_left_behind_is_removed)
{
	static const struct {
		enum lk_binding_state state;
		bool add, borrowed;
		uint32_t slots;
		const char *stays;
	} row[] = {
	    {LK_BINDING_PENDING, false, false, 1, NULL},
	    {LK_BINDING_PENDING, true, false, 1, NULL},
	    {LK_BINDING_CUT, false, false, 1, NULL},
	    {LK_BINDING_CUT, true, false, 3, NULL},
	    {LK_BINDING_ACTIVE, true, true, 3, "it was there before the binding"},
	    {LK_BINDING_PENDING, true, true, 3, "it was there before the binding"},
	};
	struct lk_err e;

	RIG("");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const struct lk_binding *b = half(row[i].state, row[i].add, row[i].borrowed);
		const char *stays = "x";

		NEED(b != NULL);
		EQ_U(b->state, row[i].state);
		EQ_CODE(LK_OK, lk_header_remove(&rig_h, b, &stays, &e));
		EQ_S(stays ? stays : "", row[i].stays ? row[i].stays : "");
		OK(found(ID) == NULL);
		EQ_U(rig_h.now.slots_used, row[i].slots);
		EQ_U(rig_h.now.tokens_used, 0);
		if (row[i].slots == 3)
			OK(rig_sh("$C luksKillSlot -q $I 1"));
		lk_header_close(&rig_h);
	}
	rig_gone();
}

T(a_pending_ones_slot_stays_if_anybody_else_may_have_made_it)
{
	struct lk_binding other;
	struct lk_err e;
	const char *stays = NULL;

	RIG("");
	OK(rig_sh(
	    "printf '" RIG_PASS "' >$I.a && printf second >$I.b && $C luksAddKey -q --pbkdf pbkdf2 "
	    "--pbkdf-force-iterations 1001 --key-slot 1 --key-file $I.a $I $I.b && rm $I.a $I.b"));
	NEED(half(LK_BINDING_PENDING, false, false) != NULL);
	EQ_CODE(LK_OK, lk_header_remove(&rig_h, lk_header_find(&rig_h, ID), &stays, &e));
	EQ_S(stays, "nothing says that latchkey made it");
	OK(rig_opens("second", ""));
	lk_header_close(&rig_h);
	OK(rig_sh("$C luksKillSlot -q $I 1"));
	/* Another binding of ours. */
	NEED(half(LK_BINDING_PENDING, false, false) != NULL);
	other = *lk_header_find(&rig_h, ID);
	strcpy(other.id, ID2);
	other.token = 1;
	EQ_CODE(LK_OK, rig_slot(1));
	other.state = LK_BINDING_ACTIVE;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &other, &e));
	NEED(found(ID) != NULL);
	EQ_CODE(LK_OK, lk_header_remove(&rig_h, lk_header_find(&rig_h, ID), &stays, &e));
	EQ_S(stays, "another binding names it");
	OK(rig_opens(RIG_SECRET, "--key-slot 1"));
	OK(found(ID2) != NULL);
	rig_gone();
}

/* What was removed is gone; what was added beside is taken back. */
T(removing_is_not_taken_back)
{
	struct lk_binding b, c;
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	lk_header_close(&rig_h);
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&c, ID2);
	strcpy(b.replaced_by, ID2);
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &b, &e));
	EQ_CODE(LK_OK, lk_header_remove(&rig_h, &b, NULL, &e));
	EQ_CODE(LK_OK, lk_header_undo(&rig_h, &e));
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.tokens_used, 0);
	EQ_U(rig_h.now.slots_used, 1);
	EQ_S(rig_said, "");
	rig_gone();
}

T(a_malformed_token_of_ours_is_removed_by_its_number)
{
	struct lk_err e;

	RIG("");
	OK(rig_sh(
	    "printf '{\"type\":\"latchkey\",\"keyslots\":[\"0\"]}' | $C token import --token-id 4 "
	    "--json-file - $I && printf '{\"type\":\"foo\",\"keyslots\":[]}' | $C token import "
	    "--token-id 6 --json-file - $I"));
	NEED(rig_open(&e) == LK_OK);
	EQ_U(rig_h.now.tokens_bad, 1u << 4);
	EQ_CODE(LK_EBUG, lk_header_remove_bad(&rig_h, 6, &e));
	EQ_CODE(LK_OK, lk_header_remove_bad(&rig_h, 4, &e));
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.tokens_used, 1u << 6);
	EQ_U(rig_h.now.slots_used, 1);
	rig_gone();
}

/* ---- headers and programs that are not as they should be */

/* One damaged copy: cryptsetup repairs it with the first change, and that is not taken back, for
 * the moment would come when no copy is valid. */
T(a_damaged_copy_is_not_put_back)
{
	struct lk_binding b;
	struct lk_err e;

	for (int second = 0; second < 2; second++) {
		RIG("");
		OK(rig_sh(second ? "printf x | dd of=$I bs=1 seek=16985 conv=notrunc 2>/dev/null"
				 : "printf x | dd of=$I bs=1 seek=601 conv=notrunc 2>/dev/null"));
		NEED(rig_open(&e) == LK_OK);
		OK(!rig_h.sound);
		rig_bind(&b, ID);
		EQ_CODE(LK_OK, lk_header_undo(&rig_h, &e));
		lk_header_close(&rig_h);
		NEED(rig_open(&e) == LK_OK);
		OK(rig_h.sound);
		EQ_U(rig_h.now.tokens_used, 0);
		EQ_U(rig_h.now.slots_used, 1);
		OK(rig_opens(RIG_PASS, ""));
		rig_gone();
	}
}

/* A program in cryptsetup's place. */
static void instead(const char *script)
{
	char path[80];

	snprintf(path, sizeof(path), "%s.sh", rig_image);
	FILE *f = fopen(path, "w");
	if (f == NULL)
		abort();
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	if (chmod(path, 0700) != 0)
		abort();
}

static enum lk_code open_with_instead(struct lk_err *e)
{
	static char path[80];

	snprintf(path, sizeof(path), "%s.sh", rig_image);
	memset(e, 0, sizeof(*e));
	return lk_header_open(rig_image, path, &rig_h, e);
}

static void instead_gone(void)
{
	OK(rig_sh("rm -f $I.sh"));
	rig_gone();
}

T(a_cryptsetup_that_cannot_replace_tokens)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("");
	instead("case $* in *--token-replace*) echo \"$0: --token-replace: unknown option\" >&2; "
		"exit 1;; "
		"esac; exec /usr/sbin/cryptsetup \"$@\"");
	NEED(open_with_instead(&e) == LK_OK);
	rig_bind(&b, ID);
	NEED(found(ID) != NULL);
	EQ_U(found(ID)->state, LK_BINDING_ACTIVE);
	RIG_UNDONE();
	instead_gone();
}

/* It may have been done all the same, and then it is taken back. */
T(a_cryptsetup_that_is_killed)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("");
	instead("/usr/sbin/cryptsetup \"$@\"; case $1 in luksAddKey) kill -9 $$;; esac");
	NEED(open_with_instead(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_ELUKS, rig_slot(b.slot));
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.slots_used, 3);
	RIG_UNDONE();
	lk_header_close(&rig_h);
	/* It had not been done. */
	instead("case $1 in luksAddKey) kill -9 $$;; esac; exec /usr/sbin/cryptsetup \"$@\"");
	NEED(open_with_instead(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_ELUKS, rig_slot(b.slot));
	RIG_UNDONE();
	EQ_S(rig_said, "");
	instead_gone();
}

T(what_cannot_be_taken_back_is_an_error)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("");
	instead("case $1 in luksKillSlot) echo no >&2; exit 1;; esac; exec /usr/sbin/cryptsetup "
		"\"$@\"");
	NEED(open_with_instead(&e) == LK_OK);
	rig_bind(&b, ID);
	EQ_CODE(LK_ELUKS, lk_header_undo(&rig_h, &e));
	OK(strstr(e.msg, "taking back what was added: key slot 1: cryptsetup luksKillSlot") !=
	    NULL);
	OK(rig_opens(RIG_PASS, ""));
	instead_gone();
}

T(a_reencryption_under_way_ends_it)
{
	struct lk_err e;

	RIG("");
	if (!rig_sh("printf '" RIG_PASS "' | $C reencrypt -q --init-only --resilience none "
		    "--pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file=- $I 2>/dev/null")) {
		rig_gone();
		SKIP("cryptsetup cannot reencrypt an image file here");
	}
	EQ_CODE(LK_ELUKS, rig_open(&e));
	OK(strstr(e.msg, "a reencryption is under way") != NULL);
	rig_gone();
}

T(what_is_no_luks2_header)
{
	struct lk_err e;

	RIG("");
	OK(rig_sh("dd if=/dev/zero of=$I bs=32768 count=1 conv=notrunc 2>/dev/null"));
	EQ_CODE(LK_ELUKS, rig_open(&e));
	OK(strstr(e.msg, "no LUKS header") != NULL);
	OK(rig_sh("printf x | $C luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "
		  "--key-file=- $I"));
	EQ_CODE(LK_ELUKS, rig_open(&e));
	OK(strstr(e.msg, "LUKS of version 1") != NULL);
	unlink(rig_image);
	EQ_CODE(LK_ESYS, rig_open(&e));
	rig_gone();
}
