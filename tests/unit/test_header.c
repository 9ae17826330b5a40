/* Changes to LUKS2 headers that cryptsetup(8) makes on image files, and taking them back byte for
 * byte. Removing is in test_header_remove.c. */
#include "t.h"

#include "header_rig.h"

#define ID  "0123456789abcdef"
#define ID2 "00000000000000bb"
#define FOO "'{\"type\":\"foo\",\"keyslots\":[]}'"

T(a_binding_is_added_in_three_steps)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	EQ_U(b.slot, 1);
	EQ_U(b.token, 0);
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_OK, rig_read());
	NEED(lk_header_find(&rig_h, ID) != NULL);
	EQ_U(lk_header_find(&rig_h, ID)->state, LK_BINDING_PENDING);
	EQ_U(lk_header_find(&rig_h, ID)->slot, 1);
	EQ_U(rig_h.now.slots_used, 1);
	EQ_CODE(LK_OK, rig_slot(1));
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.slots_used, 3);
	EQ_U(rig_h.now.slots_light, 3);
	EQ_U(rig_h.now.slots_open, 3);
	EQ_U(lk_header_find(&rig_h, ID)->state, LK_BINDING_PENDING);
	b.state = LK_BINDING_ACTIVE;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &b, &e));
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.count, 1);
	EQ_MEM(lk_header_find(&rig_h, ID), &b, sizeof(b));
	EQ_CODE(LK_OK, lk_header_test(&rig_h, 1, lk_slice_str(RIG_SECRET), &e));
	EQ_CODE(LK_ELUKS, lk_header_test(&rig_h, 0, lk_slice_str(RIG_SECRET), &e));
	EQ_CODE(LK_ELUKS, lk_header_test(&rig_h, 1, lk_slice_str(RIG_PASS), &e));
	OK(lk_header_find(&rig_h, ID2) == NULL);
	OK(rig_opens(RIG_PASS, ""));
	rig_gone();
}

/* Whatever was reached, the image is as it was, to the last byte. */
T(every_stage_is_taken_back)
{
	struct lk_binding b, other;
	struct lk_err e;

	RIG("");
	for (int stage = 0; stage <= 5; stage++) {
		NEED(rig_open(&e) == LK_OK);
		b = kind_sample(LK_DERIVED);
		b.token = 31;
		b.slot = 31;
		if (stage >= 1)
			EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
		if (stage >= 2)
			EQ_CODE(LK_OK, rig_slot(b.slot));
		b.state = LK_BINDING_ACTIVE;
		if (stage >= 3)
			EQ_CODE(LK_OK, lk_header_put(&rig_h, &b, &e));
		if (stage >= 4)
			EQ_CODE(LK_OK, lk_header_token(&rig_h, 7,
					   LK_S("{\"type\":\"foo\",\"keyslots\":"
						"[\"31\"]}"),
					   &e));
		if (stage >= 5)
			rig_bind(&other, ID2);
		OK(rig_same() == (stage == 0));
		RIG_UNDONE();
		OK(rig_opens(RIG_PASS, ""));
		lk_header_close(&rig_h);
	}
	EQ_S(rig_said, "");
	rig_gone();
}

/* Tokens that were there before and are written again: marks, and a pending one made active. */
T(what_was_written_again_is_taken_back)
{
	struct lk_binding old, pending = kind_sample(LK_DERIVED), b;
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&old, ID);
	strcpy(pending.id, ID2);
	pending.token = 9;
	pending.slot = 4;
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &pending, &e));
	/* A member of somebody else in our token stays as it is. */
	OK(rig_sh("$C token export --token-id 0 $I | sed 's/}$/,\"x\":{\"y\":[1, 2.50]}}/' | "
		  "$C token import --token-id 0 --token-replace --json-file - $I"));
	lk_header_close(&rig_h);
	rig_hash(rig_sum);

	NEED(rig_open(&e) == LK_OK);
	EQ_U(rig_h.now.count, 2);
	strcpy(old.replaced_by, "00000000000000cc");
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &old, &e));
	EQ_CODE(LK_OK, rig_slot(4));
	pending.state = LK_BINDING_ACTIVE;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &pending, &e));
	EQ_CODE(LK_OK, lk_header_put(&rig_h, &pending, &e));
	rig_bind(&b, "00000000000000cc");
	EQ_S(lk_header_find(&rig_h, ID)->replaced_by, "00000000000000cc");
	EQ_U(lk_header_find(&rig_h, ID2)->state, LK_BINDING_ACTIVE);
	OK(!rig_same());
	RIG_UNDONE();
	EQ_CODE(LK_OK, rig_read());
	EQ_U(lk_header_find(&rig_h, ID2)->state, LK_BINDING_PENDING);
	rig_gone();
}

