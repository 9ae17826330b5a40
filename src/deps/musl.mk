# The C library: libc.a, the start files and the headers, by its own configure (a shell script) and
# Makefile. The distribution's is compiled for speed, and older ones start no program with packed
# relocations (DT_RELR, musl 1.2.4), which are 14 KiB smaller.

musl_libc := $(B)/lib/libc.a
musl_work := $(B)/obj/musl
# No automatic initialisation and no wiped registers: it is not our code that holds secrets there.
musl_codegen := -Oz -fPIE -ffunction-sections -fdata-sections -fno-common -fstack-protector-strong \
	-fstack-clash-protection -fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none

# All in the work folder, by relative names: their Makefile knows no blanks, and no path gets in.
$(musl_libc): $(D)/src/musl/configure | $(B)/lib/
	$(call quiet,MAKE,$(FLAVOR)/musl)rm -rf $(musl_work) && mkdir -p $(musl_work) && cd $(musl_work) && \
	ln -s '$(abspath $(D)/src/musl)' src && \
	{ CC='$(GCC)' CFLAGS='$(musl_codegen)' src/configure --disable-shared --disable-wrapper --disable-debug \
		--enable-optimize=no && \
	$(MAKE) prefix=out libdir=lib AOBJS='$$(LIBC_OBJS)' lib/libc.a lib/rcrt1.o lib/crti.o lib/crtn.o && \
	$(MAKE) prefix=out install-headers; } >build.log 2>&1 || { tail build.log >&2; exit 1; }
	rm -rf $(B)/include && mv $(musl_work)/out/include $(B)/include
	cp $(addprefix $(musl_work)/lib/,rcrt1.o crti.o crtn.o) $(B)/lib && cp $(musl_work)/lib/libc.a $@
