#!/bin/sh
# Files up to 400 lines, functions up to 60, lines up to 100 columns (tabs are 8). Python files up
# to 400 lines as well.
set -eu
here=$(dirname "$0")
bad=0
for f in $("$here/files.sh" c; "$here/files.sh" py); do
	n=$(wc -l <"$f")
	[ "$n" -le 400 ] || {
		echo "$f: $n lines, 400 are allowed"
		bad=1
	}
done
"$here/files.sh" c | xargs -r awk '
	function width(s,    i, w) {
		for (i = 1; i <= length(s); i++)
			w += substr(s, i, 1) == "\t" ? 8 - w % 8 : 1
		return w
	}
	FNR == 1 { begin = 0 }
	length($0) > 12 && width($0) > 100 { print FILENAME ":" FNR ": wider than 100 columns"; bad = 1 }
	/^        / { print FILENAME ":" FNR ": eight spaces where a tab belongs"; bad = 1 }
	/[ \t]$/ { print FILENAME ":" FNR ": blanks at the end"; bad = 1 }
	/^\{/ { begin = FNR }
	/^\}/ {
		if (begin && FNR - begin - 1 > 60) {
			print FILENAME ":" begin ": a function of " FNR - begin - 1 " lines, 60 are allowed"
			bad = 1
		}
		begin = 0
	}
	END { exit bad }' || bad=1
exit $bad