T(what_somebody_else_changed_meanwhile_is_kept)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	OK(rig_sh("printf " FOO " | $C token import --token-id 8 --json-file - $I"));
	OK(rig_sh(
	    "printf '" RIG_PASS "' >$I.a && printf second >$I.b && $C luksAddKey -q " RIG_LIGHT
	    " --key-slot 9 --key-file $I.a $I $I.b && rm $I.a $I.b"));
	EQ_CODE(LK_OK, lk_header_undo(&rig_h, &e));
	OK(strstr(rig_said, "somebody else changed the LUKS2 header meanwhile") != NULL);
	EQ_CODE(LK_OK, rig_read());
	EQ_U(rig_h.now.slots_used, 1u | 1u << 9);
	EQ_U(rig_h.now.tokens_used, 1u << 8);
	EQ_U(rig_h.now.count, 0);
	OK(rig_opens("second", "--key-slot 9"));
	OK(rig_opens(RIG_PASS, ""));
	OK(!rig_opens(RIG_SECRET, ""));
	rig_gone();
}

/* A passphrase that is changed meanwhile leaves slots and tokens as they were, and yet is another.
 */
T(a_passphrase_that_is_changed_meanwhile_is_kept)
{
	struct lk_binding b;
	struct lk_err e;

	RIG("");
	NEED(rig_open(&e) == LK_OK);
	rig_bind(&b, ID);
	OK(rig_sh(
	    "printf '" RIG_PASS "' >$I.a && printf second >$I.b && $C luksChangeKey -q " RIG_LIGHT
	    " --key-slot 0 --key-file $I.a $I $I.b && rm $I.a $I.b"));
	EQ_CODE(LK_OK, lk_header_undo(&rig_h, &e));
	OK(strstr(rig_said, "theirs is kept") != NULL);
	OK(rig_opens("second", ""));
	OK(!rig_opens(RIG_SECRET, ""));
	rig_gone();
}

T(headers_of_every_size_that_is_read)
{
	static const char *const row[] = {"--luks2-metadata-size 16k", "--luks2-metadata-size 32k",
	    "--luks2-metadata-size 64k", "--luks2-metadata-size 64k --luks2-keyslots-size 1m",
	    "--sector-size 512 --offset 34816", "--luks2-keyslots-size 4m"};
	struct lk_binding b;
	struct lk_err e;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		RIG(row[i]);
		NEED(rig_open(&e) == LK_OK);
		rig_bind(&b, ID);
		EQ_CODE(LK_OK, lk_header_test(&rig_h, 1, lk_slice_str(RIG_SECRET), &e));
		RIG_UNDONE();
		rig_gone();
	}
	RIG("--luks2-metadata-size 128k");
	EQ_CODE(LK_ELUKS, rig_open(&e));
	OK(strstr(e.hint, "--luks2-metadata-size") != NULL);
	OK(rig_same());
	rig_gone();
}

/* ---- what does not fit */

