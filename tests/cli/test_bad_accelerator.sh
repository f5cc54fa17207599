# Accelerator files, and energy tables that they name, that are missing, garbage or out of range.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
flips() { "$DARKNET" hd flips tiny.cfg backup/tiny.weights -accelerator "$1"; }
for file in "$ROOT"/cfg/accelerators/*.cfg; do
    good flips "$file"
done
example=$(ls "$ROOT"/cfg/accelerators/*.cfg | head -n 1)
good flips "$example"

bad missing.cfg flips missing.cfg
: >empty.cfg && { run flips empty.cfg; [ $status -le 1 ] || fail "an empty accelerator file: status $status"; }
head -c 3000 /dev/urandom >garbage.cfg && { run flips garbage.cfg; [ $status -eq 1 ] && grep -q garbage.cfg stderr || fail "garbage passed"; }
sed 's/^rows *=.*/rows=0/' "$example" >rows.cfg && bad rows.cfg flips rows.cfg
sed 's/^rows *=.*/rows=many/' "$example" >rows.cfg && bad rows.cfg flips rows.cfg
sed 's/^dataflow *=.*/dataflow=sideways/' "$example" >dataflow.cfg && bad dataflow.cfg flips dataflow.cfg
sed 's/^weight_bits *=.*/weight_bits=9/' "$example" >bits.cfg && bad bits.cfg flips bits.cfg

# One that [hdloss] names is told, too, where training wants it first.
sed 's/^\[softmax\]/[hdloss]\nlambda=1\naccelerator=missing\n[softmax]/' tiny.cfg >losing.cfg
bad "missing: no such accelerator" train tiny.data losing.cfg -seed 1 -epochs 1
bad "missing: no such accelerator" "$DARKNET" speed losing.cfg 1 -train -seconds 0
