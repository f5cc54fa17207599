# Distillation: the truth is mixed with a teacher's answers. Share 0 is no teacher at all; with share 1 the labels do not matter.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -backup base
good train tiny.data tiny.cfg -seed 2 -backup plain
good train tiny.data tiny.cfg -seed 2 -backup none -teacher base/tiny.weights -distill 0
good train tiny.data tiny.cfg -seed 2 -backup half -teacher base/tiny.weights
same plain/tiny.weights none/tiny.weights
different plain/tiny.weights half/tiny.weights

python - <<'END'
import struct
labels = open("train-labels.idx", "rb").read()
open("other-labels.idx", "wb").write(labels[:8] + bytes((b + 1) % 4 for b in labels[8:]))
END
sed 's/^train_labels.*/train_labels = other-labels.idx/' tiny.data >other.data
good train tiny.data tiny.cfg -seed 2 -backup all -teacher base/tiny.weights -distill 1
good train other.data tiny.cfg -seed 2 -backup blind -teacher base/tiny.weights -distill 1
same all/tiny.weights blind/tiny.weights

sed 's/^height=12/height=10/; s/^width=12/width=10/' tiny.cfg >small.cfg
bad "10x10" train tiny.data tiny.cfg -teacher base/tiny.weights -teacher-cfg small.cfg
bad missing.weights train tiny.data tiny.cfg -teacher missing.weights
bad -distill train tiny.data tiny.cfg -teacher base/tiny.weights -distill 2
