"""Densities: what has a log-probability. Each is made by ``(channels) -> Density``."""

from crossdomain.densities.density import Density
from crossdomain.densities.flow_density import FlowDensity, GaussianDensity
from crossdomain.densities.mixture import MixtureDensity

__all__ = [
    "Density",
    "FlowDensity",
    "GaussianDensity",
    "MixtureDensity",
]
