#!/bin/sh
# files.sh [c|sh|py]: the files of this tree, one a line; with an argument, those of a language.
set -eu
list() {
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files -co --exclude-standard
	else
		find . -path ./build -prune -o -type f -print | sed 's|^\./||'
	fi | sort | while read -r f; do [ -f "$f" ] && [ ! -L "$f" ] && echo "$f"; done || true
}
# starts PATTERN: the files on stdin whose first line has it
starts() {
	while read -r f; do
		head -n 1 "$f" | tr -d '\0' | grep -qE "$1" && echo "$f"
	done || true
}
case ${1:-all} in
all) list ;;
c) list | grep -E '\.[ch]$' | grep -v '^src/uapi/' ;;
sh) list | grep -vE '\.(c|h|py|md|json|der|bin|pem)$' | starts '^#!.*/(env )?(ba|da|)sh( |$)|^# shellcheck shell=' ;;
py) { list | grep -E '\.py$'; list | grep -v '\.py$' | starts '^#!.*python'; } | sort -u ;;
*) exit 64 ;;
esac
