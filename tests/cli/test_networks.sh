# The networks of cfg/: those that scripts/make_cfg writes, sound for the program, of the size their papers give.
. "$ROOT/tests/cli/lib.sh"
good "$ROOT/scripts/make_cfg" -check
count=0
for cfg in "$ROOT"/cfg/*.cfg; do
    good "$DARKNET" ops "$cfg"
    [ ! -s stderr ] || fail "$cfg: the program has something to say"
    count=$((count + 1))
done
[ $count -ge 10 ] || fail "$count networks are fewer than there were"
good "$DARKNET" ops "$ROOT/cfg/mobilenetv2-cifar100.cfg"
grep -q "2351972 parameters" stdout || fail "MobileNetV2 for CIFAR-100 has 2,351,972 parameters"
# Both counts, the program's and the generator's, of every network.
"$ROOT/scripts/make_cfg" -count >counts
while read -r name parameters _ macs _; do
    good "$DARKNET" ops "$ROOT/cfg/$name"
    grep -q "$parameters parameters" stdout || fail "$name: the generator counts $parameters parameters"
    holds "int($(sed -n 's/^total: \([0-9]*\).*/\1/p' stdout) / 1e5 + .5) == int($macs * 10 + .5)"
done <counts
[ "$(grep -c . "$ROOT/cfg/cifar100.names")" -eq 100 ] || fail "CIFAR-100 has 100 names"
