# .stream sidecars: the one that training writes is used; a truncated, damaged or foreign one is refused by name.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1 -hdloss 1
stream=backup/tiny_1.stream; [ -f $stream ] || fail "training wrote no .stream: $(ls backup)"
name=$(basename "$stream")
mkdir saved && cp backup/* saved/
weights=backup/tiny_1.weights

good "$DARKNET" hd flips tiny.cfg $weights
refused() {
    bad "$name" "$DARKNET" hd flips tiny.cfg $weights
    bad "$name" "$DARKNET" hd energy tiny.cfg $weights
    bad "$name" "$DARKNET" classifier valid tiny.data tiny.cfg $weights -int8
    cp "saved/$name" "$stream"
}
bytes=$(wc -c <"$stream")
: >"$stream" && refused
head -c 20 "saved/$name" >"$stream" && refused
head -c $((bytes - 3)) "saved/$name" >"$stream" && refused
head -c $((bytes / 2)) "saved/$name" >"$stream" && refused
head -c "$bytes" /dev/urandom >"$stream" && refused
for place in 5 3 2; do
    python - "$stream" $place <<'END' && refused
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) * 2 // int(sys.argv[2]) - 1] ^= 1
open(sys.argv[1], "wb").write(data)
END
done
# The sidecar of other weights.
good train tiny.data tiny.cfg -seed 2 -epochs 1 -backup other
cp "other/$name" "$stream" && refused
