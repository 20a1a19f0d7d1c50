"""RIFT: translation after the example of a guide, with a bound on what one domain may hide in the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.nn import functional as F

from crossdomain.losses import Objective, full_least_squares
from crossdomain.method import Batch, NetworkFactory, Terms
from crossdomain.methods.style_channel import StyleChannel
from crossdomain.networks import affine_patch_critic


class RIFT(StyleChannel):
    """RIFT (Usman, Bashkirova, Saenko, WACV 2023, arXiv 2111.13279).

    A translation keeps what both domains share, and takes what only its own domain has from a guide. With generators of
    images and style maps (:class:`StyleChannel`), the style s~_b of another b of the batch, ``(b~, _) = a2b(a, s~_b)``,
    ``(a', s~_b') = b2a(b~, s_a)``, and the style s_a' that is read in ``b2a(b, s_a)``, the generators minimise

        L_GAN(C_b, b~) + lambda_a |a' - a| + mu_g L_guess(a, a') + mu |b2a(a, s_a) - a| + gamma E s_a^2
        + rho |s~_b' - s~_b| + tau |s_a' - s_a| + kappa |b2a(b~, s_a') - a|

    and the same with a and b exchanged. E s_a^2 is the mean over a map, of which a map's capacity in bits follows.

    A generator's passes are joined to one batch, which changes nothing for norms that treat images one by one, as all
    but batch norm do. Default weights are those of an official run on 3D-Shapes-A.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        critic: makes a critic from channels in and out, guess critics also.
        objective: makes L_GAN.
        guess_weight: mu_g.
        identity_weight: mu.
        capacity_weight: gamma.
        capacity_norm: ``absolute`` weighs E |s_a| as the official code does, and not the mean square.
        recovery_weight: rho.
        swap_weight: tau.
        cycle_swap_weight: kappa.
        options: those of :class:`StyleChannel`, :class:`UnpairedGAN`, :class:`Unpaired` and :class:`Method`.
    """

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
        recovery_weight: float = 1.0,
        swap_weight: float = 0.0,
        cycle_swap_weight: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(
            channels_a, channels_b, critic=critic, objective=objective, guess_weight=guess_weight, **options
        )
        self.save_hyperparameters()
        if capacity_weight > 0 and self.style_noise == 0:
            raise ValueError(
                "style_noise is 0, but a small style carries as much as a large one without noise.\n"
                "Set model.style_noise above 0, or model.capacity_weight to 0."
            )
        if identity_weight > 0 and len(set(self.channels.values())) > 1:
            raise ValueError(
                f"The identity term needs domains of equal channels, but they have {channels_a} and {channels_b}.\n"
                "Set model.identity_weight to 0."
            )
        if capacity_norm not in ("squared", "absolute"):
            raise ValueError(f"capacity_norm is {capacity_norm!r}, but has to be 'squared' or 'absolute'.")
        self.capacity_weight, self.capacity_norm = capacity_weight, capacity_norm
        self.swaps = max(swap_weight, cycle_swap_weight) > 0
        weights = {"identity": identity_weight, "recovery": recovery_weight, "swap": swap_weight}
        weights["cycle_swap"] = cycle_swap_weight
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}

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
        for d in "ab":
            out[f"style_{d}"] = self.style(batch[d], d)
            out[f"partner_{d}"] = out[f"style_{d}"].roll(shift, 0)
        for source, target in ("ab", "ba"):
            inputs = {"fake": (batch[source], out[f"partner_{target}"])}
            if "identity" in self.weights:
                inputs["identity"] = (batch[target], out[f"style_{target}"])
            if self.swaps:
                inputs["plain"] = (batch[source], out[f"style_{target}"])
            made = self.passes(f"{source}2{target}", inputs)
            out |= {f"{name}_{target}": images for name, (images, _) in made.items()}
            out[f"pooled_{target}"] = getattr(self, f"pool_{target}")(out[f"fake_{target}"])
        for source, target in ("ab", "ba"):
            inputs = {"cycled": (out[f"fake_{target}"], out[f"style_{source}"])}
            if self.swaps:
                inputs["swap"] = (out[f"plain_{target}"], None)
            made = self.passes(f"{target}2{source}", inputs)
            out[f"cycled_{source}"], out[f"recovery_{target}"] = made["cycled"]
            if self.swaps:
                out[f"swap_{target}"] = made["swap"][1]
        if "cycle_swap" in self.weights:
            for source, target in ("ab", "ba"):
                inputs = {"back": (out[f"fake_{target}"], out[f"swap_{source}"])}
                out[f"cycle_swap_{source}"], _ = self.passes(f"{target}2{source}", inputs)["back"]
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; find the way back, by styles that are small and can be read again in translations."""
        terms = self.adversarial_terms(batch, out) | self.cycle_terms(batch, out) | self.semantic_terms(batch, out)
        for d in "ab":
            image, style, partner = batch[d], out[f"style_{d}"].float(), out[f"partner_{d}"]
            if self.capacity_weight > 0:
                size = style.square() if self.capacity_norm == "squared" else style.abs()
                terms[f"capacity_{d}"] = self.capacity_weight * size.mean()
            wanted = {"identity": image, "recovery": partner, "swap": style, "cycle_swap": image}
            for name, weight in self.weights.items():
                terms[f"{name}_{d}"] = weight * F.l1_loss(out[f"{name}_{d}"], wanted[name])
        return terms
