"""DistanceGAN: a mapping that keeps distances between images, and so needs no way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.domains import BOTH, Direction
from crossdomain.losses import LeastSquares, Objective
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.critics import Critics, add_generators
from crossdomain.methods.cycles import Cycles
from crossdomain.networks import PatchCritic, ResNetGenerator
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class DistanceGAN(Method):
    """DistanceGAN (Benaim and Wolf, NIPS 2017, arXiv 1706.00826).

    In each of its directions, here a2b, the generator minimises

        L_GAN(C_b, a2b) + alpha_a E |(d(a) - mu_a) / sigma_a - (d(a2b(a)) - mu_b) / sigma_b|

    where d is the mean absolute difference of two images of a batch (``pairs``; all pairs of the batch count), or of
    the left and the right half of one image (``halves``, the paper's self-distance), and mu and sigma are the mean and
    the standard deviation of d over training images of each domain, computed once before training.

    One direction is built and trained alone; with both, cycles may be added (the paper's Distance+Cycle).

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        direction: ``a2b``, ``b2a`` or ``both``.
        distance: d, ``pairs`` or ``halves``.
        distance_weight_a: alpha_a, of the distances of domain a that a2b keeps.
        distance_weight_b: alpha_b, of b2a.
        cycle_weight_a: weight of going from a there and back, with both directions.
        cycle_weight_b: weight of going from b there and back.
        statistics_images: training images of each domain that mu and sigma are computed of.
        generator: makes a generator from channels in and out.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN.
        pool_size: translated images that each critic's pool holds.
        feature_share: share of L_GAN that matching features takes, as DiscoGAN does (:class:`Critics`).
        cycle_noise: deviation of noise that is added on the way back where there are cycles, on the scale [-1, 1]
            (:class:`Cycles`).
        guess_weight: weight of guess critics of cycles (:class:`Cycles`).
        semantic_classifier: checkpoint of a classifier of domain a, for semantic consistency
            (:class:`SemanticConsistency`); None leaves it out.
        semantic_weight: weight of semantic consistency.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        direction: Literal["a2b", "b2a", "both"] = "a2b",
        distance: Literal["pairs", "halves"] = "pairs",
        distance_weight_a: float = 1.0,
        distance_weight_b: float = 1.0,
        cycle_weight_a: float = 0.0,
        cycle_weight_b: float = 0.0,
        statistics_images: int = 900,
        generator: NetworkFactory = ResNetGenerator,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        pool_size: int = 50,
        feature_share: float = 0.0,
        cycle_noise: float = 0.0,
        guess_weight: float = 0.0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        if direction not in (*BOTH, "both"):
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b', 'b2a' or 'both'.")
        if distance not in ("pairs", "halves"):
            raise ValueError(f"distance is {distance!r}, but has to be 'pairs' or 'halves'.")
        if direction != "both" and max(cycle_weight_a, cycle_weight_b) > 0:
            raise ValueError(
                f"A cycle needs both directions, but there is {direction} alone.\n"
                "Set the cycle weights to 0, or model.direction to both."
            )
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.directions = BOTH if direction == "both" else (Direction(direction),)
        self.objective = objective()
        self.generators = add_generators(self, generator)
        self.critics = Critics(self, critic, self.objective, pool_size, feature_share)
        weights = {"a": cycle_weight_a, "b": cycle_weight_b}
        self.cycles = Cycles(self, critic, self.objective, weights, cycle_noise, guess_weight)
        self.players = {"generator": self.directions, "critic": self.critics.names + self.cycles.names}
        self.distance = distance
        self.distance_weights = {"a": distance_weight_a, "b": distance_weight_b}
        self.statistics_images = statistics_images
        for domain in self.channels:
            self.register_buffer(f"mean_{domain}", torch.tensor(0.0))
            self.register_buffer(f"deviation_{domain}", torch.tensor(1.0))
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def distances(self, images: Tensor) -> Tensor:
        """d of images (N, C, H, W): (N (N - 1) / 2,) for ``pairs``, in the order of :func:`torch.pdist`, else (N,).

        Raises:
            ValueError: one image alone, which has no pairs.
        """
        images = images.float()
        if self.distance == "pairs":
            if len(images) < 2:
                raise ValueError(
                    "Distances are between images of a batch, but this one holds 1 image.\n"
                    "Set data.batch_size to 2 or more, or model.distance to halves."
                )
            return torch.pdist(images.flatten(1), p=1) / images[0].numel()
        middle = images.shape[-1] // 2
        left, right = images[..., :middle], images[..., -middle:]
        return (left - right).abs().flatten(1).mean(1)

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Compute mu and sigma of both domains.

        Raises:
            ValueError: all distances in a domain are alike, so that sigma is 0.
        """
        images: dict[str, list[Tensor]] = {domain: [] for domain in self.channels}
        for batch in loader:
            for domain, seen in images.items():
                seen.append(batch[domain])
            if sum(map(len, images["a"])) >= self.statistics_images:
                break
        for domain, seen in images.items():
            distances = self.distances(torch.cat(seen)[: self.statistics_images])
            mean, deviation = distances.mean(), distances.std(correction=0)
            if not deviation > 0:
                raise ValueError(
                    f"All images of domain {domain} have the same distance, {float(mean):.3g}: there is none to keep.\n"
                    "Use other data, or another model.distance."
                )
            self.get_buffer(f"mean_{domain}").copy_(mean)
            self.get_buffer(f"deviation_{domain}").copy_(deviation)

    def _normalised(self, domain: str, images: Tensor) -> Tensor:
        return (self.distances(images) - self.get_buffer(f"mean_{domain}")) / self.get_buffer(f"deviation_{domain}")

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate, ask the pools, and go back where there are cycles."""
        out = self.critics.translations(self.generators, batch)
        return out | self.cycles.back(self.generators, out)

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics, keep distances, and find the way back where it is asked for."""
        terms = self.critics.generator_terms(batch, out) | self.cycles.generator_terms(batch, out)
        terms |= self.semantic.terms(self.directions, batch, out)
        for direction in self.directions:
            source, target = direction.source, direction.target
            error = self._normalised(source, batch[source]) - self._normalised(target, out[f"fake_{target}"])
            terms[f"distance_{source}"] = self.distance_weights[source] * error.abs().mean()
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and images from reconstructions where there are cycles."""
        return self.critics.critic_terms(batch, out) | self.cycles.critic_terms(batch, out)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.generators[direction](images)
