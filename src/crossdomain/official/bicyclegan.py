"""BicycleGAN (github.com/junyanz/BicycleGAN): generator, encoder, and two critics of several scales."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from crossdomain.methods import BiCycleGAN
from crossdomain.networks import ConvEncoder, LatentUNetGenerator, MultiScaleCritic, Norm, ResNetEncoder
from crossdomain.official.files import State, Way, below, read_networks
from crossdomain.official.networks import (
    Recognised,
    channels_of,
    check_plain,
    check_unet,
    count,
    has_batch_norm,
    load,
    norm_of,
    read_conditional,
    read_critic,
    warn_of_new_critics,
    write_all,
)

ROLES = ("G", "E", "D", "D2")
_CRITICS = {"D": "critic_encoded", "D2": "critic_random"}


def _renamed(state: State, names: dict[str, str]) -> State:
    """Weights under other names of their modules; KeyError for a module that has none."""
    return {f"{names[module]}.{leaf}": v for (module, _, leaf), v in ((k.rpartition("."), v) for k, v in state.items())}


# --- generator -------------------------------------------------------------------------------------------------


def _input_names(levels: int) -> dict[str, str]:
    """Official names of modules to ours, where z joins the image alone: each level is one list of modules there."""
    official, ours = "model.model.1.model", "model.submodule"
    names = {"model.model.0": "model.down.0", "model.model.3": "model.up.1"}
    for level in range(1, levels):
        up = 3 if level == levels - 1 else 5
        names |= {f"{official}.{place}": f"{ours}.down.{place}" for place in (1, 2)}
        names |= {f"{official}.{up + place}": f"{ours}.up.{1 + place}" for place in (0, 1)}
        official, ours = f"{official}.3.model", f"{ours}.submodule"
    return names


def _read_generator(state: State, latent: int, dropout: bool) -> Recognised:
    everywhere = "model.down.0.weight" in state
    if any(key.endswith((".up.3.weight", "model.model.5.weight")) for key in state):
        raise ValueError("The generator resizes and convolves (--upsample bilinear), which the zoo's cannot.")
    first = state["model.down.0.weight" if everywhere else "model.model.0.weight"]
    last = state["model.up.1.weight" if everywhere else "model.model.3.weight"]
    width, levels = first.shape[0], sum(value.ndim == 4 for value in state.values()) // 2
    joined = state["model.submodule.down.1.weight"].shape[1] - width if everywhere else latent
    if joined != latent or first.shape[1] <= latent:
        raise ValueError(
            f"The generator takes {first.shape[1]} channels in all, which does not fit the encoder's latent vector of "
            f"{latent}.\nGive G and E of one BicycleGAN."
        )
    factory = partial(
        LatentUNetGenerator,
        inject="all" if everywhere else "input",
        width=width,
        levels=levels,
        norm="batch" if has_batch_norm(state) else "instance",
        dropout=0.5 if dropout else 0.0,
    )
    state = state if everywhere else _renamed(state, _input_names(levels))
    return Recognised(factory, first.shape[1] - latent, last.shape[1], state)


def _check(network: nn.Module, types: tuple[type, ...], norms: tuple[str, ...] = ("instance", "batch")) -> None:
    """Refuse what the official code does not have."""
    name, norm = type(network).__name__, norm_of(network)
    if type(network) not in types or norm not in norms:
        raise ValueError(f"The official code has no {name} with norm {norm!r}.")


def _write_generator(network: nn.Module) -> State:
    _check(network, (LatentUNetGenerator,))
    assert isinstance(network, LatentUNetGenerator)
    everywhere = network.model.submodule is not None and network.model.submodule.latent
    check_unet(network, 6 if everywhere else 5)
    state = dict(network.state_dict())
    if everywhere:
        return state
    levels = network.total_stride.bit_length() - 1
    return _renamed(state, {ours: official for official, ours in _input_names(levels).items()})


# --- encoder ---------------------------------------------------------------------------------------------------

_ENDS = {"fc": "mean", "fcVar": "log_variance"}


def _read_encoder(state: State) -> Recognised:
    blocks = count(state, r"conv\.\d+\.shortcut\.1\.weight")
    first = state["conv.0.weight"]
    norm: Norm = "batch" if has_batch_norm(state) else "instance"
    factory: partial[Any]
    if blocks:
        factory = partial(ResNetEncoder, width=first.shape[0], blocks=blocks, norm=norm)
    else:
        factory = partial(ConvEncoder, width=first.shape[0], layers=sum(v.ndim == 4 for v in state.values()), norm=norm)
    ours = {re.sub(r"^(fc|fcVar)\.0", lambda match: _ENDS[match[1]], key): value for key, value in state.items()}
    return Recognised(factory, first.shape[1], state["fc.0.weight"].shape[0], ours)


def _write_encoder(network: nn.Module) -> State:
    _check(network, (ResNetEncoder, ConvEncoder))
    official = {ours: f"{name}.0" for name, ours in _ENDS.items()}
    return {re.sub(r"^(mean|log_variance)", lambda m: official[m[1]], k): v for k, v in network.state_dict().items()}


# --- critics ---------------------------------------------------------------------------------------------------


def _read_critic(state: State) -> Recognised:
    if has_batch_norm(state):
        raise ValueError("BicycleGAN's critics with batch norm cannot be imported.\nLeave D and D2 out.")
    scales = count(state, r"model_\d+\.0\.weight")
    parts = [below(state, f"model_{k}.") for k in range(scales)] or [below(state, "model.")]
    one = read_critic({f"model.{name}": value for name, value in parts[0].items()})
    factory = partial(MultiScaleCritic, **one.factory.keywords, scales=len(parts))
    ours = {f"critics.{k}.model.{name}": value for k, part in enumerate(parts) for name, value in part.items()}
    return Recognised(factory, one.seen, 1, ours)


def _write_critic(network: nn.Module) -> State:
    _check(network, (MultiScaleCritic,), ("instance",))
    check_plain(network)
    assert isinstance(network, MultiScaleCritic)
    scales, state = len(network.critics), network.state_dict()
    places = ["model"] if scales == 1 else [f"model_{k}" for k in range(scales)]
    return {
        f"{place}.{name}": value
        for k, place in enumerate(places)
        for name, value in below(state, f"critics.{k}.model.").items()
    }


# --- the method ------------------------------------------------------------------------------------------------


def read(files: Sequence[str], direction: Way | None, dropout: bool | None) -> BiCycleGAN:
    """Make the method."""
    networks = read_networks(files, "bicyclegan", ROLES)
    if missing := [role for role in "GE" if role not in networks]:
        raise ValueError(
            f"{' and '.join(missing)} is missing; a BicycleGAN is a generator and an encoder, NAME_net_G.pth and "
            "NAME_net_E.pth.\nD and D2, its critics, may be left out."
        )
    direction = direction or "a2b"
    encoder = _read_encoder(networks["E"])
    generator = _read_generator(networks["G"], encoder.made, dropout is not False)
    if encoder.seen != generator.made:
        raise ValueError(
            f"The encoder reads {encoder.seen} channels, but the generator makes {generator.made}.\n"
            "Give G and E of one BicycleGAN."
        )
    critics = {role: _read_critic(networks[role]) for role in _CRITICS if role in networks}
    warn_of_new_critics(role for role in _CRITICS if role not in critics)
    options: dict[str, Any] = {}
    if critics:
        first, *others = critics.values()
        if any(other.factory.keywords != first.factory.keywords for other in others):
            raise ValueError("D and D2 differ in size, but the zoo's two critics are alike.\nLeave one of them out.")
        options = {"critic": first.factory, "conditional": read_conditional(first, generator)}
    method = BiCycleGAN(
        *channels_of(generator.seen, generator.made, direction),
        direction,
        encoder.made,
        generator.factory,
        encoder.factory,
        **options,
    )
    load(method.generator, generator)
    load(method.encoder, encoder)
    for role, critic in critics.items():
        load(method.get_submodule(_CRITICS[role]), critic)
    return method


def write(method: BiCycleGAN) -> dict[str, State]:
    """Official weights of its networks, by role."""
    kinds = {"G": ("generator", _write_generator), "E": ("encoder", _write_encoder)}
    kinds |= {role: (name, _write_critic) for role, name in _CRITICS.items()}
    built = {name for names in method.players.values() for name in names}
    return write_all({r: (method.get_submodule(name), f) for r, (name, f) in kinds.items() if name in built})
