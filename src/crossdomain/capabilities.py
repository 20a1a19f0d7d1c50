"""What a module of the zoo can do, as protocols: evaluation and commands ask for these, whatever class it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from crossdomain.domains import DataSpec, Direction
from crossdomain.flows import Flow

Guide = Literal["none", "optional", "required"]
"""Whether a translation takes an image of the target domain as an example."""

Likelihood = Literal["density", "mass", "bound"]
"""What ``log_prob`` is the logarithm of: a density, the probability of stored values, or a lower bound of a density.

Densities, and bounds of them, are asked for at stored values with dequantization noise, a mass at these values alone.
"""


@runtime_checkable
class Translates(Protocol):
    """Moves images between domains; ``directions`` may be empty."""

    directions: tuple[Direction, ...]
    multimodal: bool
    guide: Guide
    spec: DataSpec

    def translate(
        self,
        images: Tensor,
        direction: str,
        *,
        guide: Tensor | None = None,
        samples: int = 1,
        seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> Tensor:
        """(N, C, H, W), or (N, samples, C, H, W) when ``samples`` is more than 1."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Knows how likely images of the ``densities`` are."""

    densities: tuple[str, ...]
    likelihood: Likelihood

    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """(N,) in nats, of images in [-1, 1]."""
        ...


@runtime_checkable
class HasFlows(Protocol):
    """Has a flow from images of a domain to latents."""

    def flow_of(self, domain: str) -> Flow:
        """The flow, of images (N, C, H, W) or vectors (N, D)."""
        ...


@runtime_checkable
class MeasuresGap(Protocol):
    """Knows what a density of all domains tells less of one than a density of its own."""

    def gap(self, images: Tensor, domain: str) -> Tensor:
        """(N,) in nats."""
        ...


@runtime_checkable
class Samples(Protocol):
    """Makes images out of nothing."""

    def sample(self, n: int, seed: int | None = None) -> dict[str, Tensor]:
        """(n, C, H, W) for each domain, of the same latents where domains share them."""
        ...


@runtime_checkable
class Tempers(Samples, Protocol):
    """Makes images at several temperatures of the latents."""

    temperatures: tuple[float, ...]

    def sample(self, n: int, seed: int | None = None, temperature: float = 1.0) -> dict[str, Tensor]:
        """(n, C, H, W) for each domain."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Finds the codes of images."""

    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Latents, styles or content (N, ...)."""
        ...


@runtime_checkable
class HidesCodes(Encodes, Protocol):
    """Passes on codes through noise of the deviation ``code_noise``; 0 adds none."""

    code_noise: float


@runtime_checkable
class Reconstructs(Protocol):
    """Makes images again from what it encodes of them."""

    def reconstruct(self, images: Tensor, domain: str) -> Tensor:
        """Of the same shape."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Tells classes of images."""

    def classify(self, images: Tensor, domain: str) -> Tensor:
        """Logits (N, classes)."""
        ...


@runtime_checkable
class TeachesClasses(Classifies, Protocol):
    """Tells classes by a network of its own: others can learn from what it says, or start where it ended."""

    channels: dict[str, int]

    @property
    def answering(self) -> nn.Module:
        """The network: images (N, C, H, W) to logits (N, classes)."""
        ...

    def logits(self, images: Tensor, domain: str) -> Tensor:
        """Logits (N, classes), through which gradients pass to the images."""
        ...


@runtime_checkable
class HasFeatures(Protocol):
    """Tells the features that it sees in images."""

    def features(self, images: Tensor, domain: str) -> Tensor:
        """(N, D)."""
        ...


@runtime_checkable
class Segments(Protocol):
    """Tells the class of each pixel of the domain ``photos``."""

    spec: DataSpec
    photos: str

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, classes, H, W) of photos."""
        ...


@runtime_checkable
class PredictsAttributes(Protocol):
    """Tells the attributes of images."""

    spec: DataSpec

    def predict_attributes(self, images: Tensor) -> Tensor:
        """(N, K), numbers of values or real numbers."""
        ...
