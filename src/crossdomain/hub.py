"""The hub: names of the zoo to recipes and checkpoints, and checkpoints on the web to files in a cache.

A checkpoint is a name of :func:`list_models`, a path, or a URL that ends in its hash,
``https://host/file.ckpt#sha256=HEX``. What is downloaded is kept in :func:`cache_folder`; with the environment variable
``CROSSDOMAIN_OFFLINE`` set to 1, nothing is.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import torch

    from crossdomain.method import Method
    from crossdomain.serialization import Transfer

OFFLINE = "CROSSDOMAIN_OFFLINE"


def _folder(package: str) -> Path:
    return Path(str(resources.files(f"crossdomain.{package}")))


def near(name: str, choices: list[str], count: int = 3, within: str = "", otherwise: str = "none, see --help") -> str:
    """The choices nearest to ``name``, for an error message; all of them when none is near and they are few.

    What they all lie ``within`` is put before each; where none is near and they are many, ``otherwise`` is said.
    """
    close = get_close_matches(name, choices, count, cutoff=0.5)
    shown = close or (sorted(choices) if len(choices) <= 8 else [])
    return ", ".join(within + choice for choice in shown) or otherwise


# --- recipes ---------------------------------------------------------------------------------------------------


def list_recipes() -> dict[str, str]:
    """The shipped recipes: name to the first line of the file, a comment that says what it does."""
    files = sorted(_folder("zoo").glob("*.yaml"))
    return {file.stem: file.read_text().partition("\n")[0].lstrip("# ") for file in files}


class _Recipe(yaml.SafeLoader):
    """YAML in which no key stands twice: of two alike, the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_recipe(path: str | os.PathLike) -> dict[str, Any]:
    """What a recipe's file says.

    Raises:
        ValueError: it is no YAML, or no options by name; names the file and, where that can be told, the line.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Recipe)
    except UnicodeDecodeError:
        raise ValueError(
            f"The recipe {str(path)!r} is no text.\nExpected a YAML file with model, data and trainer."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).partition("\n")[0]
        if "'\\t'" in what:
            what = "a tab indents it, and YAML takes spaces alone"
        raise ValueError(f"The recipe {str(path)!r} is no YAML{line}: {what}.") from None
    if not isinstance(content, dict):
        kind = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise ValueError(
            f"The recipe {str(path)!r} {kind}.\nExpected options by name, such as model, data and trainer."
        )
    return content


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself where it exists, else the shipped recipe of that name.

    Args:
        name: a path, ``zoo/alignflow.yaml`` or ``alignflow``.

    Raises:
        FileNotFoundError: neither exists; names the nearest recipes.
        ValueError: the file is no recipe.
    """
    if Path(name).is_file():
        read_recipe(name)
        return Path(name)
    if Path(name).is_dir() and name:
        raise IsADirectoryError(f"The recipe {name!r} is a folder, expected a YAML file.")
    parts = Path(name).parts
    if len(parts) == 1 or (len(parts) == 2 and parts[0] == "zoo"):
        shipped = _folder("zoo") / f"{Path(name).stem}.yaml"
        if shipped.is_file():
            return shipped
    nearest = near(Path(name).stem, list(list_recipes()), otherwise="none, see crossdomain list")
    raise FileNotFoundError(f"There is no recipe {name!r}, neither on disk nor in the zoo.\nNearest there: {nearest}.")


# --- checkpoints -----------------------------------------------------------------------------------------------


@cache
def _index() -> dict[str, dict[str, Any]]:
    with open(_folder("checkpoints") / "index.yaml") as file:
        return yaml.safe_load(file) or {}


def list_models() -> list[str]:
    """Names of the pretrained checkpoints, ``method-data`` each."""
    return sorted(_index())


def model_info(name: str) -> dict[str, Any]:
    """The index entry of a pretrained checkpoint: file or url (or both), sha256, recipe, seed, metrics, licences..."""
    if name not in _index():
        raise ValueError(f"The zoo has no checkpoint {name!r}. Nearest: {near(name, list_models())}.")
    return _index()[name]


