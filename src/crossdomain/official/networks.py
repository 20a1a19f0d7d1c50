"""Networks that pix2pix, CycleGAN and BicycleGAN share: read off the names and shapes of their weights, and back."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from crossdomain.networks import LatentUNetGenerator, Norm, PatchCritic, PixelCritic, ResNetGenerator, UNetGenerator
from crossdomain.official.files import State

# Without norms these have biases in every layer, and those of the official code only in layers that never have a norm.
_BIASED = (ResNetGenerator, PatchCritic, PixelCritic)


class Recognised(NamedTuple):
    """What a state is of: what makes the network, its channels in and out, and its weights under the zoo's names."""

    factory: partial[Any]
    seen: int
    made: int
    state: State


def has_batch_norm(state: Mapping[str, Tensor]) -> bool:
    """Whether there are running statistics; those that instance norms left behind are gone by now."""
    return any(key.endswith(".running_mean") for key in state)


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many names the pattern fits as a whole."""
    return sum(bool(re.fullmatch(pattern, key)) for key in state)


def _norm(state: State, convolution: str) -> Norm:
    """The norm after a convolution: of those without weights, only instance norm has biases before it."""
    if has_batch_norm(state):
        return "batch"
    return "instance" if f"{convolution}.bias" in state else "none"


def read_generator(state: State, dropout: bool) -> Recognised:
    """A U-Net or a ResNet. Names do not tell whether a U-Net has ``dropout``; those of a ResNet do."""
    if "model.model.0.weight" in state:
        return _unet(state, dropout)
    if "model.1.weight" in state:
        return _resnet(state)
    raise ValueError("The generator takes a latent vector: it is one of BicycleGAN's.\nImport it --from bicyclegan.")


def _unet(state: State, dropout: bool) -> Recognised:
    first, last = state["model.model.0.weight"], state["model.model.3.weight"]
    width = first.shape[0]
    factory = partial(
        UNetGenerator,
        width=width,
        levels=sum(value.ndim == 4 for value in state.values()) // 2,
        norm=_norm(state, "model.model.1.model.1"),
        dropout=0.5 if dropout else 0.0,
        skips=last.shape[0] == 2 * width,
    )
    return Recognised(factory, first.shape[1], last.shape[1], state)


def _resnet(state: State) -> Recognised:
    blocks = count(state, r"model\.\d+\.conv_block\.1\.weight")
    second = state.get("model.10.conv_block.6.weight")  # dropout moves it here; else this is a batch norm, or nothing
    factory = partial(
        ResNetGenerator,
        width=state["model.1.weight"].shape[0],
        blocks=blocks,
        norm=_norm(state, "model.1"),
        dropout=0.5 if second is not None and second.ndim == 4 else 0.0,
    )
    return Recognised(factory, state["model.1.weight"].shape[1], state[f"model.{17 + blocks}.weight"].shape[0], state)


def read_critic(state: State) -> Recognised:
    """A critic of patches, or of pixels."""
    if "net.0.weight" in state:
        first = state["net.0.weight"]
        return Recognised(
            partial(PixelCritic, width=first.shape[0], norm=_norm(state, "net.2")), first.shape[1], 1, state
        )
    convolutions = [value for key, value in state.items() if key.endswith("weight") and value.ndim == 4]
    width, channels = convolutions[0].shape[:2]
    factory = partial(PatchCritic, width=width, layers=len(convolutions) - 2, norm=_norm(state, "model.2"))
    return Recognised(factory, channels, 1, state)


def load(network: nn.Module, recognised: Recognised) -> None:
    """Give a network the weights.

    Raises:
        RuntimeError: they do not fit.
    """
    state = dict(recognised.state)
    if isinstance(network, _BIASED) and norm_of(network) == "none":
        state = {k: torch.zeros_like(v) for k, v in network.state_dict().items() if k.endswith(".bias")} | state
    network.load_state_dict(state)


def official_state(network: nn.Module) -> State:
    """Weights of a generator or critic, under the names of the official code.

    Raises:
        ValueError: the official code has no such network.
    """
    if type(network) not in (UNetGenerator, ResNetGenerator, PatchCritic, PixelCritic):
        raise ValueError(f"The official code has no {type(network).__name__}.")
    check_plain(network)
    if norm_of(network) == "instance_affine":
        raise ValueError(f"The official code's {type(network).__name__} has no instance norm with scales.")
    if isinstance(network, UNetGenerator):
        check_unet(network, 5)
        if not network.model.model[1].skip:
            raise ValueError("The official code has no U-Net without skips.")
    state = dict(network.state_dict())
    if isinstance(network, _BIASED) and norm_of(network) == "none":
        biases = [key for key in state if key.endswith(".bias")]
        kept = {ResNetGenerator: biases[-1:], PatchCritic: [biases[0], biases[-1]], PixelCritic: biases[:1]}[
            type(network)
        ]
        for key in set(biases) - set(kept):
            if state.pop(key).any():
                raise ValueError(f"The official code's {type(network).__name__} has no biases when it has no norms.")
    return state


def write_all(networks: Mapping[str, tuple[nn.Module, Callable[[nn.Module], State]]]) -> dict[str, State]:
    """Weights of networks by role, each by its function; critics that the official code cannot have are left out.

    Raises:
        ValueError: another network is one that the official code cannot have.
    """
    written = {}
    for role, (network, write) in networks.items():
        try:
            written[role] = write(network)
        except ValueError as error:
            if not role.startswith("D"):
                raise
            warnings.warn(f"{role} is left out. {error}", stacklevel=2)
    return written


def check_unet(network: UNetGenerator | LatentUNetGenerator, least: int) -> None:
    """Refuse a U-Net that has fewer levels than any of the official code, or other layers."""
    if network.total_stride < 2**least:
        levels = network.total_stride.bit_length() - 1
        raise ValueError(f"The generator has {levels} levels, the official code's U-Net at least {least}.")
    if network.upsample != "transposed":
        raise ValueError("The official code has no U-Net without transposed convolutions.")
    if network.head:
        raise ValueError("The official code has no U-Net with a head.")


def check_plain(network: nn.Module) -> None:
    """Refuse spectral norm, which the official code does not have."""
    if any(is_parametrized(module) for module in network.modules()):
        raise ValueError(f"The official code has no {type(network).__name__} with spectral norm.")


def norm_of(network: nn.Module) -> Norm:
    """The norm that a network was made with."""
    kinds = {type(module): module for module in network.modules()}
    if nn.InstanceNorm2d in kinds:
        return "instance_affine" if kinds[nn.InstanceNorm2d].affine else "instance"
    return "batch" if nn.BatchNorm2d in kinds else "none"


def channels_of(seen: int, made: int, direction: str) -> tuple[int, int]:
    """Channels of domains a and b, of a generator that goes this way."""
    return (seen, made) if direction == "a2b" else (made, seen)


def read_conditional(critic: Recognised, generator: Recognised) -> bool:
    """Whether a critic sees the input beside the output.

    Raises:
        ValueError: it sees neither that nor the output alone.
    """
    both = generator.seen + generator.made
    if critic.seen not in (both, generator.made):
        raise ValueError(
            f"The critic sees {critic.seen} channels, but the generator goes from {generator.seen} to {generator.made}."
            "\nGive files of one model."
        )
    return critic.seen == both


def warn_of_new_critics(roles: Iterable[str]) -> None:
    """Say which critics were not given; nothing when all were."""
    if missing := " and ".join(roles):
        warnings.warn(f"{missing} not given: critics start anew. Only further training needs them.", stacklevel=2)
