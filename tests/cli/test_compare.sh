# `hd compare`: its figures are those of the other commands, counted from the words; tables and picture hold them all; a designer can
# compare representations and encodings on every dataflow.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
cp backup/tiny.weights plain.weights

good "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4,16 -snr 25 -data tiny.data -images 256 -csv all.csv -json all.json -png all.png
cp stdout table
head -c 4 all.png | grep -q PNG || fail "all.png is no PNG"
# 2 sizes, 2 representations, 2 encodings, 4 orders and a rounding; 6 layers and 2 totals.
[ "$(grep -c '^[0-9]' all.csv)" -eq $((40 * 8)) ] || fail "all.csv has $(grep -c '^[0-9]' all.csv) rows"
[ "$(grep -c 'x[0-9]* *\(twos_complement\|sign_magnitude\) ' table)" -eq 40 ] || fail "the table does not have 40 lines"
for representation in twos_complement sign_magnitude; do
    for encoding in none bus_invert; do
        sed "s/rows=.*/rows=4/; s/cols=.*/cols=4/; s/representation=.*/representation=$representation/; s/encoding=.*/encoding=$encoding/; s|table=|&$ROOT/cfg/accelerators/|" \
            "$ROOT/cfg/accelerators/is16x16.cfg" >small.cfg
        good "$DARKNET" hd flips tiny.cfg plain.weights -accelerator small.cfg -json $representation-$encoding.json
    done
done
good "$DARKNET" classifier valid tiny.data tiny.cfg plain.weights -int8 -json valid.json
# Direct as plans is what folding into a file gives; no order costs more than the natural one: on every dataflow.
for accelerator in is16x16 os16x16 ws16x16; do
    good "$DARKNET" hd reorder tiny.cfg plain.weights direct.weights -method direct -accelerator $accelerator
    rm -f direct.stream
    good "$DARKNET" hd flips tiny.cfg direct.weights -accelerator $accelerator -json $accelerator-direct.json
    good "$DARKNET" hd compare tiny.cfg plain.weights -accelerator $accelerator -sizes 16 -own -thorough -snr none -json $accelerator.json
done
python - <<'END' || fail "a figure is wrong"
import json
read = lambda name: json.load(open(name + ".json"))
entries = read("all")["entries"]
assert len(entries) == 40
kinds = {(x["rows"], x["representation"], x["encoding"], x["order"], "trellis" in x): x for x in entries}
flips = lambda x: x["total"]["all"]["flips"]
top1 = read("valid")["top1"]
for representation in ("twos_complement", "sign_magnitude"):
    for encoding in ("none", "bus_invert"):
        told = read(representation + "-" + encoding)["layers"]
        get = lambda order, rounded=False: kinds[4, representation, encoding, order, rounded]
        for what in ("flips", "flips_inside_tiles", "flips_per_image"):
            natural = [layer[what] for layer in get("natural")["layers"]]
            assert natural == [layer[what] for layer in told], (representation, encoding, what)
        assert flips(get("cluster")) <= flips(get("segment")) < flips(get("natural"))
        assert flips(get("segment", True)) < flips(get("segment"))
        assert get("segment", True)["trellis"]["sqnr_db"] >= 25
        # Equal words have equal accuracy; rounded ones have their own.
        assert all(abs(get(order)["int8_top1"] - top1) < 1e-9 for order in ("natural", "direct", "segment", "cluster"))
for accelerator in ("is16x16", "os16x16", "ws16x16"):
    found = {x["order"]: flips(x) for x in read(accelerator)["entries"]}
    assert found["direct"] == read(accelerator + "-direct")["total"]["flips"], accelerator
    assert found["cluster"] <= found["natural"] and found["segment"] <= found["natural"], accelerator
END

good train tiny.data tiny.cfg -seed 1 -epochs 1 -hdloss 1
good "$DARKNET" hd compare tiny.cfg backup/tiny_1.weights -sizes 8 -own -snr 25
grep -q "from the .stream" stdout || fail "the sidecar's words were not used"

bad -sizes "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4,x
bad -sizes "$DARKNET" hd compare tiny.cfg plain.weights -sizes 4.5
bad -snr "$DARKNET" hd compare tiny.cfg plain.weights -snr 900
bad "cannot be kept" "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -snr 60
bad absent.data "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -data absent.data
bad absent "$DARKNET" hd compare tiny.cfg plain.weights -sizes 8 -own -snr none -csv absent/all.csv
grep -v '^[0-9]' all.csv >rowless.csv
bad rowless.csv "$ROOT/scripts/plot_comparison" -o none.png rowless.csv
sed 's/,ratio_per_image/,ratio/' all.csv >columnless.csv
bad ratio_per_image "$ROOT/scripts/plot_comparison" -o none.png columnless.csv
[ ! -e none.png ] || fail "a refused plot left a picture"
