#!/bin/sh
# Installs the tools and builds the static libraries. Idempotent; quick when nothing is missing.
#
#   setup.sh all          tools and libraries                    (make setup)
#   setup.sh libs         the libraries and what they need       (make)
#   setup.sh sources      only fetch, check and unpack their sources
#   setup.sh check-libs   exit 0 if the libraries are up to date
#   setup.sh check-all    the same for tools and libraries
#
# DEPS=dir       build offline from the source packages that lie there
# DEPS_OUT=dir   put everything there instead of build/deps
# LOCK=file      pins, instead of src/deps/lock
# APT_ETC=dir    where apt's sources are looked up, instead of /etc/apt
set -eu

cd "$(dirname "$0")/../.."
here=src/deps
out=${DEPS_OUT:-build/deps}
lock=${LOCK:-$here/lock}
jobs=${JOBS:-2}

say() { echo "setup: $*"; }
die() {
	echo "setup: $*" >&2
	exit 1
}

# shellcheck source=src/deps/sources.sh
. "$here/sources.sh"

# Everything that decides what the libraries are, by content: time stamps say nothing in a clone.
key() {
	cat "$lock" "$here"/*.mk "$here"/*.[ch] src/tls/mbed_config.h | sha256sum | cut -d' ' -f1
}

# Where build/deps is a link, the libraries belong to another tree, which may be at another commit.
libs_ready() {
	[ -f "$out/stamp" ] && { [ -L "$out" ] || [ "$(cat "$out/stamp")" = "$(key)" ]; }
}

# packages GROUP...: the package names of these groups
packages() {
	for g in "$@"; do
		awk -v g="$g" '$1 == g { print $2 }' "$here/packages"
		[ "$g" != boot ] || grep -v '^#' qemu/packages
	done | sort -u
}

# missing GROUP...: those of them that are not installed
missing() {
	# shellcheck disable=SC2046 # one word per package
	set -- $(packages "$@")
	installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
		awk '$1 == "ii" { print $2 }') || true
	for p in "$@"; do
		echo "$installed" | grep -qxF "$p" || echo "$p"
	done
}

# install_tools GROUP...
install_tools() {
	command -v dpkg-query >/dev/null || {
		say "no dpkg here: install the equivalents of $here/packages yourself"
		return 0
	}
	want=$(missing "$@" | tr '\n' ' ')
	[ -n "$want" ] || return 0
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "not root, and missing: $want"
		as_root=sudo
	fi
	say "installing $want"
	mkdir -p "$out"
	log=$out/apt.log
	apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600"
	# shellcheck disable=SC2086 # words on purpose, here and below
	$apt update >"$log" 2>&1 || say "apt-get update failed; trying with the package lists as they are"
	# shellcheck disable=SC2086
	plan=$($apt install -s --no-install-recommends $want 2>&1) ||
		die "these cannot be installed: $want: $(echo "$plan" | grep -E '^E:|Depends' | head -3)"
	gone=$(echo "$plan" | awk '$1 == "Remv" { print $2 }' | tr '\n' ' ')
	[ -z "$gone" ] || die "installing would remove $gone; install by hand what you want of: $want"
	# shellcheck disable=SC2086
	$apt install -y --no-install-recommends $want >>"$log" 2>&1 ||
		die "apt-get install failed: $(grep -E '^E:' "$log" | tail -1) (all of it is in $log)"
}

# Packages that are used as they are must have a minimum version.
check_packages() {
	command -v dpkg-query >/dev/null || return 0
	awk '$1 == "package" { print $2, $3 }' "$lock" | while read -r name min; do
		have=$(dpkg-query -W -f '${Version}' "$name" 2>/dev/null) || die "$name is not installed"
		dpkg --compare-versions "$have" ge "$min" || die "$name is $have, and at least $min is needed"
	done
}

sources() {
	mkdir -p "$out"
	names=$(awk '$1 == "source" { print $2 }' "$lock")
	for name in $names; do
		get_source "$name"
	done
}

build_libs() {
	check_packages
	rm -f "$out/stamp"
	sources
	for flavor in musl glibc; do
		[ "$flavor" = musl ] || command -v clang >/dev/null || {
			say "no clang: the libraries for the sanitizer builds are left out"
			continue
		}
		say "building the libraries for $flavor"
		rm -rf "$out/new"
		${MAKE:-make} --no-print-directory -s -j"$jobs" -f "$here/deps.mk" V=1 FLAVOR=$flavor D="$out" B="$out/new" \
			>"$out/build-$flavor.log" 2>&1 || {
			tail -n 15 "$out/build-$flavor.log" >&2
			die "the libraries for $flavor do not build (all of it is in $out/build-$flavor.log)"
		}
		rm -rf "$out/new/obj" "${out:?}/$flavor"
		mv "$out/new" "$out/$flavor"
	done
	mkdir -p "$out/include"
	cp -r "$out/src/mbedtls/include/mbedtls" "$out/src/mbedtls/include/psa" \
		"$out/src/tpm2-tss/include/tss2" "$out/include/"
	cp "${JSMN:-/usr/include/jsmn.h}" "$out/include/"
	key >"$out/stamp"
	say "libraries ready in $out"
}

libs() {
	libs_ready && return 0
	mkdir -p "$out"
	exec 9>"$out/.lock"
	flock 9 # two makes at once
	libs_ready || build_libs
}

case ${1:-all} in
check-libs) libs_ready ;;
check-all) libs_ready && { ! command -v dpkg-query >/dev/null || [ -z "$(missing build test boot)" ]; } ;;
sources) sources ;;
libs)
	libs_ready || install_tools build
	libs
	;;
all)
	install_tools build test boot
	[ -d "$out/glibc" ] || rm -f "$out/stamp"
	libs
	say "everything is here"
	;;
*) die "usage: setup.sh [all|libs|sources|check-libs|check-all]" ;;
esac
