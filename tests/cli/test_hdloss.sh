# The flag: off by default, on by [net] hdloss, [hdloss] lambda or -hdloss; it lowers flips and expected loss.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed -i 's/^epochs=3/epochs=8/' tiny.cfg

good train tiny.data tiny.cfg -seed 1 -backup off
good train tiny.data tiny.cfg -seed 1 -backup zero -hdloss 0
good train tiny.data tiny.cfg -seed 1 -backup on -hdloss 4
same off/tiny.weights zero/tiny.weights
different off/tiny.weights on/tiny.weights
holds "$(csv on/tiny.csv hd_loss 8) > 0"
holds "$(csv on/tiny.csv flips 8) < .9 * $(csv off/tiny.csv flips 8)"
holds "$(csv on/tiny.csv energy_uj 8) < $(csv off/tiny.csv energy_uj 8)"

mkdir net section both
sed 's/^\[net\]/[net]\nhdloss=4/' tiny.cfg >net/tiny.cfg
sed 's/^\[softmax\]/[hdloss]\nlambda=4\n\n[softmax]/' tiny.cfg >section/tiny.cfg
sed 's/^\[net\]/[net]\nhdloss=1/; s/^\[softmax\]/[hdloss]\nlambda=2\n\n[softmax]/' tiny.cfg >both/tiny.cfg
good train tiny.data net/tiny.cfg -seed 1 -backup net -epochs 2
good train tiny.data section/tiny.cfg -seed 1 -backup section -epochs 2
good train tiny.data both/tiny.cfg -seed 1 -backup both -epochs 2 -hdloss 4
good train tiny.data tiny.cfg -seed 1 -backup line -epochs 2 -hdloss 4
same line/tiny.weights net/tiny.weights
same line/tiny.weights section/tiny.weights
same line/tiny.weights both/tiny.weights

bad -hdloss train tiny.data tiny.cfg -hdloss much
sed 's/^\[softmax\]/[hdloss]\nlambda=4\nsurrogate=guess\n\n[softmax]/' tiny.cfg >surrogate.cfg
bad surrogate.cfg train tiny.data surrogate.cfg -epochs 1
