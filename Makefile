# latchkey. GNU make. `make` builds, `make check` tests everything, `make demo` shows it.
#
# For a packager: GCC, CFLAGS, LDFLAGS, PREFIX, DESTDIR, VERSION, SOURCE_DATE_EPOCH.
# V=1 prints the commands, CI=1 makes warnings errors, LTO=0 links without optimisation.

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

PREFIX ?= /usr
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
DRACUTDIR ?= $(PREFIX)/lib/dracut/modules.d
TOOLSDIR ?= $(PREFIX)/share/initramfs-tools
CFLAGS ?=
LDFLAGS ?=
D := build/deps
# Debian's own: it is the one that has python3-cryptography.
PYTHON := /usr/bin/python3

include src/deps/flags.mk

# ---- what it is called, and when it was made

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)
ifdef SOURCE_DATE_EPOCH
EPOCH := $(SOURCE_DATE_EPOCH)
else
EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || \
	find src include -type f -printf '%T@\n' | sort -n | tail -n 1 | cut -d. -f1)
endif

# ---- sources

dirs := util codec crypto tls hw net jose azure luks courier flow cli
mains := src/cli/latchkey.c src/cli/latchkeyctl.c
lib_src := $(filter-out $(mains),$(sort $(foreach d,$(dirs),$(wildcard src/$(d)/*.c))))
ctl_src := $(sort $(wildcard src/cli/ctl/*.c))
progs := $(patsubst src/cli/%.c,%,$(wildcard $(mains)))
all_src := $(lib_src) $(ctl_src) $(wildcard $(mains))
test_src := $(sort $(wildcard tests/unit/test_*.c))
tests := $(patsubst tests/unit/%.c,%,$(test_src))
sev_src := $(sort $(wildcard qemu/emulated-sev/*.c))

# Only these see the version and the build time, so a commit does not rebuild the rest.
stamped := $(if $(all_src),$(shell grep -lE 'LK_(VERSION|BUILD_EPOCH)' $(all_src) $(test_src)))

# ---- flags

WARN := -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wnull-dereference \
	-Wswitch-enum -Wimplicit-fallthrough
WARN_gcc := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wstack-usage=8192
ifdef CI
WARN += -Werror
endif

INCLUDES := -Iinclude -iquote src/tls -iquote src/cli -iquote src/uapi -isystem $(D)/include
DEFINES := -D_GNU_SOURCE -DMBEDTLS_CONFIG_FILE='"mbed_config.h"'
ALL_CFLAGS_common = $(WARN) $(DEFINES) $(INCLUDES) -MMD -MP -frandom-seed=$< \
	$(if $(filter $<,$(stamped)),-include build/gen/build.h)
ALL_CFLAGS_musl = $(CODEGEN_musl) $(ALL_CFLAGS_common) $(WARN_gcc) $(CPP_musl) \
	-idirafter /usr/include/$(ARCH_TRIPLE) -idirafter /usr/include $(CFLAGS)
ALL_CFLAGS_asan = $(CODEGEN_glibc) -fsanitize=$(SANITIZE) -fno-sanitize-recover=all $(ALL_CFLAGS_common)

# That secrets are wiped must hold for what the link makes of it as well.
lto_tests := test_secret
$(addprefix build/musl/,$(progs) $(addprefix tests/,$(lto_tests))): link_lto = $(LINK_LTO_musl)

# The 8 KiB for a stack frame are a rule for the product.
TEST_CFLAGS_musl = -Itests/unit -Wno-stack-usage $(if $(filter $(lto_tests),$(basename $(notdir $<))),,-fno-lto)
TEST_CFLAGS_asan := -Itests/unit

LINK_FLAGS := -Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,-z,text,-z,separate-code,--as-needed \
	-Wl,-z,pack-relative-relocs,--build-id=none -Wl,--no-undefined
LAYOUT := src/deps/layout.ld
link_musl = $(GCC) -nostdlib -static-pie $(or $(link_lto),-fno-lto) \
	$(MUSL)/lib/rcrt1.o $(MUSL)/lib/crti.o $(shell $(GCC) -print-file-name=crtbeginS.o) \
	$(1) -Wl,--start-group $(MUSL)/lib/libc.a build/musl/liblatchkey.a $(D)/musl/lib/libtss.a \
	$(D)/musl/lib/libmbed.a $(shell $(GCC) -print-libgcc-file-name) -Wl,--end-group \
	$(shell $(GCC) -print-file-name=crtendS.o) $(MUSL)/lib/crtn.o -Wl,-T,$(LAYOUT) $(LINK_FLAGS) $(LDFLAGS)
link_asan = $(CC_glibc) -fsanitize=$(SANITIZE) $(1) -Wl,--start-group build/asan/liblatchkey.a \
	$(D)/glibc/lib/libtss.a $(D)/glibc/lib/libmbed.a -Wl,--end-group

# ---- the goals for people. Each sees to it first that the libraries (and tools) are there.

SETUP := MAKE='$(MAKE)' src/deps/setup.sh
SUB := $(MAKE) --no-print-directory
SUITES := $(PYTHON) tests/suites.py

all:
	@$(SETUP) libs
	@$(SUB) programs
setup:
	@$(SETUP) all
ready:
	@$(SETUP) check-all || $(SETUP) all
# What does not build fails its own suite, and the rest still runs.
check: ready
	@$(SUB) -k programs unit asan build/musl/emulated-sev || true
	@$(SUITES) lint self unit asan cloud enroll boot snp
check-unit: ready
	@$(SUB) -k programs unit || true
	@$(SUITES) unit
check-asan: ready
	@$(SUB) -k asan || true
	@$(SUITES) asan
check-cloud check-boot: check-%: ready
	@$(SUB) programs
	@$(SUITES) $*
check-enroll: ready
	@$(SUB) programs build/musl/tests/test_token_edits
	@$(SUITES) enroll
check-snp: ready
	@$(SUB) programs build/musl/emulated-sev
	@$(SUITES) snp
lint: ready
	@$(SUB) -k programs || true
	@$(SUITES) lint
size: all
	@tests/lint/size.sh
repro: ready
	@tests/lint/repro.sh --full
demo: ready
	@$(SUB) programs
	@qemu/demo
sim: ready
	@$(SUB) programs
	@tests/cloud/ns --state build/cloud tests/cloud/sim.py --state build/cloud --verbose
# Only what is in the tree; the units are for the initramfs, so nothing is enabled here.
install: all
	@$(SUB) install-files
# Without looking whether they are up to date.
install-files:
	install -Dm755 -t $(DESTDIR)$(PREFIX)/bin $(addprefix build/,$(progs))
	install -Dm644 -t $(DESTDIR)$(UNITDIR) $(wildcard initramfs/systemd/latchkey*)
	for f in $$(find dracut -type f | sed 's|^dracut/||'); do \
		install -Dm755 dracut/$$f $(DESTDIR)$(DRACUTDIR)/$$f || exit 1; done
	for f in $$(find initramfs/initramfs-tools -type f | sed 's|^initramfs/initramfs-tools/||'); do \
		install -Dm755 initramfs/initramfs-tools/$$f $(DESTDIR)$(TOOLSDIR)/$$f || exit 1; done
	install -Dm755 -t $(DESTDIR)$(PREFIX)/lib/latchkey initramfs/keyscript
	for f in $(wildcard src/man/*.[1-8]); do \
		install -Dm644 $$f $(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/$${f##*/} || exit 1; done
	for f in $(wildcard etc/*.conf*); do \
		install -Dm644 $$f $(DESTDIR)$(PREFIX)/share/doc/latchkey/$${f##*/} || exit 1; done
	install -dm700 $(DESTDIR)$(SYSCONFDIR)/latchkey
clean:
	rm -rf build/musl build/asan build/lint build/gen build/check build/latchkey build/latchkeyctl

programs: $(addprefix build/,$(progs))
unit: $(addprefix build/musl/tests/,$(tests))
asan: $(addprefix build/asan/tests/,$(tests)) $(addprefix build/asan/,$(progs))
# Every object under -Werror, in a tree of its own (a step of `make lint`).
warnings: $(patsubst src/%.c,build/lint/%.o,$(all_src)) $(patsubst tests/%.c,build/lint/tests/%.o,$(test_src)) \
	$(patsubst %.c,build/lint/%.o,$(sev_src))
tidy: $(patsubst src/%.c,build/lint/%.tidy,$(all_src))
# uninitvar: it does not follow a buffer behind struct lk_buf, nor rc; clang's analyzer does.
cppcheck:
	@mkdir -p build/lint/cppcheck
	@cppcheck --quiet --std=c11 --enable=warning,portability,performance --inconclusive --error-exitcode=1 \
		--inline-suppr --suppress=missingIncludeSystem --suppress=uninitvar --cppcheck-build-dir=build/lint/cppcheck -j2 \
		--template='{file}:{line}: {message} [{id}]' -D_GNU_SOURCE -DLK_VERSION='"0"' -DLK_BUILD_EPOCH=0 \
		'-D_Noreturn=__attribute__((noreturn))' -Iinclude $(all_src)

# ---- rules

build/gen/build.h: FORCE
	@mkdir -p $(@D); printf '#define LK_VERSION "%s"\n#define LK_BUILD_EPOCH INT64_C(%s)\n' \
		'$(VERSION)' '$(EPOCH)' >$@.new; cmp -s $@ $@.new && rm $@.new || mv $@.new $@

# 1: musl or asan, 2: compiler
define flavor_rules
build/$(1)/obj/%.o: src/%.c $(D)/stamp
	$$(call quiet,CC,$(1)/$$*.o)mkdir -p $$(@D) && $(2) $$(ALL_CFLAGS_$(1)) -c -o $$@ $$<
build/$(1)/obj/tests/%.o: tests/%.c $(D)/stamp
	$$(call quiet,CC,$(1)/tests/$$*.o)mkdir -p $$(@D) && $(2) $$(ALL_CFLAGS_$(1)) $(TEST_CFLAGS_$(1)) -c -o $$@ $$<
build/$(1)/liblatchkey.a: $$(patsubst src/%.c,build/$(1)/obj/%.o,$$(lib_src))
	$$(call quiet,AR,$$@)rm -f $$@ && $$(AR) crD $$@ $$^
build/$(1)/libctl.a: $$(patsubst src/%.c,build/$(1)/obj/%.o,$$(ctl_src))
	$$(call quiet,AR,$$@)rm -f $$@ && $$(AR) crD $$@ $$^
build/$(1)/tests/%: build/$(1)/obj/tests/unit/%.o build/$(1)/libctl.a build/$(1)/liblatchkey.a
	$$(call quiet,LD,$$@)mkdir -p $$(@D) && $$(call link_$(1),$$< build/$(1)/libctl.a) -o $$@
build/$(1)/latchkey: build/$(1)/obj/cli/latchkey.o build/$(1)/liblatchkey.a
	$$(call quiet,LD,$$@)$$(call link_$(1),$$<) -o $$@
build/$(1)/latchkeyctl: build/$(1)/obj/cli/latchkeyctl.o build/$(1)/libctl.a build/$(1)/liblatchkey.a
	$$(call quiet,LD,$$@)$$(call link_$(1),$$< build/$(1)/libctl.a) -o $$@
$$(patsubst src/%.c,build/$(1)/obj/%.o,$$(filter src/%,$$(stamped))): build/gen/build.h
$$(patsubst tests/%.c,build/$(1)/obj/tests/%.o,$$(filter tests/%,$$(stamped))): build/gen/build.h
endef
$(eval $(call flavor_rules,musl,$(CC_musl)))
# The device of the SNP boots: a test's tool, linked as the tests are.
build/musl/obj/qemu/%.o: qemu/%.c $(D)/stamp
	$(call quiet,CC,musl/qemu/$*.o)mkdir -p $(@D) && $(CC_musl) $(ALL_CFLAGS_musl) -fno-lto -c -o $@ $<
build/musl/emulated-sev: $(patsubst %.c,build/musl/obj/%.o,$(sev_src)) build/musl/liblatchkey.a
	$(call quiet,LD,$@)$(call link_musl,$(filter %.o,$^)) -o $@
$(eval $(call flavor_rules,asan,$(CC_glibc)))
$(addprefix build/musl/,$(progs)): $(LAYOUT)

build/latchkey build/latchkeyctl: build/%: build/musl/%
	$(call quiet,STRIP,$@)strip -o $@ $<

build/lint/%.o: src/%.c $(D)/stamp
	@mkdir -p $(@D) && $(CC_musl) $(ALL_CFLAGS_musl) -Werror -c -o $@ $<
build/lint/tests/%.o: tests/%.c $(D)/stamp
	@mkdir -p $(@D) && $(CC_musl) $(ALL_CFLAGS_musl) $(TEST_CFLAGS_musl) -Werror -c -o $@ $<
build/lint/qemu/%.o: qemu/%.c $(D)/stamp
	@mkdir -p $(@D) && $(CC_musl) $(ALL_CFLAGS_musl) -Werror -c -o $@ $<
$(patsubst %.c,build/lint/%.o,$(patsubst src/%,%,$(stamped))): build/gen/build.h

# After the object: that one is remade whenever a header changes.
TIDY ?= clang-tidy
TIDY_FLAGS = $(WARN) $(DEFINES) $(INCLUDES) $(if $(filter %/err.c,$<),,-include tests/lint/tidy.h) \
	$(if $(filter $<,$(stamped)),-include build/gen/build.h)
build/lint/%.tidy: src/%.c build/lint/%.o .clang-tidy tests/lint/tidy.h
	@$(TIDY) --quiet $< -- $(TIDY_FLAGS) 2>$@.log >$@.new || { grep -E '(error|warning):' $@.new $@.log; exit 1; }
	@mv $@.new $@

$(D)/stamp:
	@$(SETUP) libs

-include $(shell [ -d build ] && find build/musl build/asan build/lint -name '*.d' 2>/dev/null)

.PHONY: all setup ready check check-unit check-asan check-cloud check-enroll check-boot \
	check-snp lint size repro demo sim clean \
	install install-files programs unit asan warnings tidy cppcheck FORCE
.PRECIOUS: build/musl/obj/%.o build/asan/obj/%.o build/musl/obj/tests/%.o build/asan/obj/tests/%.o
