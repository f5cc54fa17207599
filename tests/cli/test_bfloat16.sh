# Training on bfloat16: other weights than float32's, a loss near to theirs, the same bytes on any number of threads; where the
# processor has none a warning, and float32.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 3 -backup plain
good train tiny.data tiny.cfg -seed 1 -epochs 3 -backup narrow -bfloat16
if ! grep -q avx512_bf16 /proc/cpuinfo; then
    grep -q "bfloat16: this processor does not" stderr || fail "there was no warning"
    same plain/tiny.weights narrow/tiny.weights
    exit 0
fi
different plain/tiny.weights narrow/tiny.weights
holds "$(csv narrow/tiny.csv loss 3) / $(csv plain/tiny.csv loss 3) < 1.05"
holds "$(csv plain/tiny.csv loss 3) / $(csv narrow/tiny.csv loss 3) < 1.05"
good train tiny.data tiny.cfg -seed 1 -epochs 3 -backup alone -bfloat16 -threads 1
same narrow/tiny.weights alone/tiny.weights
sed 's/^\[net\]/[net]\nbfloat16=1/' tiny.cfg >key.cfg
good train tiny.data key.cfg -seed 1 -epochs 3 -backup key
same narrow/tiny.weights key/key.weights
good "$DARKNET" speed tiny.cfg 1 -train -seconds 0 -bfloat16
sed 's/^\[net\]/[net]\nbfloat16=2/' tiny.cfg >bad.cfg
bad bfloat16 train tiny.data bad.cfg
