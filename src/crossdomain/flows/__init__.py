"""Invertible networks. The contract is :class:`Flow`; a flow for images is made by ``(channels) -> Flow``."""

from crossdomain.flows.affine import AffineFlow
from crossdomain.flows.back_to_back import BackToBack, Inverse
from crossdomain.flows.couplings import AdditiveCoupling, AffineCoupling, ConvConditioner, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.glow import ConditionalPrior, Glow, GlowConditioner, GlowCoupling
from crossdomain.flows.image_flow import ImageFlow
from crossdomain.flows.layers import (
    ActNorm,
    InvertibleConv,
    Logit,
    Permutation,
    Squeeze,
    Unsqueeze,
    bin_centre,
    dequantize,
)
from crossdomain.flows.nice import NICE
from crossdomain.flows.realnvp import ChannelCoupling, CheckerboardCoupling, RealNVP, ResidualConditioner
from crossdomain.flows.splines import RationalQuadraticSpline
from crossdomain.flows.vector import MADE, InverseAutoregressive, MaskedAutoregressive, Planar, Radial, VectorFlow

__all__ = [
    "MADE",
    "NICE",
    "ActNorm",
    "AdditiveCoupling",
    "AffineCoupling",
    "AffineFlow",
    "BackToBack",
    "ChannelCoupling",
    "CheckerboardCoupling",
    "ConditionalPrior",
    "ConvConditioner",
    "Flow",
    "FlowSequence",
    "Glow",
    "GlowConditioner",
    "GlowCoupling",
    "ImageFlow",
    "Inverse",
    "InverseAutoregressive",
    "InvertibleConv",
    "Logit",
    "MLPConditioner",
    "MaskedAutoregressive",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadraticSpline",
    "RealNVP",
    "ResidualConditioner",
    "Squeeze",
    "Unsqueeze",
    "VectorFlow",
    "bin_centre",
    "dequantize",
]
