# Every command explains itself with --help, on standard output and with status 0; wrong words get one sentence.
. "$ROOT/tests/cli/lib.sh"

for command in "" "classifier train" "classifier valid" "classifier predict" "classifier test" "classifier csv" "classifier label" \
    "hd flips" "hd reorder" "hd energy" speed ops partial average statistics normalize denormalize reset; do
    # shellcheck disable=SC2086
    good "$DARKNET" $command --help
    [ ! -s stderr ] || fail "help on standard error: $command"
    grep -q "darknet $command" stdout || fail "the help does not say \"darknet $command\""
done
for command in classifier hd; do
    good "$DARKNET" $command --help
    grep -q "darknet $command" stdout || fail "no help for $command"
done
for words in "classifier train" "classifier valid" "classifier predict" "classifier test" "classifier csv" "classifier label" \
    "hd flips" "hd reorder" "hd energy" speed partial average statistics normalize denormalize reset; do
    good "$DARKNET" --help
    grep -q "$words" stdout || fail "--help does not list $words"
done
good "$DARKNET" classifier train --help
for option in -hdloss -clear -epochs -seed -log; do
    grep -q -e "$option" stdout || fail "the help of classifier train does not tell $option"
done
good "$DARKNET" --version
grep -qF "$(cat "$ROOT/VERSION")" stdout || fail "--version does not print the version"

run "$DARKNET"
[ $status -ne 0 ] && [ -s stderr ] || fail "without words: a usage on standard error and a failure are wanted"
bad frobnicate "$DARKNET" frobnicate
bad frobnicate "$DARKNET" classifier frobnicate
bad frobnicate "$DARKNET" hd frobnicate
bad -frobnicate "$DARKNET" classifier train a.data a.cfg -frobnicate
bad usage "$DARKNET" classifier train a.data
bad usage "$DARKNET" hd flips
bad -epochs "$DARKNET" classifier train a.data a.cfg -epochs
