# [hdloss] round_mu: checkpoints are also written rounded, as often as round_every says; older ones go with their checkpoints.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed 's/^epochs=3/epochs=5\nkeep=1/; s/^\[softmax\]/[hdloss]\nround_mu=.03\nround_every=2\n\n[softmax]/' tiny.cfg >rounded.cfg
good train tiny.data rounded.cfg -seed 1
for name in rounded rounded_5; do [ -f backup/$name.weights ] || fail "no backup/$name.weights: $(ls backup)"; done
[ ! -e backup/rounded_5.rounded.weights ] || fail "epoch 5 is no second one"
[ "$(ls backup | grep -c '_[1-3].rounded.weights')" = 0 ] || fail "old rounded checkpoints are kept: $(ls backup)"
good "$DARKNET" hd flips rounded.cfg backup/rounded.weights -json plain.json
good "$DARKNET" hd flips rounded.cfg backup/rounded.rounded.weights -json rounded.json
holds "$(json rounded.json 'd["total"]["flips"]') < .7 * $(json plain.json 'd["total"]["flips"]')"
good "$DARKNET" classifier valid tiny.data rounded.cfg backup/rounded.rounded.weights -int8 -json valid.json
holds "$(json valid.json 'd["top1"]') > 0.25"
# The rest of the checkpoint is as without.
sed '/^round_/d' rounded.cfg >plain.cfg
good train tiny.data plain.cfg -seed 1 -backup without
for end in weights direct.weights; do same backup/rounded.$end without/plain.$end; done

sed 's/^round_mu=.*/round_mu=much/' rounded.cfg >bad.cfg
bad round_mu train tiny.data bad.cfg
