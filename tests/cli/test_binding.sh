# Threads that OMP_PROC_BIND binds to processors are bound to different ones.
. "$ROOT/tests/cli/lib.sh"
tiny_setup
[ "$(nproc)" -gt 1 ] || skip "there is one processor"
env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_PROC_BIND=true "$DARKNET" speed tiny.cfg -threads 2 -seconds 60 >stdout 2>stderr &
program=$!
places() { cat /proc/$program/task/*/status 2>/dev/null | sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' | sort -u; }
for try in $(seq 100); do
    [ "$(places | wc -l)" -gt 1 ] && break
    sleep .1
done
bound=$(places | tr '\n' ' ')
kill $program 2>/dev/null || fail "the program ended early"
wait $program 2>/dev/null || true
[ "$(echo $bound | wc -w)" -gt 1 ] || fail "all threads are bound to processors $bound"
