# cfg files that are missing, truncated, of the wrong shape or full of garbage.
. "$ROOT/tests/cli/lib.sh"
tiny_setup

# wrong NAME SENTENCE: NAME.cfg is refused by training, hd flips and ops alike, with the file and the text in the sentence.
wrong() {
    bad "$1.cfg" train tiny.data "$1.cfg"
    grep -q -- "$2" stderr || fail "the sentence lacks \"$2\""
    bad "$1.cfg" "$DARKNET" ops "$1.cfg"
    [ ! -e backup ] || [ -z "$(ls backup)" ] || fail "a refused run left files: $(ls backup)"
}

wrong missing ""
: >empty.cfg && wrong empty ""
head -c 3000 /dev/urandom >garbage.cfg && { run "$DARKNET" ops garbage.cfg; [ $status -eq 1 ] || fail "garbage.cfg: status $status"; grep -q garbage.cfg stderr || fail "garbage.cfg is not named"; }
mkdir directory.cfg && wrong directory ""
sed 's/^filters=20/filters=abc/' tiny.cfg >number.cfg && wrong number ":[0-9]*: *filters"
sed 's/^\[avgpool\]/[averagepool]/' tiny.cfg >section.cfg && wrong section averagepool
sed 's/^\[avgpool\]/[yolo]/' tiny.cfg >yolo.cfg && wrong yolo "not supported"
sed 's/^from=-4/from=-40/' tiny.cfg >reference.cfg && wrong reference "from"
sed 's/^height=12/height=-3/' tiny.cfg >negative.cfg && wrong negative height
sed 's/^groups=24/groups=7/' tiny.cfg >groups.cfg && wrong groups groups
sed 's/^activation=linear/activation=linaer/' tiny.cfg | awk '/linaer/ && seen++ { sub("linaer", "linear") } { print }' >activation.cfg && wrong activation linaer
sed '1,/^\[conv/{/^\[conv/!d}' tiny.cfg >headless.cfg && wrong headless "net"
printf '[net]\nbatch=1\nheight=4\nwidth=4\nchannels=1\n' >layerless.cfg && wrong layerless ""
{ echo batch=1; cat tiny.cfg; } >outside.cfg && wrong outside ":1:"
sed 's/^batch=32/batch=32\nsubdivisions=5/' tiny.cfg >subdivisions.cfg && wrong subdivisions subdivisions

# A layer that no machine holds.
sed 's/^filters=20/filters=2000000000/' tiny.cfg >huge.cfg && wrong huge filters

# The wrong number of classes, and no loss.
sed 's/^output=4/output=5/' tiny.cfg >classes.cfg
bad classes.cfg train tiny.data classes.cfg
sed '/^\[softmax\]/d' tiny.cfg >lossless.cfg
bad lossless.cfg train tiny.data lossless.cfg

# An unknown key is told and ignored.
sed 's/^batch=32/batch=32\nlearnign_rate=.1/' tiny.cfg >unknown.cfg
good "$DARKNET" ops unknown.cfg
grep -q "learnign_rate" stderr && grep -q "learning_rate" stderr || fail "the unknown key is not told with what was meant"
