#!/bin/sh
# What src/deps/setup.sh does when a source was altered, has left the archive, or is not there.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/self/tap.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
setup=src/deps/setup.sh
dl=build/deps/dl

# fresh: an output folder with the fetched sources as they are
fresh() {
	rm -rf "$tmp/out"
	mkdir -p "$tmp/out/dl"
	cp "$dl"/*.dsc "$dl"/*.tar.* "$tmp/out/dl/"
	find "$dl" -name "*.taken" -exec cp {} "$tmp/out/dl/" \;
}

# one PATTERN: the name of that file there
one() {
	(cd "$dl" && find . -name "$1" | sed 's|^\./||' | head -n 1)
}

# flip FILE: changes one byte in its middle
flip() {
	at=$(($(stat -c %s "$1") / 2))
	byte=$(od -An -tu1 -j "$at" -N 1 "$1")
	printf '%b' "\\0$(printf %o $(((byte + 1) % 256)))" | dd of="$1" bs=1 seek="$at" conv=notrunc 2>/dev/null
}

unaltered() {
	fresh
	DEPS_OUT=$tmp/out "$setup" sources && [ -f "$tmp/out/src/mbedtls/library/ssl_tls.c" ]
}

altered() {
	fresh
	flip "$tmp/out/dl/$1"
	refuses "$1 was altered" env DEPS_OUT="$tmp/out" "$setup" libs || return 1
	[ ! -e "$tmp/out/stamp" ] && [ ! -e "$tmp/out/musl" ] && [ "$(echo "$tap_said" | wc -l)" = 1 ]
}

altered_offline() {
	fresh
	mv "$tmp/out/dl" "$tmp/tarballs"
	flip "$tmp/tarballs/$1"
	refuses "$1 was altered" env DEPS="$tmp/tarballs" DEPS_OUT="$tmp/out" "$setup" libs || return 1
	rm "$tmp/tarballs/$1"
	refuses "has no $1" env DEPS="$tmp/tarballs" DEPS_OUT="$tmp/out" "$setup" libs
}

# edit SED: a lock file of our own
edit() {
	sed -E "$1" src/deps/lock >"$tmp/lock"
	! cmp -s src/deps/lock "$tmp/lock"
}

package_too_old() {
	fresh
	edit 's/^(package libjsmn-dev) .*/\1 99.1/' || return 1
	refuses 'libjsmn-dev is .*, and at least 99.1 is needed' env LOCK="$tmp/lock" DEPS_OUT="$tmp/out" "$setup" libs
}

# An archive that is not there, for the checks that must not need one
no_archive() {
	rm -rf "${tmp:?}/etc"
	mkdir -p "$tmp/etc"
	refuses 'no Debian archive' env APT_ETC="$tmp/etc" DEPS_OUT="$tmp/none" "$setup" sources
}

# form FILE TEXT WANTED: what archive_of makes of a source list
form() {
	rm -rf "${tmp:?}/etc"
	mkdir -p "$tmp/etc/sources.list.d"
	printf '%b' "$2" >"$tmp/etc/$1"
	got=$(APT_ETC=$tmp/etc sh -c '. src/deps/sources.sh; archive_of forky')
	[ "$got" = "$(printf '%b' "$3")" ] || {
		echo "$got"
		return 1
	}
}

old_mbedtls() {
	refuses 'needs Mbed TLS 3.6.7' gcc -fsyntax-only -x c -DMBEDTLS_VERSION_NUMBER=0x03060600 \
		src/tls/mbed_config.h || return 1
	gcc -fsyntax-only -x c -DMBEDTLS_VERSION_NUMBER=0x03060700 src/tls/mbed_config.h
}

gone() {
	rm -rf "$tmp/gone"
	DEPS_OUT=$tmp/gone LOCK=$tmp/lock "$setup" sources >"$tmp/said" 2>&1 || return 1
	grep -E '^setup: mbedtls 3\.6\.7-99 has left the archive; taking 3\.6\.[0-9a-z.~+-]+, the newest' "$tmp/said" &&
		[ -f "$tmp/gone/src/mbedtls/library/ssl_tls.c" ] &&
		# the second time it is known, and nothing is fetched
		DEPS_OUT=$tmp/gone LOCK=$tmp/lock APT_ETC=$tmp/none "$setup" sources
}

nothing_fits() {
	rm -rf "$tmp/gone"
	refuses 'nothing there is at least 3.99' env DEPS_OUT="$tmp/gone" LOCK="$tmp/lock" "$setup" sources
}

check "unaltered sources are unpacked" unaltered
check "one byte changed in a tarball: one line, nothing built" altered "$(one "mbedtls_*.orig.tar.*")"
check "one byte changed in a distribution's patch" altered "$(one "tpm2-tss_*.debian.tar.*")"
check "DEPS=dir: altered, or not there" altered_offline "$(one "tpm2-tss_*.orig.tar.*")"
check "a package that is too old" package_too_old
check "no archive to fetch from: says what to do" no_archive
stanza='Types: deb-src\nURIs: mirror:/d\nSuites: forky\nComponents: main'
check "apt's one-line form" form sources.list \
	'# deb other:/d x main\ndeb [arch=amd64 signed-by=/k.gpg trusted=yes] mirror:/d bookworm main contrib\n' \
	"$stanza\nSigned-By: /k.gpg"
check "apt's one-line form without options" form sources.list.d/a.list \
	'deb sec:/d bookworm-security main\ndeb http://x/ stable nonfree\ndeb mirror:/d bookworm main\ndeb second:/d x main\n' "$stanza"
check "apt's deb822 form" form sources.list.d/a.sources \
	'Types: deb\nURIs: sec:/d\nSuites: bookworm-security\nComponents: main\n\nTypes: deb deb-src\n# a comment\nURIs: mirror:/d\nSuites: bookworm\n bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n' \
	"$stanza\nSigned-By: /k.gpg"
check "apt's deb822 form with the key inside, and a stanza switched off" form sources.list.d/a.sources \
	'Enabled: no\nTypes: deb\nURIs: off:/d\nSuites: x\nComponents: main\n\nTypes: deb\nURIs: mirror:/d\nSuites: x\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n' \
	"$stanza\nSigned-By:\n -----BEGIN-----\n .\n abc"
check "Mbed TLS below 3.6.7 does not compile" old_mbedtls

edit 's/^source mbedtls .*/source mbedtls 3.6.7-99 forky 3.6.7 4/; s/^file mbedtls.*/file mbedtls_3.6.7-99.dsc 00/; /^source tpm2-tss/,/^$/d' ||
	exit 1
if timeout 300 env DEPS_OUT="$tmp/probe" LOCK="$tmp/lock" "$setup" sources >"$tmp/probe.log" 2>&1; then
	check "a pin that has left the archive is replaced, and it says so" gone
	edit 's/^source mbedtls .*/source mbedtls 3.98 forky 3.99 4/; s/^file mbedtls.*/file mbedtls_3.98.dsc 00/; /^source tpm2-tss/,/^$/d'
	check "a minimum that nothing meets" nothing_fits
elif grep -q 'could be read' "$tmp/probe.log"; then
	skip "a pin that has left the archive is replaced" "the archive cannot be reached"
	skip "a minimum that nothing meets" "the archive cannot be reached"
else
	check "a pin that has left the archive is replaced, and it says so" cat "$tmp/probe.log" /nonexistent
fi
finish
