/* Pins: what the configuration says against what the disk says, before anything else happens. */
#include "pins_sample.h"

T(a_binding_that_agrees_is_taken)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	sample();
	EQ_CODE(LK_OK, lk_unlock_pins(&conf, &h, &b, &e));
	OK(b == &h.bindings[0]);
}

T(another_disk_is_refused)
{
	sample();
	h.uuid[0] = '7';
	refused("UUID", "7a3b1f2e", "6a3b1f2e");
}

T(a_token_moved_from_another_disk_is_refused)
{
	sample();
	h.bindings[0].uuid[0] = '7';
	refused("token 2: uuid", "7a3b1f2e", "6a3b1f2e");
}

T(another_vault_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://evil.vault.azure.net/keys/disk" V1);
	refused("token 2: key", "evil.vault", "kv1.vault");
}

/* Neither Azure's nor the configuration's, whatever the pins are. */
T(a_host_of_somebody_else_is_refused_by_name)
{
	struct lk_err e;

	sample();
	strcpy(h.bindings[0].key, "https://kv1.evil.example/keys/disk" V1);
	refused("token 2: key: kv1.evil.example", "allow-hosts", "no key vault");
	sample();
	strcpy(h.bindings[0].attest, "https://kv1.vault.azure.net");
	refused("token 2: attest: kv1.vault.azure.net", "allow-hosts", "no attestation provider");
	/* Not even when it is what is pinned. */
	sample();
	strcpy(conf.attest, "https://attest.example");
	strcpy(h.bindings[0].attest, conf.attest);
	refused("token 2: attest: attest.example", "allow-hosts", "no attestation provider");
	strcpy(conf.allow_hosts, ".attest.example");
	refused("token 2: attest: attest.example", "allow-hosts", "no attestation provider");
	strcpy(conf.allow_hosts, ".example");
	EQ_CODE(LK_OK, pins(&e));
}

T(another_key_of_the_vault_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://kv1.vault.azure.net/keys/disk2" V1);
	refused("token 2: key", "/disk2/", "/disk/");
}

T(another_port_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://kv1.vault.azure.net:8443/keys/disk" V1);
	refused("token 2: key", ":8443", KEY);
}

T(another_version_is_refused_when_one_is_pinned)
{
	struct lk_err e;

	sample();
	strcpy(h.bindings[0].key, KEY V2);
	refused("token 2: key", V2, V1);
	strcpy(h.bindings[0].key, KEY);
	EQ_CODE(LK_ETRUST, pins(&e));
	strcpy(conf.key, KEY);
	EQ_CODE(LK_OK, pins(&e));
	strcpy(h.bindings[0].key, KEY V2);
	EQ_CODE(LK_OK, pins(&e));
}

T(another_attestation_service_is_refused)
{
	sample();
	strcpy(h.bindings[0].attest, "https://evil.weu.attest.azure.net");
	refused("token 2: attest", "evil.weu", "sharedweu.weu");
}

T(another_thumbprint_is_refused)
{
	sample();
	h.bindings[0].thumbprint[0] = 'M';
	refused("token 2: thumbprint", "MzbLs", "NzbLs");
	h.bindings[0].thumbprint[0] = '\0';
	refused("token 2: thumbprint", "missing", "NzbLs");
	sample();
	conf.thumbprint[0] = '\0'; /* an oct key was enrolled, the disk says otherwise */
	refused("token 2: thumbprint", "NzbLs", "none");
}

/* What the host may put into the token, and what the configuration says to it. */
T(the_configuration_decides_on_the_kind)
{
	static const char *const has[] = {"derived", "raw", "compat"};
	struct lk_err e;

	for (enum lk_kind pin = LK_DERIVED; pin <= LK_WRAPPED; pin++)
		for (size_t i = 0; i < 3; i++) {
			sample();
			conf.kind = pin;
			memset(conf.wrapped, '0', 64);
			strcpy(h.bindings[0].kind, has[i]);
			if (i == LK_DERIVED || i == pin)
				EQ_CODE(LK_OK, pins(&e));
			else
				refused("token 2: kind", has[i], lk_kind_name(pin));
		}
}

