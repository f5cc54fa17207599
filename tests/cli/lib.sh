# Helpers of the command-line tests; sourced by each case, which runs in an empty directory.
set -eu

fail() {
    echo "FAIL: $*" >&2
    for name in stdout stderr; do
        if [ -s $name ]; then
            echo "--- $name of the last command ($last_command):" >&2
            head -n 20 $name >&2
        fi
    done
    exit 1
}
last_command=none

skip() {
    echo "$*"
    exit 77
}

# run COMMAND...: its exit status goes to $status, its output to the files stdout and stderr.
run() {
    last_command=$*
    status=0
    "$@" >stdout 2>stderr </dev/null || status=$?
}

# good COMMAND...: runs it and wants exit status 0.
good() {
    run "$@"
    [ $status -eq 0 ] || fail "exit status $status, 0 wanted: $*"
}

# bad TEXT COMMAND...: wants exit status 1 and exactly one line on standard error, one that has TEXT in it.
bad() {
    wanted_text=$1
    shift
    run "$@"
    [ $status -eq 1 ] || fail "exit status $status, 1 wanted: $*"
    [ "$(wc -l <stderr)" -eq 1 ] || fail "$(wc -l <stderr) lines on standard error, 1 wanted: $*"
    grep -qF -- "$wanted_text" stderr || fail "the sentence does not name \"$wanted_text\": $*"
}

same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
different() { if cmp -s "$1" "$2"; then fail "$1 and $2 are equal"; fi; }

# csv FILE COLUMN [EPOCH]: that column's values, of all rows or of one epoch's.
csv() {
    awk -F, -v column="$2" -v epoch="${3:-}" '
        /^#/ { next }
        !n { for (i = 1; i <= NF; i++) if ($i == column) n = i; if (!n) { print "no column " column; exit 1 } next }
        epoch == "" || $1 == epoch { print $n }' "$1"
}

# json FILE EXPRESSION: a Python expression over the document d.
json() {
    "$ROOT/scripts/python" -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# holds EXPRESSION: an awk condition that must hold.
holds() { awk "BEGIN { exit !($1) }" || fail "does not hold: $1"; }

python() { "$ROOT/scripts/python" "$@"; }

# Tiny data sets and networks, see make_images.py: train-images.idx ..., tiny.data, tiny.cfg.
tiny_setup() {
    python "$ROOT/tests/cli/make_images.py" .
    cp "$ROOT/tests/cli/tiny.cfg" .
}

train() { "$DARKNET" classifier train "$@"; }
