"""Domains, the ways between them, and what their data is like: what everybody means by a domain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import permutations
from string import ascii_lowercase
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from crossdomain.datamodules.loading import images_of

Batch = dict[str, Any]
"""Images, labels, truths and names by key: ``a``, ``label_a``, ``truth_a2b``, ``path_a`` and so on."""

LETTERS = ascii_lowercase


class Direction(str):
    """The way from one domain to another one, ``a2b``: a string, as it stands in tags, keys and checkpoints.

    Args:
        text: two different letters with a 2 between them.

    Raises:
        ValueError: it is anything else.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Direction:  # noqa: D102
        if not re.fullmatch("([a-z])2(?!\\1)[a-z]", text):
            raise ValueError(f"The direction is {text!r}, expected two letters of domains with a 2 between, as a2b.")
        return super().__new__(cls, text)

    @property
    def source(self) -> str:
        """Letter of the domain where it starts."""
        return self[0]

    @property
    def target(self) -> str:
        """Letter of the domain where it ends."""
        return self[2]

    @property
    def back(self) -> Direction:
        """The opposite way."""
        return Direction(f"{self.target}2{self.source}")


BOTH = (Direction("a2b"), Direction("b2a"))
"""The ways between two domains."""


def directions_between(letters: Iterable[str]) -> tuple[Direction, ...]:
    """All ordered pairs of domains, a2b, a2c, ... first."""
    return tuple(Direction(f"{source}2{target}") for source, target in permutations(letters, 2))


def domains_in(batch: Mapping[str, Any]) -> tuple[str, ...]:
    """Letters of the domains whose images a batch holds, in order."""
    return tuple(sorted(key for key in batch if len(key) == 1))


