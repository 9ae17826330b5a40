/* tss_small.h - put before some files of tpm2-tss (tss.mk says which): sysapi_util.c's table of all
 * commands in a third of the size, and io.c without the resolver, for sockets that are never used.
 */
#ifndef LK_TSS_SMALL_H
#define LK_TSS_SMALL_H

#include <netdb.h>

#include "tss2_mu.h"

#include "sysapi_util.h"

#define getaddrinfo(...) EAI_FAIL

_Static_assert(TPM2_CC_LAST <= UINT16_MAX, "command codes fit");

#define COMMAND_HANDLES                                                                            \
	struct {                                                                                   \
		UINT16 commandCode;                                                                \
		UINT8 numCommandHandles, numResponseHandles;                                       \
	}

#endif
