"""A comparison in a real browser: TensorBoard shows its scalars, its HParams and its panel.

Needs the extra ``[browser]`` and Chromium; skipped without.
"""

import pytest

from crossdomain.checkpoints import images
from crossdomain.commands.compare import compare
from crossdomain.datamodules import Digits

pytest.importorskip("playwright.sync_api", reason="needs the extra [browser]")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(images.CHROMIUM is None, reason="Chromium is not installed")]
METHODS = {"alignflow-digits": "AlignFlow", "cyclegan-digits": "CycleGAN", "distancegan-digits": "DistanceGAN"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """TensorBoard's address, on a comparison of all of the zoo on digits: also FlowGAN, which translates nothing."""
    logs = tmp_path_factory.mktemp("compare")
    result = compare([], Digits(), logs=logs)
    assert set(result.metrics) == {*METHODS, "flowgan-digits"}
    with images.tensorboard(logs) as address:
        yield address


@pytest.fixture(scope="module")
def page(address):
    with images.browser() as page:
        yield page


def test_scalars_overlay_by_tag(page, address):
    images.show(page, address, "scalars")
    card = page.locator("card-view", has_text="test/mse_a2b")
    for method in METHODS:
        card.get_by_text(method).first.wait_for()  # in the table below the chart
    for method in METHODS:
        page.get_by_text(method).first.wait_for()


def test_hparams_has_a_row_for_each_method(page, address):
    images.show(page, address, "hparams")
    for method, kind in {**METHODS, "flowgan-digits": "FlowGAN"}.items():
        page.get_by_text(method).first.wait_for()
        page.get_by_text(kind, exact=True).first.wait_for()


def test_the_panel_is_there(page, address):
    images.show(page, address, "panel")
    image = page.locator("img[src*='individualImage']").first
    assert image.evaluate("image => image.naturalWidth") == (2 + len(METHODS)) * 99  # input and truth first
