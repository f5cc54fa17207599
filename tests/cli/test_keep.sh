# keep= checkpoints stay, older ones but for the best go; valid_split holds images out.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed 's/^epochs=3/epochs=6\nkeep=2/' tiny.cfg >keep.cfg
sed 's/^top=2/top=2\nvalid_split=32/' tiny.data >split.data

good train split.data keep.cfg -seed 3
[ -f backup/keep_6.weights ] && [ -f backup/keep_5.weights ] || fail "the last two checkpoints are not there: $(ls backup)"
[ "$(ls backup | grep -cE '^keep_[0-9]+\.weights$')" -le 3 ] || fail "more than keep=2 and the best are there: $(ls backup)"
# 160 images in batches of 32 are 5 updates an epoch.
[ "$(csv backup/keep.csv batch 6)" = 30 ] || fail "6 epochs of 160 images in batches of 32 are 30 updates"
holds "$(csv backup/keep.csv held_out_top1 6) >= 0"
