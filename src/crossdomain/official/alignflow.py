"""AlignFlow (github.com/ermongroup/alignflow): a Flow2Flow's checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from crossdomain.flows import RealNVP
from crossdomain.methods import AlignFlow
from crossdomain.networks import PatchCritic
from crossdomain.official.files import State, below
from crossdomain.serialization import read_plain

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
            coupling = _coupling_state(below(official, f"{group}.{k}."))
            state.update({f"flows.{place + k}.{name}": value for name, value in coupling.items()})

    following = below(official, "next_block.")
    take("in_couplings", first, 3 if following else 4)
    if following:
        take("out_couplings", first + 4, 3)  # after the squeeze
        inner = _scale_state(following, 0)
        state.update({f"flows.{first + 8}.flow.{name}": value for name, value in inner.items()})
    return state


def read(files: Sequence[str], direction: str | None, dropout: bool | None) -> AlignFlow:
    """Make the method that a checkpoint holds."""
    if len(files) != 1 or direction is not None or dropout is not None:
        raise ValueError("An AlignFlow is one file, and goes both ways without dropout.\nGive the file alone.")
    content = read_plain(files[0])
    if not isinstance(content, dict):
        raise ValueError(f"{files[0]!r} holds a {type(content).__name__}, expected a dict of weights.")
    if content.get("model_name") != "Flow2Flow" or "model_state" not in content:
        raise ValueError(
            f"The file holds {content.get('model_name', 'no model_name')!r}, expected AlignFlow's 'Flow2Flow'.\n"
            "Give an iter_N.pth.tar or best.pth.tar that the official train.py wrote with --model Flow2Flow."
        )
    parts = {part: below(content["model_state"], f"{part}.module.") for part in ("g_src", "g_tgt", "d_src", "d_tgt")}
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
        flow.load_state_dict(fixed | _scale_state(below(flows[domain], "flows."), 1))
        method.get_submodule(f"critic_{domain}").load_state_dict(critics[domain])
    return method
