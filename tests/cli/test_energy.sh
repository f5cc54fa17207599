# `hd energy`: printed parts add up to printed totals, in the table, as JSON and as CSV, at both levels; the table and the
# version are named; -data uses real activations; a .stream's words are used.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
cp backup/tiny.weights plain.weights

cat >adds_up.py <<'END'
"""Adds what is printed, as decimals: adds_up.py TABLE JSON CSV plan|trace."""
import csv, json, sys
from decimal import Decimal as D
table, document, rows, level = sys.argv[1:]
PARTS = ["multiplier", "accumulator", "weight_register", "activation_register", "control", "wires", "weight_link",
         "activation_link", "psum_link", "other"]

# The table: groups of parts, then the datapath, a bar, clock and idle.
lines = [l for l in open(table) if l.split() and (l.split()[0].isdigit() or l.split()[0] == "total")]
head = next(l for l in open(table) if l.startswith("layer type"))
groups = len([n for n in ("multiplier", "accumulator", "registers", "wires", "other") if n in head])
def energies(line):
    left, right = line.split("|")
    return [D(x) for x in left.split()[-groups - 1:] + right.split()[:2]]
layers, total = [energies(l) for l in lines[:-1]], energies(lines[-1])
assert len(layers) == 6 and lines[-1].startswith("total")
for row in layers + [total]:
    assert sum(row[:groups]) == row[groups], row
for column, value in enumerate(total):
    assert sum(row[column] for row in layers) == value, (column, value)
assert total[groups] > 0 and total[groups + 1] > 0

# JSON.
d = json.load(open(document), parse_float=D)
def of(entry):
    return (entry["trace"] if level == "trace" else entry)
def check(part):
    assert sum(part[p] for p in PARTS) == part["datapath"] == part["compute"] + part["propagation"], part
    assert all(x >= 0 for x in part.values())
for entries in ([of(e) for e in d["layers"]], of(d["total"])), (d["layers"], d["total"]):
    each, whole = entries
    for entry in each + [whole]:
        check(entry["energy_pj"])
    for part, value in whole["energy_pj"].items():
        assert sum(e["energy_pj"][part] for e in each) == value, part
    for count in ("macs", "cycles", "weight_register_flips"):
        assert sum(e[count] for e in each) == whole[count], count
assert d["accelerator"]["energy_table"] and d["version"]
if level == "trace":
    for e in d["layers"] + [d["total"]]:
        assert e["plan_over_trace"] > 0 and e["trace"]["cycles"] == e["cycles"]

# CSV.
text = open(rows).read().splitlines()
comments = [l for l in text if l.startswith("#")]
assert any("darknet" in l for l in comments) and any("energy_table" in l for l in comments)
rows = list(csv.DictReader(l for l in text if not l.startswith("#")))
assert len(rows) == 7 and rows[-1]["layer"] == "total"
for row in rows:
    assert sum(D(row[p + "_pj"]) for p in PARTS) == D(row["datapath_pj"])
    assert D(row["compute_pj"]) + D(row["propagation_pj"]) == D(row["datapath_pj"])
for column in [p + "_pj" for p in PARTS] + ["datapath_pj", "clock_pj", "idle_pj", "macs", "cycles", "memory_weight_bytes"]:
    assert sum(D(r[column]) for r in rows[:-1]) == D(rows[-1][column]), column
assert D(rows[-1]["datapath_pj"]) == of(d["total"])["energy_pj"]["datapath"]
END

good "$DARKNET" hd energy tiny.cfg plain.weights -json plan.json -csv plan.csv -figure plan.svg
cp stdout plan.txt
python adds_up.py plan.txt plan.json plan.csv plan || fail "the plan level does not add up"
grep -q "microjoules" plan.txt || fail "no unit in what is printed"
grep -q "energy table" plan.txt || fail "the table is not named"
grep -q "</svg>" plan.svg || fail "no figure"

good "$DARKNET" hd energy tiny.cfg plain.weights -data tiny.data -trace -json trace.json -csv trace.csv
cp stdout trace.txt
python adds_up.py trace.txt trace.json trace.csv trace || fail "the trace level does not add up"
good "$DARKNET" hd energy tiny.cfg plain.weights -data tiny.data -trace -threads 1
same stdout trace.txt

# A .stream's words and orders: fewer flips, and natural order on request.
good "$DARKNET" hd reorder tiny.cfg plain.weights ordered.weights
good "$DARKNET" hd energy tiny.cfg ordered.weights -data tiny.data -trace -json ordered.json
grep -q "words from the .stream" stdout || fail "the .stream is not used"
good "$DARKNET" hd energy tiny.cfg ordered.weights -data tiny.data -trace -natural -json natural.json
flips='d["total"]["trace"]["weight_register_flips"]'
holds "$(json ordered.json "$flips") < $(json natural.json "$flips")"
holds "$(json ordered.json 'd["total"]["trace"]["energy_pj"]["datapath"]') < $(json natural.json 'd["total"]["trace"]["energy_pj"]["datapath"]')"
holds "$(json natural.json "$flips") == $(json trace.json "$flips")"

for accelerator in os16x16 ws16x16 is16x16-sm; do
    good "$DARKNET" hd energy tiny.cfg plain.weights -accelerator $accelerator -data tiny.data -trace -json trace.json -csv trace.csv
    cp stdout trace.txt
    python adds_up.py trace.txt trace.json trace.csv trace || fail "$accelerator: the trace level does not add up"
done

bad "-trace: needs -data" "$DARKNET" hd energy tiny.cfg plain.weights -trace
bad ".svg" "$DARKNET" hd energy tiny.cfg plain.weights -figure out.png

# Memory's energy where an accelerator gives it, apart from everything else.
cp -R "$ROOT/cfg/accelerators/tables" tables
{ cat "$ROOT/cfg/accelerators/is16x16.cfg"; printf '[memory]\nweight_pj_per_byte=1.5\npartial_sum_pj_per_byte=0.7\n'; } >remembers.cfg
good "$DARKNET" hd energy tiny.cfg plain.weights -accelerator ./remembers.cfg -json memory.json
grep -q "by the accelerator's \[memory\]" stdout || fail "no memory energy"
python - <<'END' || fail "memory's energy is not bytes times costs, or stands inside another figure"
import json
from decimal import Decimal as D
d, plain = (json.load(open(f), parse_float=D) for f in ("memory.json", "plan.json"))
for e in d["layers"] + [d["total"]]:
    m, b = e["memory_pj"], e["memory_bytes"]
    assert m["weights"] == b["weights"] * D("1.5") and m["partial_sums"] == b["partial_sums"] * D("0.7")
    assert m["activations"] == m["orders"] == 0 and m["total"] == m["weights"] + m["partial_sums"]
assert d["total"]["memory_pj"]["total"] == sum(e["memory_pj"]["total"] for e in d["layers"]) > 0
assert d["total"]["energy_pj"] == plain["total"]["energy_pj"] and "memory_pj" not in plain["total"]
END
sed -i 's/=1.5/=-1.5/' remembers.cfg
bad "weight_pj_per_byte" "$DARKNET" hd energy tiny.cfg plain.weights -accelerator ./remembers.cfg
