# `hd compare`: its figures are those of the other commands, counted from the words; tables and picture hold them all; a designer can
# compare representations and encodings on every dataflow.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
cp backup/tiny.weights plain.weights

good "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4,16 -snr 30,20 -data tiny.data -csv all.csv -json all.json -png all.png
cp stdout table
head -c 4 all.png | grep -q PNG || fail "all.png is no PNG"
# 2 sizes, 2 representations, 2 encodings, 4 orders and 2 roundings; 6 layers and 2 totals.
[ "$(json all.json 'len(d["entries"])')" -eq 48 ] || fail "not 48 entries"
[ "$(grep -c '^[0-9]' all.csv)" -eq $((48 * 8)) ] || fail "all.csv has $(grep -c '^[0-9]' all.csv) rows"
[ "$(grep -c 'x[0-9]* *\(twos_complement\|sign_magnitude\) ' table)" -eq 48 ] || fail "the table does not have 48 lines"

# entry SIZE REPRESENTATION ENCODING ORDER ROUNDED EXPRESSION: of that entry x
entry() {
    json all.json "[$6 for x in d['entries'] if (x['rows'], x['representation'], x['encoding'], x['order'], 'trellis' in x) == ($1, '$2', '$3', '$4', $5)][0]"
}
for representation in twos_complement sign_magnitude; do
    for encoding in none bus_invert; do
        sed "s/rows=.*/rows=4/; s/cols=.*/cols=4/; s/representation=.*/representation=$representation/; s/encoding=.*/encoding=$encoding/; s|table=|&$ROOT/cfg/accelerators/|" \
            "$ROOT/cfg/accelerators/is16x16.cfg" >small.cfg
        good "$DARKNET" hd flips tiny.cfg plain.weights -accelerator small.cfg -json flips.json
        for what in flips flips_inside_tiles flips_per_image; do
            [ "$(json flips.json "[l['$what'] for l in d['layers']]")" = "$(entry 4 $representation $encoding natural False "[l['$what'] for l in x['layers']]")" ] ||
                fail "$representation, $encoding: $what in natural order are not those of hd flips"
        done
        natural=$(entry 4 $representation $encoding natural False "x['total']['all']['flips']")
        segment=$(entry 4 $representation $encoding segment False "x['total']['all']['flips']")
        cluster=$(entry 4 $representation $encoding cluster False "x['total']['all']['flips']")
        rounded=$(entry 4 $representation $encoding segment True "x['total']['all']['flips']")
        holds "$segment < $natural && $cluster <= $segment && $rounded < $segment"
    done
done
# Direct as plans: what folding into a file gives, on every dataflow.
for accelerator in is16x16 os16x16 ws16x16 is16x16-sm; do
    good "$DARKNET" hd reorder tiny.cfg plain.weights direct.weights -method direct -accelerator $accelerator
    rm -f direct.stream
    good "$DARKNET" hd flips tiny.cfg direct.weights -accelerator $accelerator -json flips.json
    good "$DARKNET" hd compare tiny.cfg plain.weights -accelerator $accelerator -sizes 16 -own -thorough -snr none -json direct.json
    [ "$(json direct.json "[x['total']['all']['flips'] for x in d['entries'] if x['order'] == 'direct'][-1]")" = "$(json flips.json "d['total']['flips']")" ] ||
        fail "$accelerator: direct: not the folded network's flips"
done
# Equal words have equal accuracy; rounded ones have their own.
good "$DARKNET" classifier valid tiny.data tiny.cfg plain.weights -int8 -json valid.json
[ "$(json valid.json "'%.9g' % d['top1']")" = "$(entry 16 sign_magnitude none cluster False "'%.9g' % x['int8_top1']")" ] || fail "another accuracy"
holds "$(entry 16 twos_complement none segment True "x['trellis']['sqnr_db']") >= 30"
good "$DARKNET" classifier valid tiny.data tiny.cfg plain.weights -int8 -json again.json
[ "$(json valid.json "d['top1']")" = "$(json again.json "d['top1']")" ] || fail "the weights were changed"

# Other dataflows; the words of a sidecar.
for accelerator in os16x16 ws16x16 is16x16-sm; do
    good "$DARKNET" hd compare tiny.cfg plain.weights -accelerator $accelerator -sizes 8 -snr 25 -json flow.json
    for representation in twos_complement sign_magnitude; do
        json flow.json "all(x['total']['all']['flips'] <= y['total']['all']['flips'] for x in d['entries'] for y in d['entries'] if (x['representation'], x['encoding'], y['order']) == (y['representation'], y['encoding'], 'natural') and x['order'] in ('segment', 'cluster'))" >held
        grep -q True held || fail "$accelerator: an order costs more than the natural one"
    done
done
good train tiny.data tiny.cfg -seed 1 -epochs 1 -hdloss 1
good "$DARKNET" hd compare tiny.cfg backup/tiny_1.weights -sizes 8 -own -snr 25
grep -q "from the .stream" stdout || fail "the sidecar's words were not used"

bad -sizes "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4,x
bad -sizes "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4.5
bad -snr "$DARKNET" hd compare tiny.cfg plain.weights -snr 900
bad "cannot be kept" "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -snr 60
bad absent.data "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -data absent.data
bad absent "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -snr none -csv absent/all.csv
bad columnless.csv "$ROOT/scripts/plot_comparison" -o none.png columnless.csv
grep -v '^[0-9]' all.csv >rowless.csv
bad rowless.csv "$ROOT/scripts/plot_comparison" -o none.png rowless.csv
sed 's/,ratio_per_image/,ratio/' all.csv >columnless.csv
bad ratio_per_image "$ROOT/scripts/plot_comparison" -o none.png columnless.csv
[ ! -e none.png ] || fail "a refused plot left a picture"
