"""How much files from elsewhere may take up, and how their limits are raised."""

from __future__ import annotations

import os

MAX_PIXELS = "CROSSDOMAIN_MAX_PIXELS"
MAX_DOWNLOAD = "CROSSDOMAIN_MAX_DOWNLOAD"
MAX_UNPACKED = "CROSSDOMAIN_MAX_UNPACKED"
# 268 million pixels (a phone's 200 megapixels pass), 32 GiB and 64 GiB (edges2handbags has 8).
DEFAULTS = {MAX_PIXELS: 2**28, MAX_DOWNLOAD: 2**35, MAX_UNPACKED: 2**36}


def limit(name: str) -> int:
    """The limit that the environment variable ``name`` sets, else its default.

    Raises:
        ValueError: the variable holds no positive whole number.
    """
    value = os.environ.get(name) or str(DEFAULTS[name])
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"The environment variable {name} is {value!r}.\nExpected: a positive whole number.")
    return int(value)
