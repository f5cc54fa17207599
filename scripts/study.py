"""The study of scripts/reproduce: ways of training for few flips, compared on the light network with one budget and three seeds.

Every run fine-tunes the light baseline for as many epochs at the same rates, taught by it; only [hdloss] differs. Ways that merely
prolong another one's curve, and side glances, have the first seed alone. Where the words are not rounded in training,
the outcome is also rounded afterwards (`darknet hd round`), to see whether the two add up. Weights stay in the work directory;
results/study.csv keeps a row a network and is made anew from them. Rows whose weights are not there are taken over from the file, so
that a study may be made in parts.
"""
import os
import shutil
import tempfile

import reproduction_report as report
import training_runs as runs

EPOCHS, SEEDS, NETWORK = 2, (1, 2, 3), "light"
ROUNDING = ["-drop", ".5"]
ORDERS = {"reorder_every": "1"}
WORDS = {"lambda": "0", "trellis_every": "8", "reorder_every": "1", "ramp_epochs": "1", "importance": "gradient"}


def loss(surrogate, weight, **more):
    return dict(ORDERS, **dict({"surrogate": surrogate, "lambda": "%g" % weight, "ramp_epochs": "1"}, **more))


def words(mu, **more):
    """Words in the forward pass; the results' steps take these keys from here."""
    return dict(WORDS, **dict({"train_mu": "%g" % mu}, **more))


SIGN_MAGNITUDE = "is16x16-sm"

# name: [hdloss] keys; None: no such section.
WAYS = {
    "none": None,
    "expected-4": loss("expected", 4),
    "linear-4": loss("linear", 4),
    "words-10": words(10),
    "words-10-sums-4": words(10, sum_cost="4"),
    "words-3": words(3),
    "words-3-signal": words(3, importance="signal"),
    "words-3-order-once": words(3, reorder_every=str(EPOCHS)),
    "expected-16": loss("expected", 16),
    "expected-64": loss("expected", 64),
    "words-30": words(30),
    "words-1": words(1),
    "words-10-sums-16": words(10, sum_cost="16"),
    "words-10-pull": words(10, pull=".03"),
    "words-10-sign-magnitude": words(10, accelerator=SIGN_MAGNITUDE),
}
ONE_SEED = {"expected-16", "expected-64", "words-30", "words-1", "words-10-sums-16", "words-10-pull",
            "words-10-sign-magnitude"}
COLUMNS = ["way", "rounded_after", "seed", "int8_top1", "points", "flips_ratio", "energy_ratio", "traced_energy_ratio",
           "energy_table"]


def seeds_of(way):
    return SEEDS[:1] if way in ONE_SEED else SEEDS


def is_rounded_in_training(way):
    return "train_mu" in (WAYS[way] or {})


def directory_of(places, way, seed):
    return os.path.join(places.work, "study", "%s-seed%d" % (way, seed))


def run_of(places, way, seed, data, cfg, fine_tuning, baseline):
    text = runs.edited_cfg(runs.read_text(cfg), "net", fine_tuning)
    if WAYS[way]:
        text = runs.edited_cfg(text, "hdloss", WAYS[way])
    return runs.Run(directory_of(places, way, seed), os.path.basename(cfg)[:-len(".cfg")], data, text, EPOCHS, seed, baseline,
                    extra=["-teacher", baseline, "-distill", ".5"])


def round_afterwards(run, cfg, data, output):
    """Rounds what was trained without words, unless that was done before."""
    rounded = os.path.join(run.directory, "rounded.weights")
    if not run.trains_words() and not os.path.exists(rounded + ".done"):
        runs.run_darknet(["hd", "round", cfg, run.path(".weights"), rounded, "-data", data] + ROUNDING, output)
        runs.write_whole(rounded + ".done", "")


def train(places, data, cfg, fine_tuning, baseline, ways, output):
    """Whatever is not there yet of these ways, seed by seed, so that a study that is stopped has whole seeds."""
    for seed in SEEDS:
        for way in [w for w in ways if seed in seeds_of(w)]:
            run = run_of(places, way, seed, data, cfg, fine_tuning, baseline)
            print("%s (%s)" % (run.directory, "complete" if run.complete() else "training"), flush=True)
            run.train(output)
            round_afterwards(run, cfg, data, output)


def measured(way, after, seed, weights, data, cfg, base, scratch):
    top1 = report.report_of(["classifier", "valid", data, cfg, weights, "-int8"], scratch)["top1"]
    array = (WAYS.get(way) or {}).get("accelerator")
    now = (report.report_of(["hd", "energy", cfg, weights, "-accelerator", array, "-trace", "-data", data], scratch) if array
           else report.energy_on(report.MAIN_ARRAY, cfg, weights, data, False, scratch))
    row = report.row_of(way, {"network": NETWORK, "method": way}, cfg, report.MAIN_ARRAY, top1, base[1], now)
    return dict(row, way=way, rounded_after=after, seed=seed, points="%+.2f" % (100 * (top1 - base[0])))


def is_complete(run, rounded):
    """Whether the run's own outcome, or what was rounded from it, is there as a whole."""
    if rounded:
        return os.path.exists(os.path.join(run.directory, "rounded.weights.done"))
    return run.check_settings() and run.complete()


def measure(places, data, cfg, fine_tuning, baseline, ways):
    """One row a network of these ways that is there, the others' from the file."""
    path = os.path.join(places.results, "study.csv")
    kept = {(r["way"], r["rounded_after"], r["seed"]): r for r in (runs.log_rows(path) if os.path.exists(path) else [])}
    scratch = tempfile.mkdtemp()
    try:
        base = (report.report_of(["classifier", "valid", data, cfg, baseline, "-int8"], scratch)["top1"],
                report.energy_on(report.MAIN_ARRAY, cfg, baseline, data, True, scratch))
        rows = []
        for way in WAYS:
            for after in ("no",) if is_rounded_in_training(way) else ("no", "yes"):
                for seed in seeds_of(way):
                    name = "rounded" if after == "yes" else os.path.basename(cfg)[:-len(".cfg")]
                    weights = os.path.join(directory_of(places, way, seed), name + ".weights")
                    key = (way, after, str(seed))
                    run = run_of(places, way, seed, data, cfg, fine_tuning, baseline)
                    if way in ways and is_complete(run, after == "yes"):
                        print("measuring %s" % weights, flush=True)
                        rows.append(measured(way, after, seed, weights, data, cfg, base, scratch))
                    elif key in kept:
                        rows.append(kept[key])
    finally:
        shutil.rmtree(scratch)
    return rows


def write(places, data, cfg, fine_tuning, baseline, ways):
    rows = measure(places, data, cfg, fine_tuning, baseline, ways)
    if rows:
        report.write_csv(os.path.join(places.results, "study.csv"), COLUMNS, rows)