T(a_header_without_a_free_slot)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("--luks2-metadata-size 32k");
	OK(rig_sh("printf '" RIG_PASS
		  "' >$I.a; for n in $(seq 31); do printf k$n >$I.b; $C luksAddKey -q " RIG_LIGHT
		  " --key-file $I.a $I $I.b || exit 1; done; rm $I.a $I.b"));
	rig_hash(rig_sum);
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_ELUKS, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	OK(strstr(e.msg, "all 32 key slots are in use") != NULL);
	OK(strstr(e.hint, "nothing was changed") != NULL);
	EQ_CODE(LK_ELUKS, lk_header_free(&rig_h, 31, &b, &e));
	/* One that is added all the same, as in a race. */
	b.slot = 31;
	b.token = 0;
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_ELUKS, rig_slot(31));
	RIG_UNDONE();
	OK(rig_opens("k31", "--key-slot 31"));
	rig_gone();
}

T(a_header_without_room_for_json)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("");
	OK(rig_sh("printf '{\"type\":\"foo\",\"keyslots\":[],\"x\":\"%010800d\"}' 0 | "
		  "$C token import --json-file - $I"));
	rig_hash(rig_sum);
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	EQ_CODE(LK_ELUKS, lk_header_pend(&rig_h, &b, &e));
	OK(strstr(e.msg, "the LUKS2 header is full: ") != NULL);
	OK(strstr(e.msg, " of 12288 bytes of JSON are in use") != NULL);
	OK(rig_same());
	/* What is only noticed by cryptsetup, after it has written the slot's area. */
	rig_h.now.json_len = 0;
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_ELUKS, rig_slot(b.slot));
	RIG_UNDONE();
	rig_gone();
}

T(a_header_whose_slots_have_no_room)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("--luks2-keyslots-size 256k");
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_ELUKS,
	    lk_header_add_slot(&rig_h, 1, lk_slice_str(RIG_PASS), lk_slice_str(RIG_SECRET), &e));
	OK(strstr(e.msg, "No space for new keyslot") != NULL);
	RIG_UNDONE();
	rig_gone();
}

/* ---- numbers */

T(numbers_that_belong_to_others_are_not_taken)
{
	struct lk_binding b = kind_sample(LK_DERIVED), c;
	struct lk_err e;

	RIG("");
	OK(rig_sh(
	    "for n in 0 1 2 4; do printf " FOO " | $C token import --token-id $n --json-file - $I "
	    "|| exit 1; done"));
	NEED(rig_open(&e) == LK_OK);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	EQ_U(b.token, 3);
	b.slot = 1; /* as pending: the slot is not there yet, but it is spoken for */
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
	EQ_CODE(LK_OK, rig_read());
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &c, &e));
	EQ_U(c.token, 6); /* 5 is Azure Disk Encryption's */
	EQ_U(c.slot, 2);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, 17, &c, &e));
	EQ_U(c.slot, 17);
	EQ_CODE(LK_ELUKS, lk_header_free(&rig_h, 0, &c, &e));
	EQ_CODE(LK_ELUKS, lk_header_free(&rig_h, 1, &c, &e));
	EQ_CODE(LK_EBUG, lk_header_token(&rig_h, 5, LK_S("{}"), &e));
	EQ_CODE(LK_EBUG, lk_header_token(&rig_h, 4, LK_S("{}"), &e));
	b.token = 4; /* foo's */
	EQ_CODE(LK_EBUG, lk_header_put(&rig_h, &b, &e));
	rig_gone();
}

/* A ninth would never be read by a boot. */
T(no_more_bindings_than_are_read)
{
	struct lk_binding b = kind_sample(LK_DERIVED);
	struct lk_err e;

	RIG("--luks2-metadata-size 32k");
	NEED(rig_open(&e) == LK_OK);
	for (int i = 0; i < LK_BINDINGS_MAX - 1; i++) {
		EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
		b.id[0] = (char)('0' + i);
		EQ_CODE(LK_OK, lk_header_pend(&rig_h, &b, &e));
		EQ_CODE(LK_OK, rig_read());
	}
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	OK(rig_sh(
	    "printf '{\"type\":\"latchkey\",\"keyslots\":[]}' | $C token import --json-file - $I"));
	EQ_CODE(LK_OK, rig_read());
	EQ_CODE(LK_ELUKS, lk_header_free(&rig_h, LK_SLOT_ANY, &b, &e));
	OK(strstr(e.msg, "8 tokens of type latchkey are there") != NULL);
	rig_gone();
}
