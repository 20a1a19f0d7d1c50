"""The hub: names of the zoo to recipes and checkpoints, and checkpoints on the web to files in a cache.

A checkpoint is a name of :func:`list_checkpoints`, a path, or a URL that ends in its hash,
``https://host/file.ckpt#sha256=HEX``. What is downloaded is kept in :func:`cache_folder`; with the environment variable
``CROSSDOMAIN_OFFLINE`` set to 1, nothing is.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from crossdomain.checks import near as near
from crossdomain.recipes import find_recipe as find_recipe
from crossdomain.recipes import list_recipes as list_recipes
from crossdomain.recipes import read_recipe as read_recipe

if TYPE_CHECKING:
    import torch

    from crossdomain.method import Method
    from crossdomain.serialization import Transfer

OFFLINE = "CROSSDOMAIN_OFFLINE"


def _folder(package: str) -> Path:
    return Path(str(resources.files(f"crossdomain.{package}")))


# --- checkpoints -----------------------------------------------------------------------------------------------


@cache
def _index() -> dict[str, dict[str, Any]]:
    with open(_folder("checkpoints") / "index.yaml") as file:
        return yaml.safe_load(file) or {}


def list_checkpoints() -> list[str]:
    """Names of the pretrained checkpoints, ``method-data`` each."""
    return sorted(_index())


list_models = list_checkpoints
"""The same, by its earlier name."""


def list_methods() -> list[str]:
    """Names of the methods, classes of :mod:`crossdomain.methods`."""
    from crossdomain import methods

    return sorted(methods.__all__, key=str.lower)


def model_info(name: str) -> dict[str, Any]:
    """The index entry of a pretrained checkpoint: file or url (or both), sha256, recipe, seed, metrics, licences..."""
    if name not in _index():
        raise ValueError(f"The zoo has no checkpoint {name!r}. Nearest: {near(name, list_checkpoints())}.")
    return _index()[name]


def find_checkpoint(name: str | os.PathLike) -> Path:
    """The file of a checkpoint; that of a name or URL is verified by its hash, and downloaded where it is not at hand.

    Args:
        name: a name of :func:`list_checkpoints`, a path, or a URL that ends in ``#sha256=HEX``. A path comes first; of
            a file that the user named there is no hash to compare.

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
            f"Nearest in the zoo: {near(given, list_checkpoints())}."
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
        name: a name of :func:`list_checkpoints`, such as ``alignflow-digits``, the path of a checkpoint, or a URL that
            ends in ``#sha256=HEX``.
        device: where to put it, such as ``cuda``.

    Returns:
        The method in evaluation mode. No code from the file is run; a file of the zoo or from the web has its hash.

    Raises:
        FileNotFoundError: there is no such checkpoint, or it is not at hand and downloads are switched off.
        ConnectionError: it cannot be downloaded, or not to its end; the next call resumes.
        ValueError: the file is corrupted, or not a checkpoint of the zoo; or there is no such device.
    """
    from crossdomain import serialization
    from crossdomain.method import Method

    place = _usable(device)
    found = serialization.load(find_checkpoint(name))
    if not isinstance(found, Method):
        raise ValueError(f"The checkpoint {str(name)!r} holds a {type(found).__name__}, which is no Method.")
    return found.to(place)


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
