/* The courier to the disk: the LUKS2 header belongs to the host, so it is parsed in here. */
#include "lk/luks2.h"
#include "serve.h"

static void put_binding(struct lk_buf *to, const struct lk_binding *b)
{
	lk_frame_u32(to, b->token);
	lk_frame_u32(to, (uint32_t)b->state);
	lk_frame_u32(to, b->slot);
	lk_frame_u32(to, b->borrowed);
	lk_frame_field(to, lk_slice_str(b->replaced_by));
	lk_frame_field(to, lk_slice_str(b->id));
	lk_frame_field(to, lk_slice_str(b->kind));
	lk_frame_field(to, lk_slice_str(b->key));
	lk_frame_field(to, lk_slice_str(b->attest));
	lk_frame_field(to, lk_slice_str(b->thumbprint));
	lk_frame_field(to, lk_slice_str(b->uuid));
	lk_frame_field(to, lk_slice_of(b->salt, sizeof(b->salt)));
	lk_frame_field(to, lk_slice_of(b->mac, sizeof(b->mac)));
	lk_frame_field(to, lk_slice_of(b->kdf_salt, b->kdf_salt_len));
	lk_frame_field(to, lk_slice_str(b->label));
	lk_frame_field(to, lk_slice_of(b->wrapped, b->wrapped_len));
}

static enum lk_code serve_tokens(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	static struct lk_luks2 h;
	struct lk_buf reply = LK_BUF(lk_room.reply);
	enum lk_code rc = lk_frame_done(in, "tokens", e);

	if (rc == LK_OK)
		rc = lk_luks2_read(s->conf->disk_fd, &h, e);
	if (rc != LK_OK)
		return rc;
	const uint32_t number[] = {h.slots_used, h.slots_open, h.slots_light, h.tokens_used,
	    h.tokens_bad, h.size, h.json_len, h.area, h.reencrypting, (uint32_t)h.count};
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		lk_frame_u32(&reply, number[i]);
	lk_frame_field(&reply, lk_slice_str(h.uuid));
	lk_frame_field(&reply, lk_slice_str(h.cipher));
	lk_frame_field(&reply, lk_slice_str(h.integrity));
	for (size_t i = 0; i < h.count; i++)
		put_binding(&reply, &h.bindings[i]);
	return lk_serve_reply(s, LK_F_TOKENS_OK, &reply, e);
}

static enum lk_code on_frame(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e)
{
	return type == LK_F_TOKENS ? serve_tokens(s, in, e) : lk_serve_unknown(type, e);
}

int lk_serve_disk(int fd, const struct lk_courier_conf *conf)
{
	return lk_serve_loop(fd, conf, on_frame);
}
