"""The method's options in a checkpoint, beside those that were given."""

from __future__ import annotations

from typing import Any

from jsonargparse import Namespace


def expect_channels(data: Namespace | None, arguments: dict[str, Any]) -> None:
    """Tell data that looks into its files for its channels those of a checkpoint's method."""
    options = {} if data is None else data.get("init_args", {})
    if "expected_channels" in options and options["expected_channels"] is None and "channels_a" in arguments:
        channels = arguments["channels_a"]
        options["expected_channels"] = [channels, arguments.get("channels_b") or channels]


def options_of_model(args: list[str]) -> list[str]:
    """Those of ``args`` that give options of the method, but for its class."""
    found: list[str] = []
    taking = False
    for arg in args:
        if arg.startswith("--"):
            taking = arg.startswith("--model.")
        if taking:
            found.append(arg)
    return found


def shown(key: str) -> str:
    """An option of the method as one gives it: ``flow.width`` for ``init_args.flow.init_args.width``."""
    return key.replace("init_args.", "").removesuffix("class_path").rstrip(".") or "model"


def check_resumed(method: Any, checkpoint: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse new options of a resumed method that change its weights or what they are for."""
    stored, own = checkpoint["state_dict"], method.state_dict()
    misfit = sorted(stored.keys() ^ own.keys()) or [name for name in own if own[name].shape != stored[name].shape]
    if misfit or "direction" in new:
        what = (
            f"The checkpoint's weights do not fit, {misfit[0]} first" if misfit else "The weights are of one direction"
        )
        raise ValueError(
            f"{what}, so a training cannot go on with: {', '.join(f'model.{key}' for key in new)}.\n"
            "Leave out what changes the networks, or start a new training from the weights with --init_from."
        )


def flat(config: Namespace | None) -> dict[str, Any]:
    """The options of a method by dotted name, but for the channels, which come from the data."""
    if config is None:
        return {}
    flat = {k: v for k, v in config.items() if not k.endswith(("channels_a", "channels_b", "init_args.channels"))}
    # One class has several paths, such as crossdomain.methods.AlignFlow and ...methods.alignflow.AlignFlow.
    return {k: v.rpartition(".")[2] if k.endswith("class_path") else v for k, v in flat.items()}
