/* URLs: what is accepted, and the tricks that are not. */
#include "t.h"

#include "lk/url.h"

#define L63  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define H253 L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffffff"
#define VER  "0123456789abcdef0123456789abcdef"

static struct lk_url u;
static struct lk_key_url k;
static struct lk_err e;

T(accepted)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		const char *path;
	} rows[] = {
	    {"https://a", "a", 443, ""},
	    {"https://v.vault.azure.net/", "v.vault.azure.net", 443, "/"},
	    {"https://V.Vault.AZURE.net", "v.vault.azure.net", 443, ""},
	    {"https://v.vault.azure.net.", "v.vault.azure.net", 443, ""},
	    {"https://v.vault.azure.net.:8443/a/b", "v.vault.azure.net", 8443, "/a/b"},
	    {"https://localhost:1/keys/K/", "localhost", 1, "/keys/K/"},
	    {"https://h:65535", "h", 65535, ""},
	    {"https://1a.2b.c3", "1a.2b.c3", 443, ""},
	    {"https://xn--bcher-kva.example", "xn--bcher-kva.example", 443, ""},
	    {"https://h/a:b@c;d=e,f!g$h&i'j(k)l*m+n~o_p-q.r", "h", 443,
		"/a:b@c;d=e,f!g$h&i'j(k)l*m+n~o_p-q.r"},
	    {"https://h/.a/b./...", "h", 443, "/.a/b./..."},
	    {"https://" L63 ".a", L63 ".a", 443, ""},
	    {"https://" H253, H253, 443, ""},
	    {"https://" H253 ".", H253, 443, ""},
	};

	EQ_U(sizeof(H253) - 1, 253);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (lk_url_parse(lk_slice_str(rows[i].text), &u, &e) != LK_OK) {
			T_FAIL("%s: %s", rows[i].text, e.msg);
			continue;
		}
		EQ_S(u.host, rows[i].host);
		EQ_U(u.port, rows[i].port);
		EQ_S(u.path, rows[i].path);
	}
}

static const char *const tricks[] = {
    "",
    "https",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "https:///x",
    "https://:443/",
    /* schemes */
    "http://h/",
    "HTTPS://h/",
    "https:h",
    "https:/h/",
    "https:\\\\h\\",
    " https://h/",
    "ftp://h/",
    "file:///etc/passwd",
    "//h/",
    "h/keys/k",
    "https//h/",
    /* user info, and hosts that hide behind one */
    "https://u@h/",
    "https://u:p@h/",
    "https://good.example@evil.example/",
    "https://@h/",
    "https://good.example:443@evil.example/",
    "https://h:@evil/",
    "https://h\\@evil/",
    "https://good.example%40evil.example/",
    "https://h#@evil/",
    "https://h?@evil/",
    /* query, fragment */
    "https://h?x",
    "https://h/?x",
    "https://h/p?x=1",
    "https://h#f",
    "https://h/#",
    "https://h/p#f",
    /* percent signs */
    "https://h%2e/",
    "https://%68/",
    "https://h%00/",
    "https://h/%2e%2e/",
    "https://h/a%2fb",
    "https://h/%",
    "https://h%25eth0/",
    /* blanks, control bytes, bytes above ASCII */
    "https://h /",
    "https:// h/",
    "https://h/a b",
    "https://h/\t",
    "https://h\n/",
    "https://h/\r\nx",
    "https://h\t/",
    "https://h/\x7f",
    "https://h\x01/",
    "https://b\xc3\xbc"
    "cher/",
    "https://h/\xc3\xa9",
    "https://h\xe3\x80\x82x/",
    "https://\xef\xbd\x88/",
    /* ports */
    "https://h:",
    "https://h:/",
    "https://h:0/",
    "https://h:65536/",
    "https://h:00443/",
    "https://h:0443/",
    "https://h:+443/",
    "https://h:-1/",
    "https://h:443x/",
    "https://h: 443/",
    "https://h:4294967739/",
    "https://h:443:443/",
    "https://h:0x1bb/",
    "https://h:99999999999/",
    /* addresses in every spelling */
    "https://127.0.0.1/",
    "https://1.2.3.4:443/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://1.2.3.0x4/",
    "https://[::1]/",
    "https://[::ffff:1.2.3.4]:443/",
    "https://::1/",
    "https://fe80::1/",
    "https://[h]/",
    "https://h.1/",
    "https://a.b.0x/",
    /* labels and dots */
    "https://./",
    "https://../",
    "https://.h/",
    "https://h../",
    "https://a..b/",
    "https://a.-b/",
    "https://-a/",
    "https://a-/",
    "https://a-.b/",
    "https://a_b/",
    "https://*.h/",
    "https://a,b/",
    "https://a;b/",
    "https://h\\x/",
    "https://" L63 "g.a/",
    "https://" H253 "f/",
    "https://a" H253,
    "https://" H253 "..",
    /* paths */
    "https://h//",
    "https://h//x",
    "https://h/a//b",
    "https://h/a//",
    "https://h/.",
    "https://h/..",
    "https://h/../x",
    "https://h/a/./b",
    "https://h/a/../b",
    "https://h/a/..",
    "https://h/a\\b",
    "https://h/\"",
    "https://h/<x>",
    "https://h/{x}",
    "https://h/a|b",
    "https://h/^",
    "https://h/`",
    "https://h/[x]",
};

