"""CycleGAN: two generators that undo each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.domains import BOTH, Direction
from crossdomain.losses import LeastSquares, Objective
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.critics import Critics, add_generators
from crossdomain.methods.cycles import Cycles
from crossdomain.networks import PatchCritic, ResNetGenerator
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class CycleGAN(Method):
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
        generator: makes a generator from channels in and out.
        critic: makes a critic from channels in and out, guess critics also.
        objective: makes L_GAN.
        pool_size: translated images remembered for each critic.
        feature_share: share of L_GAN that matching features takes, of critics that have them; see :class:`Critics`.
        cycle_weight_a: lambda_a.
        cycle_weight_b: lambda_b.
        cycle_noise: deviation of the noise on the way back, on the scale [-1, 1], which drowns what a generator hides
            (:class:`Cycles`); 0.1 in the paper of this defence (arXiv 1908.01517), 0 leaves it out.
        guess_weight: weight of guess critics, which tell an image from its reconstruction (:class:`Cycles`); 2 in that
            paper, 0 leaves them out.
        semantic_classifier: checkpoint of a classifier of domain a, read when training starts, that keeps an image's
            class (:class:`SemanticConsistency`); None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        identity_weight: float = 0.5,
        direction: Literal["a2b", "b2a"] | None = None,
        generator: NetworkFactory = ResNetGenerator,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        pool_size: int = 50,
        feature_share: float = 0.0,
        cycle_weight_a: float = 10.0,
        cycle_weight_b: float = 10.0,
        cycle_noise: float = 0.0,
        guess_weight: float = 0.0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        if direction not in (None, *BOTH):
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b', 'b2a' or None.")
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        if identity_weight > 0 and direction is None:
            self.require_equal_channels("the identity term needs equal ones", "Set model.identity_weight to 0.")
        self.directions = BOTH if direction is None else (Direction(direction),)
        self.identity_weight = identity_weight
        self.objective = objective()
        self.generators = add_generators(self, generator)
        self.players = {"generator": self.directions}
        weights = {"a": cycle_weight_a, "b": cycle_weight_b}
        if direction is None:
            self.critics = Critics(self, critic, self.objective, pool_size, feature_share)
        self.cycles = Cycles(self, critic, self.objective, weights, cycle_noise, guess_weight)
        if direction is None:
            self.players["critic"] = self.critics.names + self.cycles.names
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def setup(self, stage: str) -> None:
        """Check the data; before training, that there is a way back."""
        if stage == "fit" and len(self.directions) < 2:
            raise ValueError(
                f"This CycleGAN has the generator {self.directions[0]} alone, so it cannot be trained.\n"
                "Start from one with both, or train a new one."
            )
        super().setup(stage)

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate, ask the pools, and go back."""
        out = self.critics.translations(self.generators, batch)
        return out | self.cycles.back(self.generators, out)

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics, find the way back, leave images of the target domain alone."""
        terms = self.critics.generator_terms(batch, out) | self.cycles.generator_terms(batch, out)
        terms |= self.semantic.terms(self.directions, batch, out)
        if self.identity_weight > 0:
            for domain, way in (("a", BOTH[1]), ("b", BOTH[0])):
                image, weight = batch[domain], self.identity_weight * self.cycles.weights[domain]
                terms[f"identity_{domain}"] = weight * F.l1_loss(self.generators[way](image), image)
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and images from reconstructions."""
        return self.critics.critic_terms(batch, out) | self.cycles.critic_terms(batch, out)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.generators[direction](images)
