# The scripts' own behaviour: plots, set-up, fetching.
. "$ROOT/tests/cli/lib.sh"
columns=epoch,batch,loss,task_loss,hd_loss,lr,train_top1,val_top1,val_top5,int8_top1,flips,nhd,energy_uj,energy_ratio,images_per_s,data_wait_s,wall_s
for name in off on; do
    { printf '# darknet 0\n# accelerator: a\n# energy table: t\n%s\n' $columns
        for epoch in 1 2 3; do echo "$epoch,9,1,1,0,.1,.5,.6,.9,.$((4 + epoch)),100,.4,1.$epoch,1.1,10,0,1"; done; } >$name.csv
done
good "$ROOT/scripts/plot" -o picture off.csv "with the flag=on.csv"
head -c 4 picture.png | grep -q PNG || fail "picture.png is no PNG"
grep -q "<svg" picture.svg && grep -q "</svg>" picture.svg || fail "picture.svg is no whole SVG"
good "$ROOT/scripts/plot" -o single off.csv
sed 's/energy_uj/energy/' off.csv >columnless.csv
bad energy_uj "$ROOT/scripts/plot" -o none columnless.csv on.csv
bad missing.csv "$ROOT/scripts/plot" -o none missing.csv
sed 's/^2,9,/two,9,/' off.csv >wordy.csv
bad wordy.csv "$ROOT/scripts/plot" -o none wordy.csv
head -n 4 off.csv >rowless.csv
bad rowless.csv "$ROOT/scripts/plot" -o none rowless.csv
head -c 500 /dev/urandom >garbage.csv
bad garbage.csv "$ROOT/scripts/plot" -o none garbage.csv
sed 's/accelerator: a/accelerator: b/' on.csv >other.csv
bad accelerator "$ROOT/scripts/plot" -o none off.csv other.csv
[ ! -e none.png ] && [ ! -e none.svg ] || fail "a refused plot left a picture"

good "$ROOT/scripts/setup" -n build test
run "$ROOT/scripts/setup" frobnicate
[ $status -ne 0 ] && grep -q frobnicate stderr || fail "an unknown role passed"

mkdir wrong && head -c 3074 /dev/zero >wrong/train.bin && cp wrong/train.bin wrong/test.bin
CIFAR100_DIR=$PWD/wrong && export CIFAR100_DIR
bad wrong/train.bin "$ROOT/scripts/get_cifar100" fetched
[ -z "$(ls -A fetched)" ] || fail "get_cifar100 left files of the wrong md5: $(ls -A fetched)"
CIFAR100_DIR=$PWD/absent
bad absent "$ROOT/scripts/get_cifar100" fetched
[ -z "$(ls -A fetched)" ] || fail "get_cifar100 left files: $(ls -A fetched)"
