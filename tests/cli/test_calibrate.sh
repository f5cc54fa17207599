# `hd calibrate`: batch-norm statistics are estimated anew; words, flips and orders stay as they were.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
good "$DARKNET" hd calibrate tiny.cfg backup/tiny.weights out.weights -data tiny.data
different backup/tiny.weights out.weights
[ -f out.stream ] || fail "no sidecar was written"
for name in backup/tiny out; do
    good "$DARKNET" hd flips tiny.cfg $name.weights -json "$(basename $name).json"
    good "$DARKNET" classifier valid tiny.data tiny.cfg $name.weights -int8 -json "$(basename $name).valid.json"
done
[ "$(json tiny.json 'd["total"]["flips"]')" = "$(json out.json 'd["total"]["flips"]')" ] || fail "the flips changed"
holds "$(json out.valid.json 'd["top1"]') > 0.2"

bad "-data" "$DARKNET" hd calibrate tiny.cfg backup/tiny.weights other.weights
[ ! -e other.weights ] || fail "written without data"
good "$DARKNET" hd calibrate --help
