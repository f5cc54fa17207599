# `hd compare-accelerators`: one row an array, the same figures as `hd energy` on it; CSV and JSON agree; an ERT as the table.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
cp backup/tiny.weights plain.weights
good "$DARKNET" hd compare-accelerators tiny.cfg plain.weights is8x8 os16x16 ws8x8 is16x16-sm -csv rows.csv -json rows.json
grep -q "datapath uJ" stdout || fail "no unit in what is printed"
[ "$(grep -cE '^(is8x8|os16x16|ws8x8|is16x16-sm) ' stdout)" -eq 4 ] || fail "not one row an array"
for array in is8x8 os16x16 ws8x8 is16x16-sm; do
    good "$DARKNET" hd energy tiny.cfg plain.weights -accelerator $array -json $array.json
done
python - <<'END' || fail "the rows are not what hd energy says"
import csv, json
rows = list(csv.DictReader(open("rows.csv")))
entries = json.load(open("rows.json"))["accelerators"]
assert [r["accelerator"] for r in rows] == ["is8x8", "os16x16", "ws8x8", "is16x16-sm"]
for row, entry in zip(rows, entries):
    alone = json.load(open(row["accelerator"] + ".json"))["total"]
    assert entry["accelerator"]["name"] == row["accelerator"] and row["order"] == "natural"
    assert int(row["flips_per_image"]) == entry["flips_per_image"] == alone["flips_per_image"]
    assert int(row["cycles"]) == entry["cycles"] == alone["cycles"]
    for part in ("compute", "propagation", "datapath", "clock"):
        assert abs(float(row[part + "_pj"]) - alone["energy_pj"][part]) <= 1e-7 * alone["energy_pj"][part], part
        assert abs(entry["energy_pj"][part] - alone["energy_pj"][part]) <= 1e-9 * alone["energy_pj"][part], part
    assert abs(float(row["datapath_pj"]) - float(row["compute_pj"]) - float(row["propagation_pj"])) <= 1e-6 * float(row["datapath_pj"])
END
good "$DARKNET" hd compare-accelerators tiny.cfg plain.weights is8x8 -reorder -csv -
[ "$(wc -l <stdout)" -eq 2 ] || fail "-csv - prints more than the rows"
awk -F, 'NR == 2 { solved = $11 } END { exit !(solved > 0) }' stdout || fail "no flips"
natural=$(awk -F, 'NR == 2 { print $11 }' rows.csv)
[ "$(awk -F, 'NR == 2 { print $11 }' stdout)" -lt "$natural" ] || fail "reordering saves no flips"
bad "no such accelerator" "$DARKNET" hd compare-accelerators tiny.cfg plain.weights is8x8 nowhere
bad "cannot both" "$DARKNET" hd compare-accelerators tiny.cfg plain.weights is8x8 -csv - -json -

# Every accelerator of the library can be read and has a model.
good "$DARKNET" hd compare-accelerators tiny.cfg plain.weights $(cd "$ROOT/cfg/accelerators" && ls ./*.cfg | sed 's/.*\///; s/\.cfg//') -csv -
[ "$(wc -l <stdout)" -eq $(($(ls "$ROOT"/cfg/accelerators/*.cfg | wc -l) + 1)) ] || fail "not one row a file"

# Accelergy's energies.
mkdir tables
cp "$ROOT"/cfg/accelerators/tables/*.json tables
sed 's/^table=.*/&\nert=own.yaml/' "$ROOT/cfg/accelerators/is8x8.cfg" >own.cfg
printf 'ERT:\n  version: 0.4\n  tables:\n    - name: chip.pe[0..63].mac\n      actions:\n        - {name: mac_random, energy: %s}\n' 2.0 >own.yaml
sed 's/2.0/4.0/' own.yaml >double.yaml
sed 's/own.yaml/double.yaml/' own.cfg >double.cfg
good "$DARKNET" hd compare-accelerators tiny.cfg plain.weights ./own.cfg ./double.cfg -csv ert.csv
awk -F, 'NR == 2 { one = $15 } NR == 3 { two = $15 } END { exit !(one > 0 && two / one > 1.99999 && two / one < 2.00001) }' ert.csv ||
    fail "twice the energy is not twice the energy"
grep -q own.yaml ert.csv || fail "the ERT is not named"
sed -i 's/mac_random/read/' own.yaml
bad "own.cfg:" "$DARKNET" hd compare-accelerators tiny.cfg plain.weights ./own.cfg
