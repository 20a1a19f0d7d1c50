"""RIFT: translation after the example of a guide, with a bound on what one domain may hide in the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import Objective, capacity_bits, full_least_squares
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.critics import Critics, add_generators
from crossdomain.methods.cycles import Cycles
from crossdomain.methods.style_channel import StyleChannel
from crossdomain.misfits import require_equal_sizes
from crossdomain.networks import StyledResNetGenerator, affine_patch_critic
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class RIFT(Method):
    """RIFT (Usman, Bashkirova, Saenko, WACV 2023, arXiv 2111.13279).

    A translation keeps what both domains share, and takes what only its own domain has from a guide. With generators of
    images and style maps (:class:`StyleChannel`), the style s~_b of another b of the batch, ``(b~, _) = a2b(a, s~_b)``,
    ``(a', s~_b') = b2a(b~, s_a)``, and the style s_a' that is read in ``b2a(b, s_a)``, the generators minimise

        L_GAN(C_b, b~) + lambda_a |a' - a| + mu_g L_guess(a, a') + mu |b2a(a, s_a) - a| + gamma E s_a^2
        + rho |s~_b' - s~_b| + tau |s_a' - s_a| + kappa |b2a(b~, s_a') - a|

    and the same with a and b exchanged. E s_a^2 is the mean over a map, of which a map's capacity in bits follows.

    A generator's passes are joined to one batch, which changes nothing for norms that treat images one by one, as all
    but batch norm do. Default weights are those of an official run on 3D-Shapes-A, whose gamma is of E |s_a|
    (``capacity_norm``).

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        critic: makes a critic from channels in and out, guess critics also.
        objective: makes L_GAN.
        guess_weight: mu_g.
        identity_weight: mu.
        capacity_weight: gamma.
        capacity_norm: ``absolute`` weighs E |s_a| as the official code does, and not the mean square.
        capacity_rounds: rounds over which gamma rises from 0 in a straight line; 0 has all of it from the first on.
            What is strong at once keeps styles from coming into use.
        recovery_weight: rho.
        swap_weight: tau.
        cycle_swap_weight: kappa.
        generator: makes a generator of images and style maps from the images' channels in and out.
        cycle_noise: sigma, of images in all passes of training that read no style, not on the way back alone.
        style_noise: sigma_s, of the style maps in these passes; at 0 a map may carry anything.
        test_noise: noise stays on in ``translate``; several samples then differ.
        pool_size: translated images remembered for each critic.
        cycle_weight_a: lambda_a.
        cycle_weight_b: lambda_b.
        feature_share: share of L_GAN that matching the critics' features takes; see :class:`Critics`.
        semantic_classifier: checkpoint of a classifier of domain a that ties content down, read when training starts;
            see :class:`SemanticConsistency`. None leaves the term out.
        semantic_weight: weight of the classifier's disagreement.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    directions = BOTH
    guide = "required"

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        critic: NetworkFactory = affine_patch_critic,
        objective: Callable[[], Objective] = full_least_squares,
        guess_weight: float = 2.0,
        identity_weight: float = 1.0,
        capacity_weight: float = 2.0,
        capacity_norm: Literal["squared", "absolute"] = "squared",
        capacity_rounds: int = 0,
        recovery_weight: float = 1.0,
        swap_weight: float = 0.0,
        cycle_swap_weight: float = 0.0,
        generator: NetworkFactory = StyledResNetGenerator,
        cycle_noise: float = 0.5,
        style_noise: float = 0.5,
        test_noise: bool = False,
        pool_size: int = 50,
        cycle_weight_a: float = 10.0,
        cycle_weight_b: float = 10.0,
        feature_share: float = 0.0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(0, self, style_noise=style_noise, capacity_rounds=capacity_rounds)
        if capacity_weight > 0 and style_noise == 0:
            raise ValueError(
                "style_noise is 0, but a small style carries as much as a large one without noise.\n"
                "Set model.style_noise above 0, or model.capacity_weight to 0."
            )
        if identity_weight > 0:
            self.require_equal_channels("the identity term needs equal ones", "Set model.identity_weight to 0.")
        if capacity_norm not in ("squared", "absolute"):
            raise ValueError(f"capacity_norm is {capacity_norm!r}, but has to be 'squared' or 'absolute'.")
        self.objective = objective()
        self.styles = StyleChannel(add_generators(self, generator), cycle_noise, style_noise)
        self.critics = Critics(self, critic, self.objective, pool_size, feature_share)
        there_and_back = {"a": cycle_weight_a, "b": cycle_weight_b}
        self.cycles = Cycles(self, critic, self.objective, there_and_back, cycle_noise, guess_weight)
        self.players = {"generator": self.directions, "critic": self.critics.names + self.cycles.names}
        self.code_noise = style_noise
        self.test_noise = self.multimodal = test_noise
        self.capacity_weight, self.capacity_norm = capacity_weight, capacity_norm
        self.capacity_rounds = capacity_rounds
        self.swaps = max(swap_weight, cycle_swap_weight) > 0
        weights = {"identity": identity_weight, "recovery": recovery_weight, "swap": swap_weight}
        weights["cycle_swap"] = cycle_swap_weight
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Read styles; translate with those of other images; go back; for swaps, read styles in translations."""
        n = len(batch["a"])
        if not len(batch["b"]) == n > 1:
            raise ValueError(
                f"RIFT gives an image the style of another one of its batch, but this one holds {n} of domain a and "
                f"{len(batch['b'])} of b.\nSet data.batch_size to 2 or more, the same for both domains."
            )
        shift = int(torch.randint(1, n, ()))  # other partners in each round, and never the image's own
        out: dict[str, Any] = {}
        for d in self.channels:
            out[f"style_{d}"] = self.styles.style(batch[d], d)
            out[f"partner_{d}"] = out[f"style_{d}"].roll(shift, 0)
        for direction in BOTH:
            source, target = direction.source, direction.target
            inputs = {"fake": (batch[source], out[f"partner_{target}"])}
            if "identity" in self.weights:
                inputs["identity"] = (batch[target], out[f"style_{target}"])
            if self.swaps:
                inputs["plain"] = (batch[source], out[f"style_{target}"])
            made = self.styles.passes(direction, inputs)
            out |= {f"{name}_{target}": images for name, (images, _) in made.items()}
            out[f"pooled_{target}"] = self.critics.pools[target](out[f"fake_{target}"])
        for direction in BOTH:
            source, target = direction.source, direction.target
            inputs = {"cycled": (out[f"fake_{target}"], out[f"style_{source}"])}
            if self.swaps:
                inputs["swap"] = (out[f"plain_{target}"], None)
            made = self.styles.passes(direction.back, inputs)
            out[f"cycled_{source}"], out[f"recovery_{target}"] = made["cycled"]
            if self.swaps:
                out[f"swap_{target}"] = made["swap"][1]
        if "cycle_swap" in self.weights:
            for direction in BOTH:
                source, target = direction.source, direction.target
                inputs = {"back": (out[f"fake_{target}"], out[f"swap_{source}"])}
                out[f"cycle_swap_{source}"], _ = self.styles.passes(direction.back, inputs)["back"]
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; find the way back, by styles that are small and can be read again in translations."""
        terms = self.critics.generator_terms(batch, out) | self.cycles.generator_terms(batch, out)
        terms |= self.semantic.terms(self.directions, batch, out)
        risen = min(1.0, (self.rounds + 1) / self.capacity_rounds) if self.capacity_rounds else 1.0
        for d in self.channels:
            image, style, partner = batch[d], out[f"style_{d}"].float(), out[f"partner_{d}"]
            if self.capacity_weight > 0:
                size = style.square() if self.capacity_norm == "squared" else style.abs()
                terms[f"capacity_{d}"] = risen * self.capacity_weight * size.mean()
            wanted = {"identity": image, "recovery": partner, "swap": style, "cycle_swap": image}
            for name, weight in self.weights.items():
                terms[f"{name}_{d}"] = weight * F.l1_loss(out[f"{name}_{d}"], wanted[name])
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and images from reconstructions."""
        return self.critics.critic_terms(batch, out) | self.cycles.critic_terms(batch, out)

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """The bound on the bits that the styles of this batch carry."""
        styles = {d: out[f"style_{d}"].float() for d in self.channels if self.code_noise > 0}
        return {
            f"capacity_bits_{d}": capacity_bits(style.square().mean(), style[0].numel(), self.code_noise)
            for d, style in styles.items()
        }

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The style maps (N, 1, H, W) in [-1, 1] of images (N, C, H, W) of ``domain``, ``a`` or ``b``, without noise.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self.styles.style(images, domain)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        assert guide is not None
        require_equal_sizes(images, guide, type(self).__name__)
        seen = images, self.styles.style(guide, direction.target)
        if noise is not None:
            seen = self.styles.noisy(*seen, lambda x: noise.normal(*x.shape[1:]))
        return self.styles.generators[direction](*seen)[0]
