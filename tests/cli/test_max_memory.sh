# -max-memory: every command takes it and refuses a network that wants more, from its shapes; the default is the machine's.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
weights=backup/tiny_1.weights

good "$DARKNET" ops tiny.cfg -max-memory 1M
for size in 100 1000 1k; do bad "MB allowed" "$DARKNET" -max-memory $size ops tiny.cfg; done
bad "MB allowed" train tiny.data tiny.cfg -max-memory 100K
bad "MB allowed" "$DARKNET" classifier valid tiny.data tiny.cfg $weights -max-memory 10k
bad "MB allowed" "$DARKNET" speed tiny.cfg -max-memory 1K
bad "MB allowed" "$DARKNET" hd flips tiny.cfg $weights -max-memory 1K
bad "MB allowed" "$DARKNET" hd energy tiny.cfg $weights -max-memory 1K
bad "MB allowed" "$DARKNET" hd reorder tiny.cfg $weights out.weights -max-memory 1K
good "$DARKNET" hd flips tiny.cfg $weights -max-memory 0.5g

# Images may take what the network leaves: a limit that grows refuses the network, its training images, those for validation.
bytes=700000
refused=
while train tiny.data tiny.cfg -seed 1 -epochs 1 -max-memory $bytes >stdout 2>stderr || ! grep -q "for images" stderr; do
    bytes=$((bytes + 15000))
    [ $bytes -lt 4000000 ] || fail "no limit at which the images alone are too much"
done
bad "train-images.idx: wants 0.0" train tiny.data tiny.cfg -seed 1 -epochs 1 -max-memory $bytes
while ! train tiny.data tiny.cfg -seed 1 -epochs 1 -max-memory $bytes >stdout 2>stderr; do
    refused="$refused$(sed -n 's/.* \([a-z]*-images[.a-z]*\): wants .* for images, .*/\1 /p' stderr)"
    bytes=$((bytes + 4000))
    [ $bytes -lt 4000000 ] || fail "no limit is enough"
done
case $refused in *train-images.idx*valid-images.idx.gz*) ;; *) fail "refused were: $refused" ;; esac
for size in 0 -5 many 5X 1MM nan inf 1e99 ""; do bad "-max-memory" "$DARKNET" ops tiny.cfg -max-memory "$size"; done
bad "-max-memory" "$DARKNET" ops tiny.cfg -max-memory

# Absurd networks are refused in no time, by the machine's memory alone.
{ printf '[net]\nheight=32768\nwidth=32768\nchannels=32768\n[convolutional]\nfilters=1000000000\n'; } >absurd.cfg
run "$DARKNET" ops absurd.cfg
[ $status -eq 1 ] && [ "$(wc -l <stderr)" -eq 2 ] || fail "two sentences wanted: the input and the filters"
printf '[net]\nheight=1024\nwidth=1024\nchannels=512\n[connected]\noutput=16777216\n' >absurd.cfg
bad "MB allowed" "$DARKNET" ops absurd.cfg
{ printf '[net]\nheight=4\nwidth=4\nchannels=1\n'; yes '[dropout]' | head -n 9000; printf '[softmax]\n'; } >deep.cfg
good "$DARKNET" ops deep.cfg
{ cat deep.cfg; yes '[dropout]' | head -n 90000; } >deeper.cfg
run "$DARKNET" ops deeper.cfg
[ $status -eq 1 ] && grep -q "layers; 1 to 10000 are wanted" stderr || fail "99001 layers: refused by name wanted"
printf '[net]\nheight=4\nwidth=4\nchannels=1\n[route]\nlayers=0\n' >itself.cfg
bad "itself.cfg:6: layers" "$DARKNET" ops itself.cfg
