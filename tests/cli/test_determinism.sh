# One seed fixes every byte, whatever the number of threads; another seed gives others.
. "$ROOT/tests/cli/lib.sh"
tiny_setup

for run in "one 1 5" "two 2 5" "again 2 5" "other 2 6"; do
    set -- $run
    good train tiny.data tiny.cfg -threads "$2" -seed "$3" -hdloss 1 -epochs 2 -backup "$1"
done
same one/tiny.weights two/tiny.weights
same two/tiny.weights again/tiny.weights
same one/tiny_1.weights two/tiny_1.weights
different two/tiny.weights other/tiny.weights
for column in loss hd_loss train_top1 val_top1 int8_top1 flips energy_uj; do
    [ "$(csv one/tiny.csv $column)" = "$(csv two/tiny.csv $column)" ] || fail "$column differs between 1 and 2 threads"
done
for file in one/*; do
    case $file in
    *.stream | *.direct.weights) same "$file" "two/${file#one/}" ;;
    esac
done

# [net] seed= says the same as -seed.
sed 's/^\[net\]/[net]\nseed=5/' tiny.cfg >seeded/tiny.cfg 2>/dev/null || { mkdir seeded && sed 's/^\[net\]/[net]\nseed=5/' tiny.cfg >seeded/tiny.cfg; }
good train tiny.data seeded/tiny.cfg -hdloss 1 -epochs 2 -backup from-cfg
same one/tiny.weights from-cfg/tiny.weights