def find_checkpoint(name: str | os.PathLike) -> Path:
    """The file of a checkpoint; that of a name or URL is verified by its hash, and downloaded where it is not at hand.

    Args:
        name: a name of :func:`list_models`, a path, or a URL that ends in ``#sha256=HEX``. A path comes first; of a
            file that the user named there is no hash to compare.

    Raises:
        FileNotFoundError: there is no such checkpoint, or it is not at hand and downloads are switched off.
        ConnectionError: it cannot be downloaded, or not to its end; the next call resumes.
        ValueError: the file does not have its hash, or the URL gives none.
    """
    given = str(name)
    if "://" in given:
        url, sha256 = _split_url(given)
        return _cached(url, sha256, url)
    if Path(name).is_file():
        return Path(name)
    if given not in _index():
        raise FileNotFoundError(
            f"There is no checkpoint {given!r}, neither on disk nor in the zoo.\n"
            f"Nearest in the zoo: {near(given, list_models())}."
        )
    entry = _index()[given]
    shipped = _folder("checkpoints") / entry.get("file", f"{given}.ckpt")
    if shipped.is_file():
        return _verified(shipped, entry["sha256"], given, "Install crossdomain again.")
    if "url" in entry:
        return _cached(entry["url"], entry["sha256"], given)
    raise FileNotFoundError(f"The checkpoint file of {given!r} is missing: {shipped}. Install crossdomain again.")


def load(name: str | os.PathLike, device: str | torch.device = "cpu") -> Method:
    """Load a method with its weights, ready to translate.

    Args:
        name: a name of :func:`list_models`, such as ``alignflow-digits``, the path of a checkpoint, or a URL that ends
            in ``#sha256=HEX``.
        device: where to put it, such as ``cuda``.

    Returns:
        The method in evaluation mode. No code from the file is run; a file of the zoo or from the web has its hash.

    Raises:
        FileNotFoundError: there is no such checkpoint, or it is not at hand and downloads are switched off.
        ConnectionError: it cannot be downloaded, or not to its end; the next call resumes.
        ValueError: the file is corrupted, or not a checkpoint of the zoo; or there is no such device.
    """
    from crossdomain import serialization

    place = _usable(device)
    return serialization.load(find_checkpoint(name)).to(place)


def _usable(device: str | torch.device) -> torch.device:
    import torch

    try:
        place = torch.device(device)
        torch.empty(0, device=place).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        offered = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        offered += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"device is {str(device)!r}, which there is not here.\nExpected one of: {', '.join(offered)}."
        ) from None
    return place


def init_from(method: Method, name: str | os.PathLike) -> Transfer:
    """Give a new method the weights of a checkpoint, to fine-tune it: ``lightning fit --init_from NAME`` in Python.

    Weights alone are taken, where names and shapes agree; the method keeps its own options, and training starts at
    round 0. What ``prepare`` computes from data it computes for weights that were not loaded only.

    Args:
        method: made anew, of the checkpoint's class or another one.
        name: as :func:`load`.

    Returns:
        What was loaded and what not; ``print`` shows it briefly.

    Raises:
        ValueError: no weights fit; otherwise as :func:`load`.
    """
    from crossdomain import serialization

    return serialization.transfer(serialization.read(find_checkpoint(name)), method)


# --- downloads -------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where downloads are kept: ``CROSSDOMAIN_CACHE``, else ``crossdomain`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if folder := os.environ.get("CROSSDOMAIN_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "crossdomain"


def _split_url(given: str) -> tuple[str, str]:
    """The address and the hash of ``https://host/file.ckpt#sha256=HEX``."""
    url, _, fragment = given.partition("#")
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{given!r} is no address that can be downloaded.\nExpected https://HOST/FILE#sha256=HEX.")
    if not (match := re.fullmatch("sha256=([0-9a-f]{64})", fragment.lower())):
        raise ValueError(
            f"{given!r} lacks the SHA-256 that the download is verified by: 64 hexadecimal digits.\n"
            f"Append it as its author publishes it: {url}#sha256=HEX."
        )
    return url, match[1]


def _cached(url: str, sha256: str, name: str) -> Path:
    """The verified file with this hash in the cache, downloaded where it is not there yet."""
    from crossdomain.datamodules.downloads import fetch_file, one_at_a_time

    path = cache_folder() / f"{sha256}.ckpt"  # by its hash, so that names cannot collide
    if not path.is_file():
        if os.environ.get(OFFLINE, "0") not in ("", "0"):
            raise FileNotFoundError(
                f"The checkpoint {name!r} is not in the cache, and {OFFLINE} is set, so it is not downloaded.\n"
                f"Put the file from {url} there by other means: {str(path)!r}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path.with_name(f".{sha256}.lock")):
            if not path.is_file():  # another process may have fetched it meanwhile
                return fetch_file(url, path, sha256)
    return _verified(path, sha256, name, "Delete the file and call again to fetch it anew.")


def _verified(path: Path, sha256: str, name: str, advice: str) -> Path:
    from crossdomain.datamodules.downloads import check_sha256

    try:
        check_sha256(path, sha256)
    except ValueError as error:
        raise ValueError(f"The checkpoint {name!r} is refused.\n{error}\n{advice}") from None
    return path
