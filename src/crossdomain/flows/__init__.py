"""Invertible networks. The contract is :class:`Flow`; a flow for images is made by ``(channels) -> Flow``."""

from crossdomain.flows.couplings import AdditiveCoupling, AffineCoupling, ConvConditioner, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.image_flow import ImageFlow
from crossdomain.flows.layers import ActNorm, Logit, Permutation, Squeeze, Unsqueeze, dequantize

__all__ = [
    "ActNorm",
    "AdditiveCoupling",
    "AffineCoupling",
    "ConvConditioner",
    "Flow",
    "FlowSequence",
    "ImageFlow",
    "Logit",
    "MLPConditioner",
    "Permutation",
    "Squeeze",
    "Unsqueeze",
    "dequantize",
]
