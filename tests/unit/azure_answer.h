/* azure_answer.h - made-up answers for the tests of the parsers. */
#ifndef LK_TEST_AZURE_ANSWER_H
#define LK_TEST_AZURE_ANSWER_H

#include <string.h>

#include "lk/http.h"

__attribute__((unused)) static struct lk_slice text(const char *s)
{
	return lk_slice_of(s, strlen(s));
}

__attribute__((unused)) static struct lk_http_rsp answer(unsigned status, const char *body)
{
	return (struct lk_http_rsp){.status = status, .body = text(body), .json = true};
}

/* `from` with the first `old` replaced by `new_text`; what is not there is a mistake in the test.
 */
__attribute__((unused)) static const char *swap(
    const char *from, const char *old, const char *new_text)
{
	static char out[2][65536];
	static unsigned turn;
	const char *at = strstr(from, old);
	char *to = out[turn++ % 2];

	if (!at || strlen(from) + strlen(new_text) >= sizeof(out[0]))
		abort();
	memcpy(to, from, (size_t)(at - from));
	strcpy(to + (at - from), new_text);
	strcat(to, at + strlen(old));
	return to;
}

#endif
