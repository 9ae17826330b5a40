/* list.c - `latchkeyctl list`. */
#include "ctl.h"
#include "header.h"
#include "lk/fmt.h"

enum lk_code lk_verb_list(struct lk_args *a, struct lk_err *e)
{
	static struct lk_header h;

	if (a->words != 1)
		return lk_fail(e, LK_EUSAGE, "list wants one DEVICE");
	if (lk_header_open(a->word[0], a->conf.cryptsetup, &h, e) == LK_OK) {
		lk_print(1, "%-16s %-5s %-5s %-8s %s\n", "binding", "token", "slot", "kind", "key");
		for (size_t i = 0; i < h.now.count; i++)
			lk_print(1, "%-16s %-5u %-5u %-8s %s\n", h.now.bindings[i].id,
			    (unsigned)h.now.bindings[i].token, (unsigned)h.now.bindings[i].slot,
			    h.now.bindings[i].kind, h.now.bindings[i].key);
	}
	lk_header_close(&h);
	return e->code;
}
