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
PLAIN = {"labelled": None, "threshold": 0.0, "augmentation": None}
VARIANTS = {
    # name: recipe, the row whose classifier guides it, options of the method
    "AlignFlow, MLE": ("alignflow", None, {"adversarial_weight": 0.0}),
    "AlignFlow, hybrid": ("alignflow", None, {}),
    "AlignFlow, ADV": ("alignflow", None, {"likelihood_weight_a": 0.0, "likelihood_weight_b": 0.0}),
    "CycleGAN": ("cyclegan", None, {}),
    "UNIT": ("unit", None, {}),
    "AlignFlow, MLE, semantics": ("alignflow", "self-trained", {"adversarial_weight": 0.0}),
    "AlignFlow, hybrid, semantics": ("alignflow", "self-trained", {}),
    "AlignFlow, ADV, semantics": (
        "alignflow", "self-trained", {"likelihood_weight_a": 0.0, "likelihood_weight_b": 0.0}
    ),
    "CycleGAN, semantics": ("cyclegan", "self-trained", {}),
    "UNIT, semantics": ("unit", "self-trained", {}),
    "AlignFlow, hybrid, weak semantics": ("alignflow", "source only", {}),
    "CyCADA": ("cyclegan", "source only", {"semantic": {"init_args": PLAIN}}),
}  # fmt: skip
FEATURES = {"CyCADA": ("--model.critic_accuracy", "0.6")}


def recipe_of(name, data, folder):
    """The path of a variant's recipe, which is written there."""
    base, _, options = VARIANTS[name]
    options = {**options, "schedule": {"init_args": {"constant": BATCHES // 2, "decay": BATCHES // 2}}}
    average = {"class_path": "GeneratorEMA", "init_args": {"decay": 0.99}}
    trainer = {"max_epochs": 1, "limit_train_batches": BATCHES, "limit_val_batches": 20, "callbacks": average}
    recipe = {"base": f"{base}_{data}", "trainer": trainer, "data": {"init_args": {"batch_size": 32}}}
    recipe["model"] = {"init_args": {**options, "schedule_interval": "step"}}
    path = folder / "recipes" / f"{''.join(filter(str.isalpha, name)).lower()}_{data}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {name}\n{yaml.safe_dump(recipe)}")
    return str(path)


def classifiers(trainings):
    """Train the rows without a method and the bound; what they measure, and where they are."""
    trainings.row("source only")
    trainings.row("+ augmentation")
    trainings.row("self-trained", *trainings.start("+ augmentation"))
    trainings.row("target only")
    table = trainings.table
    found = {row: values[0] for (_, row), values in table.accuracy.items()}
    found |= {JUDGES[tag]: values[0] for (_, tag), values in table.metrics.items()}
    return found | {"checkpoints": {row: str(path.resolve()) for row, path in trainings.checkpoints.items()}}


def variant(name, trainings, recipe):
    """Train a variant and the classifiers of its translations; what they measure."""
    guide = VARIANTS[name][1]
    guided = ("--model.semantic_classifier", str(trainings.checkpoints[guide])) if guide else ()
    checkpoint = trainings.checkpoints[recipe] = trainings.train(name, recipe, *guided, *trainings.labels)
    trainings.test(recipe)
    translated = ("--model.translator", str(checkpoint))
    trainings.row("adapted", *translated)
    if name in FEATURES:
        trainings.row("adapted + feature stage", *translated, *trainings.start("adapted"), *FEATURES[name])
    table = trainings.table
    found = {row: values[0] for (_, row), values in table.accuracy.items()}
    return found | {JUDGES[tag]: values[0] for (_, tag), values in table.metrics.items() if tag in JUDGES}


class Results:
    """What was measured, in a file that several processes share: by direction, variant and seed."""

    def __init__(self, folder):
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
            trainings = Trainings(AdaptationTable((seed,)), rows, seed, 2 + (name in FEATURES))
            trainings.checkpoints |= trained
            results.add(data, name, seed, variant(name, trainings, recipe_of(name, data, options.folder)))
    print(printed(results.read()[data]))


if __name__ == "__main__":
    main()
