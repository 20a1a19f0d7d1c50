"""DiscoGAN: two generators that undo each other, and match the features that critics see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.domains import BOTH
from crossdomain.losses import Objective, halved_cross_entropy
from crossdomain.method import Batch, NetworkFactory, Terms
from crossdomain.methods.unpaired_gan import UnpairedGAN
from crossdomain.networks import DiscoCritic, DiscoGenerator


class DiscoGAN(UnpairedGAN):
    """DiscoGAN (Kim et al., ICML 2017, arXiv 1703.05192).

    With critics C_a and C_b and the features f that they see, the generators minimise

        (1 - r) sum over domains of ((1 - s) L_GAN + s |mean f(real) - mean f(translated)|^2)
        + r (E (b2a(a2b(a)) - a)^2 + E (a2b(b2a(b)) - b)^2)

    where r is ``starting_rate`` for the first ``rate_switch`` rounds and ``rate`` after them, as in the official code.
    In every ``update_interval``-th round the critics move, in the others the generators; ``critic_turns`` and
    ``generator_interval`` hold within these rounds. The official code has images
    in [0, 1]; squares of differences on [-1, 1] are four times as large, and divided by four here.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        generator: makes a generator from channels in and out.
        critic: makes a critic with ``features`` from channels in and out.
        objective: makes L_GAN.
        pool_size: translated images remembered for each critic; the official code has none.
        feature_share: s.
        cycle_weight_a: factor of the term that leads back to a; 1 above.
        cycle_weight_b: of the term that leads back to b.
        starting_rate: see above.
        rate: see above.
        rate_switch: see above.
        update_interval: see above.
        options: those of :class:`UnpairedGAN`, :class:`Unpaired` and :class:`Method`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        generator: NetworkFactory = DiscoGenerator,
        critic: NetworkFactory = DiscoCritic,
        objective: Callable[[], Objective] = halved_cross_entropy,
        pool_size: int = 0,
        feature_share: float = 0.9,
        cycle_weight_a: float = 1.0,
        cycle_weight_b: float = 1.0,
        starting_rate: float = 0.01,
        rate: float = 0.5,
        rate_switch: int = 10_000,
        update_interval: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(
            channels_a,
            channels_b,
            directions=BOTH,
            generator=generator,
            critic=critic,
            objective=objective,
            pool_size=pool_size,
            feature_share=feature_share,
            cycle_weight_a=cycle_weight_a,
            cycle_weight_b=cycle_weight_b,
            **options,
        )
        self.save_hyperparameters()
        at_least(2, self, update_interval=update_interval)
        at_least(0, self, starting_rate=starting_rate, rate=rate, rate_switch=rate_switch)
        self.starting_rate = starting_rate
        self.rate = rate
        self.rate_switch = rate_switch
        self.update_interval = update_interval

    def turns(self, player: str, round: int) -> int:
        """The critics move in every ``update_interval``-th round, the generators in the others."""
        own = (player == "critic") == (round % self.update_interval == 0)
        return super().turns(player, round) if own else 0

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics and match their features; find the way back."""
        rate = self.starting_rate if self.rounds < self.rate_switch else self.rate
        judged = {name: (1 - rate) * term for name, term in self.adversarial_terms(batch, out).items()}
        cycled = self.cycle_terms(batch, out, lambda x, y: F.mse_loss(x, y) / 4)
        return judged | {name: rate * term for name, term in cycled.items()} | self.semantic_terms(batch, out)
