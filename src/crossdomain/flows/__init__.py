"""Invertible networks. The contract is :class:`Flow`; a flow for images is made by ``(channels) -> Flow``."""

from crossdomain.flows.affine import AffineFlow
from crossdomain.flows.back_to_back import BackToBack, Inverse
from crossdomain.flows.couplings import AdditiveCoupling, AffineCoupling, ConvConditioner, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.image_flow import ImageFlow
from crossdomain.flows.layers import ActNorm, InvertibleConv, Logit, Permutation, Squeeze, Unsqueeze, dequantize
from crossdomain.flows.realnvp import ChannelCoupling, CheckerboardCoupling, RealNVP, ResidualConditioner
from crossdomain.flows.vector import VectorFlow

__all__ = [
    "ActNorm",
    "AdditiveCoupling",
    "AffineCoupling",
    "AffineFlow",
    "BackToBack",
    "ChannelCoupling",
    "CheckerboardCoupling",
    "ConvConditioner",
    "Flow",
    "FlowSequence",
    "ImageFlow",
    "Inverse",
    "InvertibleConv",
    "Logit",
    "MLPConditioner",
    "Permutation",
    "RealNVP",
    "ResidualConditioner",
    "Squeeze",
    "Unsqueeze",
    "VectorFlow",
    "dequantize",
]
