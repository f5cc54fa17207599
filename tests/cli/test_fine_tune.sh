# Weights without a .state are fine-tuned: the schedule goes on where they were, or starts again with -clear. Loading says
# how many layers got weights.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2 -backup first

good train tiny.data tiny.cfg first/tiny_2.weights -seed 1 -epochs 3 -backup on
grep -q "6 layers" stdout || fail "the start does not say that 6 layers got weights"
[ "$(csv on/tiny.csv batch | tail -n 1)" = 18 ] || fail "the schedule did not go on from update 12 to 18"
[ "$(csv on/tiny.csv epoch | tr '\n' ' ')" = "3 " ] || fail "epoch 3 alone was wanted: $(csv on/tiny.csv epoch)"

good train tiny.data tiny.cfg first/tiny_2.weights -seed 1 -epochs 1 -clear -backup cleared
[ "$(csv cleared/tiny.csv batch)" = 6 ] || fail "-clear did not start the schedule again"
different first/tiny_1.weights cleared/tiny_1.weights

# A file that ends at a layer's boundary (header 20 bytes; the first layer 8 * (4 + 9) floats) serves for fine-tuning.
head -c $((20 + 4 * 8 * 13)) first/tiny_2.weights >partial.weights
good train tiny.data tiny.cfg partial.weights -clear -seed 1 -epochs 1 -backup partial
grep -q "1 layers\? loaded" stdout && grep -q "5 kept" stdout || fail "the start does not say that 1 layer was loaded and 5 kept"
# It is no complete network to evaluate.
bad partial.weights "$DARKNET" classifier valid tiny.data tiny.cfg partial.weights
