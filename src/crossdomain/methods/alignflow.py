"""AlignFlow: two flows that share one latent space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from typing_extensions import Unpack

from crossdomain.flows import Flow, ImageFlow, dequantize
from crossdomain.losses import ImagePool, LeastSquares, Objective
from crossdomain.method import Batch, GameOptions, NetworkFactory, Terms
from crossdomain.methods.shared_latent import SharedLatent
from crossdomain.networks import PatchCritic


class AlignFlow(SharedLatent):
    """AlignFlow (Grover et al., AAAI 2020, arXiv 1905.12892).

    Each domain has a flow to one latent space with prior N(0, I); a2b is flow a, then the inverse of flow b, so that
    b2a is the inverse of a2b by construction. With critics C_a and C_b the generator minimises

        w (L_GAN(C_b, a2b) + L_GAN(C_a, b2a)) - lambda_a E log p_a(a) - lambda_b E log p_b(b)

    where log p is in nats, summed over all dimensions of an image. ``lambda = 0`` is the paper's ADV, ``w = 0`` its
    MLE (no critics are built), both its hybrid. The pass that trains is shared by both parts, so critics see real
    and translated images with the dequantization noise in them; ``translate`` adds none. Unlike the official code,
    translation ends with the true inverse of the logit, so that a2b and b2a undo each other up to rounding.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number.
        flow: makes a flow from the number of channels.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN; the paper's experiments take least squares.
        adversarial_weight: w.
        likelihood_weight_a: lambda_a, per nat of an image; official runs take 1e-4 at 128 px.
        likelihood_weight_b: lambda_b.
        pool_size: translated images remembered for each critic.
        options: those of :class:`Unpaired` and :class:`Method`.
    """

    directions = ("a2b", "b2a")

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        flow: Callable[[int], Flow] = ImageFlow,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        adversarial_weight: float = 1.0,
        likelihood_weight_a: float = 1e-4,
        likelihood_weight_b: float = 1e-4,
        pool_size: int = 50,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.require_equal_channels("a flow cannot change their number")
        if not adversarial_weight and not likelihood_weight_a and not likelihood_weight_b:
            raise ValueError("All weights are 0, so there is nothing to learn.\nSet one of the weights above 0.")
        self.flow_a, self.flow_b = flow(channels_a), flow(channels_a)
        self.players = {"generator": ("flow_a", "flow_b")}
        self.adversarial_weight = adversarial_weight
        self.likelihood_weight_a = likelihood_weight_a
        self.likelihood_weight_b = likelihood_weight_b
        if adversarial_weight > 0:
            self.critic_a, self.critic_b = critic(channels_a, 1), critic(channels_a, 1)
            self.players["critic"] = ("critic_a", "critic_b")
            self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.objective = objective()

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Initialise each flow's ActNorms on its domain's first images."""
        batch = next(iter(loader))
        self.flow_a.initialize(dequantize(batch["a"], self.spec.levels))
        self.flow_b.initialize(dequantize(batch["b"], self.spec.levels))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Latents and log-densities of both domains, and translations from these latents."""
        levels = self.spec.levels
        a, b = dequantize(batch["a"], levels), dequantize(batch["b"], levels)
        latent_a, log_prob_a = self.latents_and_log_prob(a, "a")
        latent_b, log_prob_b = self.latents_and_log_prob(b, "b")
        out = {"log_prob_a": log_prob_a, "log_prob_b": log_prob_b}
        if self.adversarial_weight > 0 or self.semantic_weight > 0:
            fake_a, fake_b = self.flow_a.inverse(latent_b)[0], self.flow_b.inverse(latent_a)[0]
            out |= {"a": a, "b": b, "fake_a": fake_a, "fake_b": fake_b}
        if self.adversarial_weight > 0:
            out |= {"pooled_a": self.pool_a(fake_a), "pooled_b": self.pool_b(fake_b)}
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; make the images of both domains likely."""
        terms = {}
        if self.adversarial_weight > 0:
            terms["adversarial_a"] = self.adversarial_weight * self.objective.generator(self.critic_a(out["fake_a"]))
            terms["adversarial_b"] = self.adversarial_weight * self.objective.generator(self.critic_b(out["fake_b"]))
        if self.likelihood_weight_a > 0:
            terms["likelihood_a"] = -self.likelihood_weight_a * out["log_prob_a"].mean()
        if self.likelihood_weight_b > 0:
            terms["likelihood_b"] = -self.likelihood_weight_b * out["log_prob_b"].mean()
        if self.semantic_weight > 0:
            terms |= self.semantic_terms(out, out)
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it."""
        return {
            "a": self.objective.critic_loss(self.critic_a, out["a"], out["pooled_a"]),
            "b": self.objective.critic_loss(self.critic_b, out["b"], out["pooled_b"]),
        }
