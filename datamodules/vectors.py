"""Vectors as domains: Gaussians and moons, embedded, and embeddings of pictures from a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .base import DomainData
from .loading import DomainImages

SPLITS = ("train", "val", "test")


class VectorData(DomainData):
    """Domains of vectors (N, D), float32, on no particular scale.

    Args:
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: without effect: nothing can be fetched.
        batch_size: vectors of each domain in a batch, in every process.
        num_workers: processes that load.
        seed: decides the order of training vectors.
        labelled: letters of the domains whose labels train and val hand out, where there are labels; None is all.
        frequencies_a: how often training draws each class of domain a, in relation to the others; None draws all
            vectors equally often.
    """

    levels = None
    resize_filter = "none"
    evaluation_batch_size = 1000

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 256,
        num_workers: int = 0,
        seed: int = 0,
        labelled: list[str] | None = None,
        frequencies_a: list[float] | None = None,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, None, seed)
        self.labelled, self.frequencies_a = labelled, frequencies_a


def _check_size(size: int) -> None:
    if size < 5:
        raise ValueError(f"data.size is {size}, but has to be at least 5, of which val and test get one each.")


class Gaussians(VectorData):
    """Each domain is one Gaussian; drawn, so nothing is read or downloaded. The splits are fixed, whatever ``seed`` is.

    Args:
        mean_a: of domain a, (D,).
        covariance_a: of domain a, D rows of length D, positive definite.
        mean_b: of domain b, (D,).
        covariance_b: of domain b.
        size: vectors of each domain in train; val and test have a fifth each.
        batch_size: vectors of each domain in a batch, in every process.
        options: those of :class:`VectorData`.
    """

    domains = ("Gaussian", "other Gaussian")
    channels: int

    def __init__(
        self,
        mean_a: Sequence[float] = (-1.0, 0.5),
        covariance_a: Sequence[Sequence[float]] = ((1.0, 0.6), (0.6, 0.5)),
        mean_b: Sequence[float] = (1.0, 0.0),
        covariance_b: Sequence[Sequence[float]] = ((0.5, -0.3), (-0.3, 1.0)),
        size: int = 10_000,
        batch_size: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, **options)
        _check_size(size)
        self.channels = len(mean_a)
        self.size = size
        self.moments: dict[str, tuple[Tensor, Tensor]] = {}
        for domain, mean, covariance in (("a", mean_a, covariance_a), ("b", mean_b, covariance_b)):
            matrix = torch.tensor([list(row) for row in covariance])
            if len(mean) != self.channels or matrix.shape != (self.channels, self.channels):
                raise ValueError(
                    f"data.mean_{domain} has {len(mean)} numbers and data.covariance_{domain} shape "
                    f"{tuple(matrix.shape)}.\nGive both domains means of one length D, and covariances of D rows of D."
                )
            root_of, failed = torch.linalg.cholesky_ex(matrix)
            if failed or not torch.equal(matrix, matrix.T):
                raise ValueError(f"data.covariance_{domain} is {matrix.tolist()}, but is not positive definite.")
            self.moments[domain] = (torch.tensor([float(x) for x in mean]), root_of)

    def split(self, name: str) -> DomainImages:
        """Draw one split."""
        size = self.size if name == "train" else self.size // 5
        generator = torch.Generator().manual_seed(SPLITS.index(name))
        fields = []
        for domain, (mean, root) in self.moments.items():
            fields.append({domain: mean + torch.randn(size, self.channels, generator=generator) @ root.T})
        return DomainImages(*fields)


class Moons(VectorData):
    """Domain b: scikit-learn's two moons. Domain a: other ones, turned, scaled and moved. The labels are the arms.

    Drawn, so nothing is read or downloaded; centred, so that the domains overlap. The splits are fixed, whatever
    ``seed`` is.

    Args:
        angle: of domain a, in degrees, counterclockwise. Moons look alike after half a turn that swaps the arms, so
            beyond a quarter turn the wrong arm is nearer.
        scale: of domain a.
        shift: of domain a, in both coordinates.
        noise: standard deviation of the points around their arms, before scaling.
        size: points of each domain in train; val and test have a fifth each.
        batch_size: points of each domain in a batch, in every process.
        options: those of :class:`VectorData`.
    """

    domains = ("turned moons", "moons")
    channels = 2

    def __init__(
        self,
        angle: float = 50.0,
        scale: float = 0.8,
        shift: float = 0.3,
        noise: float = 0.1,
        size: int = 10_000,
        batch_size: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, **options)
        _check_size(size)
        if noise < 0:
            raise ValueError(f"data.noise is {noise}, but has to be at least 0.")
        self.angle, self.scale, self.shift, self.noise, self.size = angle, scale, shift, noise, size

    def split(self, name: str) -> DomainImages:
        """Draw one split."""
        from sklearn.datasets import make_moons  # slow to import, so only where it is needed

        size = self.size if name == "train" else self.size // 5
        turn = math.radians(self.angle)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        fields = []
        for number, domain in enumerate("ab"):
            points, arms = make_moons(size, noise=self.noise, random_state=2 * SPLITS.index(name) + number)
            points = points - (0.5, 0.25)  # the centre of symmetry
            if domain == "a":
                points = self.scale * points @ rotation.T + self.shift
            fields.append({domain: torch.from_numpy(points).float(), f"label_{domain}": torch.from_numpy(arms).long()})
        return DomainImages(*fields)


class Embeddings(VectorData):
    """Embeddings of the pictures of all domains, read from a file that ``crossdomain embed`` writes.

    Each entry is standardised to mean 0 and deviation 1 over training vectors, which decide for all splits.

    Args:
        name: the file is ``root/embeddings/<name>.pt``.
        standardize: each domain by itself (``apart``), so that domains which differ much still overlap, or all by one
            map (``together``), so that they differ as they did.
        options: those of :class:`VectorData`.
    """

    def __init__(
        self,
        name: str = "mnist_usps",
        standardize: Literal["apart", "together"] = "apart",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.path = self.root / "embeddings" / f"{name}.pt"
        self.name = name
        if standardize not in ("apart", "together"):
            raise ValueError(f"data.standardize is {standardize!r}, but has to be 'apart' or 'together'.")
        self.standardize = standardize
        self._content: dict | None = None

    @property
    def content(self) -> dict:
        """The file: ``domains``, and of each split the fields of each domain, by its letter."""
        if self._content is None:
            if not self.path.is_file():
                raise FileNotFoundError(
                    f"There are no embeddings {Path(self.path).resolve()}.\n"
                    f"Set data.root or CROSSDOMAIN_DATA to where they are, or make them: lightning fit --config "
                    f"autoencoder_{self.name};\ncrossdomain embed CHECKPOINT --config autoencoder_{self.name}"
                )
            self._content = torch.load(self.path, weights_only=True)
        return self._content

    @property
    def domains(self) -> tuple[str, ...]:  # type: ignore[override]  # the file's, which nobody sets
        """Those of the pictures."""
        return tuple(self.content["domains"])

    @property
    def channels(self) -> int:  # type: ignore[override]  # the file's
        """Length of the embeddings."""
        return self.content["splits"]["train"]["a"]["a"].shape[1]

    def split(self, name: str) -> DomainImages:
        """Standardise one split."""
        train = {d: self.content["splits"]["train"][d][d] for d in self.letters}
        if self.standardize == "together":
            train = dict.fromkeys(train, torch.cat(list(train.values())))
        fields = []
        for domain, vectors in train.items():
            found = self.content["splits"][name][domain]
            standard = (found[domain] - vectors.mean(0)) / vectors.std(0, correction=0).clamp_min(1e-6)
            fields.append({**found, domain: standard})
        return DomainImages(*fields)
