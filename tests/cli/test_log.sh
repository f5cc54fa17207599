# A training run's logs have all their columns, a row an epoch, and figures that fit each other; its files are all there.
. "$ROOT/tests/cli/lib.sh"
tiny_setup

good train tiny.data tiny.cfg -seed 1 -threads 2
log=backup/tiny.csv
[ -f $log ] || fail "no $log"
for column in epoch batch loss task_loss hd_loss lr train_top1 val_top1 val_top5 int8_top1 flips nhd energy_uj energy_ratio \
    images_per_s data_wait_s wall_s; do
    csv $log $column >values || fail "$(cat values)"
    [ "$(wc -l <values)" -eq 3 ] || fail "$column: 3 epochs wanted, $(wc -l <values) rows there"
    if ! grep -qE '^[-+0-9.e]+$' values || grep -qvE '^[-+]?[0-9][-+0-9.e]*$' values; then
        fail "$column has values that are no numbers: $(tr '\n' ' ' <values)"
    fi
done
head -n 12 $log | grep '^#' >head_lines || fail "the log has no head"
for word in "$(cat "$ROOT/VERSION")" accelerator table; do
    grep -qi -- "$word" head_lines || fail "the log's head does not tell the $word"
done
[ "$(csv $log epoch | tr '\n' ' ')" = "1 2 3 " ] || fail "epochs are not 1 2 3"
[ "$(csv $log batch 3)" = 18 ] || fail "three epochs of 192 images in batches of 32 are 18 updates"
holds "$(csv $log train_top1 3) > 0 && $(csv $log train_top1 3) <= 1"
holds "$(csv $log val_top5 3) >= $(csv $log val_top1 3)"
holds "$(csv $log flips 3) > 0 && $(csv $log nhd 3) > 0 && $(csv $log nhd 3) < 1"
holds "$(csv $log energy_uj 3) > 0 && $(csv $log energy_ratio 3) >= 1"
holds "$(csv $log hd_loss 3) == 0"
holds "$(csv $log exported_flips 3) <= $(csv $log flips 3)"
# energy_ratio: the same weights in natural order / as exported.
difference="$(csv $log energy_ratio 3) - $(csv $log energy_uj 3) / $(csv $log exported_energy_uj 3)"
holds "$difference < 1e-4 && $difference > -1e-4"

# The layers' log: one row a layer with weights and epoch.
layers=$(ls backup/*layers*.csv) || fail "no log of the layers in backup/: $(ls backup)"
for column in epoch flips nhd hd_loss; do
    csv "$layers" $column >values || fail "$layers: $(cat values)"
    [ "$(wc -l <values)" -eq 18 ] || fail "$layers: $column: 6 layers in 3 epochs are 18 rows, $(wc -l <values) there"
done
grep -v '^#' "$layers" | head -n 1 | grep -q energy || fail "$layers has no column of energies"
grep -v '^#' "$layers" | head -n 1 | grep -q zero || fail "$layers has no column of zero words"
[ "$(csv "$layers" flips 3 | awk '{ n += $1 } END { print n }')" = "$(csv $log flips 3)" ] ||
    fail "the layers' flips of epoch 3 do not sum up to the log's"

for file in tiny_1.weights tiny_2.weights tiny_3.weights tiny.weights tiny.backup tiny.state; do
    [ -s backup/$file ] || fail "no backup/$file: $(ls backup)"
done
for file in tiny_3.stream tiny.stream tiny_3.direct.weights tiny_3.direct.stream; do
    [ -s backup/$file ] || fail "no backup/$file: $(ls backup)"
done
! ls -A backup | grep -qE '\.(tmp|partial|new)' || fail "a temporary file was left: $(ls -A backup)"
same backup/tiny_3.weights backup/tiny.weights

# -log puts it elsewhere; plain lines where the output is no terminal.
good train tiny.data tiny.cfg -seed 1 -epochs 1 -log elsewhere.csv
[ "$(csv elsewhere.csv epoch)" = 1 ] || fail "-log: one epoch wanted"
grep -q "images/s" stdout && grep -qi "eta" stdout || fail "the progress lines lack images/s or the ETA"
! grep -q "$(printf '\r')" stdout || fail "a bar was drawn into a file"

# Each update's line is Darknet's, with its running average of the loss; -topk tells the accuracies; the table of layers
# comes first.
good train tiny.data tiny.cfg -topk -seed 1 -epochs 2 -backup topk
grep -cE '^[0-9]+, [0-9]+\.[0-9]{3}: [0-9]+\.[0-9]{6}, [0-9]+\.[0-9]{6} avg, [0-9]+\.[0-9]{6} rate, [0-9]+\.[0-9]{6} seconds, [0-9]+ images$' \
    stdout >count || true
[ "$(cat count)" = 12 ] || fail "12 updates' lines in Darknet's form were wanted, $(cat count) are there"
awk -F '[:,]' '/ avg, / { loss = $3 + 0; wanted = n++ ? .9 * average + .1 * loss : loss; average = $4 + 0
    if (wanted - average > 2e-6 || average - wanted > 2e-6 || $1 != n || $2 - n / 6 > .0006 || n / 6 - $2 > .0006 || $NF + 0 != 32 * n) exit 1 }' stdout ||
    fail "numbers, averages or images of the updates are wrong"
for epoch in 1 2; do
    sed -n "s/^epoch $epoch: top 1: \([0-9.]*\), top 2: .*/\1/p" stdout >told
    holds "$(cat told) - $(csv topk/tiny.csv val_top1 $epoch) < 1e-5 && $(csv topk/tiny.csv val_top1 $epoch) - $(cat told) < 1e-5"
done
good train tiny.data tiny.cfg -t 4 -seed 1 -epochs 1 -backup topk
grep -q "^epoch 1: top 1: [0-9.]*, top 4: 1.000000" stdout || fail "-t 4 of 4 classes is 1"
sed '/^total: /q' stdout >table
good "$DARKNET" ops tiny.cfg
head -n "$(wc -l <table)" stdout >wanted
same wanted table

# valid tells what it wrote, in Darknet's form.
good "$DARKNET" classifier valid tiny.data tiny.cfg topk/tiny.weights -json valid.json
line="63: top 1: $(json valid.json '"%.6f, top %d: %.6f" % (d["top1"], d["k"], d["topk"])')"
[ "$(tail -n 1 stdout)" = "$line" ] || fail "\"$line\" was wanted"
