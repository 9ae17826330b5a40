/* What a disk courier that is not ours any more may say of a header: every field is checked again.
 */
#include "t.h"

#include "liar.h"

#define UUID "6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab"
#define ID   "0123456789abcdef"

/* The numbers in front, in order. */
enum { USED, OPEN, LIGHT, TOKENS, BAD, SIZE, JSON, AREA, REENC, COUNT, HEADS };
/* Those of a binding. */
enum { TOKEN, STATE, SLOT, BORROWED, NUMBERS };

struct lie {
	uint32_t head[HEADS], b[NUMBERS];
	const char *uuid, *cipher, *integrity, *next, *id, *b_uuid;
	size_t salt, mac;
};

static struct lie truth(void)
{
	return (struct lie){
	    .head = {0xff, 0x3f, 0x0f, 3, 2, 0x4000, 2000, 16 << 20, 1, 1},
	    .b = {31, LK_BINDING_ACTIVE, 31, 1},
	    .uuid = UUID,
	    .cipher = "aes-xts-plain64",
	    .integrity = "aead",
	    .next = "00000000000000bb",
	    .id = ID,
	    .b_uuid = UUID,
	    .salt = 32,
	    .mac = 32,
	};
}

static enum lk_code told(const struct lie *l, struct lk_luks2 *h)
{
	static uint8_t mem[4096];
	static const uint8_t zero[64];
	struct lk_courier c;
	struct lk_buf s = store(), b = LK_BUF(mem);
	struct lk_err e = {0};

	start_liar(&c);
	for (int i = 0; i < HEADS; i++)
		lk_frame_u32(&b, l->head[i]);
	lk_frame_field(&b, lk_slice_str(l->uuid));
	lk_frame_field(&b, lk_slice_str(l->cipher));
	lk_frame_field(&b, lk_slice_str(l->integrity));
	for (uint32_t i = 0; i < l->head[COUNT] && i < LK_BINDINGS_MAX + 1; i++) {
		for (int k = 0; k < NUMBERS; k++)
			lk_frame_u32(&b, l->b[k]);
		lk_frame_field(&b, lk_slice_str(l->next));
		lk_frame_field(&b, lk_slice_str(l->id));
		lk_frame_field(&b, LK_S("derived"));
		lk_frame_field(&b, LK_S("https://kv1.vault.azure.net/keys/disk"));
		lk_frame_field(&b, LK_S("https://a.attest.azure.net"));
		lk_frame_field(&b, LK_S(""));
		lk_frame_field(&b, lk_slice_str(l->b_uuid));
		lk_frame_field(&b, lk_slice_of(zero, l->salt));
		lk_frame_field(&b, lk_slice_of(zero, l->mac));
		lk_frame_field(&b, LK_S(""));
		lk_frame_field(&b, LK_S(""));
		lk_frame_field(&b, LK_S(""));
	}
	say(LK_F_TOKENS_OK, &b);
	enum lk_code rc = lk_read_tokens(&c, &s, h, &e);
	stop_liar(&c);
	return rc;
}

T(the_truth_is_taken)
{
	static struct lk_luks2 h;
	struct lie l = truth();

	EQ_CODE(LK_OK, told(&l, &h));
	EQ_U(h.slots_used, 0xff);
	EQ_U(h.slots_open, 0x3f);
	EQ_U(h.slots_light, 0x0f);
	EQ_U(h.tokens_used, 3);
	EQ_U(h.tokens_bad, 2);
	EQ_U(h.size, 0x4000);
	EQ_U(h.json_len, 2000);
	EQ_U(h.area, 16 << 20);
	OK(h.reencrypting);
	EQ_S(h.uuid, UUID);
	EQ_S(h.cipher, "aes-xts-plain64");
	EQ_S(h.integrity, "aead");
	EQ_U(h.count, 1);
	EQ_U(h.bindings[0].token, 31);
	EQ_U(h.bindings[0].slot, 31);
	EQ_U(h.bindings[0].state, LK_BINDING_ACTIVE);
	OK(h.bindings[0].borrowed);
	EQ_S(h.bindings[0].replaced_by, "00000000000000bb");
	l.b[STATE] = LK_BINDING_CUT;
	l.b[SLOT] = 0;
	l.b[BORROWED] = 0;
	l.next = "";
	l.head[REENC] = 0;
	l.head[AREA] = 0;
	EQ_CODE(LK_OK, told(&l, &h));
	EQ_U(h.bindings[0].state, LK_BINDING_CUT);
	OK(!h.bindings[0].borrowed && !h.reencrypting);
	l.head[COUNT] = LK_BINDINGS_MAX;
	EQ_CODE(LK_OK, told(&l, &h));
	l.head[COUNT] = 0;
	EQ_CODE(LK_OK, told(&l, &h));
}

/* Nothing of a header with a lie in it is kept. */
static void refused(const struct lie *l, const char *what, int row)
{
	static struct lk_luks2 h;
	static const struct lk_luks2 none;

	if (told(l, &h) != LK_EPROTO || memcmp(&h, &none, sizeof(h)) != 0)
		T_FAIL("%s, row %d: taken", what, row);
}

T(numbers_that_cannot_be)
{
	static const struct {
		int at;
		uint32_t v;
	} head[] = {{LIGHT, 0x10f}, {OPEN, 0x100}, {SIZE, 0x5000}, {SIZE, 0x2000}, {BAD, 4},
	    {SIZE, 0}, {SIZE, 0x20000}, {SIZE, UINT32_MAX}, {JSON, 0x4000}, {JSON, UINT32_MAX},
	    {AREA, 1}, {AREA, 0x7fff}, {REENC, 2}, {COUNT, LK_BINDINGS_MAX + 1},
	    {COUNT, UINT32_MAX}},
	  of[] = {{TOKEN, 32}, {SLOT, 32}, {STATE, LK_BINDING_CUT}, {STATE, LK_BINDING_CUT + 1},
	      {STATE, UINT32_MAX}, {BORROWED, 2}};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		struct lie l = truth();

		l.head[head[i].at] = head[i].v;
		refused(&l, "header", (int)i);
	}
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		struct lie l = truth();

		l.b[of[i].at] = of[i].v;
		refused(&l, "binding", (int)i);
	}
}

T(texts_that_cannot_be)
{
	static const char *const ids[] = {
	    "0123456789abcde", "0123456789abcdeF", "0123456789abcdefa"};
	struct lie l = truth();

	l.uuid = "6a3b1f2e-0c4d-4e5f-8a9b-0123456789aB";
	refused(&l, "uuid", 0);
	l = truth();
	l.b_uuid = "";
	refused(&l, "uuid of a binding", 0);
	l = truth();
	l.cipher = "aes\x1b";
	refused(&l, "cipher", 0);
	l.cipher = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	refused(&l, "cipher", 1);
	l = truth();
	l.integrity = "\n";
	refused(&l, "integrity", 0);
	l = truth();
	l.salt = 31;
	refused(&l, "salt", 0);
	l = truth();
	l.mac = 33;
	refused(&l, "mac", 0);
	for (int i = 0; i < 3; i++) {
		l = truth();
		l.id = ids[i];
		refused(&l, "id", i);
		l = truth();
		l.next = ids[i];
		refused(&l, "replaced-by", i);
	}
	l = truth();
	l.id = "";
	refused(&l, "id", 3);
}
