/* Any bindings in any text of NAME.conf: after every change boot finds just what was meant, and
 * what was written by hand is there. */
#include "t.h"

#include "conf_rig.h"

static size_t count(const char *in, const char *what)
{
	size_t n = 0;

	for (const char *at = strstr(in, what); at != NULL; at = strstr(at + 1, what))
		n++;
	return n;
}

/* Lines of the volume and marked remarks of the top are there as they were, in their order. */
T_HELPER kept(const char *was, const char *is)
{
	static char rest[LK_CONF_FILE_MAX + 1];
	char *at = rest;

	rig_text(rest, sizeof(rest), was);
	for (char *line = strsep(&at, "\n"); line != NULL; line = strsep(&at, "\n")) {
		if (lk_opt_is_section(lk_slice_str(line)))
			break;
		if (strstr(line, "#top") == NULL && !rig_of_volume(line))
			continue;
		is = strstr(is, line);
		if (is == NULL) {
			T_FAIL("the line \"%s\" is gone", line);
			return;
		}
		is += strlen(line);
	}
}

static void change(struct rig_random *r)
{
	const size_t i = rig_below(r, f.n), j = rig_below(r, f.n);
	struct lk_conf c = f.binding[i];

	switch (rig_below(r, 5)) {
	case 0: /* another order */
		f.binding[i] = f.binding[j];
		f.binding[j] = c;
		break;
	case 1:
		if (f.n > 1)
			memmove(
			    &f.binding[i], &f.binding[i + 1], (--f.n - i) * sizeof(f.binding[0]));
		break;
	case 2:
		if (f.n < LK_BINDINGS_MAX)
			rig_binding(r, &f.binding[f.n++]);
		break;
	case 3: /* in front */
		if (f.n < LK_BINDINGS_MAX) {
			memmove(&f.binding[1], &f.binding[0], f.n++ * sizeof(f.binding[0]));
			rig_binding(r, &f.binding[0]);
		}
		break;
	default:
		rig_binding(r, &f.binding[i]);
		break;
	}
	for (size_t k = 0; k < f.n; k++)
		rig_text(f.binding[k].uuid, sizeof(f.binding[k].uuid), UUID);
}

T(any_bindings_in_any_text)
{
	static struct lk_conf want[LK_BINDINGS_MAX];
	static char was[LK_CONF_FILE_MAX + 1];
	struct rig_random r = {.state = 0x6c61746368};
	unsigned written = 0;

	for (unsigned round = 0; round < 400 && t_failures == 0; round++) {
		size_t n = 1 + rig_below(&r, LK_BINDINGS_MAX);

		rig_file(&r, want, n, was, sizeof(was));
		load(was);
		EQ_U(f.n, n);
		for (size_t i = 0; i < n; i++)
			if (!rig_same(&f.binding[i], &want[i]))
				T_FAIL("binding %zu is not what was meant in:\n%s", i, was);
		for (unsigned steps = rig_below(&r, 4); steps > 0; steps--)
			change(&r);
		save();
		kept(was, now());
		EQ_U(count(now(), "[alternative]"), f.n - 1);
		/* And that text is stable. */
		rig_text(was, sizeof(was), now());
		f = g;
		save();
		EQ_S(now(), was);
		written++;
	}
	printf("# %u files written and read\n", written);
}
