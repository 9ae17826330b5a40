/* tss_small.h - put before tpm2-tss' sysapi_util.c: its table of all commands, a third as large. */
#ifndef LK_TSS_SMALL_H
#define LK_TSS_SMALL_H

#include "tss2_mu.h"

#include "sysapi_util.h"

_Static_assert(TPM2_CC_LAST <= UINT16_MAX, "command codes fit");

#define COMMAND_HANDLES                                                                            \
	struct {                                                                                   \
		UINT16 commandCode;                                                                \
		UINT8 numCommandHandles, numResponseHandles;                                       \
	}

#endif
