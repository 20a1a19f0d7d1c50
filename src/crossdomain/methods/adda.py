"""ADDA: a classifier of domain b, whose class scores a critic cannot tell from those of domain a."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self, Unpack

from crossdomain.capabilities import TeachesClasses
from crossdomain.checks import at_least
from crossdomain.companion import Companion, Translator
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms, frozen
from crossdomain.misfits import features_of
from crossdomain.networks import ConvClassifier, score_critic
from crossdomain.optimization import OptimizerFactory, ScheduleFactory

SOURCE, TARGET = 0, 1  # the critic's classes


class ADDA(Method):
    """Adversarial discriminative domain adaptation (Tzeng, Hoffman, Saenko, Darrell; CVPR 2017, arXiv 1702.05464).

    A classifier f_S was trained on labelled images of domain a. A copy f_T of it learns to give images of domain b such
    class scores as f_S gives images of a; no label is read, of either domain. With a critic C of two classes (source 0,
    target 1), the players ``critic`` and ``encoder`` minimise

        L_C = (1 / 2) (E -log C(f_S(a))[0] + E -log C(f_T(b))[1])    the mean over both batches
        L_T = E -log C(f_T(b))[0]                                    by inverted labels

    in the same round, both by networks as they were before it, as the official code does. f_S stands still, its running
    statistics and dropout included. ``classify`` and ``features`` answer by f_S for domain a, by f_T for domain b.

    With a ``translator``, f_S sees a2b(a) in place of a: this is the feature stage of CyCADA (Hoffman et al., ICML
    2018), whose code moves f_T only on batches where the critic is right more often than 0.6 (``critic_accuracy``).

    ``train/critic_gan`` is L_C, log 2 where the critic can tell nothing, ``train/critic_accuracy`` how often it is
    right before it moves: neither needs a label, so both may say when to stop.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number.
        classes: number of classes.
        network: makes f_S and f_T from the number of channels and of classes.
        start_from: checkpoint of a classifier of a, such as :class:`crossdomain.companions.DomainClassifier`, as which
            f_S and f_T start; read before the first round, and not needed to go on or to load.
        translator: checkpoint of a method with the direction a2b that translates what f_S sees; None leaves a as it is.
            Read when training starts; its weights are not part of this module.
        critic: makes C from the number of classes and 2.
        critic_accuracy: f_T moves only on batches where the critic is right more often than this; 0 is always.
        encoder_optimizer: optimizer of the player ``encoder``.
        encoder_schedule: schedule of the player ``encoder``.
        options: those of :class:`Game`.
    """

    generating_player = "encoder"

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        classes: int = 10,
        network: NetworkFactory = ConvClassifier,
        start_from: str | None = None,
        translator: str | None = None,
        critic: NetworkFactory = score_critic,
        critic_accuracy: float = 0.0,
        encoder_optimizer: OptimizerFactory | None = None,
        encoder_schedule: ScheduleFactory | None = None,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_a if channels_b is None else channels_b, **options)
        at_least(1, self, classes=classes)
        at_least(0, self, critic_accuracy=critic_accuracy)
        if critic_accuracy >= 1:
            raise ValueError(f"critic_accuracy is {critic_accuracy}, but is a share of a batch.\nGive one below 1.")
        self.save_hyperparameters()
        self.require_equal_channels("one classifier reads both")
        if critic_accuracy > 0 and self.accumulate > 1:
            raise ValueError(
                f"critic_accuracy is {critic_accuracy} and accumulate is {self.accumulate}; the one decides about each "
                "batch, the other averages several.\nLeave model.critic_accuracy or model.accumulate out."
            )
        self.network = network(channels_a, classes)
        self.source = deepcopy(self.network).requires_grad_(False).eval()
        self.critic = critic(classes, 2)
        # The critic moves last, but on scores from before the encoder's move: at once, as in the official code.
        self.players = {"encoder": ("network",), "critic": ("critic",)}
        self.start_from = start_from
        self.critic_accuracy = critic_accuracy
        self.encoder_optimizer = encoder_optimizer
        self.encoder_schedule = encoder_schedule
        self._translator = None if translator is None else Translator(translator, "a2b")
        self._moves = torch.tensor(True)
        self._before: list[Tensor] = []

    def train(self, mode: bool = True) -> Self:
        """Set all but f_S to training mode: its dropout stays off, its running statistics where they are."""
        super().train(mode)
        self.source.eval()
        return self

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Let f_S and f_T start as the classifier of ``start_from``."""
        if self.start_from is None:
            raise ValueError(
                "ADDA adapts a classifier that was trained before, but start_from names none.\n"
                "Train one on domain a by a recipe classifier_source, and give model.start_from its checkpoint."
            )
        Companion(self.start_from, "start_from", TeachesClasses).hand_over(self.network)
        self.source.load_state_dict(self.network.state_dict())

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Class scores, the critic's logits of them, and what it should answer, of a before b: 2 N rows each."""
        images = batch["a"]
        if self._translator is not None:
            images = self._translator(images)
        with torch.no_grad():
            source = self.source(images)
        target = self.network(batch["b"])
        scores = torch.cat([source, target])
        answers = torch.full((len(scores),), TARGET, device=scores.device)
        answers[: len(source)] = SOURCE
        with frozen(self.critic):
            return {"scores": scores, "logits": self.critic(scores).float(), "answers": answers}

    def encoder_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Let the critic take the target for the source; 0 on batches where f_T does not move."""
        judged = out["logits"][-len(batch["b"]) :]
        fooled = F.cross_entropy(judged, torch.full((len(judged),), SOURCE, device=judged.device))
        if self.critic_accuracy == 0:
            return {"adversarial": fooled}
        # Optimizers with momentum move by a gradient of 0, too, so what there was is put back after their step. It is
        # decided without waiting for the device.
        accuracy = _accuracy(out)
        if self._trainer is not None:  # all processes move, or none
            accuracy = self.trainer.strategy.reduce(accuracy, reduce_op="mean")
        self._moves = accuracy > self.critic_accuracy
        self._before = [parameter.detach().clone() for parameter in self.network.parameters()]
        return {"adversarial": fooled * self._moves}

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell the source's scores from the target's."""
        return {"gan": F.cross_entropy(self.critic(out["scores"]).float(), out["answers"])}

    def after_step(self, player: str) -> None:
        """Put f_T back on batches where it does not move."""
        super().after_step(player)
        if player == "encoder" and self.critic_accuracy > 0:
            with torch.no_grad():
                for parameter, before in zip(self.network.parameters(), self._before, strict=True):
                    parameter.copy_(torch.where(self._moves, parameter, before))
            self._before = []

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """How often the critic is right before it moves, and whether f_T moves where that depends on it."""
        gated = {"encoder_moves": self._moves.float()} if self.critic_accuracy > 0 else {}
        return {"critic_accuracy": _accuracy(out), **gated}

    @property
    def answering(self) -> nn.Module:
        """f_T, as which another classifier may start."""
        return self.network

    def logits(self, images: Tensor, domain: str = "b") -> Tensor:
        """As :meth:`classify`, and gradients pass to the images."""
        self.check_images(images, domain)
        with self.misfits_named(images):
            return self._classifier(domain)(images)

    @torch.no_grad()
    def classify(self, images: Tensor, domain: str = "b") -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [-1, 1], or vectors (N, D): f_S's of domain a, f_T's of b."""
        return self.logits(images, domain)

    @torch.no_grad()
    def features(self, images: Tensor, domain: str = "b") -> Tensor:
        """Features (N, D) of images (N, C, H, W) in [-1, 1]: what the last layer of f_S or f_T reads.

        Raises:
            ValueError: the network is one that does not tell.
        """
        self.check_images(images, domain)
        features = features_of(
            self._classifier(domain), "ADDA's", "Use one that has, such as ConvClassifier, LeNet or TimmClassifier."
        )
        with self.misfits_named(images):
            return features(images)

    def _classifier(self, domain: str) -> nn.Module:
        return self.source if domain == "a" else self.network


def _accuracy(out: dict[str, Any]) -> Tensor:
    """How often the critic is right about the batch."""
    return (out["logits"].argmax(1) == out["answers"]).float().mean()
