/* The error value: first error, context, remedy, exit statuses. */
#include "t.h"

#include <errno.h>

#include "lk/err.h"

static const struct {
	enum lk_code code;
	int status, again;
	const char *name;
} rows[] = {
    {LK_OK, 0, 0, "ok"},
    {LK_EUSAGE, 64, 64, "usage"},
    {LK_ECONF, 78, 78, "configuration"},
    {LK_EABSENT, 65, 65, "absent"},
    {LK_ENET, 69, 69, "network"},
    {LK_ETIME, 69, 75, "time"},
    {LK_ETLS, 69, 69, "tls"},
    {LK_ETRUST, 76, 76, "trust"},
    {LK_EPROTO, 65, 65, "protocol"},
    {LK_ELIMIT, 65, 65, "limit"},
    {LK_EHTTP, 69, 75, "http"},
    {LK_EDENIED, 77, 77, "denied"},
    {LK_EATTEST, 76, 76, "attestation"},
    {LK_ETPM, 71, 71, "tpm"},
    {LK_ESNP, 71, 71, "snp"},
    {LK_ECRYPTO, 65, 65, "crypto"},
    {LK_EUNWRAP, 65, 65, "unwrap"},
    {LK_ELUKS, 65, 65, "luks"},
    {LK_ESYS, 71, 71, "system"},
    {LK_EBUG, 70, 70, "bug"},
};

T(exit_statuses_and_names)
{
	EQ_U(sizeof(rows) / sizeof(rows[0]), LK_EBUG + 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lk_err e = {.code = rows[i].code};

		EQ_U(rows[i].code, i);
		EQ_I(lk_err_exit(&e), rows[i].status);
		e.retry = true;
		EQ_I(lk_err_exit(&e), rows[i].again);
		EQ_S(lk_code_name(rows[i].code), rows[i].name);
	}
}

T(a_code_that_does_not_exist)
{
	struct lk_err e = {.code = (enum lk_code)200};

	EQ_I(lk_err_exit(&e), 70);
	EQ_S(lk_code_name((enum lk_code)200), "unknown");
}

T(fail_records_and_returns)
{
	struct lk_err e;

	memset(&e, 0xff, sizeof(e));
	EQ_CODE(LK_EHTTP, lk_fail(&e, LK_EHTTP, "vault: status %d", 418));
	EQ_I(e.code, LK_EHTTP);
	EQ_S(e.msg, "vault: status 418");
	EQ_S(e.hint, "");
	OK(!e.retry);
	EQ_I(e.sys, 0);
	EQ_U(e.http, 0);
	EQ_U(e.lib, 0);
	EQ_U(e.wait_s, 0);
}

T(hint_retry_and_prefix_keep_the_rest)
{
	struct lk_err e;

	(void)lk_fail(&e, LK_ENET, "connect: refused");
	e.wait_s = 7;
	EQ_CODE(LK_ENET, lk_hint(&e, "is port %d open?", 443));
	EQ_CODE(LK_ENET, lk_err_retry(&e));
	EQ_CODE(LK_ENET, lk_err_prefix(&e, "%s", "vault"));
	EQ_S(e.msg, "vault: connect: refused");
	EQ_S(e.hint, "is port 443 open?");
	OK(e.retry);
	EQ_U(e.wait_s, 7);
}

T(errno_is_named)
{
	struct lk_err e;

	EQ_CODE(LK_ESYS, lk_fail_sys(&e, ENOENT, "open %s", "/x"));
	EQ_I(e.sys, ENOENT);
	EQ_S(e.msg, "open /x: No such file or directory");
}

T(arguments_may_be_the_old_text)
{
	struct lk_err e;

	(void)lk_fail(&e, LK_EPROTO, "first");
	(void)lk_fail(&e, LK_EPROTO, "%s and %s", e.msg, e.msg);
	EQ_S(e.msg, "first and first");
	(void)lk_hint(&e, "%s", e.msg);
	(void)lk_err_prefix(&e, "%s", e.hint);
	EQ_S(e.msg, "first and first: first and first");
}

T(one_printable_line)
{
	struct lk_err e;

	(void)lk_fail(&e, LK_EPROTO, "a%cb%cc%cd\xc3\xa9%c", '\n', '\r', 0x1b, 0x7f);
	EQ_S(e.msg, "a?b?c?d???");
	(void)lk_hint(&e, "x\ty");
	EQ_S(e.hint, "x?y");
	(void)lk_err_prefix(&e, "p\n");
	EQ_S(e.msg, "p?: a?b?c?d???");
}

T(long_texts_are_cut)
{
	char big[1000];
	struct lk_err e;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)lk_fail(&e, LK_EPROTO, "%s", big);
	EQ_U(strlen(e.msg), sizeof(e.msg) - 1);
	(void)lk_fail_sys(&e, EIO, "%s", big);
	EQ_U(strlen(e.msg), sizeof(e.msg) - 1);
	(void)lk_hint(&e, "%s", big);
	EQ_U(strlen(e.hint), sizeof(e.hint) - 1);
	(void)lk_err_prefix(&e, "vault");
	EQ_U(strlen(e.msg), sizeof(e.msg) - 1);
	EQ_MEM(e.msg, "vault: xxx", 10);
	(void)lk_err_prefix(&e, "%s", big);
	EQ_U(strlen(e.msg), sizeof(e.msg) - 1);
}

T(bugs_end_the_process)
{
	struct lk_err e = {.code = LK_OK};

	DIES(lk_bug("x.c", 1));
	DIES(lk_fail(&e, LK_OK, "a failure that is none"));
	DIES(lk_fail(&e, (enum lk_code)(LK_EBUG + 1), "no such code"));
	LK_BUG_ON(e.code != LK_OK);
}
