"""Measure what knows nothing on the data of the README's tables: copies, the mean image. Writes ``rivals.yaml``.

    python checkpoints/rivals.py    # part of `make checkpoints`; before the cards

Each table is compared once as the README's command has it; its rivals' metrics are kept.
"""

from __future__ import annotations

import tempfile

import yaml

from crossdomain.checkpoints.cards import RIVALS, by_data, comparison
from crossdomain.checkpoints.train import rounded
from crossdomain.commands.compare import compare
from crossdomain.commands.lightning import parse_comparison

HEADER = "# What knows nothing scores on the data of the checkpoints, by `python checkpoints/rivals.py`.\n"


def measure(names: list[str]) -> dict[str, dict[str, float]]:
    """Metrics of the rivals of some checkpoints, by their names in ``crossdomain compare``."""
    options = parse_comparison(comparison(names))
    with tempfile.TemporaryDirectory() as logs:
        found = compare(names, options.data, evaluation=options.evaluation, logs=logs, pictures=0)
    return {
        name: {tag: rounded(value) for tag, value in sorted(metrics.items())} for name, metrics in found.rivals.items()
    }


def main() -> None:
    """Measure the rivals of all tables."""
    found = {data: measure(names) for data, names in by_data().items()}
    RIVALS.write_text(HEADER + yaml.safe_dump(found, sort_keys=False))


if __name__ == "__main__":
    main()
