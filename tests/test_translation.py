"""The user's own files, by the command and in Python."""

from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import crossdomain
from crossdomain import serialization
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.datamodules.image_files import read_image, to_unit_range
from crossdomain.methods import BiCycleGAN, Pix2Pix
from crossdomain.networks import LatentUNetGenerator, ResNetEncoder, UNetGenerator
from crossdomain.translation import translate_files


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
