# A residual network whose shortcuts change the number of channels and the size (as ResNet26's): it trains without a warning, has an
# integer accuracy every epoch, and the direct reordering through those shortcuts gives the same integers.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
cat >residual.cfg <<'EOF'
[net]
batch=32
height=12
width=12
channels=1
epochs=2
learning_rate=.05
flip=0

[convolutional]
batch_normalize=1
filters=8
size=3
pad=1
activation=relu

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=relu

[convolutional]
batch_normalize=1
filters=16
size=3
pad=1
activation=linear

[shortcut]
from=-3
activation=relu

[convolutional]
batch_normalize=1
filters=12
size=1
activation=relu

[shortcut]
from=-2
activation=linear

[avgpool]

[connected]
output=4
activation=linear

[softmax]
EOF
good train tiny.data residual.cfg -seed 1
[ ! -s stderr ] || fail "training warned"
for epoch in 1 2; do
    [ -n "$(csv backup/residual.csv int8_top1 $epoch)" ] || fail "epoch $epoch has no int8_top1"
done
good "$DARKNET" hd reorder residual.cfg backup/residual_2.weights ordered.weights -method segment
good "$DARKNET" classifier valid tiny.data residual.cfg backup/residual.weights -int8 -json plain.json
good "$DARKNET" classifier valid tiny.data residual.cfg backup/residual.direct.weights -int8 -json direct.json
[ "$(json plain.json 'd["loss"]')" = "$(json direct.json 'd["loss"]')" ] || fail "direct: the integer network's loss differs"
different backup/residual.weights backup/residual.direct.weights
