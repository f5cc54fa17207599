# A run killed with SIGKILL in its second epoch, resumed, ends in the bytes of one that was not; so does one that was
# stopped by SIGTERM, which saves first.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
# Longer epochs, so that the signal arrives inside one: the same images many times over.
python - <<'END'
import gzip, struct
images, labels = open("train-images.idx", "rb").read(), open("train-labels.idx", "rb").read()
times, count = 12, 192
open("long-images.idx", "wb").write(struct.pack(">IIII", 0x803, count * times, 12, 12) + images[16:] * times)
open("long-labels.idx", "wb").write(struct.pack(">II", 0x801, count * times) + labels[8:] * times)
END
sed 's/train-/long-/' tiny.data >long.data
sed 's/^epochs=3/epochs=4/' tiny.cfg >run.cfg
for key in "hdloss=1" "ema=.9"; do sed -i "s/^\[net\]/[net]\n$key/" run.cfg; done

good train long.data run.cfg -seed 2 -backup whole

# wait_for FILE TEXT: until the file has the text (at most a minute).
wait_for() {
    i=0
    until grep -q "$2" "$1" 2>/dev/null; do
        i=$((i + 1))
        [ $i -lt 600 ] || fail "the run never printed $2"
        sleep .1
    done
}

# interrupt SIGNAL DIRECTORY: starts the run and sends the signal within the second epoch.
interrupt() {
    # The program itself, not a shell function around it: the signal must reach it.
    "$DARKNET" classifier train long.data run.cfg -seed 2 -backup "$2" >"$2.out" 2>&1 </dev/null &
    pid=$!
    wait_for "$2.out" "^[0-9]*, 1\.[2-9]"
    kill -s "$1" $pid
    status=0
    wait $pid || status=$?
}

interrupt KILL killed
[ $status -ne 0 ] || fail "the run ended before it could be killed"
[ ! -f killed/run.weights ] || fail "the run ended before it could be killed"
good train long.data run.cfg killed/run.backup -seed 2 -backup killed
grep -qi resumed stdout || fail "nothing says that the run was resumed"
same whole/run.weights killed/run.weights
same whole/run_4.weights killed/run_4.weights
for column in epoch batch loss hd_loss lr train_top1 val_top1 int8_top1 flips energy_uj; do
    [ "$(csv whole/run.csv $column)" = "$(csv killed/run.csv $column)" ] || fail "the resumed log's $column differs"
done

interrupt TERM stopped
[ $status -eq 143 ] || fail "exit status $status after SIGTERM, 143 wanted"
[ -s stopped/run.backup ] && [ -s stopped/run.state ] || fail "SIGTERM left no .backup and .state"
good train long.data run.cfg stopped/run.backup -seed 2 -backup stopped
same whole/run.weights stopped/run.weights
