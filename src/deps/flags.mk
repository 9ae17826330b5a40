# Code generation, shared by the libraries and by latchkey. FLAVOR is musl (shipped, static-pie)
# or glibc (tests under the sanitizers).

GCC ?= gcc
CLANG ?= clang

# Only for the kernel's headers, which come last, after musl's.
ARCH_TRIPLE := $(shell $(GCC) -print-multiarch 2>/dev/null)

CODEGEN_COMMON := -ffunction-sections -fdata-sections -fno-common -fvisibility=hidden \
	-fstack-protector-strong -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks \
	-fno-strict-overflow '-ffile-prefix-map=$(CURDIR)/=' -Wdate-time

# What the wrapper musl-gcc does: the C library's headers, then the compiler's, none of the system's.
CC_musl ?= $(GCC)
MUSL ?= $(D)/musl
CPP_musl = -nostdinc -isystem $(MUSL)/include -isystem $(shell $(GCC) -print-file-name=include)
CODEGEN_musl := -Oz -fPIE $(CODEGEN_COMMON) -fstack-clash-protection \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none
# Measured and left out: -fzero-call-used-regs=used-gpr, 8 KiB against gadgets that this program is
# too short-lived to be probed for; our secrets are in memory, which is wiped. Measured and kept:
# -ftrivial-auto-var-init=zero 6 KiB, -fstack-clash-protection next to nothing.

# Programs are optimised at link time: what they do not reach of the libraries goes, and calls get
# shorter. The objects hold machine code as well, which the tests are linked from, quickly.
LTO ?= 1
ifeq ($(LTO),1)
CODEGEN_musl += -flto -ffat-lto-objects
LINK_LTO_musl := $(CODEGEN_musl) -flto=1 -flto-partition=one
endif

CC_glibc ?= $(CLANG)
SANITIZE ?= address,undefined
CODEGEN_glibc := -O1 -g -fPIE -fno-omit-frame-pointer '-ffile-prefix-map=$(CURDIR)/='

ifneq ($(V),1)
quiet = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif
