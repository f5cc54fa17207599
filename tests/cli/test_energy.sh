# `hd energy`: parts sum up to totals, with units in the names, and the table is named; -data uses real activations.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
cp backup/tiny.weights plain.weights
good "$DARKNET" hd energy tiny.cfg plain.weights -json energy.json
python - <<'END' || fail "energy.json does not add up"
import json
d = json.load(open("energy.json"))
assert d["accelerator"]["rows"] > 0 and "version" in d
total, layers = d["total"]["energy_pj"], [layer["energy_pj"] for layer in d["layers"]]
assert len(layers) == 6
for part, value in total.items():
    if isinstance(value, (int, float)):
        assert abs(sum(layer[part] for layer in layers) - value) <= 1e-6 * abs(value) + 1e-9, part
for parts in layers + [total]:
    assert all(value >= 0 for value in parts.values())
    datapath = [value for key, value in parts.items() if key.startswith("datapath")]
    assert len(datapath) == 1 and abs(datapath[0] - parts["compute"] - parts["propagation"]) < 1e-6 * datapath[0]
assert "table" in json.dumps(d)
END
[ -s stdout ] || fail "nothing printed"
grep -qE "pJ|nJ|uJ|µJ" stdout || fail "no unit in what is printed"
