"""LRMF: a flow that moves one domain onto the other, and a loss that says how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.densities import Density, FlowDensity
from crossdomain.domains import BOTH, Direction
from crossdomain.flows import BackToBack, Flow, bin_centre, dequantize
from crossdomain.method import Batch, GameOptions, Method, Terms
from crossdomain.noise import Noise
from crossdomain.optimization import OptimizerFactory, ScheduleFactory


class LRMF(Method):
    """Log-likelihood ratio minimizing flows (Usman, Sud, Dufour, Saenko; NeurIPS 2020, arXiv 2003.12170).

    A flow T moves a onto b. A shared density P_S is fitted to T(a) and b; private densities P_A and P_B of the same
    family know a and b alone. No critic and no min-max: T and P_S (the player ``generator``) minimise, in nats,

        E [log P_A(a) - log P_S(T(a)) - log |det dT/da|] + E [log P_B(b) - log P_S(b)]

    (``gap_a`` and ``gap_b``: what the shared density knows less than a private one), while P_A and P_B (the player
    ``density``) maximise E log P_A(a) + E log P_B(b). At their optimum the sum is at least 0, and 0 exactly when one
    density does for both domains what two could. On the val split it is the certificate, ``val/certificate``. Gaussians
    compare means and covariances; densities without bounds make it twice the Jensen-Shannon divergence, which ends at
    2 log 2 for domains that share nothing. There its gradient vanishes, so domains should overlap from the start.

    ``train/pull`` is the gradient of the loss with respect to a shift of T(a), in nats per standard deviation of b.
    When training ends with a certificate beyond ``tolerance``, a warning names it and says what is amiss.

    Args:
        channels_a: channels of domain a, or the length of its vectors.
        channels_b: the same number.
        flow: makes T from the number of channels; taken as it is made, so it should start as the identity.
        density: makes P_A, P_B and P_S, which are initialised on a, on b and on both.
        tolerance: certificates of up to this many nats count as aligned.
        density_optimizer: optimizer of the player ``density``.
        density_schedule: schedule of the player ``density``.
        options: those of :class:`Game`.
    """

    directions = BOTH
    densities = ("a", "b")
    likelihood = "density"
    deviation: Tensor

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        flow: Callable[[int], Flow] = BackToBack,
        density: Callable[[int], Density] = FlowDensity,
        tolerance: float = 0.1,
        density_optimizer: OptimizerFactory | None = None,
        density_schedule: ScheduleFactory | None = None,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.require_equal_channels("a flow cannot change their number")
        self.flow = flow(channels_a)
        self.shared, self.private_a, self.private_b = (density(channels_a) for _ in range(3))
        self.players = {"density": ("private_a", "private_b"), "generator": ("flow", "shared")}
        self.tolerance = tolerance
        self.density_optimizer = density_optimizer
        self.density_schedule = density_schedule
        self.register_buffer("deviation", torch.ones(()))
        self._pull: Tensor | None = None

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Initialise each density on what it is to describe; the flow starts as it is."""
        batch = next(iter(loader))
        a, b = (dequantize(batch[d], self.spec.levels) for d in self.channels)
        self.private_a.initialize(a)
        self.private_b.initialize(b)
        self.shared.initialize(torch.cat([self.flow(a)[0], b]))
        self.deviation.copy_(b.std(0, correction=0).square().mean().sqrt())

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Both domains with dequantization noise, and the gaps of both, (N,) each."""
        a, b = (dequantize(batch[d], self.spec.levels) for d in self.channels)
        moved, log_det = self.flow(a)
        if moved.requires_grad:
            moved.register_hook(self._feel)
        shared_a, shared_b = self.shared(torch.cat([moved, b])).split([len(a), len(b)])
        with torch.no_grad():
            private_a, private_b = self.private_a(a), self.private_b(b)
        return {"a": a, "b": b, "gap_a": private_a - shared_a - log_det, "gap_b": private_b - shared_b}

    def density_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Each private density makes its own domain likely."""
        return {"a": -self.private_a(out["a"]).mean(), "b": -self.private_b(out["b"]).mean()}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """What the shared density knows less than the private ones."""
        return {"gap_a": out["gap_a"].mean(), "gap_b": out["gap_b"].mean()}

    def _feel(self, gradient: Tensor) -> None:
        """Average, over about a hundred rounds, the gradient of the loss with respect to a shift of T(a)."""
        shift = gradient.sum(0)
        self._pull = shift if self._pull is None else self._pull.lerp(shift, 0.01)

    @property
    def pull(self) -> float:
        """How much moving T(a) by a standard deviation of b would lower the loss, in nats, to first order."""
        return math.nan if self._pull is None else float(self._pull.norm() * self.deviation)

    def state_beside(self) -> dict[str, Tensor]:
        """The average that the pull is of."""
        return {} if self._pull is None else {"pull": self._pull}

    def take_state_beside(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the checkpoint's average; without one, as in those of version 0.1, it begins anew."""
        self._pull = state["pull"].to(self.device) if "pull" in state else None

    @torch.no_grad()
    def gap(self, images: Tensor, domain: str) -> Tensor:
        """What the shared density knows less of images of ``domain`` than the private one: (N,), in nats."""
        private = self.log_prob(images, domain)
        if domain == "b":
            return private - self.shared(images)
        moved, log_det = self.flow(images)
        return private - self.shared(moved) - log_det

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """Log-density (N,) of ``domain`` by its private density, in nats."""
        self.check_images(images, domain)
        return self.get_submodule(f"private_{domain}")(images)

    @torch.no_grad()
    def log_odds(self, images: Tensor) -> Tensor:
        """Logits (N,) of the optimal critic, that images seen in domain b are moved ones: log p_T(a) - log P_B.

        With D = sigmoid of these, E log D(T(a)) + E log(1 - D(b)) + log 4 is what a GAN with this critic minimises.
        """
        self.check_images(images, "b")
        source, log_det = self.flow.inverse(images)
        return self.private_a(source) + log_det - self.private_b(images)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        centre = bin_centre(self.spec.levels)
        move = self.flow if direction.source == "a" else self.flow.inverse
        return move(centre * images)[0] / centre

    def on_train_epoch_end(self) -> None:
        """Log the pull."""
        super().on_train_epoch_end()
        self.log("train/pull", self.pull)

    def on_fit_end(self) -> None:
        """Say what is amiss when the certificate does not tell of alignment."""
        certificate = float(self.trainer.callback_metrics.get("val/certificate", 0.0))
        if abs(certificate) <= self.tolerance:
            return
        if certificate < 0:
            why = "The private densities are worse than the shared one: train longer, or give model.density more room."
        elif self.pull > 0.1 * certificate:
            why = "The domains are not aligned yet: train longer."
        else:
            why = (
                f"The gradient has vanished (pull {self.pull:.2g}): the domains do not overlap, or the flow is stiff.\n"
                "Start from domains that overlap (standardise each), or give model.flow more room."
            )
        rank_zero_warn(f"val/certificate is {certificate:.3f} nats, and 0 where domains are aligned. {why}")
