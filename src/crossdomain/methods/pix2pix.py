"""pix2pix: a generator that learns from pairs, judged by a critic that sees its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.domains import Direction
from crossdomain.losses import Objective, halved_cross_entropy
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.pairs import Pairs
from crossdomain.networks import UNetGenerator, batch_patch_critic
from crossdomain.noise import Noise


class Pix2Pix(Method):
    """pix2pix (Isola et al., CVPR 2017, arXiv 1611.07004).

    From pairs (x, y), the generator G minimises

        w L_GAN(C(x, G(x))) + lambda E |y - G(x)|

    with critic C, which moves first; |.| is the mean absolute difference. There is no noise but dropout.

    The paper's ablations: L1 is ``w = 0`` (no critic is built), GAN and cGAN ``lambda = 0``, L1+GAN and GAN have
    ``conditional = False``, and the encoder-decoder is ``generator.skips = False``.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        direction: which way to translate; the other domain is the truth.
        generator: makes G from channels in and out.
        critic: makes C from channels in and out; the paper compares receptive fields of 1 (:class:`PixelCritic`), 16,
            70 and 286 pixels (:class:`PatchCritic` with 1, 3 and 5 layers).
        objective: makes L_GAN.
        adversarial_weight: w.
        l1_weight: lambda.
        conditional: whether C sees x beside y, or y alone.
        test_dropout: dropout stays on in ``translate``, as in the paper; several samples then differ a little.
        test_batch_norm: ``batch`` takes statistics of the image that is translated, as the paper does with batches of
            one; ``running`` those of the training.
        options: those of :class:`Game`.
    """

    supervised = True
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        direction: Literal["a2b", "b2a"] = "a2b",
        generator: NetworkFactory = UNetGenerator,
        critic: NetworkFactory = batch_patch_critic,
        objective: Callable[[], Objective] = halved_cross_entropy,
        adversarial_weight: float = 1.0,
        l1_weight: float = 100.0,
        conditional: bool = True,
        test_dropout: bool = True,
        test_batch_norm: Literal["batch", "running"] = "batch",
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.pairs = Pairs(direction, self.channels, conditional)
        self.directions = (self.pairs.direction,)
        if not adversarial_weight and not l1_weight:
            raise ValueError("All weights are 0, so there is nothing to learn.\nSet one of the weights above 0.")
        self.generator = generator(self.pairs.seen, self.pairs.made)
        self.players = {"generator": ("generator",)}
        if adversarial_weight > 0:
            self.critic = critic(self.pairs.judged, 1)
            self.players = {"critic": ("critic",), **self.players}
        self.objective = objective()
        self.adversarial_weight = adversarial_weight
        self.l1_weight = l1_weight
        self.multimodal = test_dropout
        self.test_batch_norm = test_batch_norm

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate the source domain."""
        return {"fake": self.generator(batch[self.pairs.direction.source])}

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell true pairs from translations."""
        x, y = self.pairs.of(batch)
        real, fake = self.pairs.shown(x, y), self.pairs.shown(x, out["fake"])
        return {"pairs": self.objective.critic_loss(self.critic, real, fake)}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critic; stay near the truth."""
        x, y = self.pairs.of(batch)
        terms = {}
        if self.adversarial_weight > 0:
            fooled = self.objective.generator(self.critic(self.pairs.shown(x, out["fake"])))
            terms["adversarial"] = self.adversarial_weight * fooled
        if self.l1_weight > 0:
            terms["l1"] = self.l1_weight * F.l1_loss(out["fake"], y)
        return terms

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        with self._test_rule(dropout=noise is not None):
            if noise is None:
                # Of batch norm's own rule the statistics are of each image alone.
                parts = [images] if self.test_batch_norm == "running" else images.split(1)
                return torch.cat([self.generator(part) for part in parts])
            made = []
            devices = [] if images.device.type == "cpu" else [images.device]
            with torch.random.fork_rng(devices):  # dropout draws from the global generators alone
                for image, seed in zip(images.split(1), noise.integers(2**62), strict=True):
                    torch.manual_seed(seed)
                    made.append(self.generator(image))
            return torch.cat(made)

    @contextmanager
    def _test_rule(self, dropout: bool) -> Iterator[None]:
        """Dropout and batch norm of the generator as the options say, whichever mode the method is in."""
        modules = list(self.generator.modules())
        modes = [module.training for module in modules]
        norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        try:
            for module in modules:
                if isinstance(module, nn.Dropout):
                    module.training = dropout
                elif isinstance(module, nn.BatchNorm2d):
                    module.training = self.test_batch_norm == "batch"
                    module.track_running_stats = not module.training  # look at the image, remember nothing
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            for norm in norms:
                norm.track_running_stats = True
