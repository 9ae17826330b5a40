# shellcheck shell=sh disable=SC2154
# Source packages: fetched with apt from the machine's own mirror, checked, unpacked.
# Sourced by setup.sh, which defines out, lock, say and die.

# archive_of SUITE: a deb822 stanza for SUITE from the first Debian archive that this machine's
# apt uses, with its keyring. Reads both forms of apt's source lists. What is said there about
# trust (trusted=yes) is not taken over: the archive's signature is our check.
archive_of() {
	etc=${APT_ETC:-/etc/apt}
	for f in "$etc/sources.list" "$etc"/sources.list.d/*.list "$etc"/sources.list.d/*.sources; do
		[ -r "$f" ] && printf '%s\n' "$f"
	done | while read -r f; do
		case $f in
		*.sources) awk -v suite="$1" '
			function flush() {
				if (deb && main && uris != "" && on) {
					print "Types: deb-src\nURIs:" uris "\nSuites: " suite "\nComponents: main"
					if (key != "") printf "Signed-By:%s", key
					found = 1
					exit
				}
				deb = main = 0; on = 1; uris = key = field = ""
			}
			BEGIN { on = 1 }
			/^#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[ \t]/ { if (field == "signed-by") key = key $0 "\n"; next }
			{
				i = index($0, ":"); field = tolower(substr($0, 1, i - 1)); value = substr($0, i + 1)
				if (field == "types") deb = value ~ /(^|[ \t])deb([ \t]|$)/
				if (field == "uris") uris = value
				if (field == "components") main = value ~ /(^|[ \t])main([ \t]|$)/
				if (field == "enabled") on = value !~ /no/
				if (field == "signed-by") key = value "\n"
				# the security archive has no other suites
				if (field == "suites" && value ~ /-security|\/updates/) deb = 0
			}
			END { if (!found) flush() }' "$f" ;;
		*) awk -v suite="$1" '
			$1 == "deb" {
				line = $0; key = ""
				if (match(line, /\[[^]]*\]/)) {
					opts = substr(line, RSTART + 1, RLENGTH - 2)
					line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
					n = split(opts, o, " ")
					for (i = 1; i <= n; i++) if (o[i] ~ /^signed-by=/) key = substr(o[i], 11)
				}
				n = split(line, w, " ")
				if (w[3] ~ /-security|\/updates/ || (" " line " ") !~ / main /) next
				print "Types: deb-src\nURIs: " w[2] "\nSuites: " suite "\nComponents: main"
				if (key != "") print "Signed-By: " key
				exit
			}' "$f" ;;
		esac
	done | awk '/^Types:/ { n++ } n < 2'
}

# private_apt SUITE...: writes an apt configuration of our own below $out/apt and updates it
private_apt() {
	apt=$(cd "$out" && pwd)/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	rm -f "$apt/archive.sources"
	for suite in "$@"; do
		archive_of "$suite" >>"$apt/archive.sources"
		echo >>"$apt/archive.sources"
	done
	grep -q '^URIs:' "$apt/archive.sources" ||
		die "no Debian archive in $etc to take the sources from; DEPS=dir builds from source packages in a folder"
	cat >"$apt/apt.conf" <<-EOF
		Dir::Etc::SourceList "$apt/archive.sources";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$apt/lists";
		Dir::Cache "$apt/cache";
		APT::Sandbox::User "$(id -un)";
		APT::Get::AllowUnauthenticated "false";
		Acquire::AllowInsecureRepositories "false";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	EOF
	APT_CONFIG=$apt/apt.conf apt-get -q update >"$apt/log" 2>&1
}

# fetch NAME VERSION: into $out/dl; the signature chain is apt's work
fetch() {
	(cd "$out/dl" && APT_CONFIG=$apt/apt.conf apt-get -q --download-only --only-source source "$1=$2") \
		>>"$apt/log" 2>&1
}

# pinned NAME: "file sha256" lines of its pin
pinned() {
	awk -v n="$1" '$1 == "source" { on = $2 == n } on && $1 == "file" { print $2, $3 }' "${2:-$lock}"
}

# verify LIST: every file of the list, in $out/dl, has its digest
verify() {
	echo "$1" | while read -r file sum; do
		have=$(sha256sum "$out/dl/$file" | cut -d' ' -f1)
		[ "$have" = "$sum" ] || die "$file was altered: its SHA-256 is $have, and $sum is pinned;" \
			"nothing was built. Remove $out/dl/$file to fetch it again"
	done
}

# present LIST: all its files are in $out/dl
present() {
	echo "$1" | while read -r file _; do
		[ -f "$out/dl/$file" ] || exit 1
	done
}

# versions NAME MINIMUM BELOW: what the archive lists, newest first
versions() {
	APT_CONFIG=$apt/apt.conf apt-cache showsrc --only-source "$1" 2>/dev/null |
		awk '$1 == "Version:" { print $2 }' | sort -urV | while read -r v; do
		if dpkg --compare-versions "$v" ge "$2" && dpkg --compare-versions "$v" lt "$3"; then
			echo "$v"
		fi
	done
}

# replace NAME VERSION MINIMUM BELOW: the newest one that meets the minimum and can be had;
# leaves its files and digests in $out/dl/NAME.taken
replace() {
	# shellcheck disable=SC2046 # one word per suite
	private_apt $(awk '$1 == "suites" { $1 = ""; print }' "$lock") ||
		say "not every suite of $lock could be read"
	for v in $(versions "$1" "$3" "$4"); do
		fetch "$1" "$v" || continue
		say "$1 $2 has left the archive; taking $v, the newest one there that is at least $3" \
			"(checked by the archive's signature; no pin)"
		dsc=$1_${v#*:}.dsc
		{
			echo "source $1 $v"
			(cd "$out/dl" && sha256sum "$dsc") | awk '{ print "file", $2, $1 }'
			awk '/^Checksums-Sha256:/ { on = 1; next } /^[^ ]/ { on = 0 } on && NF == 3 { print "file", $3, $1 }' \
				"$out/dl/$dsc"
		} >"$out/dl/$1.taken"
		return 0
	done
	die "$1 $2 has left the archive, and nothing there is at least $3 and below $4" \
		"($out/apt/log); DEPS=dir builds from source packages in a folder"
}

# get_source NAME: unpacks it to $out/src/NAME
get_source() {
	# shellcheck disable=SC2046 # fields
	set -- "$1" $(awk -v n="$1" '$1 == "source" && $2 == n { print $3, $4, $5, $6 }' "$lock")
	mkdir -p "$out/dl"
	list=$(pinned "$1")
	if [ -n "${DEPS:-}" ]; then
		echo "$list" | while read -r file _; do
			[ -f "$DEPS/$file" ] || die "DEPS=$DEPS has no $file"
			cp "$DEPS/$file" "$out/dl/$file"
		done
	elif ! present "$list"; then
		if [ -f "$out/dl/$1.taken" ] && present "$(pinned "$1" "$out/dl/$1.taken")"; then
			list=$(pinned "$1" "$out/dl/$1.taken")
		else
			say "fetching $1 $2 ($3)"
			if ! { private_apt "$3" && fetch "$1" "$2" && present "$list"; }; then
				replace "$1" "$2" "$4" "$5"
				list=$(pinned "$1" "$out/dl/$1.taken")
			fi
		fi
	fi
	verify "$list"
	rm -rf "${out:?}/src/$1"
	mkdir -p "$out/src"
	dsc=$(echo "$list" | awk '$1 ~ /\.dsc$/ { print $1 }')
	dpkg-source --no-check -x "$out/dl/$dsc" "$out/src/$1" >"$out/unpack.log" 2>&1 ||
		die "$dsc does not unpack: $(tail -1 "$out/unpack.log")"
}
