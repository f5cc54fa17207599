# The committed networks that were fine-tuned through their words flip as results/results.csv says, and the light one answers so.
. "$ROOT/tests/cli/lib.sh"
cfg=$ROOT/cfg/mobilenetv2-light-cifar100.cfg weights=$ROOT/results/weights/light-words-3.weights
# result COLUMN [STEP]: of that step's row on the array it was made for.
result() { python -c 'import csv, sys
print(next(r[sys.argv[2]] for r in csv.DictReader(open(sys.argv[1])) if r["step"] == sys.argv[3] and r["array"] == "is16x16"))' \
    "$ROOT/results/results.csv" "$1" "${2:-light-words-3}"; }

good "$DARKNET" hd flips "$cfg" "$weights" -json flips.json
[ "$(json flips.json 'd["total"]["flips_per_image"]')" = "$(result flips_per_image)" ] || fail "other flips than results.csv's"
for step in mobilenetv2-rounded mobilenetv2-words-6 mobilenetv2-words-3 mobilenetv2-long; do
    good "$DARKNET" hd flips "$ROOT/cfg/mobilenetv2-cifar100.cfg" "$ROOT/results/weights/$step.weights" -json full.json
    [ "$(json full.json 'd["total"]["flips_per_image"]')" = "$(result flips_per_image $step)" ] || fail "$step: other flips than results.csv's"
done

[ -f "${CIFAR100_DIR:-}/train.bin" ] || { echo "accuracy and energy not measured: CIFAR100_DIR has no train.bin"; exit 0; }
printf 'classes = 100\ntrain = %s/train.bin\nvalid = %s/test.bin\nformat = cifar100\n' "$CIFAR100_DIR" "$CIFAR100_DIR" >cifar.data
good "$DARKNET" classifier valid cifar.data "$cfg" "$weights" -int8 -json valid.json
[ "$(json valid.json '"%.4f" % d["top1"]')" = "$(result int8_top1)" ] || fail "another accuracy than results.csv's"
good "$DARKNET" hd energy "$cfg" "$weights" -trace -data cifar.data -json energy.json
traced=$(json energy.json 'd["total"]["trace"]["energy_pj"]["datapath"] * 1e-6')
holds "$traced / $(result traced_energy_uj) - 1 < .001 && $traced / $(result traced_energy_uj) - 1 > -.001"
