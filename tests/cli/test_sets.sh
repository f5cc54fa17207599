# The other kinds of training sets: a list of image files, and CIFAR's records.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train list.data tiny.cfg -seed 1 -epochs 2
[ "$(csv backup-list/tiny.csv epoch | wc -l)" -eq 2 ] || fail "a list of images: two epochs wanted"
good "$DARKNET" classifier valid list.data tiny.cfg backup-list/tiny.weights -json out.json
[ "$(json out.json 'd["images"]')" = 24 ] || fail "24 images were to be evaluated"
holds "$(json out.json 'd["top1"]') >= 0 && $(json out.json 'd["top1"]') <= 1"

sed 's/^height=12/height=32/; s/^width=12/width=32/; s/^channels=1/channels=3/' tiny.cfg >colour.cfg
good train cifar.data colour.cfg -seed 1 -epochs 1
good "$DARKNET" classifier valid cifar.data colour.cfg backup-cifar/colour.weights -int8 -json out.json
[ "$(json out.json 'd["images"], d["int8"]')" = "(24, True)" ] || fail "24 images in int8 were to be evaluated"

# A variable in a path.
mkdir elsewhere && mv cifar-train.bin cifar-valid.bin elsewhere/
sed 's/=cifar-/=$TINY_DIR\/cifar-/' cifar.data >variable.data
TINY_DIR=$PWD/elsewhere && export TINY_DIR
good train variable.data colour.cfg -seed 1 -epochs 1 -backup variable
same backup-cifar/colour.weights variable/colour.weights
