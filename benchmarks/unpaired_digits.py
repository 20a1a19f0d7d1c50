"""Unpaired methods on MNIST and USPS, beside each other: do translations keep their labels, and do cycles cheat?

Trains each method for the same number of images, by the zoo's recipes from MNIST to USPS, and prints for each seed, on
the test splits (a MNIST, b USPS):

- judged: accuracy of a classifier of the target domain on translated images;
- adapted: accuracy on the target domain of a classifier trained on translated images;
- the cycle's mean absolute error, RH and SN (docs/methods.md), where a method goes both ways;
- seconds of the whole training per 1,000 images of each domain; one-sided methods train each direction by itself.

    python benchmarks/unpaired_digits.py --rows CycleGAN Distance --seeds 0 --output results.jsonl
    python benchmarks/unpaired_digits.py --table results.jsonl

Lines are appended to the output, so several of these may share the work.
"""

import argparse
import collections
import json
import statistics
import time
from pathlib import Path

from crossdomain import hub
from crossdomain.lightning_cli import run

DEFENCE = {"noise": ["--model.cycle_noise", "0.1"], "guess": ["--model.guess_weight", "2"]}
CYCLES = ["--model.cycle_weight_a", "10", "--model.cycle_weight_b", "10"]
ROWS = {
    "CycleGAN": ("cyclegan", []),
    "CycleGAN+noise": ("cyclegan", DEFENCE["noise"]),
    "CycleGAN+guess": ("cyclegan", DEFENCE["guess"]),
    "CycleGAN+both": ("cyclegan", DEFENCE["noise"] + DEFENCE["guess"]),
    "Distance": ("distancegan", []),
    "Self-distance": ("distancegan", ["--model.distance", "halves"]),
    "Distance+Cycle": ("distancegan", ["--model.direction", "both", *CYCLES]),
    "DiscoGAN": ("discogan", []),
    "AlignFlow": ("alignflow", []),
}
QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]


def recipe(name):
    return str(hub.find_recipe(f"{name}_mnist_usps"))


def train(config, seed, epochs, options):
    """Checkpoint and seconds per 1,000 images of a training without validation."""
    half = epochs // 2
    budget = ["--trainer.max_epochs", str(epochs), "--trainer.limit_val_batches", "0"]
    if "classifier" not in config:
        budget += ["--model.schedule.constant", str(half), "--model.schedule.decay", str(epochs - half)]
    start = time.perf_counter()
    done = run(["fit", "--config", config, "--seed_everything", str(seed), *budget, *options, *QUIET])
    seconds = time.perf_counter() - start
    return str(done.trainer.checkpoint_callback.path), 1000 * seconds / done.model.images_seen


def test(config, checkpoint, options):
    done = run(["test", "--config", config, "--ckpt_path", checkpoint, "--trainer.logger", "false", *options, *QUIET])
    return {name.removeprefix("test/"): float(value) for name, value in done.trainer.callback_metrics.items()}


def judges(seed, epochs):
    """Classifiers of both domains, trained once and kept under ``runs/judges``."""
    paths = {}
    for domain in "ab":
        folder = Path("runs/judges") / domain
        if not (folder / "last.ckpt").exists():
            options = ["--model.train_on", domain, "--trainer.default_root_dir", str(folder)]
            path, _ = train(recipe("classifier_target"), seed, epochs, options)
            folder.mkdir(parents=True, exist_ok=True)
            Path(path).replace(folder / "last.ckpt")
        paths[domain] = str(folder / "last.ckpt")
    return paths


def measure(row, seed, epochs, judged_by):
    method, options = ROWS[row]
    config = recipe(method)
    one_sided = method == "distancegan" and "both" not in options
    runs = {d: [*options, "--model.direction", d] for d in ("a2b", "b2a")} if one_sided else {"both": options}
    result = {"row": row, "seed": seed, "epochs": epochs, "seconds": 0.0}
    judge = ["--trainer.callbacks", "Evaluation", "--trainer.callbacks.judge_a", judged_by["a"]]
    judge += ["--trainer.callbacks.judge_b", judged_by["b"]]
    for direction, chosen in runs.items():
        checkpoint, seconds = train(config, seed, epochs, chosen)
        result["seconds"] += seconds
        result |= test(config, checkpoint, judge)
        for d in ("a2b", "b2a") if direction == "both" else (direction,):
            translator = ["--model.translator", checkpoint, "--model.train_on", d]
            adapted = recipe("classifier_adapted")
            classifier, _ = train(adapted, seed, max(epochs // 2, 1), translator)
            result[f"adapted_{d}"] = test(adapted, classifier, [])[f"accuracy_{d[-1]}"]
    return result


def table(path):
    """One line for each row of the results, means over seeds."""
    found = collections.defaultdict(list)
    for line in Path(path).read_text().splitlines():
        result = json.loads(line)
        found[result["row"]].append(result)
    columns = [f"{name}_{d}" for name in ("accuracy", "adapted") for d in ("a2b", "b2a")]
    columns += [f"{name}_{d}" for name in ("cycle_mean", "rh", "sn") for d in "ab"]
    print("| | seeds | " + " | ".join(columns) + " | seconds per 1,000 |")
    print("|" + "---|" * (len(columns) + 3))
    for row, results in found.items():
        cells = [row, str(len(results))]
        for column in [*columns, "seconds"]:
            values = [r[column] for r in results if column in r]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 and column.startswith("a") else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}" if values else "")
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=4, help="of a method; classifiers take half of them")
    parser.add_argument("--output", default="unpaired_digits.jsonl")
    parser.add_argument("--table", metavar="FILE", help="print the table of these results and stop")
    options = parser.parse_args()
    if options.table:
        return table(options.table)
    judged_by = judges(0, options.epochs)
    for row in options.rows:
        for seed in options.seeds:
            result = measure(row, seed, options.epochs, judged_by)
            with open(options.output, "a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
