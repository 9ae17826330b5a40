# libmbed.a: every file of Mbed TLS' library folder; our configuration empties most of them.

mbed_src := $(sort $(wildcard $(D)/src/mbedtls/library/*.c))
mbed_obj := $(patsubst $(D)/src/mbedtls/library/%.c,$(B)/obj/mbed/%.o,$(mbed_src)) $(B)/obj/mbed/sha1_small.o
mbed_flags := -std=c11 -D_GNU_SOURCE -w -DMBEDTLS_CONFIG_FILE='"mbed_config.h"' -Isrc/tls \
	-I$(D)/src/mbedtls/include -I$(D)/src/mbedtls/library

# No private-key operation and no certificate of our own: mbed_client.h says how.
mbed_client := -include src/deps/mbed_client.h
$(B)/obj/mbed/pk_wrap.o: mbed_flags += -DLK_MBED_NO_PRIVATE_KEY $(mbed_client)
$(patsubst %,$(B)/obj/mbed/%.o,ssl_tls ssl_tls12_client ssl_tls13_client ssl_tls13_generic): \
	mbed_flags += -DLK_MBED_NO_CLIENT_CERT $(mbed_client)

$(B)/obj/mbed/%.o: $(D)/src/mbedtls/library/%.c
	$(call quiet,CC,$(FLAVOR)/mbedtls/$*.o)$(CC) $(mbed_flags) $(CODEGEN) -frandom-seed=$* -c -o $@ $<
$(B)/obj/mbed/%.o: src/deps/%.c
	$(call quiet,CC,$(FLAVOR)/mbedtls/$*.o)$(CC) $(mbed_flags) $(CODEGEN) -frandom-seed=$* -c -o $@ $<

$(B)/lib/libmbed.a: $(mbed_obj)
	$(call quiet,AR,$@)rm -f $@ && $(AR) crD $@ $^