T(a_wrapped_secret_needs_its_pin)
{
	struct lk_binding *b = &h.bindings[0];
	struct lk_err e = {0};
	char pin[65];

	for (enum lk_kind k = LK_DERIVED; k <= LK_COMPAT; k++) {
		sample();
		strcpy(b->kind, "wrapped");
		b->wrapped_len = 256;
		EQ_CODE(LK_OK, lk_binding_pin(b, pin, &e));
		conf.kind = k;
		refused("token 2: wrapped", pin, "pins none");
		EQ_CODE(LK_ETRUST, pins(&e));
		OK(strstr(e.hint, "/etc/latchkey/root.conf") != NULL);
		strcpy(conf.wrapped, pin);
		EQ_CODE(LK_OK, pins(&e));
		conf.wrapped[63] ^= 1;
		refused("token 2: wrapped", pin, conf.wrapped);
		strcpy(conf.wrapped, pin);
		b->wrapped[255] ^= 1;
		refused("token 2: wrapped", "wrapped is", pin);
		b->wrapped[255] ^= 1;
		b->wrapped_len = 257;
		refused("token 2: wrapped", "wrapped is", pin);
	}
}

T(an_unknown_kind_is_refused_by_name)
{
	struct lk_err e;

	for (enum lk_kind k = LK_DERIVED; k <= LK_WRAPPED; k++) {
		sample();
		strcpy(h.bindings[0].kind, "better");
		conf.kind = k;
		memset(conf.wrapped, '0', 64);
		EQ_CODE(LK_ETRUST, pins(&e));
		EQ_S(e.msg, "token 2: kind better is not known");
		OK(strstr(e.hint, "newer latchkey?") != NULL);
	}
}

T(the_host_names_case_does_not_matter)
{
	struct lk_err e;

	sample();
	strcpy(h.bindings[0].key, "https://KV1.vault.azure.net/keys/disk" V1);
	strcpy(h.bindings[0].attest, "https://SharedWEU.weu.attest.azure.net");
	EQ_CODE(LK_OK, pins(&e));
}

