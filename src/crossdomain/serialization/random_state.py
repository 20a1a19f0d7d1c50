"""The states of the global random generators, as plain values."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's global generators in this process, as plain values."""
    release, words, gauss = random.getstate()
    numbers: dict[str, Any] = np.random.get_state(legacy=False)
    words_of, place = numbers["state"]["key"], numbers["state"]["pos"]
    return {
        "python": [release, list(words), gauss],
        "numpy": [
            numbers["bit_generator"],
            words_of.tolist(),
            int(place),
            int(numbers["has_gauss"]),
            float(numbers["gauss"]),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set the generators to what :func:`random_state` returned."""
    release, words, gauss = state["python"]
    random.setstate((release, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def kept_randomness(seed: int) -> Iterator[None]:
    """Seed PyTorch's global generators inside, and leave all generators as they were."""
    state = random_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_random_state(state)
