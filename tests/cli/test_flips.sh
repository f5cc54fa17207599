# `hd flips` against tests/support/brute_flips.c, which walks the lanes word by word: every kind of layer, every
# accelerator of cfg/accelerators, random weights.
. "$ROOT/tests/cli/lib.sh"
cc -O1 -o brute "$ROOT/tests/support/brute_flips.c" || fail "brute_flips.c does not compile"
cat >kinds.cfg <<'END'
[net]
batch=1
height=9
width=7
channels=3
[convolutional]
filters=20
size=3
stride=2
pad=1
batch_normalize=1
activation=relu6
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
activation=relu6
batch_normalize=1
[convolutional]
filters=24
groups=4
size=1
activation=linear
[convolutional]
filters=12
groups=2
size=3
pad=1
activation=relu
[connected]
output=10
activation=linear
[softmax]
END
for accelerator in "" is8x8 is16x16 is16x16-sm is32x32 os16x16 ws16x16; do
    python "$ROOT/tests/cli/brute_flips.py" weights kinds.cfg random.weights
    # shellcheck disable=SC2086
    good "$DARKNET" hd flips kinds.cfg random.weights ${accelerator:+-accelerator "$accelerator"} -json flips.json
    python "$ROOT/tests/cli/brute_flips.py" compare kinds.cfg random.weights flips.json ./brute >comparison ||
        fail "$accelerator: $(cat comparison)"
    grep -q "6 layers equal" comparison || fail "$accelerator: $(cat comparison)"
done
