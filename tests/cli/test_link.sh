# A C program written for Darknet's classifiers builds against libdarknet.so and libdarknet.a, gives the command line's
# numbers, and nothing is printed by the library; the library shows the names of its headers and no others.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
sed 's/^channels=1/channels=3/' tiny.cfg >colour.cfg
good train list.data colour.cfg -seed 1 -epochs 2
libraries=$(dirname "$(dirname "$DARKNET")")
flags="-std=gnu99 -Wall -Wextra -Werror -I$ROOT/darknet"
if nm -D "$libraries/libdarknet.so" | grep -q __asan_init; then
    flags="$flags -fsanitize=address,undefined"
fi
cc=${CC:-gcc}
# shellcheck disable=SC2086
good $cc $flags -o shared "$ROOT/tests/cli/client.c" -L"$libraries" -Wl,-rpath,"$libraries" -ldarknet -lm
# shellcheck disable=SC2086
good $cc $flags -fopenmp -o static "$ROOT/tests/cli/client.c" "$libraries/libdarknet.a" -lopenblas -ljpeg -lz -ljansson -lpthread -lm

image=$(sed -n 3p valid.list)
good "$DARKNET" classifier predict list.data colour.cfg backup-list/colour.weights "$image" -t 4
cp stdout wanted
for program in shared static; do
    good ./$program list.data colour.cfg backup-list/colour.weights 4 "$image"
    same wanted stdout
    [ ! -s stderr ] || fail "the library printed: $program"
    same backup-list/colour.weights again.weights
    rm again.weights
    bad missing.cfg ./$program list.data missing.cfg backup-list/colour.weights 4 "$image"
done

nm -D --defined-only "$libraries/libdarknet.so" | awk '$2 == "T" { print $3 }' | grep -v '^_' | sort >shown
[ "$(wc -l <shown)" -ge 40 ] || fail "few names are shown"
cat "$ROOT"/darknet/darknet.h "$ROOT"/darknet/darknet_extension.h >headers
while read -r name; do
    grep -qE "DARKNET_API [^;(]*\b$name\(" headers || fail "$name is shown by the library but not in its headers"
done <shown

# The header serves C++, too.
if command -v g++ >/dev/null 2>&1; then
    echo '#include "darknet.h"
int main() { return darknet_version()[0] == 0; }' >header.cc
    good g++ -Wall -Wextra -Werror -I"$ROOT/darknet" -c -o header.o header.cc
fi