T(a_missing_pin_is_a_matter_of_configuration)
{
	struct lk_err e;

	sample();
	conf.uuid[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	sample();
	conf.key[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	sample();
	conf.attest[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	EQ_S(e.msg, "the configuration pins no attest");
	OK(strstr(e.hint, "/etc/latchkey/root.conf") != NULL);
	EQ_CODE(LK_ECONF, lk_unlock_ready(&conf, &e));
	sample();
	conf.kind = LK_WRAPPED;
	EQ_CODE(LK_ECONF, lk_unlock_ready(&conf, &e));
	EQ_S(e.msg, "the configuration pins no wrapped");
	sample();
	EQ_CODE(LK_OK, lk_unlock_ready(&conf, &e));
}

T(a_disk_without_a_token_says_so)
{
	struct lk_err e;

	sample();
	h.count = 0;
	EQ_CODE(LK_ELUKS, pins(&e));
	OK(strstr(e.hint, "enroll") != NULL);
}

T(the_one_that_agrees_is_found_among_others)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	sample();
	h.bindings[1] = h.bindings[0];
	h.bindings[1].token = 9;
	h.bindings[0].thumbprint[0] = 'M';
	h.count = 2;
	EQ_CODE(LK_OK, lk_unlock_pins(&conf, &h, &b, &e));
	EQ_U(e.code, LK_OK);
	OK(b == &h.bindings[1]);
}

/* One that has no key slot (yet, or any more) is passed over. */
T(only_an_active_binding_is_taken)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	sample();
	h.bindings[1] = h.bindings[0];
	h.bindings[2] = h.bindings[0];
	h.bindings[0].state = LK_BINDING_PENDING;
	h.bindings[1].state = LK_BINDING_CUT;
	h.count = 3;
	EQ_CODE(LK_OK, lk_unlock_pins(&conf, &h, &b, &e));
	OK(b == &h.bindings[2]);
	h.count = 2;
	EQ_CODE(LK_ELUKS, pins(&e));
}

/* ---- the header through a courier */

#define TOKEN(kind, more)                                                                          \
	"{\"type\":\"latchkey\",\"keyslots\":[\"5\"],\"version\":1,\"id\":\"0123456789abcdef\","   \
	"\"kind\":\"" kind "\",\"key\":\"" KEY V1 "\",\"attest\":\"" ATTEST                        \
	"\",\"thumbprint\":\"" THUMB "\",\"uuid\":\"" IMG_UUID "\","                               \
	"\"salt\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\","                                \
	"\"mac\":\"__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA\"" more "}"
#define B64  "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eAAAQIDBAUGBwgJCgsMDQ4P" /* 48 bytes */
#define FOUR B64 B64 B64 B64

T(the_header_arrives_through_the_disk_courier)
{
	static struct image m;
	static struct lk_luks2 direct;
	struct lk_err e = {0};

	image_make(&m, 0x4000,
	    "{\"keyslots\":{\"0\":{},\"5\":{\"kdf\":{\"type\":\"pbkdf2\",\"iterations\":1000}}},"
	    "\"segments\":{\"0\":{\"encryption\":\"aes-xts-plain64\",\"flags\":[\"x\"],"
	    "\"integrity\":{\"type\":\"hmac(sha256)\"}}},"
	    "\"config\":{\"keyslots_size\":\"16744448\"},"
	    "\"tokens\":{\"3\":" TOKEN("derived",
		",\"replaced-by\":\"00000000000000bb\",\"borrowed\":true") ",\"4\":" TOKEN("compat",
		",\"kdf-salt\":\"" B64 "\",\"label\":\"a \\\"label\\\"\"") "}}");
	int fd = image_fd(&m, IMG_SIZE);
	lk_luks2_more = lk_luks2_facts;
	EQ_CODE(LK_OK, lk_disk_header(fd, lk_deadline_in(5000), &h, &e));
	EQ_CODE(LK_OK, lk_luks2_read(fd, &direct, &e));
	lk_luks2_more = NULL;
	EQ_U(h.count, 2);
	EQ_MEM(&h, &direct, sizeof(h));
	EQ_U(h.bindings[1].kdf_salt_len, 48);
	EQ_S(h.bindings[1].label, "a \"label\"");
	EQ_S(h.bindings[0].replaced_by, "00000000000000bb");
	OK(h.bindings[0].borrowed);
	EQ_U(h.slots_light, 1u << 5);
	EQ_S(h.integrity, "hmac(sha256)");
	EQ_U(h.area, 16 << 20);
	OK(h.reencrypting);
	close(fd);
}

#define WRAPPED                                                                                    \
	"{\"type\":\"latchkey\",\"keyslots\":[\"5\"],\"version\":1,\"id\":\"0123456789abcdef\","   \
	"\"kind\":\"wrapped\",\"key\":\"" KEY V1 "\",\"attest\":\"" ATTEST                         \
	"\",\"thumbprint\":\"" THUMB "\",\"uuid\":\"" IMG_UUID                                     \
	"\",\"wrapped\":\"" FOUR FOUR B64 B64 "\"}"

/* As many of the largest kind as are read. */
T(wrapped_secrets_arrive_through_the_disk_courier)
{
	static struct image m;
	static struct lk_luks2 direct;
	struct lk_err e = {0};
	static char json[20000] = "{\"keyslots\":{\"5\":{}},\"tokens\":{";

	for (int i = 0; i <= LK_BINDINGS_MAX; i++)
		snprintf(json + strlen(json), 2000, "%s\"%d\":%s", i ? "," : "", i, WRAPPED);
	strcat(json, "}}");
	image_make(&m, 0x8000, json);
	int fd = image_fd(&m, IMG_SIZE);
	EQ_CODE(LK_OK, lk_disk_header(fd, lk_deadline_in(5000), &h, &e));
	EQ_CODE(LK_OK, lk_luks2_read(fd, &direct, &e));
	EQ_U(h.count, LK_BINDINGS_MAX);
	EQ_MEM(&h, &direct, sizeof(h));
	EQ_U(h.bindings[7].wrapped_len, 480);
	close(fd);
}

T(a_damaged_header_is_the_couriers_error)
{
	static struct image m;
	struct lk_err e = {0};

	memset(&m, 0, sizeof(m));
	int fd = image_fd(&m, IMG_SIZE);
	EQ_CODE(LK_ELUKS, lk_disk_header(fd, lk_deadline_in(5000), &h, &e));
	EQ_S(e.msg, "no LUKS header");
	close(fd);
}
