"""Unpaired methods on MNIST and USPS, beside each other: do translations keep their labels, and do cycles cheat?

Trains each method for the same number of images, by the zoo's recipes from MNIST to USPS, and prints for each seed, on
the test splits (a MNIST, b USPS):

- judged: accuracy of a classifier of the target domain on translated images;
- adapted: accuracy on the target domain of a classifier trained on translated images;
- the cycle's mean absolute error, RH and SN (docs/cycles.md), where a method goes both ways;
- seconds of training per 1,000 images of each domain: bare rounds of all methods, timed turn about in one process,
  since trainings at different times cannot be compared. One-sided methods train each direction by itself.

    python benchmarks/unpaired_digits.py --rows CycleGAN Distance --seeds 0 --output results.jsonl
    python benchmarks/unpaired_digits.py --time times.json
    python benchmarks/unpaired_digits.py --table results.jsonl --time times.json

Lines are appended to the output, so several of these may share the work.
"""

import argparse
import collections
import json
import statistics
from pathlib import Path

import torch
from step_time import make_method, time_turn_about

from crossdomain import hub
from crossdomain.commands.lightning import run

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
    """Checkpoint of a training without validation."""
    half = epochs // 2
    budget = ["--trainer.max_epochs", str(epochs), "--trainer.limit_val_batches", "0"]
    if "classifier" not in config:
        budget += ["--model.schedule.constant", str(half), "--model.schedule.decay", str(epochs - half)]
    done = run(["fit", "--config", config, "--seed_everything", str(seed), *budget, *options, *QUIET])
    return str(done.trainer.checkpoint_callback.path)


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
            path = train(recipe("classifier_target"), seed, epochs, options)
            folder.mkdir(parents=True, exist_ok=True)
            Path(path).replace(folder / "last.ckpt")
        paths[domain] = str(folder / "last.ckpt")
    return paths


def one_sided(row):
    method, options = ROWS[row]
    return method == "distancegan" and "both" not in options


def round_times(rounds=4, warm_up=1, size=64):
    """Seconds per 1,000 images of each domain, of bare rounds of each row at 16 px."""
    torch.manual_seed(0)
    batch = {d: torch.randint(0, 256, (size, 1, 16, 16)) / 127.5 - 1 for d in "ab"}
    methods = {}
    for row, (method, options) in ROWS.items():
        names = [option.removeprefix("--model.") for option in options[::2]]
        settings = [f"{name}={value}" for name, value in zip(names, options[1::2], strict=True)]
        methods[row] = make_method(f"{method}_mnist_usps", 1, settings)
    times = time_turn_about(methods, batch, "bf16-mixed", rounds, warm_up)
    return {row: 1000 * (1 + one_sided(row)) * statistics.median(values) / size for row, values in times.items()}


def measure(row, seed, epochs, judged_by):
    method, options = ROWS[row]
    config = recipe(method)
    runs = {d: [*options, "--model.direction", d] for d in ("a2b", "b2a")} if one_sided(row) else {"both": options}
    result = {"row": row, "seed": seed, "epochs": epochs}
    judge = ["--trainer.callbacks", "Evaluation", "--trainer.callbacks.judge_a", judged_by["a"]]
    judge += ["--trainer.callbacks.judge_b", judged_by["b"]]
    for direction, chosen in runs.items():
        checkpoint = train(config, seed, epochs, chosen)
        result |= test(config, checkpoint, judge)
        for d in ("a2b", "b2a") if direction == "both" else (direction,):
            translator = ["--model.translator", checkpoint, "--model.train_on", d]
            adapted = recipe("classifier_adapted")
            classifier = train(adapted, seed, max(epochs // 2, 1), translator)
            result[f"adapted_{d}"] = test(adapted, classifier, [])[f"accuracy_{d[-1]}"]
    return result


def table(path, times):
    """One line for each row of the results, means over seeds; ``times`` are those of ``round_times``."""
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
        for column in columns:
            values = [r[column] for r in results if column in r]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 and column.startswith("a") else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}" if values else "")
        print("| " + " | ".join([*cells, f"{times[row]:.2f}" if row in times else ""]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=2, help="of a method; classifiers take half of them")
    parser.add_argument("--output", default="unpaired_digits.jsonl")
    parser.add_argument("--table", metavar="FILE", help="print the table of these results and stop")
    parser.add_argument("--time", metavar="FILE", help="time rounds, write them to this file and stop; or read it")
    options = parser.parse_args()
    if options.table:
        return table(options.table, json.loads(Path(options.time).read_text()) if options.time else {})
    if options.time:
        return Path(options.time).write_text(json.dumps(round_times(), indent=2))
    judged_by = judges(seed=0, epochs=1)  # right about 98.5% of MNIST's test images, and 96.9% of USPS's
    for row in options.rows:
        for seed in options.seeds:
            result = measure(row, seed, options.epochs, judged_by)
            with open(options.output, "a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
