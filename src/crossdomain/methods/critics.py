"""Generators between domains, and the critics of the domains that they go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.domains import Direction
from crossdomain.losses import ImagePool, Objective
from crossdomain.method import Batch, Method, NetworkFactory, Terms


def add_generators(method: Method, generator: NetworkFactory) -> dict[Direction, nn.Module]:
    """Make a generator for each direction of ``method``, whose module ``a2b`` and so on it becomes."""
    made = {way: generator(method.channels[way.source], method.channels[way.target]) for way in method.directions}
    for way, network in made.items():
        method.add_module(way, network)
    return made


class Critics:
    """A critic for each domain that ``method`` translates to, and a pool of earlier translations for each.

    They become the modules ``critic_a`` and so on and the attributes ``pool_a`` and so on of the method, where
    checkpoints keep them, and stand here by domain.

    Args:
        method: the method, which has its directions.
        critic: makes a critic from channels in and out.
        objective: L_GAN.
        pool_size: translated images remembered for each critic.
        feature_share: share of L_GAN that matching features takes, of critics that have ``features`` and their
            ``logits``: the squared difference of the batch means of real and translated images, averaged over each map
            and added up over maps.

    Attributes:
        names: the modules, for the player ``critic``.

    Raises:
        ValueError: there are features to match, but the critic has none.
    """

    def __init__(
        self, method: Method, critic: NetworkFactory, objective: Objective, pool_size: int, feature_share: float
    ) -> None:
        at_least(0, method, feature_share=feature_share)
        self.objective = objective
        self.feature_share = feature_share
        self.targets = [direction.target for direction in method.directions]
        self.networks: dict[str, Any] = {}
        self.pools: dict[str, ImagePool] = {}
        for domain in sorted(self.targets):
            network = self.networks[domain] = critic(method.channels[domain], 1)
            pool = self.pools[domain] = ImagePool(pool_size)
            method.add_module(f"critic_{domain}", network)
            setattr(method, f"pool_{domain}", pool)
            if feature_share > 0 and not hasattr(network, "features"):
                raise ValueError(
                    f"feature_share is {feature_share}, but the critic has no features to match.\n"
                    "Take a critic such as DiscoCritic, or set model.feature_share to 0."
                )
        self.names = tuple(f"critic_{domain}" for domain in self.networks)

    def translations(self, generators: Mapping[Direction, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Translate all domains of a batch: ``fake_b`` and so on; ``pooled_b`` is what the critic will see of them."""
        out: dict[str, Tensor] = {}
        for direction, generator in generators.items():
            fake = generator(batch[direction.source])
            out |= {f"fake_{direction.target}": fake, f"pooled_{direction.target}": self.pools[direction.target](fake)}
        return out

    def generator_terms(self, batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """How badly the critics are fooled, and how far the features that they see are apart, by domain."""
        terms: Terms = {}
        for domain in self.targets:
            critic, fake = self.networks[domain], out[f"fake_{domain}"]
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

    def critic_terms(self, batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """Tell images of a domain from translations into it."""
        return {
            domain: self.objective.critic_loss(self.networks[domain], batch[domain], out[f"pooled_{domain}"])
            for domain in self.targets
        }
