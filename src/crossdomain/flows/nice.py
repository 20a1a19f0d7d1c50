"""NICE: additive couplings of fully connected networks."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.flows.couplings import AdditiveCoupling, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.layers import ActNorm, Logit, Permutation


class NICE(Flow):
    """Images in [-1, 1] of one size to latents of the same shape (Dinh et al., arXiv 1410.8516), as Flow-GAN has it.

    Logit; pixels, channel by channel and row by row, in two halves, the even ones and the odd ones; additive couplings
    that move them in turns; an ActNorm of each pixel, which is the paper's learned scale and a shift, by which training
    starts with centred latents. Latents stay in the order of the halves. At 28 px with six hidden layers of 1,000
    units, Flow-GAN's own, it has 23,163,136 parameters: the 23,162,352 of the official code and 784 shifts.

    Args:
        channels: channels of the image.
        size: height and width of the image; fully connected networks know no other.
        couplings: how many.
        layers: hidden layers of each coupling's network; NICE takes 5 on MNIST.
        width: units of each hidden layer; 1,000 in both papers.
        alpha: bound of the logit, see :class:`Logit`; Flow-GAN takes 1e-7.
    """

    def __init__(
        self,
        channels: int,
        size: int = 28,
        couplings: int = 4,
        layers: int = 5,
        width: int = 1000,
        alpha: float = 0.05,
    ) -> None:
        super().__init__()
        at_least(1, self, size=size, couplings=couplings, layers=layers, width=width)
        self.shape = (channels, size, size)
        self.total_stride = size
        pixels = torch.arange(channels * size * size)
        conditioner = partial(MLPConditioner, width=width, layers=layers, activation=nn.ReLU)
        flows: list[Flow] = [Permutation(len(pixels), order=torch.cat([pixels[::2], pixels[1::2]]))]
        for _ in range(couplings):
            flows.append(AdditiveCoupling(len(pixels), conditioner))
            flows.append(Permutation(len(pixels), order=pixels.roll(len(pixels) // 2)))
        self.logit = Logit(alpha)
        self.flow = FlowSequence([*flows, ActNorm(len(pixels))])

    def _flat(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"Images have shape {tuple(images.shape[1:])}, but this NICE was made for {self.shape}.\n"
                "Set data.image_size or the flow's size."
            )
        return images.flatten(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logit, then the couplings."""
        y, log_det_logit = self.logit(self._flat(x))
        z, log_det = self.flow(y)
        return z.view_as(x), log_det_logit + log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the couplings, then the logit."""
        y, log_det = self.flow.inverse(self._flat(z))
        x, log_det_logit = self.logit.inverse(y)
        return x.view_as(z), log_det_logit + log_det

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Centre each latent over the batch ``x``, and scale all of them alike to a mean square of 1.

        A pixel that is black in all of one batch may not be in the next, so none gets a scale of its own.
        """
        *couplings, norm = self.flow.in_order
        assert isinstance(norm, ActNorm)
        y, _ = FlowSequence(couplings)(self.logit(self._flat(x))[0])
        norm.shift.copy_(-y.mean(0))
        norm.log_scale.fill_(-0.5 * (y + norm.shift).square().mean().log())
        return self(x)[0]
