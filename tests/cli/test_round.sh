# `hd round`: words that flip fewer bits, in a sidecar; figures are recounted by hand from it.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
cc -O1 -o brute "$ROOT/tests/support/brute_flips.c" || fail "brute_flips.c does not compile"
good train tiny.data tiny.cfg -seed 1 -epochs 3
cp backup/tiny.weights plain.weights
good "$DARKNET" hd flips tiny.cfg plain.weights -json plain.json
plain=$(json plain.json 'd["total"]["flips_per_image"]')

round() { # NAME, then options
    name=$1
    shift
    good "$DARKNET" hd round tiny.cfg plain.weights "$name.weights" -json "$name.json" "$@"
}
recount() { # NAME [ACCELERATOR]: `hd flips` and the lanes walked by hand say what the report says
    good "$DARKNET" hd flips tiny.cfg "$1.weights" -json flips.json
    [ "$(json flips.json 'd["total"]["flips_per_image"]')" = "$(json "$1.json" 'd["total"]["flips_per_image"]')" ] ||
        fail "$1: the report's flips are not those of the file"
    python "$ROOT/tests/cli/brute_flips.py" compare tiny.cfg "$1.weights" flips.json ./brute >comparison || fail "$(cat comparison)"
}
flips_of() { json "$1.json" 'd["total"]["flips_per_image"]'; }

last=$plain
for mu in .3 .01; do
    round mu$mu -round $mu -data tiny.data
    recount mu$mu
    holds "$(flips_of mu$mu) < $last"
    last=$(flips_of mu$mu)
    [ "$(json mu$mu.json 'd["flips_per_image_before"]')" = "$plain" ] || fail "1x is not the plain words"
done
# The accuracy that is told is that of the file.
good "$DARKNET" classifier valid tiny.data tiny.cfg mu.3.weights -int8 -json valid.json
holds "$(json valid.json 'd["top1"]') > 0.25"
[ "$(json mu.3.json 'd["accuracy"]["trained_on"]')" = True ] || fail "tiny.data names no valid_split"

for method in natural direct segment cluster; do
    round $method -round .05 -method $method
    recount $method
done
holds "$(flips_of segment) < $(flips_of natural) && $(flips_of cluster) < $(flips_of natural)"
round again -round .05 -threads 1
same segment.weights again.weights
same segment.stream again.stream

round ratio -snr 25 -data tiny.data
holds "$(json ratio.json 'd["sqnr_db"]') >= 25 && $(json ratio.json 'd["sqnr_db"]') < 26"
recount ratio
round dear -round .05 -cost energy
holds "$(json dear.json 'd["total"]["energy_pj"]["datapath"]') < $(json segment.json 'd["total"]["energy_pj"]["datapath"]')"
for accelerator in os16x16 ws16x16 is16x16-sm; do
    round $accelerator -round .05 -accelerator $accelerator
    recount $accelerator
    holds "$(flips_of $accelerator) < $(json $accelerator.json 'd["flips_per_image_before"]')"
done
# The accuracy told is within what was allowed.
round drop -drop 40 -data tiny.data -images 64
recount drop
holds "$(flips_of drop) < $(flips_of segment)"
[ "$(json drop.json 'd["goal"]')" = drop ] || fail "the report does not name its goal"
holds "$(json drop.json 'd["accuracy"]["drop_points"]') <= 40 && $(json drop.json 'd["divergence_nats"]') > 0"
# What was rounded can be rounded on; 0 makes every error free, so that all words become one.
good "$DARKNET" hd round tiny.cfg mu.3.weights further.weights -round .01 -json further.json
recount further
round free -round 0 -method natural
holds "$(flips_of free) == 0"

bad "-round" "$DARKNET" hd round tiny.cfg plain.weights out.weights
bad "-round" "$DARKNET" hd round tiny.cfg plain.weights out.weights -round 1 -snr 20
bad "-data" "$DARKNET" hd round tiny.cfg plain.weights out.weights -drop 1
bad sideways "$DARKNET" hd round tiny.cfg plain.weights out.weights -round 1 -method sideways
bad money "$DARKNET" hd round tiny.cfg plain.weights out.weights -round 1 -cost money
bad "90 dB" "$DARKNET" hd round tiny.cfg plain.weights out.weights -snr 90
bad ".stream" "$DARKNET" hd round tiny.cfg mu.3.weights out.weights -round 1 -method direct
bad absent "$DARKNET" hd round tiny.cfg plain.weights absent/out.weights -round 1
[ ! -e out.weights ] || fail "a failed run has written weights"
