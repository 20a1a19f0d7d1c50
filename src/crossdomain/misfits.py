"""Images that networks cannot take: said in a user's words, where torch tells of kernels and matrices alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

# What torch says where a network cannot take its input.
MISFITS = (
    "Kernel size can't be greater than actual input size",
    "Padding size should be less than the corresponding input dimension",
    "Expected more than 1 spatial element",
    "Expected more than 1 value per channel",
    "Output size is too small",
    "must match the size of tensor",
    "Sizes of tensors must match",
    "shapes cannot be multiplied",
    "expects input to have at least 3 dimensions",
    "Expected 3D (unbatched) or 4D (batched) input",
)


class MisfitError(ValueError):
    """Images of a size or shape that a method's networks cannot take."""


@contextmanager
def misfits_named(
    networks: Callable[[], Mapping[str, nn.Module]], owner: str, images: Tensor | None = None
) -> Iterator[None]:
    """Say which of ``networks`` cannot take ``images``.

    Args:
        networks: gives them by the name that a message calls each; asked where one is to be named.
        owner: whose networks they are.
        images: what they are given, where that is known.

    Raises:
        MisfitError: torch refused the shape of something inside.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not any(words in str(error) for words in MISFITS):
            raise
        what = "What the data gives does not"
        if images is not None:
            size = "x".join(map(str, images.shape[2:])) + " px" if images.ndim == 4 else f"length {images.shape[1]}"
            what = f"{'Images' if images.ndim == 4 else 'Vectors'} of {size} do not"
        raise MisfitError(
            f"{what} fit {_network_in(error, networks(), owner)}: {str(error).splitlines()[0].rstrip('.')}.\n"
            "Take larger images (data.image_size) or batches (data.batch_size), fewer layers, or another network."
        ) from error


def _network_in(error: Exception, networks: Mapping[str, nn.Module], owner: str) -> str:
    """The network in whose forward pass ``error`` was raised, as ``critic_a, a PatchCritic``."""
    names = {id(network): name for name, network in networks.items()}
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if (name := names.get(id(frame.f_locals.get("self")))) is not None:
            return f"{name}, a {type(networks[name]).__name__}"
    return f"the networks of {owner}"


def require_equal_sizes(images: Tensor, guide: Tensor, owner: str) -> None:
    """Refuse a guide of another height or width than the images have.

    Args:
        images: (N, C, H, W).
        guide: (N, C, H, W).
        owner: the class of the method, for the message.

    Raises:
        ValueError: the sizes differ.
    """
    if guide.shape[2:] != images.shape[2:]:
        of_guide, of_images = ("x".join(map(str, x.shape[2:])) for x in (guide, images))
        raise ValueError(f"The guide has {of_guide} px, the image {of_images} px, but {owner} takes equal sizes.")


def features_of(network: nn.Module, owner: str, advice: str) -> Callable[[Tensor], Tensor]:
    """The ``features`` of a network: images (N, C, H, W) to (N, D).

    Args:
        network: one that a user may have exchanged.
        owner: whose it is, for the message.
        advice: what to do where it has none.

    Raises:
        ValueError: it has none.
    """
    features: Callable[[Tensor], Tensor] | None = getattr(network, "features", None)
    if features is None:
        raise ValueError(
            f"{owner} network, a {type(network).__name__}, has no method features(images) -> (N, D).\n{advice}"
        )
    return features
