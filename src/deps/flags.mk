# Code generation, shared by the libraries and by latchkey. FLAVOR is musl (shipped, static-pie)
# or glibc (tests under the sanitizers).

GCC ?= gcc
CLANG ?= clang

# Kernel headers: musl-gcc hides them, so they come last, after musl's own.
ARCH_TRIPLE := $(shell $(GCC) -print-multiarch 2>/dev/null)

CODEGEN_COMMON := -ffunction-sections -fdata-sections -fno-common -fvisibility=hidden \
	-fstack-protector-strong -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks \
	-fno-strict-overflow '-ffile-prefix-map=$(CURDIR)/=' -Wdate-time

CC_musl ?= musl-gcc
CODEGEN_musl := -Os -fPIE $(CODEGEN_COMMON) -fstack-clash-protection \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -fzero-call-used-regs=used-gpr -fcf-protection=none

CC_glibc ?= $(CLANG)
SANITIZE ?= address,undefined
CODEGEN_glibc := -O1 -g -fPIE -fno-omit-frame-pointer '-ffile-prefix-map=$(CURDIR)/='

ifneq ($(V),1)
quiet = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif
