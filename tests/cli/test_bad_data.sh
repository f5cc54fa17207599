# .data files, lists and data sets that are missing, truncated, of the wrong shape or full of garbage; existing
# checkpoints stay as they are.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 1
mkdir saved && cp backup/* saved/

# wrong FILE DATA: training with DATA fails with a sentence that names FILE.
wrong() {
    bad "$1" train "$2" tiny.cfg
    for file in saved/*; do same "$file" "backup/${file#saved/}"; done
}
# changed EXPRESSION: tiny.data edited to changed.data.
changed() { sed "$1" tiny.data >changed.data; }

wrong missing.data missing.data
head -c 2000 /dev/urandom | tr '\000\n' 'xx' >garbage.data && wrong garbage.data garbage.data
changed 's/^classes=4/classes=many/' && wrong changed.data changed.data
changed 's/^classes=4/classes=3/' && run train changed.data tiny.cfg && [ $status -eq 1 ] || fail "a label beyond the classes passed"
changed '/^train=/d' && wrong changed.data changed.data
changed '/^train_labels=/d' && wrong changed.data changed.data
changed 's/train-images/absent-images/' && wrong absent-images.idx changed.data
changed 's/train-labels/absent-labels/' && wrong absent-labels.idx changed.data
changed 's/^train=train/train=$NOT_SET_ANYWHERE\/train/' && wrong NOT_SET_ANYWHERE changed.data

# IDX: truncated, a wrong magic number, counts that differ, nothing in it, a damaged .gz.
head -c 1000 train-images.idx >short-images.idx && changed 's/train-images/short-images/' && wrong short-images.idx changed.data
head -c 9 train-images.idx >short-images.idx && wrong short-images.idx changed.data
: >short-images.idx && wrong short-images.idx changed.data
head -c 50000 /dev/urandom >garbage-images.idx && changed 's/train-images/garbage-images/' && wrong garbage-images.idx changed.data
changed 's/^train_labels=train/train_labels=valid/; s/valid-labels.idx$/valid-labels.idx.gz/' && run train changed.data tiny.cfg
[ $status -eq 1 ] && [ "$(wc -l <stderr)" -eq 1 ] || fail "64 labels for 192 images: one sentence and status 1 wanted"
printf '\000\000\010\003\377\377\377\377\377\377\377\377\377\377\377\377' >vast-images.idx && changed 's/train-images/vast-images/' && wrong vast-images.idx changed.data
head -c 500 valid-images.idx.gz >cut-images.idx.gz && changed 's/valid-images/cut-images/' && wrong cut-images.idx.gz changed.data

# CIFAR: no whole number of records; nothing; a label that is none.
sed 's/cifar-train/cut/; s/=backup.*/=backup/' cifar.data >changed.data
head -c 5000 cifar-train.bin >cut.bin && wrong cut.bin changed.data
: >cut.bin && wrong cut.bin changed.data
tr '\000-\003' '\000\377\002\003' <cifar-train.bin >cut.bin && wrong cut.bin changed.data

# Lists: missing, empty, naming a missing image, a label that is none, garbage for an image.
sed 's/train.list/changed.list/; s/=backup.*/=backup/' list.data >changed.data
wrong changed.list changed.data
: >changed.list && wrong changed.list changed.data
{ cat train.list; echo pictures/none_rows.pgm; } >changed.list && wrong pictures/none_rows.pgm changed.data
cp pictures/train0_*.pgm pictures/nothing.pgm && { cat train.list; echo pictures/nothing.pgm; } >changed.list && wrong nothing.pgm changed.data
head -c 300 /dev/urandom >pictures/garbage_rows.pgm && { cat train.list; echo pictures/garbage_rows.pgm; } >changed.list && wrong garbage_rows.pgm changed.data

# Where checkpoints cannot go.
: >occupied && changed 's/^backup=backup/backup=occupied\/backup/' && wrong occupied changed.data
