"""The second study of scripts/reproduce: training for few flips from scratch against fine-tuning, on the light network.

Every network gets EPOCHS epochs. `fine-tuned` spends the last FINE_TUNING_EPOCHS of them on words, taught by what it was before; the
others train for few flips from their first epoch on, at a strength that is reached half way. results/study_scratch.csv keeps a row a
network; points and ratios are against `none` of the same seed. Parts that are not there are taken over from the file.
"""
import os
import shutil
import tempfile

import reproduction_report as report
import study
import training_runs as runs

EPOCHS, FINE_TUNING_EPOCHS, SEEDS = 10, 2, (1, 2, 3)
HALF_WAY = {"ramp_epochs": str(EPOCHS // 2)}
MU = 3

BFLOAT16 = "none-bfloat16"

# name: [hdloss] keys of all epochs; None: no such section.
FROM_SCRATCH = {
    "none": None,
    BFLOAT16: None,
    "expected-4": study.loss("expected", 4, **HALF_WAY),
    "words": study.words(MU, **HALF_WAY),
}
FINE_TUNED = "fine-tuned"


class Study:
    """Its runs. cfg, data: paths; fine_tuning: [net] keys of the last epochs of `fine-tuned`."""

    def __init__(self, places, data, cfg, fine_tuning):
        self.places, self.data, self.cfg, self.fine_tuning = places, data, cfg, fine_tuning
        self.name = os.path.basename(cfg)[:-len(".cfg")]

    def directory(self, way, seed):
        return os.path.join(self.places.work, "study_scratch", "%s-seed%d" % (way, seed))

    def run(self, way, seed):
        # Without the weights' moving average, which words could not follow.
        text = runs.edited_cfg(runs.read_text(self.cfg), "net", {"ema": "0"})
        epochs, start, extra = EPOCHS, None, []
        if way == "first":
            epochs = EPOCHS - FINE_TUNING_EPOCHS
        elif way == FINE_TUNED:
            epochs, start = FINE_TUNING_EPOCHS, self.run("first", seed).path(".weights")
            extra = ["-teacher", start, "-distill", ".5"]
            text = runs.edited_cfg(runs.edited_cfg(text, "net", self.fine_tuning), "hdloss", study.words(MU))
        elif way == BFLOAT16:
            text = runs.edited_cfg(text, "net", {"bfloat16": "1"})
        elif FROM_SCRATCH[way]:
            text = runs.edited_cfg(text, "hdloss", FROM_SCRATCH[way])
        return runs.Run(self.directory(way, seed), self.name, self.data, text, epochs, seed, start, extra=extra)

    def train(self, output):
        """Whatever is not there yet, seed by seed."""
        for seed in SEEDS:
            for way in list(FROM_SCRATCH) + ["first", FINE_TUNED]:
                run = self.run(way, seed)
                print("%s (%s)" % (run.directory, "complete" if run.complete() else "training"), flush=True)
                run.train(output)
                if way not in ("first", BFLOAT16):
                    study.round_afterwards(run, self.cfg, self.data, output)

    def weights(self, way, after, seed):
        return os.path.join(self.directory(way, seed), ("rounded" if after == "yes" else self.name) + ".weights")

    def is_complete(self, way, after, seed):
        if way == FINE_TUNED and not os.path.exists(self.weights("first", "no", seed)):
            return False
        return study.is_complete(self.run(way, seed), after == "yes")

    def base(self, seed, scratch):
        weights = self.weights("none", "no", seed)
        return (report.report_of(["classifier", "valid", self.data, self.cfg, weights, "-int8"], scratch)["top1"],
                report.energy_on(report.MAIN_ARRAY, self.cfg, weights, self.data, True, scratch))

    def measure(self):
        kept = {(r["way"], r["rounded_after"], r["seed"]): r for r in runs.log_rows(self.path())}
        scratch, rows = tempfile.mkdtemp(), []
        try:
            bases = {seed: self.base(seed, scratch) for seed in SEEDS if self.is_complete("none", "no", seed)}
            for way in list(FROM_SCRATCH) + [FINE_TUNED]:
                for after in ("no", "yes"):
                    for seed in SEEDS:
                        weights = self.weights(way, after, seed)
                        if seed in bases and self.is_complete(way, after, seed):
                            print("measuring %s" % weights, flush=True)
                            rows.append(study.measured(way, after, seed, weights, self.data, self.cfg, bases[seed], scratch))
                        elif (way, after, str(seed)) in kept:
                            rows.append(kept[way, after, str(seed)])
        finally:
            shutil.rmtree(scratch)
        return rows

    def path(self):
        return os.path.join(self.places.results, "study_scratch.csv")

    def write(self):
        rows = self.measure()
        if rows:
            report.write_csv(self.path(), study.COLUMNS, rows)
