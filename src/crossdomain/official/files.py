"""Which network of the official code a file holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

from crossdomain.serialization import read_plain

State = dict[str, Tensor]

Way = Literal["a2b", "b2a"]
"""Which way a model goes that goes one way."""

# The name that tells what kind of network a state is of.
_KINDS = {
    "model.model.0.weight": "generator",  # U-Net
    "model.down.0.weight": "generator",  # U-Net with a latent vector in every layer
    "model.1.weight": "generator",  # ResNet, which begins with padding
    "fc.0.weight": "encoder",
    "model.0.weight": "critic",
    "net.0.weight": "critic",  # of pixels
    "model_0.0.weight": "critic",  # of several scales
}
_KIND_OF_ROLE = {"G": "generator", "D": "critic", "E": "encoder"}  # by a role's first letter
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def below(state: Mapping[str, Tensor], prefix: str) -> State:
    """The entries whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def read_network(path: str) -> State:
    """Read the weights of one network, as its ``state_dict`` would name them.

    ``module.``, which DataParallel puts before all names, is taken off. Statistics of norms without weights are left
    out: those are instance norms, which once kept statistics that the official test never used.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    content = read_plain(path)
    if isinstance(content, Mapping) and "crossdomain" in content:
        raise ValueError(f"{path!r} is a checkpoint of crossdomain already: there is nothing to import.")
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(
            f"{path!r} holds no weights of a network, but a {type(content).__name__} of something else.\n"
            "Give what the official code wrote, such as latest_net_G.pth."
        )
    state = {key.removeprefix("module."): value for key, value in content.items()}
    return {
        key: value
        for key, value in state.items()
        if not key.endswith(_STATISTICS) or f"{key.rpartition('.')[0]}.weight" in state
    }


def _named_role(path: str) -> str | None:
    """The role in a file's name, as the official code writes it: ``EPOCH_net_ROLE.pth``."""
    match = re.fullmatch(r".*_net_(G|D|E|D2|G_A|G_B|D_A|D_B)", Path(path).stem)
    return match and match[1]


def _role(path: str, kind: str, origin: str, roles: tuple[str, ...]) -> str:
    """What a file is that was given without a role: what its name says, else the one network of its kind."""
    named = _named_role(path)
    if named is not None and named not in roles:
        raise ValueError(
            f"{path!r} is named as the network {named}, but {origin} has {', '.join(roles)}.\n"
            f"Check --from; if the name misleads, say what it is: {roles[0]}={path}"
        )
    candidates = [role for role in roles if _KIND_OF_ROLE[role[0]] == kind]
    if named is None and len(candidates) > 1 and "G" not in candidates:
        raise ValueError(
            f"{path!r} holds a {kind}, but {origin} has several.\n"
            f"Say which it is: {' or '.join(f'{role}={path}' for role in candidates)}"
        )
    if not (named or candidates):
        raise ValueError(f"{path!r} holds an {kind}, but {origin} has {', '.join(roles)}.\nCheck --from.")
    return named or candidates[0]


def read_networks(files: Sequence[str], origin: str, roles: tuple[str, ...]) -> dict[str, State]:
    """Read the files of one model and say which network each is.

    Args:
        files: paths. A network's role is what its file's name says (``latest_net_G_A.pth``), or the only one of its
            kind; ``ROLE=PATH`` overrules both.
        origin: the official code, for messages.
        roles: networks that it has, such as ``("G", "D")``.

    Returns:
        Weights by role.

    Raises:
        FileNotFoundError: one of the files does not exist.
        ValueError: a file holds something else, is a network that the origin does not have, or is one too many.
    """
    found: dict[str, State] = {}
    paths: dict[str, str] = {}
    for file in files:
        before, _, after = file.partition("=")
        path = after if before in roles else file
        state = read_network(path)
        kind = next((kind for name, kind in _KINDS.items() if name in state), None)
        if kind is None:
            raise ValueError(
                f"{path!r} holds the weights of a network that the code of {origin} does not have.\n"
                f"The first of them is {next(iter(state), 'missing')!r}."
            )
        role = before if before in roles else _role(path, kind, origin, roles)
        if (expected := _KIND_OF_ROLE[role[0]]) != kind:
            raise ValueError(f"{path!r} should be the {expected} {role}, but it holds the weights of a {kind}.")
        if role in found:
            others = [r for r in roles if r[0] == role[0] and r != "G"]
            what = f"Say which is which: {' '.join(f'{r}=FILE' for r in others)}" if others else "Give one of them."
            raise ValueError(f"{paths[role]!r} and {path!r} both count as the {kind} {role}.\n{what}")
        found[role], paths[role] = state, path
    return found
