#!/bin/sh
# Words that must not be in the tree: unfinished work, and paths of somebody's machine.
set -eu
here=$(dirname "$0")
marks='TO''DO|FIX''ME|X''XX'
files=$("$here/files.sh" | grep -vE '^(LICENSE|src/uapi/|tests/lint/words.sh)' || true)
[ -n "$files" ] || {
	echo "no files found"
	exit 1
}
bad=0
# shellcheck disable=SC2086 # one word per file
if grep -nIwE "$marks" $files; then
	echo "unfinished work belongs into the list of issues"
	bad=1
fi
# shellcheck disable=SC2086
if grep -nIE '(/home|/Users|/work)/[a-z]' $files; then
	echo "paths of one machine"
	bad=1
fi
# shellcheck disable=SC2086
if grep -nI '\.\./shared' $files | grep -v '^\.ci/run:'; then
	echo "data outside of the tree: only through VECTORS"
	bad=1
fi
exit $bad
