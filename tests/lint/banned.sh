#!/bin/sh
# Functions that are not used: unbounded copies, lax number parsing, the heap, the shell.
set -euf
here=$(dirname "$0")
bad=0

# ban WHERE WORDS WHY: none of WORDS (an alternation) is called below WHERE
ban() {
	# shellcheck disable=SC2086 # find's terms
	found=$(find $1 -name '*.[ch]' | sort | xargs -r awk -f "$here/code.awk" /dev/null |
		grep -E "[^A-Za-z0-9_.>\"]($2)[[:space:]]*\(" || true)
	[ -z "$found" ] || {
		echo "$found" | awk -v why="$3" '{ print $0 "    <- " why }'
		bad=1
	}
}

all='src include ! -path src/uapi/*'
ban "$all" 'strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets' 'use struct lk_buf'
ban "$all" 'strtok|strtok_r|sscanf|fscanf|scanf|atoi|atol|atoll|atof' 'use struct lk_slice'
ban 'src include ! -path src/uapi/* ! -path src/util/*' 'strto[a-z]+' 'only src/util parses numbers'
# The crypto library calls the heap itself; its hooks wipe what it frees.
ban "$all ! -path src/crypto/heap_mbed.c" 'malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|alloca|getline|open_memstream' \
	'no heap of our own'
ban "$all" 'v?f?printf|v?s?n?printf|v?dprintf|fputs|puts|strftime|perror' 'use lk/fmt.h: it is a tenth of the size'
ban "$all" 'system|popen|execlp|execvp|execvpe|tmpnam|mktemp' 'no shell, no PATH'
ban "$all" 'rand|srand|random|drand48|rand_r' 'use lk_rng'
ban "$all" 'gethostbyname|inet_addr|inet_ntoa|localtime|ctime|asctime|gmtime' 'not reentrant, or worse'
ban "$all" 'setjmp|longjmp' 'errors return'
exit $bad
