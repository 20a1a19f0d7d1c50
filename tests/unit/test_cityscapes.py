"""Cityscapes from the user's own download: pairs by name, labels in the palette's colours, all or nothing."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import write_png

from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.datamodules import Cityscapes
from crossdomain.datamodules.cityscapes import build_cityscapes, find_frames, side_by_side
from crossdomain.datamodules.image_files import read_image

PALETTE = torch.tensor([[128, 64, 128], [244, 35, 232], [70, 70, 70], [0, 0, 142], [107, 142, 35]], dtype=torch.uint8)
FRAMES = {("train", "aachen"): 2, ("train", "zurich"): 1, ("val", "munster"): 1}


def smooth(seed, height=512, width=1024):
    small = torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (1, 3, 8, 16)))
    return torch.nn.functional.interpolate(small, (height, width), mode="bilinear")[0].round().byte()


def classes(seed, height=512, width=1024):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, len(PALETTE), (height, width)))


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """leftImg8bit and gtFine in the official layout; labels with opacity, as they come, but for one with a palette."""
    both = tmp_path_factory.mktemp("downloaded")
    photos, labels, seed = both / "leftImg8bit", both / "gtFine", 0
    for (split, city), count in FRAMES.items():
        for folder in (photos / split / city, labels / split / city):
            folder.mkdir(parents=True)
        for i in range(count):
            seed += 1
            frame, chosen = f"{city}_{i:06d}_000019", classes(seed)
            write_png(smooth(seed), str(photos / split / city / f"{frame}_leftImg8bit.png"))
            path = labels / split / city / f"{frame}_gtFine_color.png"
            if city == "zurich":
                picture = Image.fromarray(chosen.numpy().astype(np.uint8), "P")
                picture.putpalette(PALETTE.flatten().tolist())
                picture.save(path)
            else:
                colours = PALETTE[chosen].numpy()
                Image.fromarray(np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)]), "RGBA").save(path)
            (path.with_name(f"{frame}_gtFine_polygons.json")).write_text("{}")
    return both


@pytest.fixture
def own(downloaded, tmp_path):
    """The same, to change."""
    shutil.copytree(downloaded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "leftImg8bit", tmp_path / "gtFine"


def test_command_builds_what_the_datamodule_reads(own, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CROSSDOMAIN_DATA", str(tmp_path / "root"))
    crossdomain_command(["data", "cityscapes", *map(str, own)])
    out, err = capsys.readouterr()
    assert out == f"Wrote 4 pairs to {tmp_path / 'root' / 'cityscapes'}\n"
    assert "4/4" in err
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["cityscapes"]
    data = Cityscapes(image_size=256, batch_size=1, num_workers=0)
    train, val = data.split("train"), data.split("val")
    assert [source.path.name for source in train.sources["a"]] == [
        "aachen_000000_000019.png", "aachen_000001_000019.png", "zurich_000000_000019.png",
    ]  # fmt: skip
    assert [source.path.name for source in val.sources["a"]] == ["munster_000000_000019.png"]
    for index, seed in ((0, 1), (2, 3)):  # one with opacity, one with a palette
        photo, labels = (train.sources[domain][index].read() for domain in "ab")
        assert photo.shape == labels.shape == (3, 256, 256)
        # Every label is that of the middle of its 2x4 block: a colour of the palette, in its place.
        assert torch.equal(labels, PALETTE[classes(seed)[1::2, 2::4]].permute(2, 0, 1))
        # The photo is that of Pillow, which the official script takes; the two round differently.
        expected = Image.fromarray(smooth(seed).permute(1, 2, 0).numpy()).resize((256, 256), Image.Resampling.BICUBIC)
        assert (photo.permute(1, 2, 0).int() - torch.from_numpy(np.array(expected)).int()).abs().max() <= 1


def test_photos_are_averaged_and_labels_are_not():
    stripes = torch.zeros(3, 32, 64, dtype=torch.uint8)
    stripes[:, :, ::2] = 200
    halves = side_by_side(stripes, stripes, size=8)
    assert halves.shape == (3, 8, 16)
    assert (halves[:, :, :8].int() - 100).abs().max() <= 4  # the filter is cut off at the border
    assert set(halves[:, :, 8:].unique().tolist()) <= {0, 200}


def test_frames_without_a_partner_are_named(own, tmp_path, capsys):
    photos, labels = own
    missing = labels / "train" / "zurich" / "zurich_000000_000019_gtFine_color.png"
    missing.unlink()
    with pytest.raises(SystemExit):
        crossdomain_command(["data", "cityscapes", str(photos), str(labels), "--output", str(tmp_path / "made")])
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert shown[0] == (
        f"error: '{photos}/train/zurich/zurich_000000_000019_leftImg8bit.png' has no partner {missing.name} "
        f"in '{labels}/train' (1 such files)."
    )
    (photos / "train" / "zurich" / "zurich_000000_000019_leftImg8bit.png").unlink()
    (photos / "val" / "munster" / "munster_000000_000019_leftImg8bit.png").rename(
        photos / "val" / "munster" / "munster_000001_000019_leftImg8bit.png"
    )
    with pytest.raises(ValueError, match=r"munster_000000_000019_gtFine_color.png' has no partner munster_0.*\(2 such"):
        find_frames(photos, labels)
    with pytest.raises(FileNotFoundError, match=r"no file CITY/FRAME_leftImg8bit.png in .*gtFine/train'"):
        find_frames(labels, photos)
    assert not (tmp_path / "made").exists()


def test_nothing_half_built_stays_behind(own, tmp_path):
    output, before = tmp_path / "made", sorted(tmp_path.rglob("*"))
    broken = own[0] / "val" / "munster" / "munster_000000_000019_leftImg8bit.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"'{broken}' cannot be read as an image"):
        build_cityscapes(*own, output)
    assert sorted(tmp_path.rglob("*")) == before
    write_png(smooth(0)[:1], str(broken))
    with pytest.raises(ValueError, match=rf"'{broken}' has 1 channels of torch.uint8, expected RGB"):
        build_cityscapes(*own, output)
    broken.write_bytes(whole)

    def interrupt(frames):
        yield from frames[:2]
        assert len(list(tmp_path.glob(".made.*/content/train/*.png"))) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cityscapes(*own, output, progress=interrupt)
    assert sorted(tmp_path.rglob("*")) == before
    assert build_cityscapes(*own, output) == 4
    assert read_image(output / "val" / "munster_000000_000019.png").shape == (3, 256, 512)
    with pytest.raises(FileExistsError, match="made' is there already"):
        build_cityscapes(*own, output)
