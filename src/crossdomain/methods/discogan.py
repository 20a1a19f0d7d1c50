"""DiscoGAN: two generators that undo each other, and match the features that critics see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import Objective, halved_cross_entropy
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.critics import Critics, add_generators
from crossdomain.methods.cycles import Cycles
from crossdomain.networks import DiscoCritic, DiscoGenerator
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class DiscoGAN(Method):
    """DiscoGAN (Kim et al., ICML 2017, arXiv 1703.05192).

    With critics C_a and C_b and the features f that they see, the generators minimise

        (1 - r) sum over domains of ((1 - s) L_GAN + s |mean f(real) - mean f(translated)|^2)
        + r (lambda_a E (b2a(a2b(a)) - a)^2 + lambda_b E (a2b(b2a(b)) - b)^2)

    where r is ``starting_rate`` for the first ``rate_switch`` rounds and ``rate`` after them, as in the official code.
    In every ``update_interval``-th round the critics move, in the others the generators; ``critic_turns`` and
    ``generator_interval`` hold within these rounds. The official code has images
    in [0, 1]; squares of differences on [-1, 1] are four times as large, and divided by four here.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        generator: makes a generator from channels in and out.
        critic: makes a critic with ``features`` from channels in and out, guess critics also.
        objective: makes L_GAN.
        pool_size: translated images remembered for each critic; the official code has none.
        feature_share: s.
        cycle_weight_a: lambda_a; 1 in the paper.
        cycle_weight_b: lambda_b; 1 in the paper.
        starting_rate: r at first.
        rate: r later on.
        rate_switch: rounds before ``rate`` takes the place of ``starting_rate``.
        update_interval: rounds of which the critics move in the first and the generators in the others; at least 2.
        cycle_noise: deviation of noise on the way back, on the scale [-1, 1], as a defence against hidden images; see
            :class:`Cycles`.
        guess_weight: weight of guess critics, the other part of this defence.
        semantic_classifier: checkpoint of a classifier whose opinion of an image its translation keeps, see
            :class:`SemanticConsistency`; None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    directions = BOTH

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
        cycle_noise: float = 0.0,
        guess_weight: float = 0.0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(2, self, update_interval=update_interval)
        at_least(0, self, starting_rate=starting_rate, rate=rate, rate_switch=rate_switch)
        self.starting_rate = starting_rate
        self.rate = rate
        self.rate_switch = rate_switch
        self.update_interval = update_interval
        self.objective = objective()
        self.generators = add_generators(self, generator)
        self.critics = Critics(self, critic, self.objective, pool_size, feature_share)
        weights = {"a": cycle_weight_a, "b": cycle_weight_b}
        self.cycles = Cycles(self, critic, self.objective, weights, cycle_noise, guess_weight)
        self.players = {"generator": self.directions, "critic": self.critics.names + self.cycles.names}
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def turns(self, player: str, round: int) -> int:
        """The critics move in every ``update_interval``-th round, the generators in the others."""
        own = (player == "critic") == (round % self.update_interval == 0)
        return super().turns(player, round) if own else 0

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate, ask the pools, and go back."""
        out = self.critics.translations(self.generators, batch)
        return out | self.cycles.back(self.generators, out)

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics and match their features; find the way back."""
        rate = self.starting_rate if self.rounds < self.rate_switch else self.rate
        judged = self.critics.generator_terms(batch, out)
        cycled = self.cycles.generator_terms(batch, out, lambda x, y: F.mse_loss(x, y) / 4)
        terms = {name: (1 - rate) * term for name, term in judged.items()}
        terms |= {name: rate * term for name, term in cycled.items()}
        return terms | self.semantic.terms(self.directions, batch, out)

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and images from reconstructions."""
        return self.critics.critic_terms(batch, out) | self.cycles.critic_terms(batch, out)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.generators[direction](images)
