"""The hub: names of the zoo to recipes and checkpoints."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from crossdomain.method import Method


def _folder(package: str) -> Path:
    return Path(str(resources.files(f"crossdomain.{package}")))


def near(name: str, choices: list[str], count: int = 3) -> str:
    """The choices nearest to ``name``, for an error message; all of them when none is near and they are few."""
    close = get_close_matches(name, choices, count, cutoff=0.5)
    return ", ".join(close or (sorted(choices) if len(choices) <= 8 else [])) or "none, see --help"


# --- recipes ---------------------------------------------------------------------------------------------------


def list_recipes() -> dict[str, str]:
    """The shipped recipes: name to the first line of the file, a comment that says what it does."""
    files = sorted(_folder("zoo").glob("*.yaml"))
    return {file.stem: file.read_text().partition("\n")[0].lstrip("# ") for file in files}


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself where it exists, else the shipped recipe of that name.

    Args:
        name: a path, ``zoo/alignflow.yaml`` or ``alignflow``.

    Raises:
        FileNotFoundError: neither exists; names the nearest recipes.
    """
    if Path(name).is_file():
        return Path(name)
    parts = Path(name).parts
    if len(parts) == 1 or (len(parts) == 2 and parts[0] == "zoo"):
        shipped = _folder("zoo") / f"{Path(name).stem}.yaml"
        if shipped.is_file():
            return shipped
    raise FileNotFoundError(
        f"There is no recipe {name!r}, neither on disk nor in the zoo.\n"
        f"Nearest in the zoo: {near(Path(name).stem, list(list_recipes()))}."
    )


# --- checkpoints -----------------------------------------------------------------------------------------------


@cache
def _index() -> dict[str, dict[str, Any]]:
    with open(_folder("checkpoints") / "index.yaml") as file:
        return yaml.safe_load(file) or {}


def list_models() -> list[str]:
    """Names of the pretrained checkpoints, ``method-data`` each."""
    return sorted(_index())


def model_info(name: str) -> dict[str, Any]:
    """The index entry of a pretrained checkpoint: file, sha256, recipe, seed, metrics, licences and more."""
    if name not in _index():
        raise ValueError(f"The zoo has no checkpoint {name!r}. Nearest: {near(name, list_models())}.")
    return _index()[name]


def find_checkpoint(name: str | os.PathLike) -> Path:
    """The file of a checkpoint: the path itself where it exists, else the pretrained one of that name, verified.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: the file of that name does not have the hash of the index.
    """
    path = Path(name)
    if path.is_file():
        return path
    if str(name) in _index():
        from crossdomain.serialization import sha256

        entry = _index()[str(name)]
        path = _folder("checkpoints") / entry["file"]
        if not path.is_file():
            raise FileNotFoundError(f"The checkpoint file of {name!r} is missing: {path}. Install crossdomain again.")
        if (found := sha256(path)) != entry["sha256"]:
            raise ValueError(
                f"The checkpoint file of {str(name)!r}, {path}, is corrupted.\n"
                f"Its SHA-256 is {found}, the index has {entry['sha256']}.\nInstall crossdomain again."
            )
        return path
    raise FileNotFoundError(
        f"There is no checkpoint {str(name)!r}, neither on disk nor in the zoo.\n"
        f"Nearest in the zoo: {near(str(name), list_models())}."
    )


def load(name: str | os.PathLike, device: str = "cpu") -> Method:
    """Load a method with its weights, ready to translate.

    Args:
        name: a name of :func:`list_models`, such as ``alignflow-digits``, or the path of a checkpoint.
        device: where to put it, such as ``cuda``.

    Returns:
        The method in evaluation mode. No code from the file is run; a file of the zoo has the hash of the index.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the file is corrupted, or not a checkpoint of the zoo.
    """
    from crossdomain import serialization

    return serialization.rebuild(serialization.read(find_checkpoint(name))).to(device)
