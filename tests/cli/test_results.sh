# The committed network that was fine-tuned through its words answers and flips as results/results.csv says.
. "$ROOT/tests/cli/lib.sh"
cfg=$ROOT/cfg/mobilenetv2-light-cifar100.cfg weights=$ROOT/results/weights/light-words.weights
# result COLUMN: of that step's row on the array it was made for.
result() { python -c 'import csv, sys
print(next(r[sys.argv[2]] for r in csv.DictReader(open(sys.argv[1])) if r["step"] == "light-words" and r["array"] == "is16x16"))' \
    "$ROOT/results/results.csv" "$1"; }

good "$DARKNET" hd energy "$cfg" "$weights" -json energy.json
[ "$(json energy.json 'd["total"]["flips_per_image"]')" = "$(result flips_per_image)" ] || fail "other flips than results.csv's"
[ "$(json energy.json '"%.3f" % (d["total"]["energy_pj"]["datapath"] * 1e-6)')" = "$(result energy_uj)" ] ||
    fail "another energy than results.csv's: scripts/reproduce makes it anew"

[ -f "${CIFAR100_DIR:-}/test.bin" ] || { echo "accuracy not measured: CIFAR100_DIR has no test.bin"; exit 0; }
printf 'classes = 100\nvalid = %s/test.bin\nformat = cifar100\n' "$CIFAR100_DIR" >cifar.data
good "$DARKNET" classifier valid cifar.data "$cfg" "$weights" -int8 -json valid.json
[ "$(json valid.json '"%.4f" % d["top1"]')" = "$(result int8_top1)" ] || fail "another accuracy than results.csv's"
