# The static libraries for one FLAVOR, from the sources that setup.sh has put into D/src.
#   make -f src/deps/deps.mk FLAVOR=musl D=build/deps

.DELETE_ON_ERROR:
.SUFFIXES:
D ?= build/deps
FLAVOR ?= musl
B ?= $(D)/$(FLAVOR)

include src/deps/flags.mk
MUSL := $(B)
CC := $(CC_$(FLAVOR))
CODEGEN = $(CODEGEN_$(FLAVOR)) $(CPP_$(FLAVOR))
ifeq ($(FLAVOR),glibc)
# Overreads of our buffers inside the libraries are found as well; undefined behaviour is theirs.
CODEGEN += -fsanitize=address
endif

all: libs
include src/deps/mbedtls.mk
include src/deps/tss.mk
ifeq ($(FLAVOR),musl)
include src/deps/musl.mk
$(mbed_obj) $(tss_obj): $(musl_libc)
endif

libs: $(B)/lib/libmbed.a $(B)/lib/libtss.a

dirs := $(sort $(dir $(mbed_obj) $(tss_obj))) $(B)/lib/
$(mbed_obj) $(tss_obj) $(B)/lib/libmbed.a $(B)/lib/libtss.a: | $(dirs)
$(dirs):
	@mkdir -p $@

.PHONY: all libs
