# libtss.a: tpm2-tss' SAPI, marshalling and device TCTI. No ESAPI, no crypto back end, no TCTI
# loader, and no logging (its trace level would write command buffers to stderr).

tss_dir := $(D)/src/tpm2-tss/src
tss_src := $(sort $(wildcard $(tss_dir)/tss2-mu/*.c $(tss_dir)/tss2-sys/*.c $(tss_dir)/tss2-sys/api/*.c) \
	$(tss_dir)/util-io/io.c $(tss_dir)/tss2-tcti/tcti-common.c $(tss_dir)/tss2-tcti/tcti-device.c)
tss_obj := $(patsubst $(tss_dir)/%.c,$(B)/obj/tss/%.o,$(tss_src))
tss_flags := -std=gnu99 -D_GNU_SOURCE -w -DMAXLOGLEVEL=0 -I$(D)/src/tpm2-tss/include/tss2 -I$(D)/src/tpm2-tss/include \
	-I$(tss_dir) -I$(tss_dir)/tss2-mu -I$(tss_dir)/tss2-sys -I$(tss_dir)/tss2-tcti -I$(tss_dir)/util-io

$(B)/obj/tss/tss2-sys/sysapi_util.o $(B)/obj/tss/util-io/io.o: tss_flags += -include src/deps/tss_small.h
$(B)/obj/tss/%.o: $(tss_dir)/%.c
	$(call quiet,CC,$(FLAVOR)/tpm2-tss/$*.o)$(CC) $(tss_flags) $(CODEGEN) -frandom-seed=$* -c -o $@ $<

$(B)/lib/libtss.a: $(tss_obj)
	$(call quiet,AR,$@)rm -f $@ && $(AR) crD $@ $^
