"""Two flows back to back: from data to data, through a latent space."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.vector import VectorFlow


class Inverse(Flow):
    """A flow run the other way round."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self.total_stride = flow.total_stride

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The flow's inverse."""
        return self.flow.inverse(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The flow."""
        return self.flow(z)


class BackToBack(FlowSequence):
    """A flow, then the inverse of another of its kind: ``G2^-1 G1``, a map of the data's own space onto itself.

    What LRMF (Usman et al., arXiv 2003.12170) takes for images: the latents of one flow are read by the other, so
    that outputs have the data's range. Both flows start alike, and the whole as the identity.

    Args:
        channels: channels of the image, or the length of the vectors.
        flow: makes each of the two from the number of channels.
    """

    def __init__(self, channels: int, flow: Callable[[int], Flow] = VectorFlow) -> None:
        first, second = flow(channels), flow(channels)
        second.load_state_dict(first.state_dict())
        super().__init__([first, Inverse(second)])
        self.total_stride = first.total_stride

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the first flow on ``x`` and the second alike, so that the whole stays the identity."""
        first, second = self.in_order
        assert isinstance(second, Inverse)
        first.initialize(x)
        second.flow.load_state_dict(first.state_dict())
        return self(x)[0]
