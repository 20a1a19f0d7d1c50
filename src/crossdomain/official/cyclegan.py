"""CycleGAN (github.com/junyanz/pytorch-CycleGAN-and-pix2pix): two generators, two critics, or one generator alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossdomain.methods import CycleGAN
from crossdomain.official.files import State, Way, read_networks
from crossdomain.official.networks import (
    Recognised,
    channels_of,
    load,
    official_state,
    read_critic,
    read_generator,
    warn_of_new_critics,
    write_all,
)

ROLES = ("G", "G_A", "G_B", "D_A", "D_B")
# The official D_A judges what G_A makes, images of domain b.
_WAYS: dict[str, Way] = {"G_A": "a2b", "G_B": "b2a"}
_NETWORKS = {**_WAYS, "D_A": "critic_b", "D_B": "critic_a"}


def _one_way(networks: dict[str, State], direction: Way | None) -> tuple[Way, State]:
    """The direction and weights of the one generator that was given."""
    (role,) = networks
    own = _WAYS.get(role)
    if own is not None and direction not in (None, own):
        raise ValueError(
            f"The file is {role}, the generator {own}, but the direction is {direction!r}.\n"
            "Leave --direction out, or say that it is the only generator: G=FILE"
        )
    return own or direction or "a2b", networks[role]


def _same(networks: Mapping[str, Recognised], kind: str) -> Recognised:
    first, *others = networks.values()
    for other in others:
        if (other.factory.func, other.factory.keywords) != (first.factory.func, first.factory.keywords):
            raise ValueError(f"{' and '.join(networks)} differ in kind or size, but a CycleGAN's {kind} are alike.")
    return first


def read(files: Sequence[str], direction: Way | None, dropout: bool | None) -> CycleGAN:
    """Make the method; of one generator, a CycleGAN that goes one way."""
    networks = read_networks(files, "cyclegan", ROLES)
    dropout = bool(dropout)  # trained without unless told otherwise
    generators = [role for role in networks if role.startswith("G")]
    if len(generators) == 1 and len(networks) == 1:
        direction, state = _one_way(networks, direction)
        generator = read_generator(state, dropout)
        channels = channels_of(generator.seen, generator.made, direction)
        method = CycleGAN(*channels, generator=generator.factory, direction=direction, identity_weight=0.0)
        load(method.get_submodule(direction), generator)
        return method
    if sorted(generators) != ["G_A", "G_B"]:
        raise ValueError(
            f"The files are {', '.join(networks)}; a CycleGAN is G_A and G_B, with or without D_A and D_B.\n"
            "One generator alone can be imported also, without critics."
        )
    if direction is not None:
        raise ValueError(f"Both generators were given, but the direction is {direction!r}.\nLeave --direction out.")
    found: dict[str, Recognised] = {role: read_generator(networks[role], dropout) for role in ("G_A", "G_B")}
    generator = _same(found, "generators")
    options: dict[str, Any] = {"identity_weight": 0.5 if generator.seen == generator.made else 0.0}
    critics: dict[str, Recognised] = {role: read_critic(networks[role]) for role in ("D_A", "D_B") if role in networks}
    warn_of_new_critics(role for role in ("D_A", "D_B") if role not in critics)
    if critics:
        options["critic"] = _same(critics, "critics").factory
    method = CycleGAN(generator.seen, generator.made, generator=generator.factory, **options)
    for role, network in (found | critics).items():
        load(method.get_submodule(_NETWORKS[role]), network)
    return method


def write(method: CycleGAN) -> dict[str, State]:
    """Official weights of its networks, by role."""
    built = {name for names in method.players.values() for name in names}
    networks = {role: method.get_submodule(name) for role, name in _NETWORKS.items() if name in built}
    return write_all({role: (network, official_state) for role, network in networks.items()})
