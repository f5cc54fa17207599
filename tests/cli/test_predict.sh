# Predictions as Darknet's users ask for them: options anywhere, paths on standard input, and the commands that print a
# line for each image of a list.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
weights=backup/tiny.weights
first=$(sed -n 1p valid.list) second=$(sed -n 2p valid.list)

# Options stand anywhere, also before the command's words; those of Darknet's that mean nothing here are taken.
good "$DARKNET" classifier predict list.data tiny.cfg $weights "$first" -t 3
cp stdout wanted
[ "$(wc -l <wanted)" -eq 3 ] || fail "-t 3: three lines wanted"
same_answer() {
    good "$DARKNET" "$@"
    same wanted stdout
    [ ! -s stderr ] || fail "something on standard error: $*"
}
same_answer -t 3 classifier predict list.data tiny.cfg $weights "$first"
same_answer -i 0 -nogpu classifier -t 3 predict list.data tiny.cfg $weights "$first"
same_answer classifier predict -t 3 list.data -clear tiny.cfg $weights -topk "$first"
same_answer classifier predict list.data -gpus 0,1 tiny.cfg -clear 1 $weights "$first" -t 3 -dont_show
bad "-t" "$DARKNET" classifier predict list.data tiny.cfg $weights "$first" -t many
bad "unexpected" "$DARKNET" classifier predict list.data tiny.cfg $weights "$first" "$second"
good "$DARKNET" classifier predict tiny.data tiny.cfg $weights "$first" -t 0
[ "$(wc -l <stdout)" -eq 2 ] || fail "-t 0: the data file's top=2 was wanted"

# asked STATUS: the answers to the paths in the file `paths`, one after the other.
asked() {
    last_command="predict <paths"
    status=0
    "$DARKNET" classifier predict list.data tiny.cfg $weights -t 3 <paths >stdout 2>stderr || status=$?
    [ $status -eq "$1" ] || fail "exit status $status, $1 wanted"
}
good "$DARKNET" classifier predict list.data tiny.cfg $weights "$second" -t 3
cat stdout >>wanted
printf '%s\n%s\n' "$first" "$second" >paths && asked 0
same wanted stdout
[ ! -s stderr ] || fail "something on standard error"
printf '%s\r\nnowhere.png\n\n%s' "$first" "$second" >paths && asked 1
same wanted stdout
[ "$(wc -l <stderr)" -eq 1 ] && grep -q "nowhere.png" stderr || fail "one sentence that names nowhere.png was wanted"
: >paths && asked 0
[ ! -s stdout ] || fail "answers to nothing"

# On a terminal there is a prompt.
python - "$DARKNET" $weights "$first" >stdout <<'END' || fail "no prompt, or no answer, on a terminal"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "classifier", "predict", "list.data", "tiny.cfg", sys.argv[2]])
text = b""
def until(words):
    global text
    while words not in text:
        text += os.read(terminal, 4096)
until(b"Enter Image Path: ")
os.write(terminal, sys.argv[3].encode() + b"\n")
until(b"%: ")
text = text[text.index(b"%: "):]
until(b"Enter Image Path: ")
os.write(terminal, b"\x04")
sys.exit(os.waitpid(pid, 0)[1])
END

# test, csv, label: a line an image. The images have the network's size, so that all three see the same.
sed 's/^valid=.*/&\ntest=some.list/' list.data >listed.data
head -n 7 valid.list >some.list
good "$DARKNET" classifier test listed.data tiny.cfg $weights && cp stdout tested
good "$DARKNET" classifier csv listed.data tiny.cfg $weights -t 4 && cp stdout numbers
good "$DARKNET" classifier label listed.data tiny.cfg $weights && cp stdout labels
python - <<'END' || fail "test, csv and label do not fit each other or the list"
names = open("tiny.names").read().split()
paths = open("some.list").read().split()
tested = [line.split("\t") for line in open("tested").read().splitlines()]
numbers = [line.split("\t") for line in open("numbers").read().splitlines()]
labels = open("labels").read().splitlines()
assert [row[0] for row in tested] == paths and [row[0] for row in numbers] == paths and len(labels) == len(paths)
for row, best, label in zip(tested, numbers, labels):
    values = [float(value) for value in row[1:]]
    assert len(values) == len(names) and abs(sum(values) - 1) < 1e-4
    order = sorted(range(len(values)), key=lambda i: -values[i])
    assert [int(i) for i in best[1:]] == order and label == names[order[0]]
first = [line.split("%: ") for line in open("wanted").read().splitlines()[:3]]
for percent, name in first:
    assert abs(float(percent) - 100 * float(tested[0][1 + names.index(name)])) < .006
END
for command in test csv label; do
    good "$DARKNET" classifier $command list.data tiny.cfg $weights
    [ "$(wc -l <stdout)" -eq 24 ] || fail "$command: the 24 images of valid were wanted where there is no test"
    sed 's/^valid=.*/test=broken.list/' list.data >broken.data
    { sed -n 1p valid.list; echo pictures/absent_rows.pgm; sed -n 2p valid.list; } >broken.list
    bad absent_rows.pgm "$DARKNET" classifier $command broken.data tiny.cfg $weights
    [ "$(wc -l <stdout)" -eq 2 ] || fail "$command: a bad image kept the others from being answered"
    bad tiny.data "$DARKNET" classifier $command tiny.data tiny.cfg $weights
    bad missing.weights "$DARKNET" classifier $command listed.data tiny.cfg missing.weights
done
