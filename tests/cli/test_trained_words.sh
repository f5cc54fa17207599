# Training through trellis-rounded words: fewer flips than without, what is exported is what was evaluated, and a run that was
# stopped goes on to the same bytes.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed -i 's/^epochs=3/epochs=4/' tiny.cfg
sed 's/^\[softmax\]/[hdloss]\ntrain_mu=3\ntrellis_every=4\nreorder_every=1\npull=.0001\n\n[softmax]/' tiny.cfg >words.cfg

good train tiny.data tiny.cfg -seed 1 -backup off
good train tiny.data words.cfg -seed 1 -backup words
holds "$(csv words/words.csv exported_flips 4) < .7 * $(csv off/tiny.csv exported_flips 4)"
holds "$(csv words/words.csv exported_energy_uj 4) < .7 * $(csv off/tiny.csv exported_energy_uj 4)"

# What was evaluated is what is exported: the sidecar's words and orders count the log's flips, its accuracy is the log's, and
# the weights beside it are scale * word, so that they round to themselves.
good "$DARKNET" hd flips words.cfg words/words.weights -json flips.json
[ "$(json flips.json 'd["total"]["flips_per_image"]')" = "$(csv words/words.csv exported_flips 4)" ] || fail "other flips than the log's"
good "$DARKNET" classifier valid tiny.data words.cfg words/words.weights -int8 -json valid.json
holds "$(json valid.json 'd["top1"]') - $(csv words/words.csv int8_top1 4) < 1e-5"
holds "$(csv words/words.csv int8_top1 4) - $(json valid.json 'd["top1"]') < 1e-5"
[ ! -e words/words.direct.weights ] || fail "trained words were reordered"

# Stopped after two epochs and resumed: the same bytes.
sed 's/^epochs=4/epochs=4\nkeep=4/; s/^policy=.*/policy=constant/' words.cfg >keep.cfg
good train tiny.data keep.cfg -seed 1 -backup whole
good train tiny.data keep.cfg -seed 1 -backup parts -epochs 2
good train tiny.data keep.cfg parts/keep.backup -seed 1 -backup parts
for file in keep.weights keep.stream keep_3.weights keep_3.stream; do same whole/$file parts/$file; done

sed 's/^train_mu=3/train_mu=much/' words.cfg >bad.cfg
bad train_mu train tiny.data bad.cfg

# Errors weighed by the gradients seen: other words, and their averages are part of a run's state.
sed 's/^train_mu=3/train_mu=3\nimportance=gradient/' keep.cfg >seen.cfg
good train tiny.data seen.cfg -seed 1 -backup seen
good train tiny.data seen.cfg -seed 1 -backup again -epochs 2
good train tiny.data seen.cfg again/seen.backup -seed 1 -backup again
for file in seen.weights seen.stream seen_3.weights seen_3.stream; do same seen/$file again/$file; done
cmp -s seen/seen.stream whole/keep.stream && fail "importance=gradient changes nothing"
# Changed sums charged for: other words, fewer sums change, and a run that was stopped goes on to the same bytes.
sed 's/^train_mu=3/train_mu=3\nsum_cost=20/' keep.cfg >sums.cfg
good train tiny.data sums.cfg -seed 1 -backup sums
good train tiny.data sums.cfg -seed 1 -backup later -epochs 2
good train tiny.data sums.cfg later/sums.backup -seed 1 -backup later
for file in sums.weights sums.stream; do same sums/$file later/$file; done
cmp -s sums/sums.stream whole/keep.stream && fail "sum_cost changes nothing"
for name in keep sums; do
    good "$DARKNET" hd energy tiny.cfg $(ls */$name.weights | head -1) -trace -data tiny.data -json $name.json
done
sums='sum(l["trace"]["sum_register_flips"] for l in d["layers"] if "trace" in l)'
holds "$(json sums.json "$sums") < .97 * $(json keep.json "$sums")"
sed 's/^train_mu=3/train_mu=3\nsum_cost=-1/' words.cfg >bad.cfg
bad sum_cost train tiny.data bad.cfg
sed 's/^train_mu=3/train_mu=3\nimportance=much/' words.cfg >bad.cfg
bad importance train tiny.data bad.cfg
