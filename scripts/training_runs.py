"""Training runs for scripts/sweep and scripts/reproduce: each in a directory of its own, with its settings beside it, gone on
with after a kill at any point, and never mixed with a run of other settings.

A run's directory holds settings.json (written before training begins), the cfg that was trained, and what `darknet classifier
train` writes. A run is complete when <name>.weights and the last epoch's row of <name>.csv are there, and where words were trained
<name>.stream, which is written last.
"""
import csv
import hashlib
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DARKNET = os.environ.get("DARKNET", os.path.join(ROOT, "build", "darknet"))


class RunError(Exception):
    """One sentence for the user."""


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError("%s: cannot be read: %s" % (path, getattr(error, "strerror", None) or "no text"))


def file_md5(path):
    try:
        with open(path, "rb") as file:
            return hashlib.md5(file.read()).hexdigest()
    except OSError as error:
        raise RunError("%s: cannot be read: %s" % (path, error.strerror))


def write_whole(path, text):
    """The file appears under its name only when it is whole."""
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".partial", path)


def edited_cfg(text, section, keys):
    """The cfg with `keys` set in [section]; a section that is not there is put before the first loss layer."""
    lines, out, inside, found = text.splitlines(), [], False, False
    for line in lines:
        bare = "".join(line.split())
        if bare.startswith("["):
            inside = not found and bare in ("[%s]" % section, "[network]" if section == "net" else "")
            out.append(line)
            if inside:
                found = True
                out += ["%s=%s" % pair for pair in keys.items()]
        elif not (inside and bare.split("=")[0] in keys):
            out.append(line)
    if not found:
        places = [i for i, line in enumerate(out) if "".join(line.split()) in ("[softmax]", "[cost]")]
        if not places:
            raise RunError("the cfg has no loss layer ([softmax] or [cost])")
        out[places[0]:places[0]] = ["[%s]" % section] + ["%s=%s" % pair for pair in keys.items()] + [""]
    return "\n".join(out) + "\n"


def run_darknet(arguments, output=None):
    """Runs the program; a failure becomes a RunError with its last line."""
    if not os.access(DARKNET, os.X_OK):
        raise RunError("there is no program %s: run make first" % DARKNET)
    done = subprocess.run([DARKNET] + arguments, stdout=output or subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        lines = (done.stderr or "").strip().splitlines() or ["exit status %d" % done.returncode]
        raise RunError("darknet %s: %s" % (" ".join(arguments[:3]), lines[-1]))
    return done.stdout


def log_rows(path):
    """The rows of a training log; [] when there is none."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def log_head(path, name):
    """A "# name: value" of a training log's head."""
    for line in read_text(path).splitlines():
        if line.startswith("# %s:" % name):
            return line.split(":", 1)[1].strip()
    return ""


class Run:
    """One training run. data, weights: paths (weights None: from scratch); cfg_text as it is to be trained."""

    def __init__(self, directory, name, data, cfg_text, epochs, seed, weights=None, accelerator=None, extra=()):
        self.directory, self.name, self.data, self.cfg_text = directory, name, data, cfg_text
        self.epochs, self.seed, self.weights_in, self.accelerator = epochs, seed, weights, accelerator
        self.extra = list(extra)
        self.settings = {"name": name, "cfg_md5": hashlib.md5(cfg_text.encode()).hexdigest(),
                         "data_md5": hashlib.md5(read_text(data).encode()).hexdigest(), "epochs": epochs, "seed": seed,
                         "weights_md5": file_md5(weights) if weights else None, "accelerator": accelerator, "options": self.extra}

    def path(self, tail):
        return os.path.join(self.directory, self.name + tail)

    def last_row(self):
        rows = log_rows(self.path(".csv"))
        return rows[-1] if rows else None

    def trains_words(self):
        values = [line.split("=")[1] for line in self.cfg_text.replace(" ", "").splitlines() if line.startswith("train_mu=")]
        return any(float(value) > 0 for value in values)

    def complete(self):
        files = [".weights"] + ([".stream"] if self.trains_words() else [])
        return all(os.path.exists(self.path(tail)) for tail in files) and self.last_row() is not None

    def check_settings(self):
        """Whether the directory is this run's already; another run's is refused."""
        path = os.path.join(self.directory, "settings.json")
        if not os.path.exists(path):
            return False
        there = json.loads(read_text(path))
        differing = [key for key in self.settings if there.get(key) != self.settings[key]]
        if differing:
            raise RunError("%s: is of a run with other settings (%s differ): choose another directory or remove it"
                           % (path, ", ".join(differing)))
        return True

    def arguments(self):
        """Of `darknet`, from the beginning or from the last checkpoint."""
        start = []
        if os.path.exists(self.path(".backup")):
            start = [self.path(".backup")]
        elif self.weights_in:
            start = [self.weights_in, "-clear"]
        accelerator = ["-accelerator", self.accelerator] if self.accelerator else []
        return (["classifier", "train", self.data, self.path(".cfg")] + start + self.extra + accelerator
                + ["-seed", str(self.seed), "-epochs", str(self.epochs), "-backup", self.directory,
                   "-log", self.path(".csv")])

    def train(self, output):
        """Trains to the end, from where an earlier try stopped; nothing to do when it is complete."""
        if self.check_settings() and self.complete():
            return
        os.makedirs(self.directory, exist_ok=True)
        cfg = self.path(".cfg")
        write_whole(cfg, self.cfg_text)
        write_whole(os.path.join(self.directory, "settings.json"), json.dumps(self.settings, indent=1) + "\n")
        run_darknet(self.arguments(), output)
        if not self.complete():
            raise RunError("%s: training ended without its last files" % self.directory)
