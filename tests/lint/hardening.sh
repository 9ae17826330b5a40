#!/bin/sh
# hardening.sh PROGRAM UNSTRIPPED: what the linker must have done, read from the program itself.
set -eu
prog=$1 symbols=$2
bad=0
must() {
	echo "$prog: $*"
	bad=1
}
head=$(readelf -hW "$prog")
segments=$(readelf -lW "$prog")
dynamic=$(readelf -dW "$prog")

echo "$head" | grep -q 'Type: *DYN' || must "not position independent"
! echo "$segments" | grep -q INTERP || must "wants an interpreter: not static"
! echo "$dynamic" | grep -q NEEDED || must "needs shared libraries"
echo "$segments" | grep -q GNU_RELRO || must "no GNU_RELRO"
echo "$dynamic" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' || must "not bound at start (BIND_NOW)"
! echo "$dynamic" | grep -q TEXTREL || must "relocations in the code (TEXTREL)"
echo "$segments" | grep -qE 'GNU_STACK.* RW +0x' || must "executable stack"
! echo "$segments" | grep -E '^ +LOAD' | grep -q 'RWE' || must "a segment both writable and executable"
nm "$symbols" | grep -q ' __stack_chk_fail$' || must "no stack protector"
# a function of our own must use it, not only the C library have it
objdump -d --no-show-raw-insn "$symbols" | grep -qE 'call.*<__stack_chk_fail' || must "the stack protector is not called"
! nm -u "$symbols" | grep -vE ' [wv] ' | grep -q . || must "undefined symbols"

here=$(pwd)
for s in "$here" "${HOME:-/root}/" /usr/include /usr/lib/gcc; do
	! grep -qaF "$s" "$prog" || must "holds the path $s of this machine"
done
for s in /dev/random /dev/urandom; do
	! grep -qaF "$s" "$prog" || must "opens $s: randomness is getrandom(2) alone"
done
exit $bad
