"""The user's own files, by the command and in Python."""

import re
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import crossdomain
from crossdomain import serialization
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.commands.translate import translate_files
from crossdomain.datamodules.image_files import read_image, to_unit_range
from crossdomain.methods import BiCycleGAN, Pix2Pix
from crossdomain.networks import LatentUNetGenerator, ResNetEncoder, UNetGenerator


def generator(in_channels: int, out_channels: int) -> UNetGenerator:
    return UNetGenerator(in_channels, out_channels, width=4, levels=6)


@pytest.fixture
def model(tmp_path):
    method = Pix2Pix(3, generator=generator, adversarial_weight=0.0, direction="b2a", test_batch_norm="running")
    for p in method.parameters():
        p.data += 0.2 * torch.randn_like(p)  # an untrained generator hardly answers to its input
    serialization.write(method, tmp_path / "model.ckpt")
    return str(tmp_path / "model.ckpt")


def picture(path, height, width, channels=3, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    else:
        Image.fromarray(values[..., 0] if channels == 1 else values).save(path)


def test_command_keeps_sizes_and_names(model, tmp_path, capsys):
    picture(tmp_path / "in" / "tall.png", 50, 33)
    picture(tmp_path / "in" / "grey.png", 20, 40, channels=1)
    picture(tmp_path / "in" / "clear.png", 32, 32, channels=4)
    picture(tmp_path / "more" / "deep.tif", 33, 50, dtype=np.uint16)
    output = tmp_path / "out"
    arguments = ["translate", model, str(tmp_path / "in"), str(tmp_path / "more" / "*.tif"), "--output", str(output)]
    crossdomain_command(arguments)
    assert "Wrote 4 images" in capsys.readouterr().out
    shapes = {path.name: (tuple(read_image(path).shape), read_image(path).dtype) for path in output.iterdir()}
    assert shapes == {
        "tall.png": ((3, 50, 33), torch.uint8),
        "grey.png": ((3, 20, 40), torch.uint8),
        "clear.png": ((3, 32, 32), torch.uint8),
        "deep.tif": ((3, 33, 50), torch.uint16),
    }
    method = crossdomain.load(model)
    expected = method.translate(to_unit_range(read_image(tmp_path / "in" / "tall.png"))[None], "b2a", seed=0)[0]
    assert (to_unit_range(read_image(output / "tall.png")) - expected).abs().max() <= 1.01 / 255


def test_many_samples_get_numbers(model, tmp_path):
    picture(tmp_path / "x.png", 32, 32)
    method = crossdomain.load(model)
    files = list(translate_files(method, [tmp_path / "x.png"], tmp_path / "out", samples=3, seed=1))
    assert [file.name for file in files] == ["x_0.png", "x_1.png", "x_2.png"]
    images = [read_image(file) for file in files]
    assert not torch.equal(images[0], images[1])  # dropout is on at test time


def test_a_guide_decides_the_look(model, tmp_path, capsys):
    method = BiCycleGAN(
        3,
        latent=2,
        generator=partial(LatentUNetGenerator, width=4, levels=3),
        encoder=partial(ResNetEncoder, width=4, blocks=2),
    )
    for p in method.parameters():
        p.data.normal_(0, 0.3)
    serialization.write(method, tmp_path / "b.ckpt")
    picture(tmp_path / "x.png", 32, 32)
    picture(tmp_path / "guide.png", 50, 40)
    arguments = [str(tmp_path / "x.png"), "--output", str(tmp_path / "out"), "--guide", str(tmp_path / "guide.png")]
    crossdomain_command(["translate", str(tmp_path / "b.ckpt"), *arguments])
    image, guide = (to_unit_range(read_image(tmp_path / name))[None] for name in ("x.png", "guide.png"))
    expected = method.eval().translate(image, "a2b", guide=guide)[0]
    assert (to_unit_range(read_image(tmp_path / "out" / "x.png")) - expected).abs().max() <= 1.01 / 255
    assert (method.translate(image, "a2b", seed=0)[0] - expected).abs().max() > 0.05
    with pytest.raises(SystemExit):
        crossdomain_command(["translate", model, *arguments])
    assert "Pix2Pix takes no guide" in capsys.readouterr().err


def test_mistakes_are_one_message_and_leave_nothing(model, tmp_path, capsys):
    picture(tmp_path / "five.tif", 32, 32, channels=5)
    picture(tmp_path / "in" / "same.png", 32, 32)
    picture(tmp_path / "more" / "same.png", 32, 32)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    output = tmp_path / "out"
    wrong = [
        ([str(tmp_path / "none.png")], "There is no file, folder or pattern"),
        ([str(tmp_path / "five.tif")], "has 5 channels, but the method takes 3"),
        ([str(tmp_path / "in"), str(tmp_path / "more")], "Several of the images are called 'same'"),
        ([str(tmp_path / "broken.jpg")], "broken.jpg' cannot be read as an image"),
        ([str(tmp_path / "in"), "--direction", "a2b"], "no direction 'a2b'; its directions: b2a"),
        ([str(tmp_path / "in"), "--samples", "0"], "samples is 0"),
    ]
    for arguments, message in wrong:
        with pytest.raises(SystemExit) as exit_info:
            crossdomain_command(["translate", model, *arguments, "--output", str(output)])
        assert exit_info.value.code == 1
        assert message in capsys.readouterr().err
        assert not output.exists()
    given = [str(tmp_path / "in"), "--direction", "a2b", "--output", str(output)]
    for name, words in (
        ("lrmf-moons", "moves vectors"),
        ("flowgan-digits", "does not translate"),
    ):
        with pytest.raises(SystemExit):
            crossdomain_command(["translate", name, *given])
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        crossdomain_command(["translate", "alignflow-digits", str(tmp_path / "in"), "--output", str(output)])
    assert "AlignFlow needs a direction, one of: a2b, b2a" in capsys.readouterr().err


def refused(capsys, *arguments):
    """What a command says that ends with status 1."""
    with pytest.raises(SystemExit) as exit_info:
        crossdomain_command(["translate", *map(str, arguments)])
    assert exit_info.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not re.search(r"image/s|it/s|\?image", line)]
    assert len(lines) <= 3
    return "\n".join(lines)


