"""CycleGAN: two generators that undo each other."""

from __future__ import annotations

from typing import Any, Literal

from torch.nn import functional as F

from crossdomain.domains import BOTH
from crossdomain.method import Batch, Terms
from crossdomain.methods.unpaired_gan import UnpairedGAN


class CycleGAN(UnpairedGAN):
    """CycleGAN (Zhu et al., ICCV 2017, arXiv 1703.10593).

    With critics C_a and C_b the generators minimise

        L_GAN(C_b, a2b) + L_GAN(C_a, b2a)
        + lambda_a E |b2a(a2b(a)) - a| + lambda_b E |a2b(b2a(b)) - b|
        + mu (lambda_b E |a2b(b) - b| + lambda_a E |b2a(a) - a|)

    where |.| is the mean absolute difference. Critics see translations from a pool of earlier ones. The paper takes
    residual generators of 6 blocks at 128 px and of 9 from 256 px on, and least squares.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        identity_weight: mu, relative to the cycle weights; the official code takes 0.5, the paper 0 but for paintings.
        direction: None builds all networks; ``a2b`` or ``b2a`` builds that generator alone, for published weights that
            have no way back: such a CycleGAN translates and cannot be trained.
        options: those of :class:`UnpairedGAN`, :class:`Unpaired` and :class:`Method`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        identity_weight: float = 0.5,
        direction: Literal["a2b", "b2a"] | None = None,
        **options: Any,
    ) -> None:
        if direction not in (None, *BOTH):
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b', 'b2a' or None.")
        super().__init__(channels_a, channels_b, directions=(direction,) if direction else BOTH, **options)
        self.save_hyperparameters()
        channels_a, channels_b = self.channels.values()
        if identity_weight > 0 and direction is None and channels_a != channels_b:
            raise ValueError(
                f"The identity term needs domains of equal channels, but they have {channels_a} and {channels_b}.\n"
                "Set model.identity_weight to 0."
            )
        self.identity_weight = identity_weight
        if direction is not None:
            delattr(self, f"critic_{direction[-1]}")
            self.players = {"generator": (direction,)}

    def setup(self, stage: str) -> None:
        """Check the data; before training, that there is a way back."""
        if stage == "fit" and len(self.directions) < 2:
            raise ValueError(
                f"This CycleGAN has the generator {self.directions[0]} alone, so it cannot be trained.\n"
                "Start from one with both, or train a new one."
            )
        super().setup(stage)

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics, find the way back, leave images of the target domain alone."""
        a, b = batch["a"], batch["b"]
        terms = self.adversarial_terms(batch, out) | self.cycle_terms(batch, out) | self.semantic_terms(batch, out)
        if self.identity_weight > 0:
            terms["identity_a"] = self.identity_weight * self.cycle_weights["a"] * F.l1_loss(self.b2a(a), a)
            terms["identity_b"] = self.identity_weight * self.cycle_weights["b"] * F.l1_loss(self.a2b(b), b)
        return terms