@dataclass(frozen=True)
class DataSpec:
    """What data is like, as a checkpoint notes it, so that a user's picture can be prepared the way these were.

    Attributes:
        domains: names of domain a, b, ...
        channels: one number for each domain; the length where they are vectors.
        image_size: height and width in pixels; None for vectors, and where it is not known yet.
        resize_filter: what brought images to that size.
        levels: how many values a pixel can take; None for vectors.
        palette: where one domain shows classes by colours: ``domain`` (its letter), ``names``, ``colours`` and
            ``ignored``, red, green and blue from 0 to 255.
        attributes: where images have attributes: name to number of values; 0 for a real number.
        roles: which attributes a translation keeps and which it takes from a guide: name to ``shared``, or to the
            letter of the domain that the attribute is special to, or to ``both``.
    """

    domains: tuple[str, ...]
    channels: tuple[int, ...]
    image_size: int | None = None
    resize_filter: str = "bicubic"
    levels: int | None = 256
    palette: dict[str, Any] | None = None
    attributes: dict[str, int] | None = None
    roles: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.domains) == len(self.channels) <= len(LETTERS):
            raise ValueError(
                f"The data has {len(self.domains)} domains and channels of {len(self.channels)}.\n"
                f"Expected 1 to {len(LETTERS)} domains, and one number of channels for each."
            )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> DataSpec:
        """What :meth:`to_plain` gave, be it of an earlier version, which knew less; other entries are left out."""
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        return cls(**{**known, "domains": tuple(plain["domains"]), "channels": tuple(plain["channels"])})

    def to_plain(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {**asdict(self), "domains": list(self.domains), "channels": list(self.channels)}

    @property
    def letters(self) -> str:
        """Letters of the domains."""
        return LETTERS[: len(self.domains)]

    @property
    def names(self) -> dict[str, str]:
        """Letter to name of each domain."""
        return dict(zip(self.letters, self.domains, strict=True))

    @property
    def labels(self) -> str | None:
        """Letter of the domain whose images show classes by colours, where there is one."""
        return None if self.palette is None else self.palette["domain"]

    def direction(self, text: str) -> Direction:
        """The direction that ``text`` means, ``a2b`` by letters, else ``photo2labels`` by names, whatever their case.

        In names, blanks may be left out, or be ``_`` or ``-``.

        Raises:
            ValueError: there is no such direction between these domains, or names mean several.
        """

        def plain(words: str) -> str:
            return re.sub(r"[\s_-]", "", words).lower()

        ways = directions_between(self.letters)
        names = {way: plain(f"{self.names[way.source]}2{self.names[way.target]}") for way in ways}
        found = [way for way in ways if way == text] or [way for way in ways if names[way] == plain(text)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"The direction {text!r} may be {' or '.join(found)}.\nGive it by the letters.")
        first, second = self.domains[0], self.domains[-1]
        raise ValueError(
            f"There is no direction {text!r} between {', '.join(f'{d} ({name})' for d, name in self.names.items())}.\n"
            f"Expected a2b, or {first}2{second}, and the like."
        )


def labels_of(batch: Batch, domain: str) -> Tensor:
    """The labels (N,) of a domain's images in a training batch.

    Raises:
        ValueError: there are none.
    """
    if f"label_{domain}" not in batch:
        raise ValueError(
            f"The training batch has no labels of domain {domain}; use a datamodule with labels.\n"
            "Where data.labelled is given, name the domain there."
        )
    labels: Tensor = batch[f"label_{domain}"]
    return labels


def clamped(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1]; vectors (N, D), which have no bounds, as they are."""
    return images.clamp(-1, 1) if images.ndim == 4 else images


_RENAMED = {f"{key}_{way.target}": f"{key}_{way}" for way in BOTH for key in ("truth", "truths")}


def with_truths(batch: Batch) -> Batch:
    """A batch of two domains whose truths are named by where they lie, as data of version 0.1 did, by direction.

    ``truth_b``, what ``a`` should become in b, is ``truth_a2b`` then, and ``truths_b`` is ``truths_a2b``.
    """
    return {_RENAMED.get(key, key): value for key, value in batch.items()}


class Places:
    """Counts the images of each domain, to tell which image of its data set each one of a batch is.

    Evaluation splits are dealt to the processes one image after the other.
    """

    def __init__(self, rank: int = 0, processes: int = 1) -> None:
        self._rank, self._processes = rank, processes
        self._seen: dict[str, int] = {}

    def next(self, batch: Mapping[str, Any]) -> dict[str, list[int]]:
        """The indices of the images of each domain in the batch that comes next."""
        indices = {}
        for domain in domains_in(batch):
            seen, count = self._seen.get(domain, 0), len(batch[domain])
            indices[domain] = [(seen + i) * self._processes + self._rank for i in range(count)]
            self._seen[domain] = seen + count
        return indices


@runtime_checkable
class Indexed(Protocol):
    """A data set of the zoo: one whose images of any domain can be asked for by number."""

    def lengths(self) -> tuple[int, ...]:
        """Images in each domain."""
        ...

    def __getitems__(self, draws: list[Any]) -> dict[str, Any]:
        """The batch of these draws."""
        ...


@runtime_checkable
class Described(Protocol):
    """A datamodule that says what its data is like."""

    def spec(self) -> dict[str, Any]:
        """What :meth:`DataSpec.from_plain` takes."""
        ...


def partners(
    batch: Mapping[str, Any], direction: Direction, indices: Sequence[int], dataset: object = None
) -> Tensor | None:
    """Guides for the batch's images of these indices: the images of the target domain that have the same.

    A shorter domain begins anew, whatever the batches are: what the batch does not hold is asked from the ``dataset``,
    where that is one of the zoo's. Without one, and for others, the batch's own images are repeated.

    Returns:
        One for each of the indices, or None where there is no image to take.
    """
    others = batch.get(direction.target)
    held = 0 if others is None else min(len(others), len(indices))
    if held == len(indices):
        return None if others is None else others[:held]
    if isinstance(dataset, Indexed):
        length = dataset.lengths()[LETTERS.index(direction.target)]
        more = [] if length == 0 else [index % length for index in indices[held:]]
        found = images_of(dataset, direction.target, more) if more else None
        if found is None:
            return None
        known = [] if others is None or held == 0 else [others[:held]]
        return torch.cat([*known, found.to(batch[direction.source].device)])
    return None if others is None or held == 0 else others[torch.arange(len(indices), device=others.device) % held]
