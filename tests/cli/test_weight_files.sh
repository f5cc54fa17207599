# Commands about weight files: partial, average, statistics, normalize, denormalize, reset.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
weights=backup/tiny.weights

# partial: the first layers' bytes, images seen 0; fine-tuning says what it kept.
good "$DARKNET" partial tiny.cfg $weights first.weights 3
bytes=$((20 + 4 * (8 * 13 + 24 * 12 + 24 * 13)))
[ "$(wc -c <first.weights)" -eq $bytes ] || fail "$bytes bytes wanted for three layers"
head -c $bytes $weights | tail -c +21 >wanted && tail -c +21 first.weights >got && same wanted got
[ "$(head -c 20 first.weights | tail -c 8 | tr -d '\000' | wc -c)" -eq 0 ] || fail "images seen are not 0"
good train tiny.data tiny.cfg first.weights -epochs 1 -backup tuned
grep -q "first.weights: 3 layers loaded, 3 kept their initial values: 3, 5, 7$" stdout || fail "the layers that kept their values are not told"
# From a file that goes on differently, too.
head -c $((bytes + 7)) $weights >longer.weights
good "$DARKNET" partial tiny.cfg longer.weights again.weights 3
same first.weights again.weights
for n in 0 10 -1 two; do bad "\"$n\"" "$DARKNET" partial tiny.cfg $weights none.weights $n; done
head -c $((bytes - 7)) $weights >shorter.weights
bad "layer 2" "$DARKNET" partial tiny.cfg shorter.weights none.weights 3

# average: of one file itself, of two their mean.
good "$DARKNET" average tiny.cfg mean.weights $weights
same $weights mean.weights
good "$DARKNET" average tiny.cfg mean.weights backup/tiny_2.weights backup/tiny_1.weights
python - <<'END' || fail "the values are not the mean"
import struct
def values(path):
    data = open(path, "rb").read()
    return data[:20], struct.unpack("<%df" % ((len(data) - 20) // 4), data[20:])
(head, mean), (first, a), (_, b) = (values(name) for name in ("mean.weights", "backup/tiny_2.weights", "backup/tiny_1.weights"))
assert head == first and len(mean) == len(a) > 1000
assert all(abs(m - (x + y) / 2) <= 1e-7 * max(1, abs(x), abs(y)) for m, x, y in zip(mean, a, b))
assert any(x != y for x, y in zip(a, b))
END
bad missing.weights "$DARKNET" average tiny.cfg none.weights $weights missing.weights
bad first.weights "$DARKNET" average tiny.cfg none.weights $weights first.weights

# statistics: a row for each array.
good "$DARKNET" statistics tiny.cfg $weights
[ "$(grep -c "^ *[0-9]* [a-z]* " stdout)" -ge 27 ] || fail "27 arrays in five convolutional layers and a connected one"
python - <<'END' || fail "the figures of the first layer's weights are wrong"
import struct
data = open("backup/tiny.weights", "rb").read()[20:]
values = struct.unpack("<72f", data[4 * 32:4 * 104])
mean = sum(values) / 72
row = [line.split() for line in open("stdout") if line.split()[:3] == ["0", "convolutional", "weights"]][0]
wanted = [72, mean, (sum((v - mean) ** 2 for v in values) / 72) ** .5, min(values), max(values)]
assert all(abs(float(r) - w) < 1e-5 * max(1, abs(w)) for r, w in zip(row[3:], wanted)), (row, wanted)
END
bad missing.weights "$DARKNET" statistics tiny.cfg missing.weights

# The three conversions leave a network that answers the same, in both forms of batch normalisation and in every kind of
# layer that has it.
awk '/^\[avgpool/ { printf "[deconvolutional]\nbatch_normalize=1\nfilters=6\nsize=2\nstride=2\nactivation=leaky\n\n" }
    { print } /^\[avgpool/ { printf "\n[connected]\nbatch_normalize=1\noutput=9\nactivation=leaky\n" }' tiny.cfg >kinds.cfg
good train tiny.data kinds.cfg -seed 1 -epochs 2 -backup kinds
weights=kinds/kinds.weights
for form in alexey darknet; do
    sed "s/^bn=.*/bn=$form/" kinds.cfg >with.cfg
    sed 's/^batch_normalize=1/batch_normalize=0/' with.cfg >without.cfg
    sed 's/^output=4/output=4\nbatch_normalize=1/' with.cfg >all.cfg
    good "$DARKNET" reset with.cfg $weights reset.weights
    good "$DARKNET" denormalize with.cfg $weights plain.weights
    good "$DARKNET" normalize without.cfg plain.weights all.weights
    good "$DARKNET" normalize with.cfg $weights all-of-with.weights
    good "$DARKNET" classifier test list.data with.cfg $weights && cp stdout wanted
    for pair in with.cfg:reset.weights without.cfg:plain.weights all.cfg:all.weights all.cfg:all-of-with.weights; do
        good "$DARKNET" classifier test list.data "${pair%:*}" "${pair#*:}"
        python - <<'END' || fail "$form, $pair: the answers differ"
rows = [[line.split("\t")[1:] for line in open(name)] for name in ("wanted", "stdout")]
differences = [abs(float(a) - float(b)) for x, y in zip(*rows) for a, b in zip(x, y)]
assert len(differences) == 96 and max(differences) < 2e-5, max(differences)
END
    done
    different $weights reset.weights
    bad without.cfg "$DARKNET" classifier test list.data without.cfg reset.weights
done
for command in normalize denormalize reset; do
    bad missing.weights "$DARKNET" $command tiny.cfg missing.weights none.weights
    bad missing.cfg "$DARKNET" $command missing.cfg $weights none.weights
    bad usage "$DARKNET" $command tiny.cfg $weights
done
[ ! -e none.weights ] || fail "a failure left a file"
