# Weights and states that are missing, truncated, too long, of another network or garbage.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
mkdir saved && cp backup/* saved/
weights=backup/tiny_1.weights
bytes=$(wc -c <$weights)

# wrong FILE: each command that reads weights refuses them.
wrong() {
    bad "$1" "$DARKNET" classifier valid tiny.data tiny.cfg "$1"
    bad "$1" "$DARKNET" classifier predict tiny.data tiny.cfg "$1" pictures/none.pgm
    bad "$1" "$DARKNET" hd flips tiny.cfg "$1"
    bad "$1" "$DARKNET" hd energy tiny.cfg "$1"
    bad "$1" "$DARKNET" hd reorder tiny.cfg "$1" out.weights
    [ ! -e out.weights ] || fail "hd reorder wrote from $1"
    bad "$1" train tiny.data tiny.cfg "$1"
    for file in saved/*; do same "$file" "backup/${file#saved/}"; done
}

wrong missing.weights
: >empty.weights && wrong empty.weights
head -c 10 $weights >header.weights && wrong header.weights
head -c $((bytes - 6)) $weights >short.weights && wrong short.weights
head -c $((bytes / 2 - 1)) $weights >half.weights && wrong half.weights
{ cat $weights; printf 'abcd'; } >long.weights && wrong long.weights
head -c 8000 /dev/urandom >garbage.weights && wrong garbage.weights
# Values that are no numbers.
{ head -c 20 $weights; head -c $((bytes - 20)) /dev/zero | tr '\000' '\377'; } >nan.weights
bad nan.weights "$DARKNET" hd flips tiny.cfg nan.weights

# A resumable pair whose .state is damaged, of another network, or of other weights.
mkdir pair
restore() { cp saved/tiny.backup saved/tiny.state pair/; }
refused() { bad tiny.state train tiny.data tiny.cfg pair/tiny.backup -backup pair-out -epochs 2; }
restore && head -c 100 saved/tiny.state >pair/tiny.state && refused
restore && : >pair/tiny.state && refused
restore && head -c 5000 /dev/urandom >pair/tiny.state && refused
restore && size=$(wc -c <saved/tiny.state) && head -c $((size - 1)) saved/tiny.state >pair/tiny.state && refused
restore && python - <<'END' && refused
data = bytearray(open("pair/tiny.state", "rb").read())
data[len(data) // 2] ^= 0x40
open("pair/tiny.state", "wb").write(data)
END
