"""Pictures of docs/images are made of today's zoo, or stand beside the figures of an experiment."""

import re

import pytest
import torch
from torchvision.io import read_image

from crossdomain import hub
from crossdomain.checkpoints import cards, images

ROOT = images.FOLDER.parents[1]


@pytest.mark.parametrize("name", images.PICTURES)
def test_picture_is_fresh(name):
    assert images.made_of(images.FOLDER / f"{name}.png") == images.sources(name), "run `make images`"


def test_every_picture_is_made_or_of_an_experiment():
    names = {path.stem for path in images.FOLDER.iterdir()}
    assert names == {*images.PICTURES, *images.EXPERIMENTS}
    for name, source in images.EXPERIMENTS.items():
        assert (ROOT / source).is_file()
        assert images.made_of(images.FOLDER / f"{name}.png") is None


def test_docs_show_every_picture_and_no_other():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    picture = re.compile(r"\]\((?:docs/|\.\./)?images/(\w[\w-]*)\.png\)")
    shown = {match for page in pages for match in picture.findall(page.read_text())}
    assert shown == {*images.PICTURES, *images.EXPERIMENTS}


def test_other_weights_or_figures_make_pictures_stale(monkeypatch):
    index = hub._index()
    before = {name: images.sources(name) for name in images.PICTURES}
    entry = index["alignflow-digits"]
    retrained = {**index, "alignflow-digits": {**entry, "sha256": "0" * 64}}
    monkeypatch.setattr(hub, "_index", lambda: retrained)
    assert {name for name in before if images.sources(name) == before[name]} == set(images.DATA)
    measured = {**index, "cyclegan-digits": {**index["cyclegan-digits"], "metrics": {"mse_a2b": 0.5}}}
    monkeypatch.setattr(hub, "_index", lambda: measured)
    stale = {name for name in images.PICTURES if images.sources(name) != before[name]}
    assert stale == {f"tensorboard-{tab}" for tab in images.TABS}
    elsewhere = {**index, "lrmf-moons": {**index["lrmf-moons"], "sha256": "0" * 64}}
    monkeypatch.setattr(hub, "_index", lambda: elsewhere)
    assert all(images.sources(name) == before[name] for name in images.PICTURES)


def differing(one, other):
    """The share of values of two pictures (3, H, W) that differ by more than a few of 255 levels."""
    assert one.shape == other.shape
    return float(((one.int() - other.int()).abs() > 8).float().mean())


@pytest.mark.parametrize("name", images.DRAWN)
def test_picture_is_what_is_drawn_today(name):
    """But for another processor's rounding; that of the README is also the card's, drawn when it was trained."""
    drawn = images.DRAWN[name]()
    assert differing(drawn, read_image(str(images.FOLDER / f"{name}.png"))) < 0.01
    if name in hub.list_models():
        card = cards.pictures(name, hub.model_info(name)["sha256"])["grid"]
        assert differing(drawn, read_image(str(card))) < 0.01
    shifted = drawn.roll(70, 2)
    assert differing(drawn, shifted) > 0.1


def test_command_writes_what_was_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    monkeypatch.setitem(images.DRAWN, "shapes", lambda: torch.full((3, 4, 5), 7, dtype=torch.uint8))
    monkeypatch.setattr("sys.argv", ["images.py", "shapes"])
    images.main()
    assert [path.name for path in tmp_path.iterdir()] == ["shapes.png"]
    assert images.made_of(tmp_path / "shapes.png") == images.sources("shapes")
    assert torch.equal(read_image(str(tmp_path / "shapes.png")), images.DRAWN["shapes"]())
    monkeypatch.setattr("sys.argv", ["images.py", "shape"])
    with pytest.raises(SystemExit):
        images.main()
    assert "shape: not among alignflow-digits, shapes" in capsys.readouterr().err
