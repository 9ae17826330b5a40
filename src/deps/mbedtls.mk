# libmbed.a: every file of Mbed TLS' library folder; our configuration empties most of them.

mbed_src := $(sort $(wildcard $(D)/src/mbedtls/library/*.c))
mbed_obj := $(patsubst $(D)/src/mbedtls/library/%.c,$(B)/obj/mbed/%.o,$(mbed_src))
mbed_flags := -std=c11 -D_GNU_SOURCE -w -DMBEDTLS_CONFIG_FILE='"mbed_config.h"' -Isrc/tls \
	-I$(D)/src/mbedtls/include -I$(D)/src/mbedtls/library

$(B)/obj/mbed/%.o: $(D)/src/mbedtls/library/%.c
	$(call quiet,CC,$(FLAVOR)/mbedtls/$*.o)$(CC) $(mbed_flags) $(CODEGEN) -c -o $@ $<

$(B)/lib/libmbed.a: $(mbed_obj)
	$(call quiet,AR,$@)rm -f $@ && $(AR) crD $@ $^
