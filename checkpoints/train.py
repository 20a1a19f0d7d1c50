"""Train the zoo's checkpoints: weights, their index entries, and the pictures of their cards.

    python checkpoints/train.py                 # all of the index; `make checkpoints`
    python checkpoints/train.py cyclegan-digits # one of them

An entry of ``index.yaml`` says by hand ``recipe``, ``seed``, ``licence``, ``data_licence`` and ``notes``, and, where
there are more, the options of ``fit`` and of ``test``; the rest is written here, after ``lightning fit`` and
``lightning test`` with them. To add a checkpoint, write those, train it by its name, and write the cards
(``cards.py``). What options name of the zoo comes before it in the index. Logs stay in ``runs/<recipe>``.
"""

from __future__ import annotations

import argparse
import math
import shlex
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from crossdomain import hub, serialization
from crossdomain.checkpoints import cards
from crossdomain.commands.adapt import measure, saved_by
from crossdomain.commands.lightning import run
from crossdomain.datamodules.downloads import sha256_of

FOLDER = Path(__file__).parent
HEADER = "# Pretrained checkpoints, trained by `make checkpoints`. Metrics are those of\n"
HEADER += "# `lightning test --config RECIPE --ckpt_path NAME`, with the options `test`.\n"
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def train(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Train, export, test and draw one checkpoint; its complete entry."""
    recipe, file = str(hub.find_recipe(entry["recipe"])), FOLDER / f"{name}.ckpt"
    start = time.perf_counter()
    options = {command: shlex.split(entry.get(command, "")) for command in ("fit", "test")}
    fitted = run(["fit", "--config", recipe, "--seed_everything", str(entry["seed"]), *options["fit"], *QUIET])
    minutes = math.ceil((time.perf_counter() - start) / 60)
    checkpoint = serialization.read(saved_by(fitted))
    # Files of the zoo lie elsewhere on other machines: their names stay.
    names = {str(hub.find_checkpoint(word)): word for word in options["fit"] if word in hub.list_checkpoints()}
    given = checkpoint["hyper_parameters"]
    checkpoint["hyper_parameters"] = {key: names.get(str(value), value) for key, value in given.items()}
    serialization.export(checkpoint, file)
    measured, _ = measure(recipe, file, *options["test"], *QUIET)
    trainer, method, data = fitted.trainer, fitted.model, fitted.datamodule
    budget = f"{trainer.current_epoch} epochs, {method.rounds:,} batches of {data.batch_size}, {trainer.precision}"
    sha256 = sha256_of(file)
    cards.draw(name, sha256, Path(trainer.log_dir or "."))
    cores, device = torch.get_num_threads(), trainer.strategy.root_device
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cores} CPU core" + "s" * (cores > 1)
    return {
        "file": file.name,
        "sha256": sha256,
        "method": type(method).__name__,
        "recipe": entry["recipe"],
        "version": serialization.header(method)["version"],
        "seed": entry["seed"],
        **{command: entry[command] for command in ("fit", "test") if command in entry},
        "budget": budget,
        "hardware": f"{on}, {minutes} min",
        "data": type(data).__name__,
        "split": "test",
        "metrics": {tag: rounded(value) for tag, value in sorted(measured.items())},
        "licence": entry["licence"],
        "data_licence": entry["data_licence"],
        "notes": entry["notes"],
    }


def main() -> None:
    """Train those named, all by default; each is entered in the index as soon as it is done."""
    index = FOLDER / "index.yaml"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names in the index (default: all)")
    known = list(yaml.safe_load(index.read_text()))
    names = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"{', '.join(sorted(unknown))}: not in {index}, which has {', '.join(known)}.")
    for name in names:
        entry = train(name, yaml.safe_load(index.read_text())[name])
        entries = yaml.safe_load(index.read_text()) | {name: entry}  # read anew: others may train beside this one
        text = yaml.safe_dump(entries, sort_keys=False, width=120, allow_unicode=True)
        index.write_text(HEADER + text)
        hub._index.cache_clear()  # those that follow may take this one
        print(f"{name}: {entry['metrics']}", flush=True)


if __name__ == "__main__":
    main()
