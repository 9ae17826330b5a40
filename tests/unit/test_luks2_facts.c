/* What a LUKS2 header says beside its bindings, and what latchkeyctl makes of it. */
#include "t.h"

#include "lk/luks2.h"
#include "luks2_image.h"

static struct image m;
static struct lk_luks2 h;
static bool boot; /* read as a boot does, which wants less */

#define KDF(type, rounds) "{\"kdf\":{\"type\":\"" type "\",\"iterations\":" rounds "}}"

static const char *other_tokens = "";

static void read_facts(const char *slots, const char *segments, const char *config)
{
	static char text[4096];
	struct lk_err e;

	snprintf(text, sizeof(text),
	    "{\"keyslots\":{%s},\"tokens\":{%s},\"segments\":{%s},\"config\":{%s}}", slots,
	    other_tokens, segments, config);
	image_make(&m, 0x4000, text);
	int fd = image_fd(&m, IMG_SIZE);
	memset(&e, 0, sizeof(e));
	lk_luks2_more = boot ? NULL : lk_luks2_facts;
	EQ_CODE(LK_OK, lk_luks2_read(fd, &h, &e));
	close(fd);
	EQ_U(h.size, 0x4000);
	EQ_U(h.json_len, strlen(text));
}

T(slots_with_a_light_hash_are_told)
{
	read_facts(
	    "\"0\":" KDF("argon2id", "1000") ",\"1\":" KDF("pbkdf2", "1000") ",\"2\":" KDF(
		"pbkdf2", "1001") ",\"3\":{\"kdf\":{\"type\":\"pbkdf2\"}},\"4\":" KDF("pbkdf2",
		"\"1000\"") ",\"5\":[],\"6\":{\"kdf\":7},\"31\":" KDF("pbkdf2", "1000"),
	    "", "");
	EQ_U(h.slots_used, 0x8000007f);
	EQ_U(h.slots_light, 1u << 1 | 1u << 31);
	/* There twice: not even cryptsetup says which one counts. */
	read_facts("\"1\":" KDF("pbkdf2", "1000") ",\"1\":" KDF("argon2id", "4") ",\"2\":" KDF(
		       "argon2id", "4") ",\"2\":" KDF("pbkdf2", "1000"),
	    "", "");
	EQ_U(h.slots_used, 6);
	EQ_U(h.slots_light, 0);
}

T(light_slots_of_other_programs_are_not_ours)
{
	other_tokens = "\"0\":{\"type\":\"clevis\",\"keyslots\":[\"1\",5,\"x\"]},"
		       "\"1\":{\"keyslots\":[\"2\"]},\"2\":7,\"3\":{\"type\":\"latchkey\","
		       "\"keyslots\":[\"3\"]}";
	read_facts("\"1\":" KDF("pbkdf2", "1000") ",\"2\":" KDF("pbkdf2", "1000") ",\"3\":" KDF(
		       "pbkdf2", "1000") ",\"4\":" KDF("pbkdf2", "1000"),
	    "", "");
	other_tokens = "";
	EQ_U(h.slots_light, 1u << 3 | 1u << 4);
}

T(slots_that_hold_the_key_of_the_data)
{
	read_facts("\"0\":{},\"1\":{},\"2\":{},\"3\":{}", "",
	    "},\"digests\":{\"0\":{\"keyslots\":[\"0\",\"2\",\"9\",5],\"segments\":[\"0\"]},"
	    "\"1\":{\"keyslots\":[\"1\"],\"segments\":[]},\"2\":{\"keyslots\":[\"1\"]},\"3\":7");
	EQ_U(h.slots_used, 15);
	EQ_U(h.slots_open, 1u | 1u << 2);
	read_facts("\"0\":{}", "", "},\"digests\":{\"0\":{\"keyslots\":{},\"segments\":[\"0\"]}");
	EQ_U(h.slots_open, 0);
}

T(cipher_and_integrity_of_the_first_segment)
{
	read_facts("", "\"0\":{\"encryption\":\"aes-xts-plain64\"}", "");
	EQ_S(h.cipher, "aes-xts-plain64");
	EQ_S(h.integrity, "");
	read_facts("",
	    "\"1\":{\"encryption\":\"no\"},\"0\":{\"encryption\":\"capi:gcm(aes)-random\","
	    "\"integrity\":{\"type\":\"aead\"}}",
	    "");
	EQ_S(h.cipher, "capi:gcm(aes)-random");
	EQ_S(h.integrity, "aead");
	/* The host's text is printable and has an end. */
	read_facts("",
	    "\"0\":{\"encryption\":\"a\\u001b b\xc3\xa4"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"integrity\":{\"type\":5}}",
	    "");
	EQ_S(h.cipher, "a\\u001b?b??xxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	EQ_U(strlen(h.cipher), sizeof(h.cipher) - 1);
	EQ_S(h.integrity, "");
	read_facts("", "\"0\":[]", "");
	EQ_S(h.cipher, "");
}

T(a_reencryption_is_noticed)
{
	static const char *const row[][3] = {
	    {"\"1\":{\"type\":\"reencrypt\"}", "", ""},
	    {"", "\"0\":{\"flags\":[\"in-reencryption\"]}", ""},
	    {"", "\"0\":{},\"1\":{\"flags\":[\"backup-final\"]}", ""},
	    {"", "", "\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]}"},
	    {"", "", "\"requirements\":{\"mandatory\":[\"x\",\"offline-reencrypt\"]}"},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		read_facts(row[i][0], row[i][1], row[i][2]);
		if (!h.reencrypting)
			T_FAIL("row %zu goes unnoticed", i);
	}
	read_facts("\"0\":{\"type\":\"luks2\"}", "\"0\":{\"flags\":[]}",
	    "\"requirements\":{\"mandatory\":[\"x\"]},\"flags\":[\"no-journal\"]");
	OK(!h.reencrypting);
}

T(the_bytes_that_header_and_slots_take)
{
	read_facts("", "", "\"keyslots_size\":\"16744448\"");
	EQ_U(h.area, 16 << 20);
	read_facts("", "", "\"keyslots_size\":\"0\"");
	EQ_U(h.area, 0x8000);
	read_facts("", "", "\"keyslots_size\":\"4294934527\"");
	EQ_U(h.area, UINT32_MAX);
	read_facts("", "", "\"keyslots_size\":\"4294934528\"");
	EQ_U(h.area, 0);
	read_facts("", "", "\"keyslots_size\":16744448");
	EQ_U(h.area, 0);
	read_facts("", "", "");
	EQ_U(h.area, 0);
}

T(a_boot_does_not_look_at_these)
{
	boot = true;
	read_facts("\"1\":" KDF("pbkdf2", "1000"), "\"0\":{\"encryption\":\"x\",\"flags\":[\"x\"]}",
	    "\"keyslots_size\":\"0\"");
	boot = false;
	EQ_U(h.slots_used, 2);
	EQ_U(h.slots_light, 0);
	EQ_U(h.area, 0);
	EQ_S(h.cipher, "");
	OK(!h.reencrypting);
}
