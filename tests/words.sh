#!/bin/sh
# Searches documentation and comments for the words in tests/words.txt. Only prose is searched: code blocks, code spans, link
# targets and string literals are not. Prints each place and exits with 1 if there is one. `words.sh FILE...` searches these files.
set -eu
cd "$(dirname "$0")/.."

# Files and directories that are searched. Of Rust, shell, YAML and TOML, only comments (and annotations) are prose.
SEARCHED="README.md CHANGELOG.md CONTRIBUTING.md ARCHITECTURE.md RELEASING.md SECURITY.md docs dist dashboards"

[ $# -gt 0 ] || {
	# shellcheck disable=SC2046,SC2086 # lists of paths
	set -- $(find $SEARCHED -type f ! -name '*.png' ! -name '*.svg' | sort) \
		$(find src crates tests benches fuzz/fuzz_targets -type f -name '*.rs' | sort)
}

exec awk '
	FNR == NR {
		if ($0 !~ /^#/ && split($0, field, "\t") == 2) { pattern[++patterns] = field[1]; instead[patterns] = field[2] }
		next
	}
	FNR == 1 { kind = FILENAME; sub(/.*\./, "", kind); code = 0 }
	kind == "md" && /^```/ { code = !code }
	code { next }
	{ text = tolower($0) }
	# The meaning of a finding, which is in the code.
	kind == "md" && /^\*\*(critical|warning|info)[a-z ]*\.\*\*/ { next }
	kind == "md" { gsub(/`[^`]*`/, "`", text); gsub(/\]\([^)]*\)/, "]", text) }
	kind == "json" {
		if (!match(text, /"(title|description|tooltip|label|novalue)": "/)) next
		text = substr(text, RSTART + RLENGTH)
	}
	kind == "rs" {
		gsub(/\\./, "", text); gsub(/"[^"]*"/, "\"", text)
		if (!match(text, /\/\//)) next
		text = substr(text, RSTART + 2); gsub(/`[^`]*`/, "`", text)
	}
	kind != "md" && kind != "json" && kind != "rs" {
		if (match(text, /(^|[ \t])#/)) text = substr(text, RSTART + RLENGTH)
		else if (match(text, /(summary|description|name): /)) text = substr(text, RSTART + RLENGTH)
		else next
		gsub(/`[^`]*`/, "`", text)
	}
	{
		for (i = 1; i <= patterns; i++) {
			if (match(" " text " ", "[^a-z0-9_](" pattern[i] ")[^a-z0-9_]")) {
				printf "%s:%d: \"%s\": write %s\n", FILENAME, FNR, substr(" " text " ", RSTART + 1, RLENGTH - 2), instead[i]
				found = 1
			}
		}
	}
	END { exit found }
' tests/words.txt "$@"
