"""A history of generated images for critics to look at."""

from __future__ import annotations

import torch
from torch import Tensor

from crossdomain.checks import at_least


class ImagePool:
    """Returns a mix of new and earlier images (Shrivastava et al., arXiv 1612.07828).

    While the pool is not full, an image is stored and returned. Then, with probability one half, a stored image
    drawn uniformly is returned and the new one takes its place; otherwise the new one is returned and not stored.
    Draws come from PyTorch's global CPU generator, one image after the other, so nothing waits for a GPU.

    Args:
        size: how many images the pool holds; 0 returns every batch as it is.
    """

    def __init__(self, size: int = 50) -> None:
        at_least(0, self, size=size)
        self.size = size
        self.images: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Exchange a batch (N, C, H, W) for one of the same shape; gradients do not pass."""
        images = images.detach()
        if self.size == 0:
            return images
        held = 0 if self.images is None else len(self.images)
        if self.images is not None and self.images.device != images.device:
            self.images = self.images.to(images.device)
        both = images if self.images is None else torch.cat([self.images, images])
        slots = list(range(held))  # where in `both` the pool's images lie
        returned = []
        swap = (torch.rand(len(images)) < 0.5).tolist()
        draws = torch.randint(self.size, (len(images),)).tolist()
        for i in range(len(images)):
            new = held + i
            if len(slots) < self.size:
                slots.append(new)
                returned.append(new)
            elif swap[i]:
                returned.append(slots[draws[i]])
                slots[draws[i]] = new
            else:
                returned.append(new)
        index = torch.tensor(slots + returned).to(both.device, non_blocking=True)
        self.images, result = both[index].split([len(slots), len(images)])
        return result

    def state_dict(self) -> dict[str, Tensor | None]:
        """The images held, for a checkpoint."""
        return {"images": None if self.images is None else self.images.clone()}

    def load_state_dict(self, state: dict[str, Tensor | None]) -> None:
        """Take the images of ``state_dict``, of a larger pool as many as fit."""
        self.images = None if state["images"] is None else state["images"][: self.size]