T(tricks_are_refused)
{
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
		if (lk_url_parse(lk_slice_str(tricks[i]), &u, &e) != LK_EPROTO)
			T_FAIL("accepted: %s", tricks[i]);
	EQ_CODE(LK_EPROTO, lk_url_parse(lk_slice_of("https://h\0x/", 12), &u, &e));
	EQ_CODE(LK_EPROTO, lk_url_parse(lk_slice_of("https://h/\0", 11), &u, &e));
	EQ_CODE(LK_EPROTO, lk_url_parse((struct lk_slice){NULL, 0}, &u, &e));
}

T(path_limit)
{
	static char text[8 + 1 + LK_PATH_MAX + 1] = "https://h/";

	memset(text + 10, 'a', sizeof(text) - 10);
	EQ_CODE(LK_OK, lk_url_parse(lk_slice_of(text, 9 + LK_PATH_MAX - 1), &u, &e));
	EQ_U(strlen(u.path), LK_PATH_MAX - 1);
	EQ_CODE(LK_ELIMIT, lk_url_parse(lk_slice_of(text, 9 + LK_PATH_MAX), &u, &e));
}

T(no_byte_passes_unseen)
{
	/* Each byte in a host and in a path: only the listed ones are let through. */
	static const char host_ok[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:/";
	static const char path_ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-._~!$&'()*+,;=:@/";

	for (int c = 0; c < 256; c++) {
		char host[] = "https://hh?hh/", path[] = "https://h/aa?aa";
		bool ok;

		host[10] = path[12] = (char)c;
		ok = lk_url_parse(lk_slice_of(host, 14), &u, &e) == LK_OK;
		/* A colon starts a port, and "hh" is none. */
		if (ok != (c && c != ':' && strchr(host_ok, c)))
			T_FAIL("host byte 0x%02x: %s", (unsigned)c, ok ? "accepted" : "refused");
		ok = lk_url_parse(lk_slice_of(path, 15), &u, &e) == LK_OK;
		if (ok != (c && strchr(path_ok, c)))
			T_FAIL("path byte 0x%02x: %s", (unsigned)c, ok ? "accepted" : "refused");
	}
}

T(under)
{
	static const char s[] = "vault.azure.net";

	OK(lk_url_under("x.vault.azure.net", s));
	OK(lk_url_under("a.b.vault.azure.net", s));
	OK(!lk_url_under("vault.azure.net", s));
	OK(!lk_url_under("xvault.azure.net", s));
	OK(!lk_url_under("evil-vault.azure.net", s));
	OK(!lk_url_under(".vault.azure.net", s));
	OK(!lk_url_under("x.vault.azure.net.evil.example", s));
	OK(!lk_url_under("x.vault.azure.ne", s));
	OK(!lk_url_under("", s) && !lk_url_under("x.", "") && !lk_url_under("x", ""));
}

T(escape)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);

	lk_url_escape(LK_S("https://vault.azure.net/~a_b-c d\xff%"), &b);
	OK(!b.bad &&
	    lk_slice_eq_str(lk_slice_buf(&b), "https%3A%2F%2Fvault.azure.net%2F~a_b-c%20d%FF%25"));
	b = (struct lk_buf){.p = mem, .cap = 2};
	lk_url_escape(LK_S("/"), &b);
	OK(b.bad);
}

T(key_urls)
{
	EQ_CODE(LK_OK, lk_key_url_parse(LK_S("https://V.vault.azure.net/keys/My-Key1"), &k, &e));
	EQ_S(k.url.host, "v.vault.azure.net");
	EQ_S(k.name, "My-Key1");
	EQ_S(k.version, "");
	EQ_CODE(LK_OK, lk_key_url_parse(LK_S("https://h.example:444/keys/k/" VER), &k, &e));
	EQ_U(k.url.port, 444);
	EQ_S(k.name, "k");
	EQ_S(k.version, VER);
	EQ_CODE(LK_OK, lk_key_url_parse(LK_S("https://h/keys/" L63 L63 "x"), &k, &e));
	EQ_U(strlen(k.name), 127);
}

T(key_urls_refused)
{
	static const char *const bad[] = {"https://h", "https://h/", "https://h/keys",
	    "https://h/keys/", "https://h/keys//" VER, "https://h/Keys/k", "https://h/secrets/k",
	    "https://h/keys/k/", "https://h/keys/k/" VER "/", "https://h/keys/k/" VER "/release",
	    "https://h/keys/k/" VER "0", "https://h/keys/k/0123456789abcdef",
	    "https://h/keys/k/0123456789ABCDEF0123456789ABCDEF",
	    "https://h/keys/k/g123456789abcdef0123456789abcdef", "https://h/keys/k_1",
	    "https://h/keys/k.1", "https://h/keys/k?x", "https://h/keys/../keys/k",
	    "https://h/x/keys/k", "https://h/keys/k/" VER "?api-version=7.4",
	    "https://h/keys/" L63 L63 "xx", "http://h/keys/k", "https://u@h/keys/k",
	    "https://h/keys/k:1"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (lk_key_url_parse(lk_slice_str(bad[i]), &k, &e) != LK_EPROTO)
			T_FAIL("accepted: %s", bad[i]);
}
