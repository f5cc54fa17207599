# The calibration's own arithmetic (scripts/calibrate), without gates; the scaled tables and the page are those of the committed table.
. "$ROOT/tests/cli/lib.sh"
good python "$ROOT/tests/rtl/test_calibration.py"
good python "$ROOT/scripts/calibrate/scale.py" -check
good python "$ROOT/scripts/calibrate/page.py" "$ROOT/cfg/accelerators/tables/osu018.json" page.md
cmp page.md "$ROOT/docs/energy-table.md" || fail "docs/energy-table.md is not of the committed table: run scripts/calibrate/page.py"
