# scripts/sweep: a front by fine-tuning, gone on with and never mixed with other settings.
. "$ROOT/tests/cli/lib.sh"
export DARKNET
tiny_setup
good train tiny.data tiny.cfg -seed 1 -backup base
sweep() { "$ROOT/scripts/sweep" tiny.data tiny.cfg base/tiny.weights -epochs 2 -out front "$@"; }
good sweep -lambda 0,8 -mu 2 -hdloss trellis_every=2
[ "$(grep -c . front/sweep.csv)" -eq 4 ] || fail "front/sweep.csv does not have three runs"
head -c 4 front/sweep.png | grep -q PNG || fail "front/sweep.png is no PNG"
python - <<'END'
import csv
rows = {r["method"]: r for r in csv.DictReader(open("front/sweep.csv"))}
assert float(rows["none"]["flips_ratio"]) >= 1, rows
assert float(rows["mu"]["flips_ratio"]) > 1.3 * float(rows["none"]["flips_ratio"]), rows
natural = float(rows["none"]["energy_uj"])
for row in rows.values():
    assert abs(float(row["energy_ratio"]) - natural / float(row["exported_energy_uj"])) < 1e-3, row
END
# A run that was killed is gone on with; complete ones are left alone.
cp front/sweep.csv before.csv
rm front/mu-2-seed1/tiny.* front/sweep.csv
touch -d 2001-01-01 front/lambda-8-seed1/tiny.weights
good sweep -lambda 0,8 -mu 2 -hdloss trellis_every=2
same before.csv front/sweep.csv
[ -z "$(find front/lambda-8-seed1/tiny.weights -newermt 2002-01-01)" ] || fail "a complete run was trained again"
# Weights of a run through words without their .stream, which is written last, are not yet complete.
rm front/mu-2-seed1/tiny.stream front/mu-2-seed1/tiny.backup front/mu-2-seed1/tiny.state
good sweep -lambda 0,8 -mu 2 -hdloss trellis_every=2
[ -f front/mu-2-seed1/tiny.stream ] || fail "weights without their words passed for a complete run"
same before.csv front/sweep.csv
bad "other settings" sweep -lambda 8 -mu 2 -hdloss trellis_every=3
# A cfg whose own settings train for flips: the run without either has them off, and keeps the other keys.
sed 's/^\[net\]/[net]\nhdloss=8/' tiny.cfg >switched.cfg
good "$ROOT/scripts/sweep" tiny.data switched.cfg base/tiny.weights -teacher base/tiny.weights -epochs 1 -out switched -mu 2 \
    -hdloss train_mu=9 trellis_every=2
plain=switched/none-seed1/switched.cfg
for line in lambda=0 train_mu=0 trellis_every=2; do grep -qx "$line" $plain || fail "$plain has no $line"; done
python -c 'import csv; rows = list(csv.DictReader(l for l in open("switched/none-seed1/switched.csv") if l[0] != "#"))
assert all(float(r["hd_loss"]) == 0 for r in rows), rows'
grep -q '"-teacher"' switched/mu-2-seed1/settings.json || fail "the teacher is not among the settings"
bad "nothing to sweep" "$ROOT/scripts/sweep" tiny.data tiny.cfg -epochs 1
bad "-epochs" "$ROOT/scripts/sweep" tiny.data tiny.cfg -lambda 1
