"""A comparison in a real browser: TensorBoard shows its scalars, its HParams and its panel.

Needs the extra ``[browser]`` and Chromium; skipped without. With CROSSDOMAIN_SCREENSHOTS set to a folder, writes what
the browser shows there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crossdomain.comparison import compare
from crossdomain.datamodules import Digits

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra [browser]")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
METHODS = {"alignflow-digits": "AlignFlow", "cyclegan-digits": "CycleGAN", "distancegan-digits": "DistanceGAN"}
# Chromium looks for updates and hosts of its own otherwise.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """TensorBoard's address, on a comparison of all of the zoo on digits: also FlowGAN, which translates nothing."""
    logs = tmp_path_factory.mktemp("compare")
    result = compare([], Digits(), logs=logs)
    assert set(result.metrics) == {*METHODS, "flowgan-digits"}
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logs.name, "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, cwd=logs.parent, stderr=subprocess.PIPE, text=True) as server:
        for line in server.stderr:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail("TensorBoard did not start")
        server.terminate()


@pytest.fixture(scope="module")
def page(address):
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def show(page, address, tab):
    page.goto(f"{address}#{tab}")
    page.reload()


def keep(page, name):
    if folder := os.environ.get("CROSSDOMAIN_SCREENSHOTS"):
        page.keyboard.press("Escape")  # menus
        page.wait_for_timeout(3000)
        page.screenshot(path=Path(folder) / f"tensorboard-{name}.png")


def test_scalars_overlay_by_tag(page, address):
    show(page, address, "timeseries")
    page.get_by_role("combobox", name="Filter tags (regex)").fill("mse_a2b")
    card = page.locator("card-view", has_text="test/mse_a2b")
    for method in METHODS:
        card.get_by_text(method).first.wait_for()  # in the table below the chart
    for method in METHODS:
        page.get_by_text(method).first.wait_for()
    keep(page, "scalars")


def test_hparams_has_a_row_for_each_method(page, address):
    show(page, address, "hparams")
    for method, kind in {**METHODS, "flowgan-digits": "FlowGAN"}.items():
        page.get_by_text(method).first.wait_for()
        page.get_by_text(kind, exact=True).first.wait_for()
    keep(page, "hparams")


def test_the_panel_is_there(page, address):
    show(page, address, "images")
    page.get_by_text("test/panel_a2b").first.wait_for()
    image = page.locator("img[src*='individualImage']").first
    image.wait_for()
    assert image.evaluate("image => image.naturalWidth") == (2 + len(METHODS)) * 99  # input and truth first
    keep(page, "panel")
