/* Storage of secrets. */
#include "lk/secret.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* The empty asm makes the compiler believe that the zeros are read, whatever it can see (LTO). */
void lk_wipe(void *p, size_t n)
{
	if (!n)
		return;
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

void lk_secret_clear(struct lk_secret *s)
{
	lk_wipe(s, sizeof(*s));
}

enum lk_code lk_secret_set(struct lk_secret *s, struct lk_slice v, struct lk_err *e)
{
	if (v.n > sizeof(s->p))
		return lk_fail(e, LK_ELIMIT, "secret of %zu bytes: at most %zu", v.n, sizeof(s->p));
	/* memmove: v may be a part of s itself. */
	if (v.n)
		memmove(s->p, v.p, v.n);
	s->n = v.n;
	lk_wipe(s->p + v.n, sizeof(s->p) - v.n);
	return LK_OK;
}

struct lk_slice lk_secret_slice(const struct lk_secret *s)
{
	LK_BUG_ON(s->n > sizeof(s->p));
	return lk_slice_of(s->p, s->n);
}

bool lk_secret_eq(struct lk_slice a, struct lk_slice b)
{
	uint8_t diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		diff |= a.p[i] ^ b.p[i];
		/* Opaque to the optimiser, so that it cannot leave the loop early. */
		__asm__ __volatile__("" : "+r"(diff));
	}
	return diff == 0;
}

/* From the linker's layout; absent where a loader protects what only it may write. musl's start
 * code of a static program relocates and leaves the tables of functions writable. */
extern char lk_relro[] __attribute__((weak, visibility("hidden")));
extern char lk_relro_end[] __attribute__((weak, visibility("hidden")));

static void protect_constants(void)
{
	uintptr_t page = getauxval(AT_PAGESZ);
	uintptr_t from = (uintptr_t)lk_relro / page * page;
	uintptr_t end = (uintptr_t)lk_relro_end / page * page;

	if (end > from)
		(void)mprotect((void *)from, end - from, PROT_READ);
}

void lk_secret_lock_process(bool *locked)
{
	const struct rlimit none = {0, 0};
	int ok;

	/* On fault: static arenas that are never touched cost no memory. Older kernels do without.
	 */
	ok = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	if (ok != 0)
		ok = mlockall(MCL_CURRENT | MCL_FUTURE);
	*locked = ok == 0;
	protect_constants();
	(void)prlimit(0, RLIMIT_CORE, &none, NULL);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
