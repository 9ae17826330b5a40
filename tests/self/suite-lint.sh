#!/bin/sh
# Each check of `make lint` is seen failing on a tree in which one thing is wrong, and the build
# gives the same programs in two folders.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/self/tap.sh
top=$(pwd)
lint=$top/tests/lint
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# tree: a small tree that is all right
tree() {
	rm -rf "${tmp:?}/t"
	mkdir -p "$tmp/t/include/lk" "$tmp/t/src/util" "$tmp/t/src/azure" "$tmp/t/src/tls"
	cd "$tmp/t" || exit 1
	printf '#include <stdint.h>\n' >include/lk/err.h
	printf '#include "lk/err.h"\n' >include/lk/tpm.h
	printf '#include "lk/err.h"\n\nint f(void)\n{\n\treturn 0; /* strcpy( */\n}\n' >src/util/err.c
	printf '#!/bin/sh\necho "$1"\n' >x.sh
	printf 'print(1)\n' >x.py
}

# wrong PATTERN CHECK FILE TEXT: with TEXT added to FILE, CHECK fails and says PATTERN
wrong() {
	(
		tree
		"$lint/$2.sh" || {
			echo "the tree is not right before"
			exit 1
		}
		printf '%b' "$4" >>"$3"
		refuses "$1" "$lint/$2.sh"
	)
}

lines() {
	i=0
	while [ $i -lt "$1" ]; do
		printf '\tx++;\\n'
		i=$((i + 1))
	done
}

check "layers: upwards" wrong 'util .layer 0. includes lk/tpm.h' layers src/util/a.c '#include "lk/tpm.h"\n'
check "layers: a header upwards" wrong 'util .layer 0. includes lk/tpm.h' layers include/lk/err.h '#include "lk/tpm.h"\n'
check "layers: azure knows no hardware" wrong 'azure .* includes lk/tpm.h' layers src/azure/a.c '#include "lk/tpm.h"\n'
check "layers: a header nobody knows" wrong 'new.h is not in' layers include/lk/new.h '#include "lk/err.h"\n'
check "layers: a folder nobody knows" wrong 'folder newdir' layers src/azure/../newdir.c '#include "lk/err.h"\n'
check "layers: a library in the wrong file" wrong 'only .*_mbed' layers src/tls/tls.c '#include <mbedtls/ssl.h>\n'
check "layers: through the back door" wrong 'through' layers src/azure/a.c '#include "../util/x.h"\n'
check "banned: strcpy" wrong 'use struct lk_buf' banned src/util/a.c '\tstrcpy(a, b);\n'
check "banned: strtoul outside util" wrong 'only src/util' banned src/azure/a.c '\tx = strtoul(a, &b, 10);\n'
check "banned: malloc" wrong 'no heap' banned include/lk/err.h 'static void *p(void) { return malloc (3); }\n'
check "words: unfinished work" wrong 'unfinished' words src/util/err.c '/* TO''DO */\n'
check "words: a home folder" wrong 'paths' words x.sh 'cd /home/''somebody\n'
check "limits: a long line" wrong 'wider than 100' limits src/util/err.c "$(printf '%0101d' 0)\n"
check "limits: a long function" wrong 'a function of 61' limits src/util/err.c "void g(void)\n{\n$(lines 61)}\n"
check "limits: a long file" wrong '401 lines' limits x.py "$(printf '%0400d' 0 | sed 's/0/\\n/g')"
check "limits: blanks at the end" wrong 'blanks at the end' limits src/util/err.c 'int x; \n'

# program NAME FLAGS...: a program built with these
program() {
	out=$1
	shift
	printf '#include <stdio.h>\nint main(int c, char **v){char b[64];%s sprintf(b,"%%s",v[c-1]);return puts(b);}\n' \
		"${body:-}" >"$tmp/p.c"
	gcc -w -Os -fstack-protector-strong "$@" "$tmp/p.c" -o "$tmp/$out"
}

