# The real CIFAR-100 files, where $CIFAR100_DIR has them: read whole, labels in range, and learned from.
. "$ROOT/tests/cli/lib.sh"
[ -n "${CIFAR100_DIR:-}" ] && [ -f "$CIFAR100_DIR/test.bin" ] || skip "CIFAR100_DIR has no test.bin"
cat >real.data <<'END'
classes=100
train=$CIFAR100_DIR/test.bin
valid=$CIFAR100_DIR/test.bin
backup=backup
END
sed 's/^height=12/height=32/; s/^width=12/width=32/; s/^channels=1/channels=3/; s/^output=4/output=100/; s/^batch=32/batch=50/; s/^learning_rate=.05/learning_rate=.2/; s/^filters=20/filters=64/' \
    "$ROOT/tests/cli/tiny.cfg" >real.cfg
good train real.data real.cfg -epochs 1 -seed 1
[ "$(csv backup/real.csv batch)" = 200 ] || fail "10000 images in batches of 50 are 200 updates"
# Better than chance after one epoch: images and labels belong to each other.
holds "$(csv backup/real.csv val_top1) > .03"
