/* http_rows.h - answers that the HTTP parser must refuse, each with the outcome we want, and
 * answers that it must take. */
#ifndef LK_TEST_HTTP_ROWS_H
#define LK_TEST_HTTP_ROWS_H

#include "lk/slice.h"

#define H        "HTTP/1.1 200 OK\r\n"
#define CH       H "Transfer-Encoding: chunked\r\n\r\n"
#define ROOM     1024
#define TABLE(t) (sizeof(t) / sizeof((t)[0]))
#define ROW(lit)                                                                                   \
	{                                                                                          \
		(const uint8_t *)("" lit), sizeof(lit) - 1                                         \
	}

struct bad {
	const char *name;
	struct lk_slice in;
	enum lk_code want;
	size_t whole; /* a complete answer ends here: what follows is the offence */
};

#define BAD(name, want, lit)                                                                       \
	{                                                                                          \
		name, ROW(lit), want, 0                                                            \
	}
#define EXTRA(name, first, rest)                                                                   \
	{                                                                                          \
		name, ROW(first rest), LK_EPROTO, sizeof(first) - 1                                \
	}
#define LENGTH(text) BAD("length " text, LK_EPROTO, H "Content-Length: " text "\r\n\r\nhello")
#define TE(text)                                                                                   \
	BAD("te " text, LK_EPROTO, H "Transfer-Encoding: " text "\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
#define STATUS(text)            BAD("status " text, LK_EPROTO, text "\r\nContent-Length: 0\r\n\r\n")
#define FIELD(name, text)       BAD(name, LK_EPROTO, H text "\r\nContent-Length: 0\r\n\r\n")
#define CHUNK(name, want, text) BAD("chunk: " name, want, CH text)
#define L5                      H "Content-Length: 5\r\n\r\nhello"

static const struct bad bad_rows[] = {
    /* status line */
    STATUS("HTTP/1.1 2000 OK"),
    STATUS("HTTP/1.1 2000"),
    STATUS("HTTP/1.1 20 OK"),
    STATUS("HTTP/1.1 20"),
    STATUS("HTTP/1.1 -20 OK"),
    STATUS("HTTP/1.1 099 OK"),
    STATUS("HTTP/1.1 600 OK"),
    STATUS("HTTP/1.1 2x0 OK"),
    STATUS("HTTP/1.1 +20 OK"),
    STATUS("HTTP/2 200 OK"),
    STATUS("HTTP/2.0 200 OK"),
    STATUS("http/1.1 200 OK"),
    STATUS("HTTP/1.10 200 OK"),
    STATUS("HTTP/1.2 200 OK"),
    STATUS("HTTP/0.9 200 OK"),
    STATUS("HTTP/1.1\t200 OK"),
    STATUS("HTTP/1.1 200\tOK"),
    STATUS("HTTP/1.1  200 OK"),
    STATUS("HTTP/1.1 200"),
    STATUS("HTTP/1.1 "),
    STATUS("HTTP/1.1"),
    STATUS(" HTTP/1.1 200 OK"),
    STATUS("HTTP/1.1 200 O\rK"),
    STATUS("HTTP/1.1 200 O\0K"),
    STATUS("HTTP/1.1 200 O\033[1mK"),
    STATUS("HTTP/1.1 200 O\177K"),
    STATUS(""),
    STATUS("<html>"),
    STATUS("ICY 200 OK"),
    BAD("status line with bare LF", LK_EPROTO, "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    BAD("empty line first", LK_EPROTO, "\r\n" L5),
    BAD("fields before the status line", LK_EPROTO, "Content-Length: 5\r\n" L5),
    BAD("switching protocols", LK_EPROTO, "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n" L5),
    /* content-length */
    LENGTH("+5"),
    LENGTH("-1"),
    LENGTH("5,5"),
    LENGTH("5, 6"),
    LENGTH("0x10"),
    LENGTH(" 5 "),
    LENGTH(" 5"),
    LENGTH("5 "),
    LENGTH("\t5"),
    LENGTH("5;"),
    LENGTH(""),
    LENGTH(" "),
    LENGTH("five"),
    LENGTH("5.0"),
    LENGTH("1_0"),
    LENGTH("5\0"),
    LENGTH("\"5\""),
    BAD("length of 20 digits", LK_ELIMIT, H "Content-Length: 00000000000000000005\r\n\r\nhello"),
    BAD("length 2^63", LK_ELIMIT, H "Content-Length: 9223372036854775808\r\n\r\nhello"),
    BAD("length 2^64+5", LK_ELIMIT, H "Content-Length: 18446744073709551621\r\n\r\nhello"),
    BAD("length 2^32+5", LK_ELIMIT, H "Content-Length: 4294967301\r\n\r\nhello"),
    BAD("length of 10 GB", LK_ELIMIT, H "Content-Length: 10000000000\r\n\r\nhello"),
    BAD("one byte more than the room", LK_ELIMIT, H "Content-Length: 1025\r\n\r\nhello"),
    BAD("two equal lengths", LK_EPROTO, H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    BAD("two lengths", LK_EPROTO, H "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello"),
    BAD("length larger than the body", LK_EPROTO, H "Content-Length: 6\r\n\r\nhello"),
    EXTRA("length smaller than the body", H "Content-Length: 4\r\n\r\nhell", "o"),
    EXTRA("length 0 and a body", H "Content-Length: 0\r\n\r\n", "hello"),
    EXTRA("data after the end", L5, "HTTP/1.1 200 OK\r\n\r\n"),
    EXTRA("a line end after the end", L5, "\r\n"),
    EXTRA("204 with a body", "HTTP/1.1 204 N\r\n\r\n", "hello"),
    EXTRA("304 with a body", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", "hello"),
    EXTRA("duplicated head end", H "Content-Length: 5\r\n\r\n\r\nhel", "lo"),
    /* transfer-encoding */
    TE("Chunked"),
    TE("CHUNKED"),
    TE("chunked, chunked"),
    TE("gzip, chunked"),
    TE("identity"),
    TE("xchunked"),
    TE(",chunked"),
    TE("chunked,"),
    TE("chunked\x0b"),
    TE(" chunked"),
    TE("chunked "),
    TE("chunked;q=1"),
    TE(""),
    TE("gzip"),
    TE("\"chunked\""),
    BAD("two te fields", LK_EPROTO,
	H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("te, then length", LK_EPROTO,
	H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    BAD("length, then te", LK_EPROTO,
	H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("te in HTTP/1.0", LK_EPROTO,
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* chunks */
    CHUNK("empty size", LK_EPROTO, "\r\nhello\r\n0\r\n\r\n"),
    CHUNK("no size at all", LK_EPROTO, "\r\n\r\n"),
    CHUNK("extension without a size", LK_EPROTO, ";a=b\r\n\r\n"),
    CHUNK("g", LK_EPROTO, "g\r\nhello\r\n0\r\n\r\n"),
    CHUNK("-1", LK_EPROTO, "-1\r\nhello\r\n0\r\n\r\n"),
    CHUNK("+1", LK_EPROTO, "+1\r\nh\r\n0\r\n\r\n"),
    CHUNK("0x1", LK_EPROTO, "0x1\r\nh\r\n0\r\n\r\n"),
    CHUNK("1_0", LK_EPROTO, "1_0\r\nhello\r\n0\r\n\r\n"),
    CHUNK("blank before", LK_EPROTO, " 1\r\nh\r\n0\r\n\r\n"),
    CHUNK("blank after", LK_EPROTO, "1 \r\nh\r\n0\r\n\r\n"),
    CHUNK("tab after", LK_EPROTO, "1\t\r\nh\r\n0\r\n\r\n"),
    CHUNK("nine digits", LK_EPROTO, "000000005\r\nhello\r\n0\r\n\r\n"),
    CHUNK("17 digits", LK_EPROTO, "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    CHUNK("2^64-1", LK_EPROTO, "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    CHUNK("2^32-1", LK_ELIMIT, "ffffffff\r\nhello\r\n0\r\n\r\n"),
    CHUNK("sum over the room", LK_ELIMIT, "5\r\nhello\r\n3fc\r\nx"),
    CHUNK("no line end after data", LK_EPROTO, "5\r\nhello0\r\n\r\n"),
    CHUNK("data longer than its size", LK_EPROTO, "4\r\nhello\r\n0\r\n\r\n"),
    CHUNK("data shorter than its size", LK_EPROTO, "6\r\nhello\r\n0\r\n\r\n"),
    CHUNK("bare LF after the size", LK_EPROTO, "5\nhello\r\n0\r\n\r\n"),
    CHUNK("bare LF after data", LK_EPROTO, "5\r\nhello\n0\r\n\r\n"),
    CHUNK("CR X after the size", LK_EPROTO, "5\rXhello\r\n0\r\n\r\n"),
    CHUNK("CR X after data", LK_EPROTO, "5\r\nhello\rX0\r\n\r\n"),
    CHUNK("CR in an extension", LK_EPROTO, "1;a=b\r\rXh\r\n0\r\n\r\n"),
    CHUNK("NUL in an extension", LK_EPROTO, "1;a=\0b\r\nh\r\n0\r\n\r\n"),
    CHUNK("tab in an extension", LK_EPROTO, "1;\ta\r\nh\r\n0\r\n\r\n"),
    CHUNK("no last chunk", LK_EPROTO, "5\r\nhello\r\n"),
    CHUNK("trailer without end", LK_EPROTO, "5\r\nhello\r\n0\r\nA: b\r\n"),
    CHUNK("no empty line at the end", LK_EPROTO, "5\r\nhello\r\n0\r\n"),
    CHUNK("trailer with a length", LK_EPROTO, "0\r\nContent-Length: 5\r\n\r\n"),
    CHUNK("trailer with te", LK_EPROTO, "0\r\ntransfer-encoding: chunked\r\n\r\n"),
    CHUNK("malformed trailer", LK_EPROTO, "0\r\nA : b\r\n\r\n"),
    CHUNK("nine trailers", LK_ELIMIT,
	"0\r\nA: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\nA: 9\r\n\r\n"),
    EXTRA("data after the last chunk", CH "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n"),
    /* fields */
    FIELD("NUL in a name", "A\0B: v"),
    FIELD("NUL in a value", "A: \0v"),
    FIELD("ESC in a value", "A: \033v"),
    FIELD("DEL in a value", "A: \177"),
    FIELD("space before the colon", "Name : v"),
    FIELD("tab before the colon", "Name\t: v"),
    FIELD("no name", ": v"),
    FIELD("no colon", "Name"),
    FIELD("folded field", "A: b\r\n c"),
    FIELD("folded first field", " A: b"),
    FIELD("tab fold", "A: b\r\n\tc"),
    FIELD("bare LF", "A: b\nC: d"),
    FIELD("bare CR", "A: b\rC: d"),
    FIELD("CR CR LF", "A: b\r"),
    FIELD("eight-bit name", "\xc3\xa4: v"),
    FIELD("bracket in a name", "A[0]: v"),
    FIELD("two content types", "Content-Type: text/html\r\nContent-Type: application/json"),
    BAD("bare LF ends the head", LK_EPROTO, H "Content-Length: 0\n\n"),
    /* interim answers */
    BAD("five interim answers", LK_ELIMIT,
	"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
	"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n" L5),
    BAD("interim answer with a length", LK_EPROTO,
	"HTTP/1.1 103 E\r\nContent-Length: 0\r\n\r\n" L5),
    BAD("interim answer with te", LK_EPROTO,
	"HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n" L5),
    BAD("interim answer alone", LK_EPROTO, "HTTP/1.1 100 Continue\r\n\r\n"),
    BAD("nothing", LK_ENET, ""),
};

struct good {
	const char *name;
	struct lk_slice in;
	unsigned status;
	const char *body;
	bool json, until_close;
	size_t head; /* until_close: the head's length */
};

#define GOOD(name, status, body, lit)                                                              \
	{                                                                                          \
		name, ROW(lit), status, body, false, false, 0                                      \
	}
#define JSON(name, lit)                                                                            \
	{                                                                                          \
		name, ROW(lit), 200, "hello", true, false, 0                                       \
	}
#define OPEN(name, head, body)                                                                     \
	{                                                                                          \
		name, ROW(head body), 200, body, false, true, sizeof(head) - 1                     \
	}
#define TYPE(text) H "Content-Type: " text "\r\nContent-Length: 5\r\n\r\nhello"

static const struct good good_rows[] = {
    GOOD("length", 200, "hello", L5),
    GOOD("length without a blank", 200, "hello", H "content-length:5\r\n\r\nhello"),
    GOOD("length with zeros", 200, "hello", H "CONTENT-LENGTH: 0000000005\r\n\r\nhello"),
    GOOD("length 0", 200, "", H "Content-Length: 0\r\n\r\n"),
    GOOD("empty reason", 200, "", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    GOOD("reason in UTF-8", 200, "", "HTTP/1.1 200 \xc3\x96K\r\nContent-Length: 0\r\n\r\n"),
    GOOD("HTTP/1.0", 404, "no", "HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    GOOD("chunked", 200, "hello, world", CH "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"),
    GOOD("chunked, empty", 200, "", CH "0\r\n\r\n"),
    GOOD("chunked, eight digits", 200, "hello", CH "00000005\r\nhello\r\n00000000\r\n\r\n"),
    GOOD("chunked, hexadecimal", 200, "0123456789abcdefghijk",
	CH "a\r\n0123456789\r\nB\r\nabcdefghijk\r\n0\r\n\r\n"),
    GOOD("chunked, extensions and trailers", 200, "hello",
	CH "5;a=\"b\";c\r\nhello\r\n0;x\r\nA: 1\r\nB: 2\r\n\r\n"),
    GOOD("chunk data of line ends", 200, "\r\n\r\n0", CH "5\r\n\r\n\r\n0\r\n0\r\n\r\n"),
    GOOD("204", 204, "", "HTTP/1.1 204 No Content\r\n\r\n"),
    GOOD("204 with a length of 0", 204, "", "HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n"),
    GOOD("304 with a length", 304, "", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n"),
    GOOD("four interim answers", 200, "hello",
	"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\n"
	"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 199 X\r\n\r\n" L5),
    GOOD("redirect to http", 301, "",
	"HTTP/1.1 301 M\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n"),
    GOOD("redirect to another host", 302, "",
	"HTTP/1.1 302 F\r\nLocation: https://b/\r\nContent-Length: 0\r\n\r\n"),
    GOOD("redirect to a script", 301, "",
	"HTTP/1.1 301 M\r\nLocation: javascript:0\r\nContent-Length: 0\r\n\r\n"),
    GOOD("server error", 503, "busy", "HTTP/1.1 503 S\r\nContent-Length: 4\r\n\r\nbusy"),
    GOOD("field values at the edges", 200, "hello",
	H "A:\r\nB:   \r\nC: \t\x80\xff~!\r\nContent-Length: 5\r\n\r\nhello"),
    GOOD("HTML", 200, "hello", TYPE("text/html; charset=utf-8")),
    GOOD("almost JSON", 200, "hello", TYPE("application/jsonp")),
    GOOD("JSON in words", 200, "hello", TYPE("text application/json")),
    GOOD("no type", 200, "hello", TYPE("")),
    JSON("JSON", TYPE("application/json")),
    JSON("JSON with a character set", TYPE("application/json; charset=utf-8")),
    JSON("JSON in capitals", TYPE("Application/JSON ;charset=utf-8")),
    JSON("a JSON type", TYPE("application/jwk+json")),
    OPEN("until close", H "\r\n", "hello"),
    OPEN("until close, HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "hello"),
    OPEN("until close, empty", H "Connection: close\r\n\r\n", ""),
};

#endif
