"""The zoo's default flow for images."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from crossdomain.checks import at_least
from crossdomain.flows.couplings import AffineCoupling, ConvConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.layers import ActNorm, Logit, Permutation, Squeeze, Unsqueeze
from crossdomain.flows.splines import RationalQuadraticSpline


class ImageFlow(FlowSequence):
    """Images in [-1, 1] to latents of the same shape, by couplings on squeezed images.

    A spline that evens out pixel values (by ``bins``), the logit, then ``scales`` times: squeeze, ``steps`` x (ActNorm,
    channel permutation, affine coupling); at last unsqueeze back to the shape of the image, so that nothing is factored
    out. Unlike RealNVP it masks no pixels (every activation that is computed is used), squeezes before the first
    convolution (wide layers at low resolution are where processors are fast) and has no batch norm (one image's latent
    is its own, whatever the rest of the batch and whichever mode).

    Args:
        channels: channels of the image.
        scales: how often the image is squeezed; height and width must be multiples of ``2 ** scales``.
        steps: couplings on each scale.
        width: channels inside the couplings' networks.
        log_scale_bound: largest absolute log-scale of one coupling.
        alpha: bound of the logit, see :class:`Logit`.
        recompute: see :class:`FlowSequence`.
        bins: pieces of the spline that evens out how pixel values are distributed before the logit, see
            :class:`RationalQuadraticSpline`; 0 leaves it out.
    """

    added_arguments: ClassVar = {"bins": 0}  # what checkpoints mean that do not name them

    def __init__(
        self,
        channels: int,
        scales: int = 2,
        steps: int = 4,
        width: int = 64,
        log_scale_bound: float = 1.0,
        alpha: float = 0.05,
        recompute: bool = False,
        bins: int = 32,
    ) -> None:
        at_least(1, self, scales=scales, steps=steps, width=width)
        at_least(0, self, log_scale_bound=log_scale_bound, bins=bins)
        logit = Logit(alpha)
        flows: list[Flow] = [FlowSequence([RationalQuadraticSpline(channels, bins), logit]) if bins else logit]
        for scale in range(scales):
            flows.append(Squeeze())
            channels *= 4
            for step in range(steps):
                flows.append(ActNorm(channels))
                flows.append(Permutation(channels, seed=scale * steps + step))
                flows.append(AffineCoupling(channels, partial(ConvConditioner, width=width), log_scale_bound))
        flows += [Unsqueeze() for _ in range(scales)]
        super().__init__(flows, recompute)
        self.total_stride = 2**scales
