# `hd reorder`: fewer flips, the same answers. direct folds into plain weights; segment writes a sidecar.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 3
cp backup/tiny.weights plain.weights

good "$DARKNET" hd reorder tiny.cfg plain.weights direct.weights -method direct -json direct.json
[ "$(wc -c <plain.weights)" -eq "$(wc -c <direct.weights)" ] || fail "direct.weights has another size"
different plain.weights direct.weights
good "$DARKNET" hd reorder tiny.cfg plain.weights segment.weights -method segment -json segment.json
ls segment*.stream >streams || fail "segment wrote no .stream: $(ls)"

for name in plain direct segment; do
    good "$DARKNET" hd flips tiny.cfg $name.weights -json $name.flips.json
    for form in "" -int8; do
        # shellcheck disable=SC2086
        good "$DARKNET" classifier valid tiny.data tiny.cfg $name.weights $form -json $name$form.valid.json
    done
    : >$name.answers
    for image in $(head -n 6 valid.list); do
        good "$DARKNET" classifier predict tiny.data tiny.cfg $name.weights "$image" -t 4
        cat stdout >>$name.answers
    done
done
flips_of() { json "$1.flips.json" 'd["total"]["flips_per_image"]'; }
holds "$(flips_of direct) < $(flips_of plain)"
holds "$(flips_of segment) < $(flips_of plain)"
for name in direct segment; do
    for form in "" -int8; do
        [ "$(json $name$form.valid.json 'd["top1"]')" = "$(json plain$form.valid.json 'd["top1"]')" ] ||
            fail "$name$form: another accuracy than the plain weights'"
    done
    # The integer network's outputs are equal to the bit, so its loss is.
    [ "$(json $name-int8.valid.json 'd["loss"]')" = "$(json plain-int8.valid.json 'd["loss"]')" ] ||
        fail "$name: the integer network's loss differs"
    loss=$(json $name.valid.json 'd["loss"]')
    holds "$loss - $(json plain.valid.json 'd["loss"]') < 1e-4 && $(json plain.valid.json 'd["loss"]') - $loss < 1e-4"
done
same plain.answers direct.answers
same plain.answers segment.answers

for key in index type tiles steps lanes repeats words transitions flips flips_inside_tiles nhd; do
    [ "$(json plain.flips.json "all('$key' in layer for layer in d['layers'])")" = True ] || fail "-json: a layer lacks $key"
done
[ "$(json plain.flips.json "[layer['index'] for layer in d['layers']]")" = "[0, 1, 2, 3, 5, 7]" ] || fail "-json: not the layers with weights"

# Clusters and signs: never more flips than segments; what was written is recounted by hand, signs included.
cc -O1 -o brute "$ROOT/tests/support/brute_flips.c" || fail "brute_flips.c does not compile"
reorder() { # NAME, then options
    name=$1
    shift
    good "$DARKNET" hd reorder tiny.cfg plain.weights "$name.weights" -json "$name.json" "$@"
    good "$DARKNET" hd flips tiny.cfg "$name.weights" -json "$name.flips.json"
    [ "$(flips_of "$name")" = "$(json "$name.json" 'd["total"]["flips_per_image"]')" ] || fail "$name: other flips than the report's"
    python "$ROOT/tests/cli/brute_flips.py" compare tiny.cfg "$name.weights" "$name.flips.json" ./brute >comparison || fail "$(cat comparison)"
    good "$DARKNET" classifier valid tiny.data tiny.cfg "$name.weights" -int8 -json valid.json
    [ "$(json valid.json 'd["loss"]')" = "$(json plain-int8.valid.json 'd["loss"]')" ] || fail "$name: the integer network's loss differs"
}
sed 's/kernel_orders=each/kernel_orders=shared/' "$ROOT/cfg/accelerators/is8x8.cfg" >shared.cfg
cp -R "$ROOT/cfg/accelerators/tables" .
for array in is8x8 os16x16 is16x16-sm; do
    reorder s-$array -method segment -accelerator $array
    reorder c-$array -method cluster -accelerator $array
    [ "$(json c-$array.json 'all(l["cluster"]["cluster_flips"] <= l["cluster"]["segment_flips"] for l in d["layers"])')" = True ] ||
        fail "$array: a layer's clusters are worse than its segments"
    [ "$(json c-$array.json '[l["cluster"]["cluster_flips"] for l in d["layers"]] == [l["flips"] for l in d["layers"]]')" = True ] ||
        fail "$array: a layer has other flips than its clusters had"
    holds "$(flips_of c-$array) <= $(flips_of s-$array)"
done
reorder shared -method cluster -accelerator shared.cfg
for signs in folded segment; do
    reorder $signs -signs $signs -certify -accelerator is8x8
    holds "$(flips_of $signs) <= $(flips_of s-is8x8) && $(json $signs.json 'd["certificate"]["mean_gap"]') >= 0"
    holds "$(json $signs.json 'sum(l["negated_filters"] for l in d["layers"])') > 0"
done
different folded.weights plain.weights
same segment.weights plain.weights
# A sidecar's signs stay with the words.
good "$DARKNET" hd reorder tiny.cfg segment.weights again.weights -accelerator is8x8
good "$DARKNET" hd flips tiny.cfg again.weights -json again.flips.json
holds "$(flips_of again) <= $(flips_of segment)"
reorder dear -cost energy
holds "$(json dear.json 'd["energy_ratio"]') >= 1"

bad sideways "$DARKNET" hd reorder tiny.cfg plain.weights out.weights -signs sideways
bad "-signs" "$DARKNET" hd reorder tiny.cfg plain.weights out.weights -method direct -signs folded
bad "signs" "$DARKNET" hd reorder tiny.cfg segment.weights out.weights -method cluster
bad "negates" "$DARKNET" hd round tiny.cfg segment.weights out.weights -round 1
bad sideways "$DARKNET" hd reorder tiny.cfg plain.weights out.weights -method sideways
bad absent "$DARKNET" hd reorder tiny.cfg plain.weights absent/out.weights -method direct
