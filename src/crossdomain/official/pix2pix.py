"""pix2pix (github.com/junyanz/pytorch-CycleGAN-and-pix2pix): generator and critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossdomain.methods import Pix2Pix
from crossdomain.official.files import State, Way, read_networks
from crossdomain.official.networks import (
    channels_of,
    load,
    official_state,
    read_conditional,
    read_critic,
    read_generator,
    warn_of_new_critics,
    write_all,
)

ROLES = ("G", "D")


def read(files: Sequence[str], direction: Way | None, dropout: bool | None) -> Pix2Pix:
    """Make the method; it keeps dropout on when it translates, as the official test does, where there is any."""
    networks = read_networks(files, "pix2pix", ROLES)
    direction = direction or "a2b"
    if "G" not in networks:
        raise ValueError("The critic was given alone.\nGive the generator also: latest_net_G.pth")
    generator = read_generator(networks["G"], dropout is not False)  # trained with it unless told --no_dropout
    options: dict[str, Any] = {"test_dropout": generator.factory.keywords["dropout"] > 0}
    critic = read_critic(networks["D"]) if "D" in networks else None
    warn_of_new_critics({"D"} - set(networks))
    if critic is not None:
        options |= {"critic": critic.factory, "conditional": read_conditional(critic, generator)}
    channels = channels_of(generator.seen, generator.made, direction)
    method = Pix2Pix(*channels, direction, generator=generator.factory, **options)
    load(method.generator, generator)
    if critic is not None:
        load(method.critic, critic)
    return method


def write(method: Pix2Pix) -> dict[str, State]:
    """Official weights of its networks, by role."""
    networks = {"G": (method.generator, official_state)}
    if "critic" in method.players:
        networks["D"] = (method.critic, official_state)
    return write_all(networks)
