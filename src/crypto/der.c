#include "lk/der.h"

bool lk_der_is(struct lk_slice in, uint8_t tag)
{
	return in.n != 0 && in.p[0] == tag;
}

/* Size of tag and length, and of the content; false if they do not fit into `in`. */
static bool head(struct lk_slice in, size_t *hdr, size_t *len)
{
	/* 0x1f announces a tag of several bytes: nothing that we read has one */
	if (in.n < 2 || (in.p[0] & 0x1f) == 0x1f)
		return false;
	size_t l = in.p[1];
	size_t h = 2;
	if (l == 0x81) {
		if (in.n < 3 || in.p[2] < 0x80)
			return false;
		l = in.p[2];
		h = 3;
	} else if (l == 0x82) {
		if (in.n < 4 || in.p[2] == 0)
			return false;
		l = (size_t)in.p[2] << 8 | in.p[3];
		h = 4;
	} else if (l >= 0x80) {
		return false;
	}
	if (l > in.n - h)
		return false;
	*hdr = h;
	*len = l;
	return true;
}

bool lk_der_take(struct lk_slice *in, uint8_t tag, struct lk_slice *body)
{
	size_t hdr, len;
	if (!lk_der_is(*in, tag) || !head(*in, &hdr, &len))
		return false;
	*body = lk_slice_of(in->p + hdr, len);
	*in = lk_slice_of(in->p + hdr + len, in->n - hdr - len);
	return true;
}

bool lk_der_skip(struct lk_slice *in, struct lk_slice *whole)
{
	size_t hdr, len;
	if (!head(*in, &hdr, &len))
		return false;
	*whole = lk_slice_of(in->p, hdr + len);
	*in = lk_slice_of(in->p + hdr + len, in->n - hdr - len);
	return true;
}

struct lk_slice lk_der_strip(struct lk_slice v)
{
	while (v.n != 0 && v.p[0] == 0) {
		v.p++;
		v.n--;
	}
	return v;
}

bool lk_der_uint(struct lk_slice *in, struct lk_slice *out)
{
	struct lk_slice v;
	struct lk_slice rest = *in;
	if (!lk_der_take(&rest, LK_DER_INTEGER, &v) || v.n == 0)
		return false;
	*out = lk_der_strip(v);
	*in = rest;
	return true;
}
