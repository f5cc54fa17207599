# Images for predict that are missing, truncated or garbage; good ones give classes, best first.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
good train tiny.data tiny.cfg -seed 1 -epochs 2
predict() { "$DARKNET" classifier predict tiny.data tiny.cfg backup/tiny.weights "$@"; }

image=$(head -n 1 valid.list)
good predict "$image"
[ "$(wc -l <stdout)" -eq 2 ] || fail "top=2: two lines wanted"
grep -qE '^ *[0-9]+\.[0-9]{2}%: (rows|columns|falling|rising)$' stdout || fail "no line of the form NN.NN%: name"
[ "$(sed 's/%.*//' stdout | sort -rn | tr -d ' ')" = "$(sed 's/%.*//' stdout | tr -d ' ')" ] || fail "not best first"
good predict "$image" -t 4
[ "$(wc -l <stdout)" -eq 4 ] || fail "-t 4: four lines wanted"
holds "$(sed 's/%.*//' stdout | awk '{ n += $1 } END { print n }') > 99.9"

bad missing.png predict missing.png
: >empty.png && bad empty.png predict empty.png
head -c 60 "$image" >short.pgm && bad short.pgm predict short.pgm
head -c 4000 /dev/urandom >garbage.jpg && bad garbage.jpg predict garbage.jpg
printf '\211PNG\r\n\032\n' >header.png && bad header.png predict header.png
mkdir folder.png && bad folder.png predict folder.png
