#!/bin/sh
# The arrows between the modules point down only: every #include against the table `layers`.
set -eu
table=${LAYERS:-$(dirname "$0")/layers}

includes() {
	find src include -name '*.[ch]' ! -path 'src/uapi/*' ! -path 'src/deps/*' | sort |
		xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' /dev/null |
		sed -nE 's/^([^:]*):([0-9]+):[^<"]*[<"]([^>"]*)[>"].*/\1 \2 \3/p'
}

includes | awk -v table="$table" '
	function complain(text) { print file ":" line ": " text; bad = 1 }
	# the shell pattern p as a test of the whole path, or of the file name if it has no slash
	function fits(p, path,    re, s) {
		s = path
		if (p !~ /\//) sub(/.*\//, "", s)
		re = p; gsub(/\./, "[.]", re); gsub(/\*/, ".*", re)
		return s ~ ("^" re "$")
	}
	BEGIN {
		while ((getline row < table) > 0) {
			if (row ~ /^#/ || split(row, w, " ") < 3) continue
			if (w[1] == "layer") layer[w[2]] = w[3]
			else if (w[1] == "header") home[w[2]] = w[3]
			else if (w[1] == "allow" || w[1] == "deny") rule[w[2], w[3]] = w[1]
			else if (w[1] == "library") { libs[++n] = w[2]; only[n] = w[3] }
			else { print table ": what is " w[1] "?"; bad = 1 }
		}
	}
	{
		file = $1; line = $2; what = $3; seen++
		split(file, dir, "/")
		if (dir[1] == "include") {
			from = dir[3]; sub(/\.h$/, "", from)
			if (!(from in home)) { complain("include/lk/" from ".h is not in tests/lint/layers"); next }
			from = home[from]
		} else from = dir[2]
		if (!(from in layer)) { complain("the folder " from " is not in tests/lint/layers"); next }
		for (i = 1; i <= n; i++)
			if (index(what, libs[i]) == 1 && !fits(only[i], file))
				complain("only " only[i] " may include " what)
		# a folder within a module may look at its parent: src/cli/ctl/x.c at src/cli/app.h
		if (what ~ /\.\.\// && !(what ~ /^\.\.\/[^\/]*$/ && split(file, dir, "/") == 4))
			complain("includes through ../")
		if (what !~ /^lk\//) next
		to = what; sub(/^lk\//, "", to); sub(/\.h$/, "", to)
		if (!(to in home)) { complain(what " is not in tests/lint/layers"); next }
		to = home[to]
		if (from == to || rule[from, to] == "allow") next
		if (rule[from, to] == "deny" || layer[to] >= layer[from])
			complain(from " (layer " layer[from] ") includes " what " of " to " (layer " layer[to] ")")
	}
	END {
		if (!seen) { print "no #include found: wrong folder?"; bad = 1 }
		exit bad
	}'

# A header that only .c files include must be in the table as well.
for h in include/lk/*.h; do
	name=$(basename "$h" .h)
	grep -q "^header $name " "$table" || {
		echo "$h is not in tests/lint/layers"
		exit 1
	}
done
