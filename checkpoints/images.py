"""Pictures in ``docs/images`` that show checkpoints of the zoo and its data, made from them.

    python checkpoints/images.py            # makes all of them anew; `make images`
    python checkpoints/images.py NAME...    # some of them

Pages of TensorBoard need Chromium and the extra ``[browser]``. Each picture says in its metadata which weights and
figures it was made of, so that a test can tell when the zoo has others. The remaining pictures of the folder belong to
experiments of ``docs/experiments``, whose tables are of the same runs: :data:`EXPERIMENTS` says what they show.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from crossdomain import hub

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
TABS = ("scalars", "hparams", "panel")
DATA = {"shapes": "Shapes", "facade-styles": "FacadeStyles", "digit-domains": "DigitDomains"}  # pictures of data alone
PICTURES = ("alignflow-digits", *DATA, *(f"tensorboard-{tab}" for tab in TABS))
EXPERIMENTS = {
    "alignflow-facades": "zoo/alignflow_facades.yaml",
    "alignflow-facades-64": "zoo/alignflow_facades_64.yaml",
    "flowgan-mnist": "benchmarks/flowgan_mnist.py",
    "guided-shapes": "benchmarks/guided_shapes.py",
    "lrmf-moons": "benchmarks/lrmf_moons.py",
    "misread-usps-to-mnist": "benchmarks/misjudged_digits.py",
    "unpaired-digits": "benchmarks/unpaired_digits.py",
}
MADE_OF = "crossdomain: made of"  # the entry in a picture's metadata
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Chromium looks for updates and hosts of its own otherwise.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip


# --- what a picture was made of --------------------------------------------------------------------------------


def sources(name: str) -> dict[str, Any]:
    """What a picture of today's zoo is made of: the hashes of checkpoints, and the figures that are seen.

    Data that is drawn has neither; a picture of it is compared with what is drawn.
    """
    if name in DATA:
        return {"data": DATA[name]}
    entries = {model: hub.model_info(model) for model in hub.list_checkpoints()}
    if name == "alignflow-digits":
        return {name: {"sha256": entries[name]["sha256"]}}
    shown = ("sha256", "method", "metrics")
    return {model: {key: e[key] for key in shown} for model, e in entries.items() if e["data"] == "Digits"}


def made_of(path: Path) -> dict[str, Any] | None:
    """What a picture says it was made of; None where it says nothing."""
    with Image.open(path) as picture:
        return json.loads(picture.info[MADE_OF]) if MADE_OF in picture.info else None


def _write(picture: Image.Image, name: str) -> None:
    note = PngInfo()
    note.add_text(MADE_OF, json.dumps(sources(name), sort_keys=True))
    picture.save(FOLDER / f"{name}.png", pnginfo=note, optimize=True)
    print(f"wrote {FOLDER / name}.png", flush=True)


# --- TensorBoard in a browser ----------------------------------------------------------------------------------


@contextmanager
def tensorboard(logs: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows ``logs``."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logs.name, "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, cwd=logs.parent, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None  # a pipe
            address = next(filter(None, (re.search(r"http://\S+", line) for line in server.stderr)), None)
            if address is None:
                raise ChildProcessError("TensorBoard did not start.")
            yield address[0]
        finally:
            server.terminate()


@contextmanager
def browser() -> Iterator[Any]:
    """A page of Chromium, 1,500 by 1,000 pixels.

    Raises:
        FileNotFoundError: Chromium is not installed.
        ModuleNotFoundError: the extra ``[browser]`` is not.
    """
    if CHROMIUM is None:
        raise FileNotFoundError("Pages of TensorBoard are shown by Chromium, which is not installed.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = chromium.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        chromium.close()


def show(page: Any, address: str, tab: str) -> None:
    """Open one of ``TABS``, and wait for what it shows of a comparison on ``Digits``."""
    page.goto(f"{address}#{ {'scalars': 'timeseries', 'panel': 'images'}.get(tab, tab) }")
    page.reload()
    if tab == "scalars":
        page.get_by_role("combobox", name="Filter tags (regex)").fill("mse_a2b")
        page.locator("card-view", has_text="test/mse_a2b").wait_for()
    elif tab == "panel":
        page.get_by_text("test/panel_a2b").first.wait_for()
        page.locator("img[src*='individualImage']").first.wait_for()
    else:
        page.get_by_text("DistanceGAN", exact=True).first.wait_for()


def _take(tabs: list[str]) -> None:
    """Take pictures of a comparison of the zoo on ``Digits``."""
    from crossdomain.commands.compare import compare
    from crossdomain.datamodules import Digits

    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "compare"
        compare([], Digits(), logs=logs)
        with tensorboard(logs) as address, browser() as page:
            for tab in tabs:
                show(page, address, tab)
                page.keyboard.press("Escape")  # menus
                page.wait_for_timeout(3000)
                _write(Image.open(io.BytesIO(page.screenshot())), f"tensorboard-{tab}")


# --- pictures that are drawn -----------------------------------------------------------------------------------


def draw_grid(name: str) -> Tensor:
    """What TensorBoard shows of a checkpoint of ``Digits`` under ``val/grid``, uint8 (3, height, width)."""
    from crossdomain.datamodules import Digits
    from crossdomain.evaluation import Evaluation

    data = Digits()
    data.setup("validate")
    grid = Evaluation().grid(hub.load(name), next(iter(data.val_dataloader())))
    assert grid is not None  # AlignFlow translates
    return grid


def draw_shapes(count: int = 15) -> Tensor:
    """The factors of ``Shapes``, and the first pictures of val of each split, uint8 (3, height, width)."""
    import torch

    from crossdomain.datamodules import Shapes
    from crossdomain.datamodules.shapes import FACTORS, render
    from crossdomain.evaluation.grid import labelled_grid

    def shown(pictures: Tensor) -> Tensor:
        return pictures / 127.5 - 1

    rows = []
    for k, (factor, values) in enumerate(FACTORS.items()):
        scenes = torch.tensor([1, 6, 4, 5, 1, 10]).repeat(values, 1)
        scenes[:, k] = torch.arange(values)
        rows.append((factor, shown(render(scenes))))
    for split in "ABC":
        data = Shapes(split=split)
        (a, b), names = data.split("val").fields, data.domains
        rows.append((f"split {split}, a:\n{names[0]}", shown(a["a"][:count])))
        rows.append((f"guide, b:\n{names[1]}", shown(b["b"][:count])))
        rows.append(("  truth", shown(a["truth_a2b"][:count])))
    return labelled_grid(rows)


def draw_facade_styles() -> Tensor:
    """The first house of val of each style, in all styles, uint8 (3, height, width).

    Each row is a domain and each column a house. On the diagonal, framed, are the domains' own images; all others are
    what these should become.
    """
    import torch
    from torch.nn.functional import pad

    from crossdomain.datamodules import FacadeStyles
    from crossdomain.evaluation.grid import labelled_grid

    data = FacadeStyles()
    fields = dict(zip(data.letters, data.split("val").fields, strict=True))

    def shown(house: str, style: str) -> Tensor:
        picture = fields[house][style if house == style else f"truth_{house}2{style}"][0] / 127.5 - 1
        return pad(picture[:, 3:-3, 3:-3], (3, 3, 3, 3), value=-1) if house == style else picture

    rows = []
    for letter, name in zip(data.letters, data.domains, strict=True):
        label = f"{letter}: {name}".replace(" in the", "\n    in the")
        rows.append((label, torch.stack([shown(house, letter) for house in data.letters])))
    return labelled_grid(rows)


def draw_digit_domains(count: int = 12) -> Tensor:
    """The first images of val of the embedded digits, each below it in the domains where its truth is known.

    uint8 (3, height, width).
    """
    from crossdomain.datamodules import DigitDomains
    from crossdomain.evaluation.grid import labelled_grid

    data = DigitDomains(image_size=16)
    names = dict(zip(data.letters, data.domains, strict=True))
    rows = []
    for letter, fields in zip(data.letters, data.split("val").fields, strict=True):
        rows.append((f"{letter}: {names[letter]}", fields[letter][:count] / 127.5 - 1))
        for other in data.letters:
            if (truth := fields.get(f"truth_{letter}2{other}")) is not None:
                rows.append((f"  truth in {other}:\n  {names[other]}", truth[:count] / 127.5 - 1))
    return labelled_grid(rows)


DRAWN: dict[str, Callable[[], Tensor]] = {
    "alignflow-digits": partial(draw_grid, "alignflow-digits"),
    "shapes": draw_shapes,
    "facade-styles": draw_facade_styles,
    "digit-domains": draw_digit_domains,
}


def main() -> None:
    """Make those named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)} (default: all)")
    names = parser.parse_args().names or list(PICTURES)
    if unknown := set(names) - set(PICTURES):
        parser.error(f"{', '.join(sorted(unknown))}: not among {', '.join(PICTURES)}.")
    for name in names:
        if name in DRAWN:
            _write(Image.fromarray(DRAWN[name]().permute(1, 2, 0).numpy()), name)
    if tabs := [tab for tab in TABS if f"tensorboard-{tab}" in names]:
        _take(tabs)


if __name__ == "__main__":
    main()
