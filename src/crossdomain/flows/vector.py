"""Flows for vectors."""

from __future__ import annotations

from functools import partial

from crossdomain.flows.couplings import AffineCoupling, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.layers import ActNorm, InvertibleConv


class VectorFlow(FlowSequence):
    """Vectors (N, channels) to latents of the same length, by couplings: RealNVP (arXiv 1605.08803) without pixels.

    ``steps`` times ActNorm, a learned mix of all entries, an affine coupling; at last one more ActNorm.

    Args:
        channels: length of the vectors, at least 2.
        steps: number of couplings.
        width: units of the two hidden layers inside each.
        log_scale_bound: largest absolute log-scale of one coupling.
    """

    def __init__(self, channels: int, steps: int = 8, width: int = 64, log_scale_bound: float = 1.0) -> None:
        if steps < 1:
            raise ValueError(f"steps is {steps}, but at least 1 is needed.")
        conditioner = partial(MLPConditioner, width=width)
        flows: list[Flow] = []
        for step in range(steps):
            flows.append(ActNorm(channels))
            flows.append(InvertibleConv(channels, seed=step))
            flows.append(AffineCoupling(channels, conditioner, log_scale_bound))
        super().__init__([*flows, ActNorm(channels)])
