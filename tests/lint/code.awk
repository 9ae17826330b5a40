# Prints C files with comments and the contents of strings blanked, each line as "file:number:code".
FNR == 1 { comment = 0 }
{
	out = ""; n = length($0); quote = ""
	for (i = 1; i <= n; i++) {
		c = substr($0, i, 1); two = substr($0, i, 2)
		if (comment) {
			if (two == "*/") { comment = 0; i++ }
		} else if (quote != "") {
			if (c == "\\") i++
			else if (c == quote) { quote = ""; out = out c }
		} else if (two == "/*") { comment = 1; i++ }
		else if (two == "//") break
		else {
			if (c == "\"" || c == "\x27") quote = c
			out = out c
		}
	}
	print FILENAME ":" FNR ":" out
}
