#!/bin/sh
# Two builds in folders of different names give the same programs. With --full the libraries are
# built twice as well (from the fetched sources); without, they are shared.
set -eu
full=${1:-}
top=$(pwd)
[ -f src/cli/latchkey.c ] || {
	echo "src/cli/latchkey.c is not there"
	exit 1
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
SOURCE_DATE_EPOCH=1767225600
export SOURCE_DATE_EPOCH
for dir in "$tmp/a" "$tmp/another/folder with a longer name"; do
	mkdir -p "$dir/build"
	find Makefile src include -type f | cpio --quiet -pdm "$dir"
	if [ "$full" = --full ]; then
		(cd "$dir" && DEPS=$top/build/deps/dl src/deps/setup.sh libs >/dev/null)
	else
		ln -s "$(readlink -f build/deps)" "$dir/build/deps"
	fi
	(cd "$dir" && ${MAKE:-make} -s --no-print-directory -j2 V=1 VERSION=repro programs)
	(cd "$dir" && sha256sum build/latchkey*) | tee "$tmp/sums.$(basename "$dir" | cut -c1)"
done
cmp "$tmp/sums.a" "$tmp/sums.f" && echo "the same"
