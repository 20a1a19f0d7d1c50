"""What a method makes of the first images of a batch, for people to look at: rows of pictures, or plots of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from crossdomain.capabilities import Reconstructs, Samples, Scores, Tempers, Translates
from crossdomain.domains import Direction, domains_in, partners
from crossdomain.evaluation.grid import labelled_grid, scatter_plots
from crossdomain.evaluation.measured import SEED

Row = tuple[str, Tensor]


@torch.no_grad()
def draw(method: Translates, batch: Mapping[str, Any], count: int) -> Tensor | None:
    """Labelled rows of the first ``count`` pictures: of each domain the input, and each translation of it.

    A translation has beside it its guide, two others where there are many, and the truth where it is known; with two
    domains also what leads back. Then what is made again of codes, and samples, at each of the method's temperatures
    where it names some. Vectors are drawn as points, coloured by label: all domains, and each translation over its
    target domain.

    Returns:
        uint8 (3, height, width), or None when there is nothing to show.
    """
    domains = [letter for letter in domains_in(batch) if letter in method.spec.letters]
    if any(batch[domain].ndim == 2 for domain in domains):
        return _plots(method, batch, domains)
    pictures = {domain: batch[domain][:count] for domain in domains if batch[domain].ndim == 4}
    rows: list[Row] = []
    for domain, images in pictures.items():
        rows += _translations(method, batch, domain, images)
    if isinstance(method, Reconstructs):
        for domain, images in pictures.items():
            rows += [(method.spec.names[domain], images), ("  again", method.reconstruct(images, domain))]
    if isinstance(method, Samples):
        rows += _samples(method, method.spec.names, count)
    return labelled_grid(rows) if rows else None


def _translations(method: Translates, batch: Mapping[str, Any], domain: str, images: Tensor) -> list[Row]:
    """The input, and rows of each translation of it."""
    name = method.spec.names[domain]
    ways = [way for way in method.directions if way.source == domain]
    if not ways:
        return [(name, images)] if isinstance(method, Scores) and domain in method.densities else []
    rows = [(name, images)]
    for way in ways:
        rows += _translation(method, batch, way, images)
    return rows


def _translation(method: Translates, batch: Mapping[str, Any], way: Direction, images: Tensor) -> list[Row]:
    names, truth = method.spec.names, batch.get(f"truth_{way}")
    guide = partners(batch, way, range(len(images))) if method.guide == "required" else None
    if method.guide == "required" and guide is None:
        return []
    rows = [] if guide is None else [(f"guide\n({names[way.target]})", guide)]
    output = method.translate(images, way, guide=guide, seed=SEED)
    rows.append((f"to {names[way.target]}", output))
    if method.multimodal:
        others = (method.translate(images, way, guide=guide, seed=SEED + i) for i in (1, 2))
        rows += [("  another", other) for other in others]
    if truth is not None:
        truth = truth[: len(images)]
        if method.guide == "optional":
            rows.append(("  encoded\n  truth", method.translate(images, way, guide=truth, seed=SEED)))
        rows.append(("  truth", truth))
    if len(names) == 2 and way.back in method.directions and method.guide != "required":
        rows.append((f"  back to\n  {names[way.source]}", method.translate(output, way.back, seed=SEED)))
    return rows


def _samples(method: Samples, names: Mapping[str, str], count: int) -> list[Row]:
    if isinstance(method, Tempers):
        found = {t: method.sample(count, seed=SEED, temperature=t) for t in method.temperatures}
    else:
        found = {1.0: method.sample(count, seed=SEED)}
    notes = {temperature: "" if temperature == 1.0 else f" at {temperature}" for temperature in found}
    return [
        (f"sampled{notes[temperature]}\n{names[domain]}", images)
        for temperature, samples in found.items()
        for domain, images in samples.items()
        if images.ndim == 4
    ]


def _plots(method: Translates, batch: Mapping[str, Any], domains: list[str]) -> Tensor:
    names = method.spec.names
    plots = {names[domain]: [(batch[domain], batch.get(f"label_{domain}"))] for domain in domains}
    for way in method.directions:
        if way.source in domains and way.target in domains and method.guide != "required":
            output = method.translate(batch[way.source], way, seed=SEED)
            title = f"{names[way.source]} to {names[way.target]}"
            plots[title] = [(batch[way.target], None), (output, batch.get(f"label_{way.source}"))]
    return scatter_plots(plots, first=max(2, len(domains)))
