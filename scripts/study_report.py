"""What the studies of scripts/reproduce found: the page's parts and the figure, from results/study.csv and study_scratch.csv."""
import os
import statistics

import reproduction_report as report
import study
import study_scratch
import training_runs as runs

TABLE = ["| way | rounded after | seeds | points | fewer flips | less energy, traced |", "| --- | --- | --- | --- | --- | --- |"]

# Curves of the figure: name, colour, marker, [(way, rounded after)].
CURVES = [
    ("rounded in training, by gradients", "#D55E00", "s",
     [("none", "no"), ("words-30", "no"), ("words-10", "no"), ("words-3", "no"), ("words-1", "no")]),
    ("the same, changed sums charged for", "#CC79A7", "^", [("words-10-sums-4", "no"), ("words-10-sums-16", "no")]),
    ("loss: expected flips", "#009E73", "v", [("none", "no"), ("expected-4", "no"), ("expected-16", "no"), ("expected-64", "no")]),
    ("loss: expected flips, rounded afterwards", "#0072B2", "o",
     [("none", "yes"), ("expected-4", "yes"), ("expected-16", "yes"), ("expected-64", "yes")]),
    ("loss: linear", "#999999", "D", [("none", "no"), ("linear-4", "no")]),
]


def rows_in(places, name):
    path = os.path.join(places.results, name)
    return runs.log_rows(path) if os.path.exists(path) else []


def rows_of(rows, way, after):
    return [r for r in rows if r["way"] == way and r["rounded_after"] == after]


def spread(rows, column):
    values = [float(r[column]) for r in rows]
    return statistics.mean(values), (max(values) - min(values)) / 2


def cell(rows, column, form, unit=""):
    mean, half = spread(rows, column)
    return form % mean + unit + (" ± %.2f" % half if len(rows) > 1 else "")


def table(rows, ways):
    lines = list(TABLE)
    for way in ways:
        for after in ("no", "yes"):
            own = rows_of(rows, way, after)
            if own:
                lines.append("| `%s` | %s | %d | %s | %s | %s |" % (
                    way, after, len(own), cell(own, "points", "%+.2f"), cell(own, "flips_ratio", "%.2f", "x"),
                    cell(own, "traced_energy_ratio", "%.2f", "x")))
    return lines + [""]


def draw_ways(rows, path):
    figure, axes = report.new_figure("Ways of training the light network: energy against accuracy", report.note_of(rows))
    for name, colour, marker, ways in CURVES:
        points = [(spread(own, "traced_energy_ratio")[0], spread(own, "points")[0])
                  for own in (rows_of(rows, *way) for way in ways) if own]
        if points:
            axes.plot([p[0] for p in points], [p[1] for p in points], "-" + marker, color=colour, label=name, markersize=6)
    axes.set_xlabel("Times less datapath energy, traced  (more is better: →)")
    axes.set_ylabel("Points of top-1 against the baseline, int8")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    report.save(figure, path)


def ways_section(places):
    rows = rows_in(places, "study.csv")
    if not rows:
        return []
    draw_ways(rows, os.path.join(places.results, "figures", "ways.png"))
    return ["## Ways of training, compared", "",
            "The light network, fine-tuned for %d epochs at the same rates and taught by its baseline; means and half the range over the"
            % study.EPOCHS,
            "seeds. `words-M`: trellis-rounded words in the forward pass, `train_mu=M`, errors weighed by gradients unless `signal`;",
            "`sums-C`: `sum_cost=C`; `pull`: float weights are drawn to their words, `pull=.03`; `expected-L`, `linear-L`: the surrogate's",
            "loss, lambda L. Orders are solved anew every epoch, but with `order-once`. `sign-magnitude`: words and array of %s, against"
            % study.SIGN_MAGNITUDE,
            "two's complement in natural order. *Rounded after*: `darknet hd round %s` of the outcome. `scripts/reproduce study`"
            % " ".join(study.ROUNDING),
            "makes it, [study.csv](../results/study.csv) has every run.", ""] + table(rows, study.WAYS) + [
            "![ways](../results/figures/ways.png)", ""]


def scratch_section(places):
    rows = rows_in(places, "study_scratch.csv")
    if not rows:
        return []
    return ["## From scratch, or fine-tuned", "",
            "The light network, %d epochs in all (`ema=0`). `fine-tuned`: %d epochs without, then %d with words as above (`train_mu=%g`), taught by"
            % (study_scratch.EPOCHS, study_scratch.EPOCHS - study_scratch.FINE_TUNING_EPOCHS, study_scratch.FINE_TUNING_EPOCHS,
               study_scratch.MU),
            "what it was before. `words`: the same `train_mu` from the first epoch on, and `expected-4` the loss at lambda 4, both reached",
            "half way; `none-bfloat16`: `bfloat16=1`. Points and ratios are against `none` of the same seed. `scripts/reproduce study-scratch` makes it,",
            "[study_scratch.csv](../results/study_scratch.csv) has every run.", ""] + table(
                rows, list(study_scratch.FROM_SCRATCH) + [study_scratch.FINE_TUNED])


def section(places):
    return ways_section(places) + scratch_section(places)
