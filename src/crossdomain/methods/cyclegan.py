"""CycleGAN: two generators that undo each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from crossdomain.method import Batch, NetworkFactory, Terms
from crossdomain.methods.unpaired import Unpaired
from crossdomain.networks import PatchCritic, ResNetGenerator
from crossdomain.objectives import LeastSquares, Objective
from crossdomain.pool import ImagePool


class CycleGAN(Unpaired):
    """CycleGAN (Zhu et al., ICCV 2017, arXiv 1703.10593).

    With critics C_a and C_b the generators minimise

        L_GAN(C_b, a2b) + L_GAN(C_a, b2a)
        + lambda_a E |b2a(a2b(a)) - a| + lambda_b E |a2b(b2a(b)) - b|
        + mu (lambda_b E |a2b(b) - b| + lambda_a E |b2a(a) - a|)

    where |.| is the mean absolute difference. Critics see translations from a pool of earlier ones.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        generator: makes a generator from channels in and out; the paper takes 6 blocks at 128 px, 9 from 256 px on.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN; the paper trains with least squares.
        cycle_weight_a: lambda_a.
        cycle_weight_b: lambda_b.
        identity_weight: mu, relative to the cycle weights; the official code takes 0.5, the paper 0 but for paintings.
        pool_size: translated images remembered for each critic.
        direction: None builds all networks; ``a2b`` or ``b2a`` builds that generator alone, for published weights that
            have no way back: such a CycleGAN translates and cannot be trained.
        options: those of :class:`Unpaired` and :class:`Method`.
    """

    directions = ("a2b", "b2a")

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        generator: NetworkFactory = ResNetGenerator,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        cycle_weight_a: float = 10.0,
        cycle_weight_b: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        direction: Literal["a2b", "b2a"] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        channels_a, channels_b = self.channels.values()
        if identity_weight > 0 and channels_a != channels_b:
            raise ValueError(
                f"The identity term needs domains of equal channels, but they have {channels_a} and {channels_b}.\n"
                "Set model.identity_weight to 0."
            )
        if direction is not None:
            if direction not in self.directions:
                raise ValueError(f"direction is {direction!r}, but has to be 'a2b', 'b2a' or None.")
            source, target = (self.channels[d] for d in direction.split("2"))
            self.add_module(direction, generator(source, target))
            self.directions, self.players = (direction,), {"generator": (direction,)}
            return
        self.a2b, self.b2a = generator(channels_a, channels_b), generator(channels_b, channels_a)
        self.critic_a, self.critic_b = critic(channels_a, 1), critic(channels_b, 1)
        self.players = {"generator": ("a2b", "b2a"), "critic": ("critic_a", "critic_b")}
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.objective = objective()
        self.cycle_weight_a = cycle_weight_a
        self.cycle_weight_b = cycle_weight_b
        self.identity_weight = identity_weight

    def setup(self, stage: str) -> None:
        """Check the data; before training, that there is a way back."""
        if stage == "fit" and len(self.directions) < 2:
            raise ValueError(
                f"This CycleGAN has the generator {self.directions[0]} alone, so it cannot be trained.\n"
                "Start from one with both, or train a new one."
            )
        super().setup(stage)

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate both domains."""
        fake_a, fake_b = self.b2a(batch["b"]), self.a2b(batch["a"])
        pooled = {"pooled_a": self.pool_a(fake_a), "pooled_b": self.pool_b(fake_b)}
        return {"fake_a": fake_a, "fake_b": fake_b, **pooled}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics, find the way back, leave images of the target domain alone."""
        a, b, fake_a, fake_b = batch["a"], batch["b"], out["fake_a"], out["fake_b"]
        terms = {
            "adversarial_a": self.objective.generator(self.critic_a(fake_a)),
            "adversarial_b": self.objective.generator(self.critic_b(fake_b)),
            "cycle_a": self.cycle_weight_a * F.l1_loss(self.b2a(fake_b), a),
            "cycle_b": self.cycle_weight_b * F.l1_loss(self.a2b(fake_a), b),
        }
        if self.identity_weight > 0:
            terms["identity_a"] = self.identity_weight * self.cycle_weight_a * F.l1_loss(self.b2a(a), a)
            terms["identity_b"] = self.identity_weight * self.cycle_weight_b * F.l1_loss(self.a2b(b), b)
        return terms | self.semantic_terms(a, fake_b, b, fake_a)

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it."""
        return {
            "a": self.objective.critic(self.critic_a(batch["a"]), self.critic_a(out["pooled_a"])),
            "b": self.objective.critic(self.critic_b(batch["b"]), self.critic_b(out["pooled_b"])),
        }

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Any) -> Tensor:
        return self.get_submodule(direction)(images)
