"""What keeps a digit's meaning between MNIST and USPS: methods, their losses and the classifier that guides them, one
change at a time, at one budget that is below the recipes'.

    python benchmarks/adaptation_variants.py runs/variants --source mnist --target usps --seeds 0 1 2

Every variant is trained on 1,000 batches of 32, then a classifier on its translations (the row "adapted" of
``crossdomain adapt``), of CyCADA also the feature stage; no label of the target is handed out. Judges are the table's.
Results are written to ``FOLDER/results.json`` as they come: what is there is not trained again, so that a call goes on
where another one ended, and several may run at once on seeds or directions of their own. Then the table is printed.
"""

import argparse
import fcntl
import json
from pathlib import Path
from statistics import mean, stdev

import yaml

from crossdomain.commands.adapt import AdaptationTable, Trainings, recipes_beside
from crossdomain.hub import find_recipe

BATCHES = 1000
JUDGES = {"accuracy_a2b": "judged a2b", "accuracy_b2a": "judged b2a"}
COPY = "copy of the input"
MLE = {"adversarial_weight": 0.0}
ADV = {"likelihood_weight_a": 0.0, "likelihood_weight_b": 0.0}
VARIANTS = {
    # name: recipe, the row whose classifier guides it, options of the method
    "AlignFlow, MLE": ("alignflow", None, MLE),
    "AlignFlow, hybrid": ("alignflow", None, {}),
    "AlignFlow, ADV": ("alignflow", None, ADV),
    "CycleGAN": ("cyclegan", None, {}),
    "UNIT": ("unit", None, {}),
    "AlignFlow, MLE, semantics": ("alignflow", "self-trained", MLE),
    "AlignFlow, hybrid, semantics": ("alignflow", "self-trained", {}),
    "AlignFlow, ADV, semantics": ("alignflow", "self-trained", ADV),
    "CycleGAN, semantics": ("cyclegan", "self-trained", {}),
    "UNIT, semantics": ("unit", "self-trained", {}),
    "AlignFlow, hybrid, weak semantics": ("alignflow", "source only", {}),
    "CyCADA": ("cycada", "source only", {}),
}
FEATURE_STAGE = {"CyCADA"}


def recipe_of(name, data, folder):
    """The path of a variant's recipe, which is written there."""
    base, _, options = VARIANTS[name]
    options = {**options, "schedule": {"init_args": {"constant": BATCHES // 2, "decay": BATCHES // 2}}}
    average = {"class_path": "GeneratorEMA", "init_args": {"decay": 0.99}}
    trainer = {"max_epochs": 1, "limit_train_batches": BATCHES, "limit_val_batches": 20, "callbacks": average}
    recipe = {"base": f"{base}_{data}", "trainer": trainer, "data": {"init_args": {"batch_size": 32}}}
    recipe["model"] = {"init_args": {**options, "schedule_interval": "step"}}
    return written(recipe, folder / f"{''.join(filter(str.isalpha, name)).lower()}_{data}.yaml")


def written(recipe, path):
    """The path of a recipe, once it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe))
    return str(path)


def classifiers(trainings):
    """Train the rows without a method and the bound; what they measure, and where they are."""
    trainings.before()
    trainings.row("target only")
    return measured(trainings.table) | {
        "checkpoints": {row: str(path.resolve()) for row, path in trainings.checkpoints.items()}
    }


def measured(table):
    """What the table of one seed holds, by row and judge."""
    found = {row: values[0] for (_, row), values in table.accuracy.items()}
    return found | {JUDGES[tag]: values[0] for (_, tag), values in table.metrics.items() if tag in JUDGES}


class Results:
    """What was measured, in a file that several processes share: by direction, variant and seed."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.json"

    def read(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def add(self, data, name, seed, found):
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            results = self.read()
            results.setdefault(data, {}).setdefault(name, {})[str(seed)] = found
            self.path.write_text(json.dumps(results, indent=1))


def numbers(seeds, key):
    """Each seed's, their mean and standard deviation."""
    values = [found[key] for _, found in sorted(seeds.items()) if key in found]
    each = ", ".join(f"{value:.3f}" for value in values)
    return f"{each} (mean {mean(values):.3f}, sd {stdev(values):.3f})" if len(values) > 1 else each


def printed(results):
    """The table of one direction."""
    rows = ["source only", "+ augmentation", "self-trained", "target only"]
    lines = ["| | adapted | judged a2b | judged b2a |", "|---|---|---|---|"]
    known = results.get(COPY, {})
    lines += [f"| {row}, no translation | {numbers(known, row)} | | |" for row in rows if known]
    lines += [f"| {COPY} | | {numbers(known, 'judged a2b')} | {numbers(known, 'judged b2a')} |"] if known else []
    for name in (name for name in VARIANTS if name in results):
        cells = [numbers(results[name], key) for key in ("adapted", "judged a2b", "judged b2a")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        if stage := numbers(results[name], "adapted + feature stage"):
            lines.append(f"| {name} + feature stage | {stage} | | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where recipes and results are kept; logs are in runs/")
    parser.add_argument("--source", default="mnist")
    parser.add_argument("--target", default="usps")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    options = parser.parse_args()
    data, results = f"{options.source}_{options.target}", Results(options.folder)
    rows = recipes_beside(str(find_recipe(f"alignflow_{data}")))
    for seed in options.seeds:
        done = results.read().get(data, {})
        known = done.get(COPY, {}).get(str(seed))
        if known is None or not all(Path(path).is_file() for path in known["checkpoints"].values()):
            results.add(data, COPY, seed, classifiers(Trainings(AdaptationTable((seed,)), rows, seed, 4)))
        trained = {row: Path(p) for row, p in results.read()[data][COPY][str(seed)]["checkpoints"].items()}
        for name in options.variants:
            if str(seed) in done.get(name, {}):
                continue
            own = {row: recipe for row, recipe in rows.items() if row == "adapted"}
            if name in FEATURE_STAGE:
                gated = {"base": f"adda_{data}", "model": {"init_args": {"critic_accuracy": 0.6}}}
                own["adapted + feature stage"] = written(gated, options.folder / "recipes" / f"gated_{data}.yaml")
            trainings = Trainings(AdaptationTable((seed,)), own, seed, 1 + len(own))
            trainings.checkpoints |= trained
            recipe = recipe_of(name, data, options.folder / "recipes")
            trainings.method(recipe, VARIANTS[name][1])
            trainings.test(recipe)
            results.add(data, name, seed, measured(trainings.table))
    print(printed(results.read()[data]))


if __name__ == "__main__":
    main()
