"""Generators between two domains, each judged by a critic of the domain that it goes to; cycles, and their defence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import ImagePool, LeastSquares, Objective
from crossdomain.method import Batch, NetworkFactory, Terms
from crossdomain.methods.unpaired import Unpaired
from crossdomain.networks import PatchCritic, ResNetGenerator


class UnpairedGAN(Unpaired):
    """What CycleGAN, DistanceGAN and DiscoGAN have in common.

    The generators of the given directions fool the critics of the domains that they go to; where there are both, they
    are asked for the way back by the term

        lambda_a |b2a(a2b(a) + n) - a| + lambda_b |a2b(b2a(b) + n) - b|

    A generator can cheat there: it hides the image in its translation, as noise that nobody sees. The self-adversarial
    defence (Bashkirova, Usman, Saenko, NeurIPS 2019, arXiv 1908.01517) is noise n ~ N(0, sigma^2) on the way, which
    drowns what was hidden, and guess critics C'_a and C'_b, which are shown an image and its reconstruction and tell
    which is which; the generators minimise ``mu_g`` times their loss with the answers exchanged. Both orders are shown;
    the official code draws one for each batch.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        directions: ``a2b``, ``b2a`` or both; networks of the others are not built.
        generator: makes a generator from channels in and out.
        critic: makes a critic from channels in and out, guess critics also.
        objective: makes L_GAN.
        pool_size: translated images remembered for each critic.
        feature_share: share of L_GAN that matching features takes, of critics that have ``features`` and their
            ``logits``: the squared difference of the batch means of real and translated images, averaged over each map
            and added up over maps.
        cycle_weight_a: lambda_a.
        cycle_weight_b: lambda_b.
        cycle_noise: sigma, on the scale [-1, 1]; the paper's is 0.1, 0 leaves the noise out.
        guess_weight: mu_g; the paper's is 2, 0 leaves the guess critics out.
        options: those of :class:`Unpaired` and :class:`Method`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None,
        directions: Sequence[str],
        generator: NetworkFactory = ResNetGenerator,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        pool_size: int = 50,
        feature_share: float = 0.0,
        cycle_weight_a: float = 10.0,
        cycle_weight_b: float = 10.0,
        cycle_noise: float = 0.0,
        guess_weight: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        at_least(0, self, feature_share=feature_share, cycle_noise=cycle_noise, guess_weight=guess_weight)
        at_least(0, self, cycle_weight_a=cycle_weight_a, cycle_weight_b=cycle_weight_b)
        self.directions = tuple(map(Direction, directions))
        both = set(self.directions) == set(BOTH)
        self.cycle_weights = {"a": cycle_weight_a * both, "b": cycle_weight_b * both}
        if max(cycle_noise, guess_weight) > 0 and not min(self.cycle_weights.values()) > 0:
            raise ValueError(
                "cycle_noise and guess_weight defend cycles.\nSet both cycle weights above 0, or leave them out."
            )
        self.cycle_noise = cycle_noise
        self.guess_weight = guess_weight
        self.feature_share = feature_share
        self.objective = objective()
        for direction in self.directions:
            source, target = direction.source, direction.target
            self.add_module(direction, generator(self.channels[source], self.channels[target]))
        judged = sorted(direction.target for direction in self.directions)
        for domain in judged:
            self.add_module(f"critic_{domain}", critic(self.channels[domain], 1))
            setattr(self, f"pool_{domain}", ImagePool(pool_size))
            if feature_share > 0 and not hasattr(self.get_submodule(f"critic_{domain}"), "features"):
                raise ValueError(
                    f"feature_share is {feature_share}, but the critic has no features to match.\n"
                    "Take a critic such as DiscoCritic, or set model.feature_share to 0."
                )
        critics = [f"critic_{domain}" for domain in judged]
        if guess_weight > 0:
            for domain in "ab":
                self.add_module(f"guess_{domain}", critic(2 * self.channels[domain], 1))
                critics.append(f"guess_{domain}")
        self.players = {"generator": self.directions, "critic": tuple(critics)}

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate, ask the pools, and go back where there are cycles."""
        out: dict[str, Any] = {}
        for direction in self.directions:
            source, target = direction.source, direction.target
            fake = self.get_submodule(direction)(batch[source])
            out |= {f"fake_{target}": fake, f"pooled_{target}": getattr(self, f"pool_{target}")(fake)}
        for source, target in ("ab", "ba"):
            if self.cycle_weights[source] > 0:
                between = out[f"fake_{target}"]
                if self.cycle_noise > 0:
                    between = between + self.cycle_noise * torch.randn_like(between)
                out[f"cycled_{source}"] = self.get_submodule(f"{target}2{source}")(between)
        return out

    def adversarial_terms(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """How badly the critics are fooled, and how far the features that they see are apart, by domain."""
        terms: Terms = {}
        for direction in self.directions:
            domain = direction.target
            critic, fake = self.get_submodule(f"critic_{domain}"), out[f"fake_{domain}"]
            if self.feature_share == 0:
                terms[f"adversarial_{domain}"] = self.objective.generator(critic(fake))
                continue
            found = critic.features(fake)
            logits = critic.logits(found)
            terms[f"adversarial_{domain}"] = (1 - self.feature_share) * self.objective.generator(logits)
            with torch.no_grad():
                real = [features.mean(0) for features in critic.features(batch[domain])]
            pairs = zip(found, real, strict=True)
            distance = sum((features.mean(0) - expected).square().mean() for features, expected in pairs)
            terms[f"features_{domain}"] = self.feature_share * distance
        return terms

    def cycle_terms(
        self, batch: Batch, out: dict[str, Any], distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss
    ) -> Terms:
        """The error of going there and back, and how easily the guess critics see it."""
        terms: Terms = {}
        for domain, weight in self.cycle_weights.items():
            if weight > 0:
                image, cycled = batch[domain], out[f"cycled_{domain}"]
                terms[f"cycle_{domain}"] = weight * distance(cycled, image)
                if self.guess_weight > 0:
                    guess = self.get_submodule(f"guess_{domain}")
                    logits = (guess(pair) for pair in _both_orders(cycled, image))  # the answers exchanged
                    terms[f"guess_{domain}"] = self.guess_weight * self.objective.critic(*logits)
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and images from reconstructions."""
        terms: Terms = {}
        for direction in self.directions:
            domain = direction.target
            critic = self.get_submodule(f"critic_{domain}")
            terms[domain] = self.objective.critic_loss(critic, batch[domain], out[f"pooled_{domain}"])
        if self.guess_weight > 0:
            for domain in "ab":
                orders = _both_orders(batch[domain], out[f"cycled_{domain}"])
                terms[f"guess_{domain}"] = self.objective.critic_loss(self.get_submodule(f"guess_{domain}"), *orders)
        return terms

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Any) -> Tensor:
        return self.get_submodule(direction)(images)


def _both_orders(image: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
    """What a guess critic is shown: the reconstruction in front, which takes the place of the real, and behind."""
    return torch.cat([reconstruction, image], 1), torch.cat([image, reconstruction], 1)
