# The Python interface, and a client as Darknet's users write them, give the command line's numbers; failures are
# exceptions with a sentence; images are resized as numpy does it by the definition.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed 's/^channels=1/channels=3/' tiny.cfg >colour.cfg
good train list.data colour.cfg -seed 1 -epochs 2
export DARKNET_LIBRARY="$(dirname "$(dirname "$DARKNET")")/libdarknet.so"
# A library with sanitizers wants them first in a process; CPython's own leaks are not the matter.
if ldd "$DARKNET_LIBRARY" | grep -q libasan; then
    with_library="env LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
else
    with_library=env
fi
python=$("$ROOT/scripts/python" -with numpy -c 'import sys; print(sys.executable)')
client() { $with_library "$python" "$@"; }

# One picture of another shape, so that it is letterboxed.
python - <<'END'
rows = [bytes((x * 9 + y * 5 + c * 40) % 256 for x in range(40) for c in range(3)) for y in range(17)]
open("wide.ppm", "wb").write(b"P6\n40 17\n255\n" + b"".join(rows))
END
image=$(sed -n 2p valid.list)
for file in "$image" wide.ppm; do
    good "$DARKNET" classifier predict list.data colour.cfg backup-list/colour.weights "$file" -t 4
    cat stdout >>wanted
done
good client "$ROOT/scripts/darknet.py" list.data colour.cfg backup-list/colour.weights "$image" wide.ppm
same wanted stdout
for way in image predict top; do
    WAY=$way
    export WAY
    good client "$ROOT/tests/cli/classic_client.py" "$DARKNET_LIBRARY" list.data colour.cfg backup-list/colour.weights "$image" wide.ppm
    same wanted stdout
    [ ! -s stderr ] || fail "$way: the library printed"
done

good client "$ROOT/tests/cli/image_reference.py"
grep -q "^29 images compared" stdout || fail "few images were compared"

# What fails is told.
bad missing.weights client "$ROOT/scripts/darknet.py" list.data colour.cfg missing.weights "$image"
bad missing.ppm client "$ROOT/scripts/darknet.py" list.data colour.cfg backup-list/colour.weights missing.ppm
bad missing.data client "$ROOT/scripts/darknet.py" missing.data colour.cfg backup-list/colour.weights "$image"
head -n 3 tiny.names >short.names && sed "s/tiny.names/short.names/" list.data >short.data
bad "3 lines for 4 classes" client "$ROOT/scripts/darknet.py" short.data colour.cfg backup-list/colour.weights "$image"
bad "network of 1" client "$ROOT/scripts/darknet.py" list.data tiny.cfg "" "$image"

# Training by rows: the steps of the command line on the same images, and the weights that they leave.
sed 's/^channels=1/channels=3/; s/^batch=32/batch=24\nsubdivisions=1\ncenter=1\nburn_in=2\nseed=1/; s/^pad_crop=1//; s/^policy=sgdr/policy=constant/' tiny.cfg >steps.cfg
good train list.data steps.cfg -epochs 3 -backup steps
good client "$ROOT/tests/cli/python_training.py" steps.cfg train.list tiny.names steps/steps.weights
grep -q "^3 updates" stdout || fail "three updates were wanted"
