/* The library's heap: the only place of ours that calls free(). */
#include <malloc.h>
#include <stdlib.h>

#include <mbedtls/platform.h>

#include "crypto_mbed.h"

/* The C library's heap, wiped on free. Not a static arena: a handshake takes some 35 KiB and every
 * trust anchor 3 KiB more (measured), so the peak depends on the administrator's trust file;
 * and its pages go back to the system after the handshake. */
static void wipe_and_free(void *p)
{
	if (p == NULL)
		return;
	lk_wipe(p, malloc_usable_size(p));
	free(p);
}

void lk_mbed_heap(void)
{
	mbedtls_platform_set_calloc_free(calloc, wipe_and_free);
}