# weak PATTERN FLAGS...: a program built with FLAGS is refused
weak() {
	pattern=$1
	shift
	program p "$@" && refuses "$pattern" "$lint/hardening.sh" "$tmp/p" "$tmp/p"
}
writable() {
	echo 'int main(void) { return 0; }' | gcc -w -nostdlib -static -Wl,-N,-e,main -x c - -o "$tmp/p" &&
		refuses 'writable and executable' "$lint/hardening.sh" "$tmp/p" "$tmp/p"
}
good="-static-pie -fPIE -Wl,-z,relro,-z,now"
# shellcheck disable=SC2086 # flags
{
	check "hardening: not position independent" weak 'position' -static -no-pie
	check "hardening: an interpreter" weak 'interpreter' -pie -fPIE
	check "hardening: shared libraries" weak 'shared libraries' -pie -fPIE
	check "hardening: no RELRO" weak 'no GNU_RELRO' $good -Wl,-z,norelro
	check "hardening: lazy binding" weak 'BIND_NOW' -pie -fPIE -Wl,-z,lazy
	check "hardening: executable stack" weak 'executable stack' $good -Wl,-z,execstack
	check "hardening: writable code" writable
	check "hardening: no stack protector" weak 'stack protector' -pie -fPIE -fno-stack-protector
	body="puts(\"$top/src\");" check "hardening: a path of the build" weak 'holds the path' $good
	body="puts(\"/dev/urandom\");" check "hardening: a random device" weak 'getrandom' $good
}

size_above() {
	program p -static && LIMIT_KIB=100 refuses 'too large' "$lint/size.sh" "$tmp/p" &&
		LIMIT_KIB=100000 "$lint/size.sh" "$tmp/p"
}
check "size: above the limit" size_above

# bad PATTERN GOAL TEXT: a file with TEXT in a copy of the tree, and `make GOAL` fails with PATTERN
bad() {
	rm -rf "${tmp:?}/c"
	mkdir -p "$tmp/c/build" "$tmp/c/src/util" "$tmp/c/tests/lint"
	cp tests/lint/tidy.h "$tmp/c/tests/lint/"
	cp -r Makefile .clang-tidy include "$tmp/c/"
	cp -r src/deps src/tls "$tmp/c/src/"
	rm -f "$tmp"/c/src/tls/*.c
	ln -s "$(readlink -f build/deps)" "$tmp/c/build/deps"
	printf '%b' 'int lk_a(int n);\n'"$3" >"$tmp/c/src/util/a.c"
	refuses "$1" make --no-print-directory -C "$tmp/c" "$2"
}
check "warnings: a conversion" bad 'Werror=conversion' warnings 'int lk_a(int n)\n{\n\tchar c = n;\n\treturn c;\n}\n'
check "warnings: a large stack" bad 'Werror=stack-usage' warnings \
	'int lk_a(int n)\n{\n\tvolatile char c[9000];\n\tc[n] = 1;\n\treturn c[n];\n}\n'
check "tidy: recursion" bad 'misc-no-recursion' tidy 'int lk_a(int n)\n{\n\treturn n ? lk_a(n - 1) : 0;\n}\n'
check "tidy: division by zero" bad 'DivideZero' tidy 'int lk_a(int n)\n{\n\treturn n == 0 ? 5 / n : 1;\n}\n'
check "cppcheck: out of bounds" bad 'arrayIndexOutOfBounds' cppcheck \
	'int lk_a(int n)\n{\n\tint a[2] = { n, n };\n\treturn a[2];\n}\n'

# run_wrong CHECK FILE TEXT: the same for checks that live in tests/lint/run
run_wrong() {
	rm -rf "${tmp:?}/c"
	mkdir -p "$tmp/c/tests" "$tmp/c/src/man"
	cp -r tests/lint "$tmp/c/tests/"
	printf '%b' "$3" >"$tmp/c/$2"
	refuses "^not ok 1 - $1" "$tmp/c/tests/lint/run" "$1"
}
check "shellcheck: an unquoted variable" run_wrong shellcheck a.sh '#!/bin/sh\nrm $1\n'
check "python: a syntax error" run_wrong python: a.py 'def f(:\n'
check "mandoc: an unknown macro" run_wrong mandoc src/man/a.8 '.Dd $Mdocdate$\n.Zz\n'

check "two builds in different folders are identical" tests/lint/repro.sh
finish
