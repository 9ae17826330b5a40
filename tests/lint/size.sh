#!/bin/sh
# size.sh [PROGRAM]: sections and sizes; fails above the limit for the stripped program.
set -eu
prog=${1:-build/latchkey}
# 300 KiB is what the vTPM's path alone takes, 34 KiB more the SNP path: its devices, a key made in
# the guest, a second request, AMD's certificates and their check.
limit=$((${LIMIT_KIB:-344} * 1024))
aim=$((320 * 1024))
show() {
	size -A -d "$1" | awk -v f="$1" -v total="$(stat -c %s "$1")" '
		NR > 2 && $2 + 0 > 0 && $1 != "Total" { printf "  %-14s %8d\n", $1, $2 }
		END { printf "%s: %d bytes, %.1f KiB\n", f, total, total / 1024 }'
}
show "$prog"
if [ $# = 0 ] && [ -f build/latchkeyctl ]; then
	echo "build/latchkeyctl: $(stat -c %s build/latchkeyctl) bytes"
fi
n=$(stat -c %s "$prog")
if [ "$n" -gt $limit ]; then
	echo "too large: the limit is $limit bytes (aim: $aim)"
	exit 1
fi
[ "$n" -le $aim ] || echo "above the aim of $aim bytes, $((limit - n)) bytes left"