def test_originals_are_not_overwritten_by_whatever_path(model, tmp_path, capsys, monkeypatch):
    photos = tmp_path / "photos"
    picture(photos / "x.png", 20, 20)
    picture(photos / "deep.tif", 20, 20, dtype=np.uint16)
    before = {file: file.read_bytes() for file in photos.iterdir()}
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "x.png").symlink_to(photos / "x.png")
    monkeypatch.chdir(photos)
    for given, output in [(photos, photos), (photos, tmp_path / "link"), (tmp_path / "link", photos), (photos, "."),
                          (photos / "*.tif", "../photos"), (tmp_path / "linked", photos)]:  # fmt: skip
        message = refused(capsys, model, given, "--output", output)
        assert "The output would overwrite the original" in message
    guided = [photos / "x.png", "--guide", photos / "deep.tif", "--output", tmp_path / "out"]
    picture(tmp_path / "deep.png", 8, 8)
    assert "overwrite the original" in refused(capsys, model, tmp_path / "deep.png", *guided[1:3], "--output", photos)
    assert {file: file.read_bytes() for file in photos.iterdir()} == before
    crossdomain_command(["translate", model, str(photos / "x.png"), "--output", str(photos / "deep")])
    assert (photos / "deep" / "x.png").is_file()


def test_damaged_files_do_not_keep_the_rest_from_being_translated(model, tmp_path, capsys):
    for name in ("a", "c", "e"):
        picture(tmp_path / "in" / f"{name}.png", 20, 20)
    (tmp_path / "in" / "b.jpg").write_bytes(b"no image")
    picture(tmp_path / "in" / "d.tif", 20, 20, channels=5)
    message = refused(capsys, model, tmp_path / "in", "--output", tmp_path / "out")
    assert "2 of 5 images were not translated." in message
    assert "b.jpg' cannot be read as an image" in message
    assert f"Nor were: {str(tmp_path / 'in' / 'd.tif')!r}." in message
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.png", "c.png", "e.png"]


def test_a_pattern_that_matches_folders_alone_is_refused(model, tmp_path, capsys):
    picture(tmp_path / "in" / "sub" / "a.png", 20, 20)
    message = refused(capsys, model, tmp_path / "in" / "*", "--output", tmp_path / "out")
    assert "matches folders alone, such as" in message
    assert "sub" in message
    assert not (tmp_path / "out").exists()


def test_grey_with_opacity_is_taken_as_colours_with_opacity_are(model, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (32, 32, 2), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(values, "LA").save(tmp_path / "in" / "opaque_or_not.png")
    Image.fromarray(values[..., 0]).save(tmp_path / "in" / "grey.png")
    method = crossdomain.load(model)
    written = {file.stem: read_image(file) for file in translate_files(method, [tmp_path / "in"], tmp_path / "out")}
    assert torch.equal(written["opaque_or_not"], written["grey"])


def test_a_picture_that_is_too_small_is_named(tmp_path, capsys):
    picture(tmp_path / "one.png", 1, 1, channels=1)
    picture(tmp_path / "eight.png", 8, 8, channels=1)
    arguments = [tmp_path / "one.png", tmp_path / "eight.png", "--direction", "a2b", "--output", tmp_path / "out"]
    message = refused(capsys, "cyclegan-digits", *arguments)
    assert "one.png' is 1x1 px, too small for this CycleGAN: enlarge it to 8 px." in message
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["eight.png"]
    arguments[0] = tmp_path / "eight.png"
    crossdomain_command(["translate", "alignflow-digits", str(tmp_path / "one.png"), *map(str, arguments[2:])])
    assert read_image(tmp_path / "out" / "one.png").shape == (1, 1, 1)  # a network without padding by reflection
