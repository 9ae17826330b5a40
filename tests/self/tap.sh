# shellcheck shell=sh
# TAP for suites in sh: check NAME COMMAND..., skip NAME WHY, and finish at the end.
tap_n=0
tap_failed=0

# passes if the command succeeds; its output is shown if it does not
check() {
	tap_name=$1
	shift
	tap_n=$((tap_n + 1))
	if tap_out=$("$@" 2>&1); then
		echo "ok $tap_n - $tap_name"
	else
		echo "$tap_out" | tail -n 30 | sed 's/^/# /'
		echo "not ok $tap_n - $tap_name"
		tap_failed=1
	fi
}

skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

# refuses PATTERN COMMAND...: the command fails and says PATTERN
refuses() {
	tap_pattern=$1
	shift
	tap_said=$("$@" 2>&1) && {
		echo "$tap_said"
		echo "succeeded"
		return 1
	}
	echo "$tap_said"
	echo "$tap_said" | grep -qE -e "$tap_pattern" || {
		echo "does not say: $tap_pattern"
		return 1
	}
}

finish() {
	echo "1..$tap_n"
	exit $tap_failed
}
