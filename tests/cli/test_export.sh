# `hd export` and `hd run`: the export's logits are the integer network's to the bit, in this program and in numpy; the words on the
# lanes flip as often as `hd flips` says; damage, foreign directories and missing scales are told.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1 -hdloss 1
weights=backup/tiny_1.weights

# numpy FROM.npy: the export x run by the definition of the integer network, on the images of `hd run -inputs`.
in_numpy() { "$ROOT/scripts/python" -with numpy "$ROOT/tests/cli/run_export.py" "$ROOT/scripts/read_export" "$@"; }

good "$DARKNET" hd export tiny.cfg $weights x
good "$DARKNET" hd run x tiny.data -logits run.npy -inputs inputs.npy -json run.json
good "$DARKNET" classifier valid tiny.data tiny.cfg $weights -int8 -logits valid.npy -json valid.json
same run.npy valid.npy
for key in images top1 topk loss; do
    [ "$(json run.json "'%.12g' % d['$key']")" = "$(json valid.json "'%.12g' % d['$key']")" ] || fail "$key differs"
done
in_numpy x inputs.npy numpy.npy || fail "run_export.py failed"
same run.npy numpy.npy
image=$(head -n 1 valid.list)
good "$DARKNET" hd run x "$image" -t 2
[ "$(wc -l <stdout)" -eq 2 ] && grep -q "%: class" stdout || fail "no two classes of an image"
good "$DARKNET" hd run x "$image" -t 1 -json - -names tiny.names
[ "$(wc -l <stdout)" -gt 1 ] && grep -q '"probability"' stdout || fail "no classes in JSON"

# Every kind of layer on every accelerator.
cat >kinds.cfg <<'END'
[net]
batch=1
height=12
width=12
channels=1
[convolutional]
filters=20
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky
[convolutional]
filters=36
size=1
activation=relu6
batch_normalize=1
[convolutional]
filters=36
groups=36
size=3
pad=1
activation=linear
batch_normalize=1
[shortcut]
from=-2
activation=relu
[convolutional]
filters=24
groups=4
size=1
weight_bits=5
activation=leaky
[route]
layers=-1,-2
[convolutional]
filters=12
groups=2
size=3
pad=1
activation=relu
[maxpool]
size=2
stride=2
[connected]
output=4
activation=linear
[softmax]
END
python "$ROOT/tests/cli/brute_flips.py" weights kinds.cfg random.weights
good "$DARKNET" hd reorder kinds.cfg random.weights segment.weights -data tiny.data
sed "s/encoding=.*/encoding=bus_invert/; s/rows=.*/rows=5/; s/kernel_orders=.*/kernel_orders=shared/; s|table=|&$ROOT/cfg/accelerators/|" \
    "$ROOT/cfg/accelerators/is16x16.cfg" >inverting.cfg
for accelerator in inverting.cfg is8x8 is16x16 is16x16-sm is32x32 os16x16 ws16x16; do
    good "$DARKNET" hd export kinds.cfg random.weights kinds.x -accelerator "$accelerator" -data tiny.data
    good "$DARKNET" hd flips kinds.cfg random.weights -accelerator "$accelerator" -json flips.json
    good "$ROOT/scripts/read_export" kinds.x
    awk '{ print $2, $4 }' stdout >counted
    json flips.json '"\n".join("%d %d" % (l["index"], l["flips"]) for l in d["layers"])' >told
    same counted told
    good "$DARKNET" hd run kinds.x tiny.data -inputs inputs.npy -logits run.npy
    in_numpy kinds.x inputs.npy numpy.npy || fail "run_export.py failed"
    same run.npy numpy.npy
done
good "$DARKNET" hd export kinds.cfg segment.weights kinds.x
good "$DARKNET" hd run kinds.x tiny.data -logits run.npy -inputs inputs.npy
good "$DARKNET" classifier valid tiny.data kinds.cfg segment.weights -int8 -logits valid.npy
same run.npy valid.npy
in_numpy kinds.x inputs.npy numpy.npy || fail "run_export.py failed"
same run.npy numpy.npy
ls kinds.x | grep -q orders.npy || fail "no order tables in the export of a reordered network"

# Order tables of all kinds: channels dealt to other segments, filters negated in some of them.
for options in "-method cluster" "-signs segment"; do
    # shellcheck disable=SC2086
    good "$DARKNET" hd reorder tiny.cfg backup/tiny.weights ordered.weights $options -data tiny.data
    good "$DARKNET" hd export tiny.cfg ordered.weights ordered.x
    good "$DARKNET" hd run ordered.x tiny.data -logits run.npy -inputs inputs.npy
    good "$DARKNET" classifier valid tiny.data tiny.cfg ordered.weights -int8 -logits valid.npy
    same run.npy valid.npy
    in_numpy ordered.x inputs.npy numpy.npy || fail "run_export.py failed"
    same run.npy numpy.npy
    good "$DARKNET" hd flips tiny.cfg ordered.weights -json flips.json
    good "$ROOT/scripts/read_export" ordered.x
    [ "$(awk '{ sum += $4 } END { print sum }' stdout)" = "$(json flips.json "d['total']['flips']")" ] || fail "$options: other flips"
done
ls ordered.x | grep -q signs.npy || fail "no signs in the export of a network with signs by segment"

# What is refused. A refused export leaves nothing.
bad "-data DATA" "$DARKNET" hd export kinds.cfg random.weights y
[ ! -e y ] || fail "a refused export left something"
bad absent "$DARKNET" hd export tiny.cfg $weights absent/y
mkdir mine && echo text >mine/notes
bad mine "$DARKNET" hd export tiny.cfg $weights mine
[ "$(ls -A mine)" = notes ] || fail "a foreign directory was changed"
bad inputs.npy "$DARKNET" hd export tiny.cfg $weights inputs.npy
! ls -d ./*.partial.* 2>/dev/null || fail "a partial export was left"
good "$DARKNET" hd export tiny.cfg $weights x # in its own place
good "$DARKNET" hd run x tiny.data
bad -int8 "$DARKNET" classifier valid tiny.data tiny.cfg $weights -logits valid.npy
bad nowhere "$DARKNET" hd run nowhere tiny.data
bad nothing.data "$DARKNET" hd run x nothing.data
bad nothing.png "$DARKNET" hd run x nothing.png
for name in layer_000_words.npy layer_000_words.hex layer_003_bias.npy manifest.json; do
    cp -R x damaged
    python - damaged/$name <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)
END
    bad damaged/$name "$DARKNET" hd run damaged tiny.data
    run "$ROOT/scripts/read_export" damaged
    [ $status -ne 0 ] && grep -q "$name" stderr || fail "read_export takes a damaged $name"
    rm damaged/$name
    bad damaged/$name "$DARKNET" hd run damaged tiny.data
    rm -r damaged
done
