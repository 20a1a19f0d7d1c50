"""Cycles: the way to another domain and back, and what keeps generators from cheating on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import Objective
from crossdomain.method import Batch, Method, NetworkFactory, Terms


class Cycles:
    """The error of going to the other domain and back,

        lambda_a |b2a(a2b(a) + n) - a| + lambda_b |a2b(b2a(b) + n) - b|

    A generator can cheat there: it hides the image in its translation, as noise that nobody sees. The self-adversarial
    defence (Bashkirova, Usman, Saenko, NeurIPS 2019, arXiv 1908.01517) is noise n ~ N(0, sigma^2) on the way, which
    drowns what was hidden, and guess critics C'_a and C'_b, which are shown an image and its reconstruction and tell
    which is which; the generators minimise ``mu_g`` times their loss with the answers exchanged. Both orders are shown;
    the official code draws one for each batch.

    The guess critics become the modules ``guess_a`` and ``guess_b`` of the method.

    Args:
        method: the method, of two domains. Where it goes one way alone, there are no cycles.
        critic: makes a guess critic from channels in and out.
        objective: what the guess critics play.
        weights: lambda_a and lambda_b, by domain.
        noise: sigma, on the scale [-1, 1]; the paper's is 0.1, 0 leaves the noise out.
        guess_weight: mu_g; the paper's is 2, 0 leaves the guess critics out.

    Attributes:
        names: the modules, for the player ``critic``.

    Raises:
        ValueError: a number is negative, or there is a defence without a cycle.
    """

    def __init__(
        self,
        method: Method,
        critic: NetworkFactory,
        objective: Objective,
        weights: Mapping[str, float],
        noise: float,
        guess_weight: float,
    ) -> None:
        at_least(0, method, cycle_noise=noise, guess_weight=guess_weight)
        at_least(0, method, **{f"cycle_weight_{domain}": weight for domain, weight in weights.items()})
        back = set(method.directions) == set(BOTH)
        self.weights = {domain: weight * back for domain, weight in weights.items()}
        if max(noise, guess_weight) > 0 and not min(self.weights.values()) > 0:
            raise ValueError(
                "cycle_noise and guess_weight defend cycles.\nSet both cycle weights above 0, or leave them out."
            )
        self.objective = objective
        self.noise = noise
        self.guess_weight = guess_weight
        self.guesses: dict[str, nn.Module] = {}
        if guess_weight > 0:
            self.guesses = {domain: critic(2 * channels, 1) for domain, channels in method.channels.items()}
        for domain, guess in self.guesses.items():
            method.add_module(f"guess_{domain}", guess)
        self.names = tuple(f"guess_{domain}" for domain in self.guesses)

    def back(self, generators: Mapping[Direction, nn.Module], out: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Go back from the translations ``fake_b`` and ``fake_a`` to ``cycled_a`` and ``cycled_b``."""
        cycled: dict[str, Tensor] = {}
        for direction in BOTH:
            if self.weights[direction.source] > 0:
                between = out[f"fake_{direction.target}"]
                if self.noise > 0:
                    between = between + self.noise * torch.randn_like(between)
                cycled[f"cycled_{direction.source}"] = generators[direction.back](between)
        return cycled

    def generator_terms(
        self, batch: Batch, out: Mapping[str, Tensor], distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss
    ) -> Terms:
        """The error of going there and back, and how easily the guess critics see it."""
        terms: Terms = {}
        for domain, weight in self.weights.items():
            if weight > 0:
                image, cycled = batch[domain], out[f"cycled_{domain}"]
                terms[f"cycle_{domain}"] = weight * distance(cycled, image)
                if domain in self.guesses:
                    logits = (self.guesses[domain](pair) for pair in _both_orders(cycled, image))  # answers exchanged
                    terms[f"guess_{domain}"] = self.guess_weight * self.objective.critic(*logits)
        return terms

    def critic_terms(self, batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """Tell images from their reconstructions."""
        return {
            f"guess_{domain}": self.objective.critic_loss(guess, *_both_orders(batch[domain], out[f"cycled_{domain}"]))
            for domain, guess in self.guesses.items()
        }


def _both_orders(image: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
    """What a guess critic is shown: the reconstruction in front, which takes the place of the real, and behind."""
    return torch.cat([reconstruction, image], 1), torch.cat([image, reconstruction], 1)
