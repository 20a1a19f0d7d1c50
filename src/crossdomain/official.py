"""Checkpoints that the authors' own code wrote, read into the zoo's methods."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from crossdomain.flows import RealNVP
from crossdomain.method import Method
from crossdomain.methods import AlignFlow
from crossdomain.networks import PatchCritic
from crossdomain.serialization import read_plain

State = dict[str, Tensor]


def _below(state: Mapping[str, Tensor], prefix: str) -> State:
    """The entries whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


# --- AlignFlow -------------------------------------------------------------------------------------------------

# Names inside an official coupling, in the order in which they are replaced.
_COUPLING = (
    (r"^s_scale$", "scale"),
    (r"^s_shift$", "offset"),
    (r"^st_norm\.", "norm."),
    (r"^st_net\.", "conditioner."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
    (r"(blocks\.\d+)\.in_norm\.", r"\1.norm1."),
    (r"(blocks\.\d+)\.in_conv\.conv\.", r"\1.conv1."),
    (r"(blocks\.\d+)\.out_norm\.", r"\1.norm2."),
    (r"(blocks\.\d+)\.out_conv\.conv\.", r"\1.conv2."),
    (r"\.out_norm\.", ".norm."),
    (r"\.out_conv\.conv\.", ".last."),
    (r"\.in_conv\.conv\.", ".first."),
    (r"\.skips\.(\d+)\.conv\.", lambda match: f".skips.{int(match[1]) + 1}."),
    (r"\.in_skip\.conv\.", ".skips.0."),
)


def _coupling_state(official: State) -> State:
    renamed = {}
    for name, value in official.items():
        for pattern, replacement in _COUPLING:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def _scale_state(official: State, first: int) -> State:
    """Weights of one scale of RealNVP, whose flows begin at place ``first``, and of those inside it."""
    state: State = {}

    def take(group: str, place: int, count: int) -> None:
        for k in range(count):
            coupling = _coupling_state(_below(official, f"{group}.{k}."))
            state.update({f"flows.{place + k}.{name}": value for name, value in coupling.items()})

    following = _below(official, "next_block.")
    take("in_couplings", first, 3 if following else 4)
    if following:
        take("out_couplings", first + 4, 3)  # after the squeeze
        inner = _scale_state(following, 0)
        state.update({f"flows.{first + 8}.flow.{name}": value for name, value in inner.items()})
    return state


def _alignflow(content: Mapping) -> Method:
    if content.get("model_name") != "Flow2Flow" or "model_state" not in content:
        raise ValueError(
            f"The file holds {content.get('model_name', 'no model_name')!r}, expected AlignFlow's 'Flow2Flow'.\n"
            "Give an iter_N.pth.tar or best.pth.tar that the official train.py wrote with --model Flow2Flow."
        )
    parts = {part: _below(content["model_state"], f"{part}.module.") for part in ("g_src", "g_tgt", "d_src", "d_tgt")}
    flows, critics = ({d: parts[f"{kind}_{end}"] for d, end in (("a", "src"), ("b", "tgt"))} for kind in "gd")
    first = flows["a"]["flows.in_couplings.0.st_net.in_conv.conv.weight_v"]  # (width, 2 channels + 1, 3, 3)
    width, channels = first.shape[0], (first.shape[1] - 1) // 2
    blocks = sum(bool(re.fullmatch(r"flows\.in_couplings\.0\.st_net\.skips\.\d+\.conv\.bias", k)) for k in flows["a"])
    scales = 1 + max(key.count("next_block") for key in flows["a"])
    convolutions = [value for key, value in critics["a"].items() if key.endswith("weight") and value.ndim == 4]
    batch_norm = any(key.endswith("running_mean") for key in critics["a"])
    critic = partial(
        PatchCritic,
        width=convolutions[0].shape[0],
        layers=len(convolutions) - 2,
        norm="batch" if batch_norm else "instance",
    )
    method = AlignFlow(channels, flow=partial(RealNVP, scales=scales, width=width, blocks=blocks), critic=critic)
    for domain in "ab":
        flow = method.get_submodule(f"flow_{domain}")
        fixed = {name: value for name, value in flow.state_dict().items() if "order" in name}  # permutations
        flow.load_state_dict(fixed | _scale_state(_below(flows[domain], "flows."), 1))
        method.get_submodule(f"critic_{domain}").load_state_dict(critics[domain])
    return method


# --- all -------------------------------------------------------------------------------------------------------

ORIGINS: dict[str, Callable[[Mapping], Method]] = {"alignflow": _alignflow}
"""What can be imported, by the name of the official code."""


def import_official(path: str | os.PathLike, origin: str) -> Method:
    """Read the authors' published weights into a method of the zoo; architecture and sizes come from the file.

    - ``alignflow``: a checkpoint of a Flow2Flow (github.com/ermongroup/alignflow) becomes an :class:`AlignFlow` with
      two :class:`RealNVP`. Latents and densities are the official ones. Translations are not: the official code ends
      with a tanh that is not the inverse of its logit and adds noise in test also, ours ends with the true inverse.

    Args:
        path: the file.
        origin: one of ``ORIGINS``.

    Returns:
        The method in evaluation mode; ``serialization.write`` saves it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the origin is not known, or the file is not what it should be.
    """
    if origin not in ORIGINS:
        raise ValueError(f"Nothing is known of {origin!r}. Known: {', '.join(ORIGINS)}.")
    content = read_plain(path)
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} holds a {type(content).__name__}, expected a dict of weights.")
    try:
        return ORIGINS[origin](content).eval()
    except (KeyError, RuntimeError) as error:
        what = str(error).splitlines()
        raise ValueError(
            f"{str(path)!r} does not hold the weights of {origin} as its official code writes them.\n"
            f"The first that is wrong: {what[min(1, len(what) - 1)].strip()}"
        ) from None
