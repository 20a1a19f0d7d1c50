"""Image folders: layouts, depths, sizes, crops, and what is said when something is wrong."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torchvision.io import write_png

from crossdomain import serialization
from crossdomain.callbacks import PredictionWriter
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.cli import main
from crossdomain.datamodules import Cityscapes, Draw, Facades, Maps, PairedFolder, UnpairedFolder
from crossdomain.datamodules.image_files import read_image, to_unit_range
from crossdomain.datamodules.inspection import inspect_folder
from crossdomain.methods import CycleGAN, Pix2Pix
from crossdomain.networks import PatchCritic, UNetGenerator

REAL = Path(os.environ.get("CROSSDOMAIN_DATA", "nowhere"))
needs_facades = pytest.mark.skipif(not (REAL / "facades").is_dir(), reason="CROSSDOMAIN_DATA has no facades")


def png(path, height, width, channels=3, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8))
    write_png(image, str(path))
    return image


@pytest.fixture
def side_by_side(tmp_path):
    """Six pairs of 20x24 px: a left, b right."""
    stored = {}
    for split in ("train", "val"):
        for i in range(3):
            stored[split, i] = png(tmp_path / split / f"{i}.png", 20, 48, seed=len(stored))
    return tmp_path, stored


def loaders(data):
    data.setup("fit")
    return data.train_dataloader(), data.val_dataloader()


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba", "palette", "png16", "tiff16", "tiff5", "tiff5_planes"])
def test_images_are_read_without_loss(kind, tmp_path):
    rng = np.random.default_rng(0)
    channels = {"grey": 1, "rgb": 3, "rgba": 4, "palette": 3, "png16": 1, "tiff16": 3}.get(kind, 5)
    deep = kind not in ("grey", "rgb", "rgba", "palette")
    values = rng.integers(0, 65536 if deep else 256, (7, 5, channels)).astype(np.uint16 if deep else np.uint8)
    values[0, 0] = np.iinfo(values.dtype).max
    path = tmp_path / f"image.{'tif' if kind.startswith('tiff') else 'png'}"
    if kind == "png16":
        from PIL import Image

        Image.fromarray(values[..., 0]).save(path)
    elif kind == "palette":
        from PIL import Image

        picture = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(7, 5), "P")
        picture.putpalette(values.flatten().tolist())
        picture.save(path)
    elif kind == "tiff16":
        tifffile.imwrite(path, values, photometric="rgb")
    elif kind == "tiff5":
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    elif kind == "tiff5_planes":
        tifffile.imwrite(path, values.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate")
    else:
        write_png(torch.from_numpy(values).permute(2, 0, 1), str(path)) if channels < 4 else _rgba(path, values)
    image = read_image(path)
    assert torch.equal(image.int(), torch.from_numpy(values.astype(np.int32)).permute(2, 0, 1))
    scaled = to_unit_range(image)
    assert scaled.max() == 1
    assert torch.equal(((scaled + 1) * ((65535 if deep else 255) / 2)).round().int(), image.int())


def _rgba(path, values):
    from PIL import Image

    Image.fromarray(values, "RGBA").save(path)


def test_pairs_side_by_side_share_crop_and_flip(side_by_side):
    folder, stored = side_by_side
    data = PairedFolder(root=str(folder), folder="", image_size=16, batch_size=3, num_workers=0)
    train, val = loaders(data)
    assert data.spec() | {"domains": None} == {
        "domains": None, "channels": [3, 3], "image_size": 16, "resize_filter": "bicubic", "levels": 256,
        "palette": None,
        "attributes": None,
        "roles": None,
    }  # fmt: skip
    flips, corners = set(), set()
    for epoch in range(8):
        train.sampler.set_epoch(epoch)
        for batch in train:
            assert torch.equal(batch["truth_a2b"], batch["b"])
            assert torch.equal(batch["truth_b2a"], batch["a"])
            for image_a, image_b, path in zip(batch["a"], batch["b"], batch["path_a"], strict=True):
                whole = to_unit_range(stored["train", int(Path(path).stem)])
                top, left, flipped = find(image_a, whole[:, :, :24])
                assert (top, left, flipped) == find(image_b, whole[:, :, 24:])
                flips.add(flipped)
                corners.add((top, left))
    assert flips == {True, False}
    assert len(corners) > 8
    batch = next(iter(val))
    assert batch["a"].shape == (1, 3, 20, 24)  # evaluation keeps the size, one image at a time
    assert torch.equal(batch["a"][0], to_unit_range(stored["val", 0])[:, :, :24])
    assert torch.equal(batch["truth_a2b"], batch["b"])


def find(crop, image):
    """Where a crop was taken, and whether it was mirrored."""
    side = crop.shape[-1]
    for flipped in (False, True):
        wanted = crop.flip(2) if flipped else crop
        for top in range(image.shape[1] - side + 1):
            for left in range(image.shape[2] - side + 1):
                if torch.equal(image[:, top : top + side, left : left + side], wanted):
                    return top, left, flipped
    raise AssertionError("the crop is not of this image")


def test_a_sample_depends_on_seed_epoch_and_place_alone(side_by_side):
    folder, _ = side_by_side
    options = {"root": str(folder), "folder": "", "image_size": 16, "batch_size": 3}
    batches = []
    for workers, seed in ((0, 0), (2, 0), (0, 1)):
        train, _ = loaders(PairedFolder(num_workers=workers, seed=seed, **options))
        train.sampler.set_epoch(2)
        batches.append(next(iter(train)))
    assert torch.equal(batches[0]["a"], batches[1]["a"])
    assert not torch.equal(batches[0]["a"], batches[2]["a"])


def test_pairs_can_train_unpaired_and_be_validated_against_the_truth(side_by_side):
    folder, _ = side_by_side
    data = PairedFolder(root=str(folder), folder="", image_size=16, batch_size=3, num_workers=0, paired=False)
    train, val = loaders(data)
    seen = set()
    for epoch in range(6):
        train.sampler.set_epoch(epoch)
        for batch in train:
            assert not {"truth_b2a", "truth_a2b"} & set(batch)
            seen.add(tuple(p == q for p, q in zip(batch["path_a"], batch["path_b"], strict=True)))
    assert len(seen) > 1
    assert {"truth_b2a", "truth_a2b"} <= set(next(iter(val)))


def test_two_folders_are_matched_by_name(tmp_path):
    for split in ("train", "test"):
        for name in ("x", "y"):
            png(tmp_path / split / "A" / f"{name}.png", 16, 16, seed=1)
            png(tmp_path / split / "B" / f"{name}.png", 16, 16, channels=1, seed=2)
    data = PairedFolder(root=str(tmp_path), folder="", image_size=16, num_workers=0)
    _, val = loaders(data)  # without val, test stands for it
    assert (data.channels_a, data.channels_b) == (3, 1)
    batch = next(iter(val))
    assert Path(batch["path_a"][0]).parts[-3:] == ("test", "A", "x.png")
    assert Path(batch["path_b"][0]).parts[-3:] == ("test", "B", "x.png")
    (tmp_path / "train" / "B" / "y.png").unlink()
    with pytest.raises(ValueError, match=r"y\.png' has no partner in B \(1 such files\)"):
        data.sources("train")


def test_unpaired_folders_and_resizing(tmp_path):
    for folder, count in (("trainA", 3), ("trainB", 2), ("testA", 2), ("testB", 1)):
        for i in range(count):
            png(tmp_path / folder / f"{i}.png", 30, 40, seed=i)
    data = UnpairedFolder(root=str(tmp_path), folder="", image_size=16, load_size=20, batch_size=2, num_workers=0)
    train, val = loaders(data)
    assert len(train) == 1
    batch = next(iter(train))
    assert batch["a"].shape == batch["b"].shape == (2, 3, 16, 16)
    shapes = [{k: tuple(v.shape) for k, v in batch.items() if k in "ab"} for batch in val]
    assert shapes == [{"a": (2, 3, 16, 16), "b": (1, 3, 16, 16)}]
    assert not {"truth_b2a", "truth_a2b"} & set(next(iter(val)))


def test_what_is_wrong_is_named(side_by_side, tmp_path):
    folder, _ = side_by_side
    options = {"root": str(folder), "folder": "", "num_workers": 0}
    with pytest.raises(FileNotFoundError, match=r"no folder train in .*\nSet data.root"):
        PairedFolder(root=str(tmp_path / "none"), folder="").sources("train")
    train, _ = loaders(PairedFolder(image_size=32, **options))
    with pytest.raises(ValueError, match=r"is 24x20 px, smaller than the crop of 32.\nLower data.image_size"):
        next(iter(train))
    with pytest.raises(ValueError, match="load_size is 8, smaller than"):
        PairedFolder(image_size=16, load_size=8)
    png(folder / "train" / "1.png", 20, 48, channels=1)
    png(folder / "train" / "2.png", 20, 47)
    split = PairedFolder(image_size=16, **options).split("train")
    assert split.sources["a"][1].read().shape == (1, 20, 24)  # grey, repeated when it is used
    with pytest.raises(ValueError, match=r"2\.png' is 47 px wide, which two halves cannot share"):
        split.sources["a"][2].read()
    whole = (folder / "val" / "0.png").read_bytes()
    (folder / "train" / "0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"0\.png' cannot be read as an image"):
        read_image(folder / "train" / "0.png")
    shutil.rmtree(folder / "val")
    (folder / "val").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no image"):
        PairedFolder(image_size=16, **options).sources("val")


@pytest.mark.parametrize(("make", "folder"), [(Facades, "facades"), (Maps, "maps"), (Cityscapes, "cityscapes")])
def test_datasets_are_folders_below_the_root(make, folder, tmp_path):
    for split in ("train", "val"):
        png(tmp_path / folder / split / "1.png", 16, 32)
    data = make(root=str(tmp_path), image_size=16, num_workers=0)
    _, val = loaders(data)
    assert next(iter(val))["path_a"] == [str(tmp_path / folder / "val" / "1.png")]


def test_images_of_other_channels_are_refused(tmp_path):
    png(tmp_path / "trainA" / "0.png", 16, 16)
    _rgba(tmp_path / "trainA" / "1.png", np.zeros((16, 16, 4), np.uint8))
    png(tmp_path / "trainB" / "0.png", 16, 16)
    png(tmp_path / "trainB" / "1.png", 16, 16)
    data = UnpairedFolder(root=str(tmp_path), folder="", image_size=16, batch_size=2, num_workers=0)
    dataset = data.split("train")
    with pytest.raises(ValueError, match=r"1\.png' has 4 channels, but domain a has 3\.\nGive all images"):
        dataset.__getitems__([Draw(0, 0, (1, 0))])


def test_data_check_names_what_is_wrong(tmp_path, capsys):
    for side, count in (("A", 3), ("B", 2)):
        for i in range(count):
            png(tmp_path / "train" / side / f"{i}.png", 20, 16 if i else 24)
    (tmp_path / "train" / "B" / "1.png").write_bytes(b"half")
    with pytest.raises(SystemExit) as exit_info:
        crossdomain_command(["data", "check", str(tmp_path)])
    assert exit_info.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{tmp_path / 'train' / 'A'}: 3 images" in lines
    assert "        2 of 16x20 px, 3 channel(s), 8 bits" in lines
    assert sum(line.startswith("problem: ") for line in lines) == 2
    assert any("B/1.png' cannot be read as an image" in line for line in lines)
    assert any("A/2.png' has no partner in B" in line for line in lines)
    png(tmp_path / "train" / "B" / "1.png", 20, 16)
    (tmp_path / "train" / "A" / "2.png").unlink()
    crossdomain_command(["data", "check", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[-1] == "0 problem(s)"
    with pytest.raises(SystemExit):
        crossdomain_command(["data", "check", str(tmp_path / "none")])
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint16), (5, np.uint8), (5, np.uint16)])
def test_deep_images_of_many_channels_go_through_training_and_prediction(channels, dtype, tmp_path, trainer):
    top = np.iinfo(dtype).max
    for split in ("train", "test"):
        for side in "AB":
            (tmp_path / split / side).mkdir(parents=True)
            for i in range(2):
                values = np.random.default_rng(i).integers(0, top, (21, 18, channels), dtype=dtype)
                tifffile.imwrite(
                    tmp_path / split / side / f"scene{i}.tif", values, photometric="minisblack", planarconfig="contig"
                )
    data = PairedFolder(root=str(tmp_path), folder="", image_size=16, num_workers=0)
    generator = partial(UNetGenerator, width=4, levels=3)
    method = Pix2Pix(channels, generator=generator, critic=partial(PatchCritic, width=4, layers=1, norm="batch"))
    trainer().fit(method, data)
    assert method.spec.levels == top + 1
    trainer(callbacks=[PredictionWriter(str(tmp_path / "out"))]).predict(method, data)
    written = read_image(tmp_path / "out" / "a2b" / "scene1.tif")
    assert written.shape == (channels, 21, 18)
    assert written.numpy().dtype == dtype
    # What was written is what the method makes of the file, to the last bit of its depth.
    image = to_unit_range(read_image(tmp_path / "test" / "A" / "scene1.tif"))[None]
    method.eval()
    method.multimodal = False  # dropout off, to compare
    trainer(callbacks=[PredictionWriter(str(tmp_path / "still"))]).predict(method, data)
    again = to_unit_range(read_image(tmp_path / "still" / "a2b" / "scene1.tif"))
    assert (again - method.translate(image, "a2b")[0].clamp(-1, 1)).abs().max() <= 1.01 / top


@needs_facades
def test_real_facades():
    data = Facades(root=str(REAL), image_size=128, load_size=143, batch_size=4, num_workers=0)
    assert data.domains == ("photo", "labels")
    assert [data.split(name).lengths()[0] for name in ("train", "val", "test")] == [400, 100, 106]
    train, val = loaders(data)
    batch = next(iter(train))
    assert batch["a"].shape == batch["truth_a2b"].shape == (4, 3, 128, 128)
    shown = next(iter(val))
    blueness = {d: float((shown[d][:, 2] - shown[d][:, 0]).mean()) for d in "ab"}
    assert blueness["b"] > 0.8  # walls and background are blue labels
    assert abs(blueness["a"]) < 0.4
    assert torch.equal(shown["truth_b2a"], shown["a"])


# --- pairs that do not fit -------------------------------------------------------------------------------------


def unequal(folder):
    for side, width in (("A", 24), ("B", 30)):
        png(folder / "train" / side / "x.png", 20, width)
        png(folder / "test" / side / "x.png", 20, width)
    return {"root": str(folder), "folder": "", "image_size": 16, "num_workers": 0}


def test_pairs_of_unequal_size_are_refused_unless_they_are_resized_first(tmp_path):
    options = unequal(tmp_path)
    message = (
        r"train/A/x\.png' is 24x20 px, but its partner '.*train/B/x\.png' 30x20\.\nGive both .* or set data.load_size"
    )
    with pytest.raises(ValueError, match=message):
        next(iter(loaders(PairedFolder(**options))[0]))
    with pytest.raises(ValueError, match=r"test/A/x\.png' is 24x20 px, but its partner"):
        next(iter(loaders(PairedFolder(**options))[1]))
    train, val = loaders(PairedFolder(load_size=20, **options))
    assert next(iter(train))["a"].shape == next(iter(train))["b"].shape == (1, 3, 16, 16)
    assert next(iter(val))["a"].shape == next(iter(val))["b"].shape == (1, 3, 16, 16)
    train, val = loaders(PairedFolder(paired=False, **options))
    assert next(iter(train))["a"].shape == (1, 3, 16, 16)  # drawn apart, they may differ
    with pytest.raises(ValueError, match="but its partner"):
        next(iter(val))  # which compares them


def test_pairs_of_one_name_are_not_dropped(tmp_path):
    for name in ("A/x.png", "B/x.png", "A/y.png", "B/y.png"):
        png(tmp_path / "train" / name, 16, 16)
    shutil.copy(tmp_path / "train" / "A" / "x.png", tmp_path / "train" / "A" / "x.webp")
    with pytest.raises(ValueError, match=r"A/x\.png' and 'x\.webp' have one name, .* \(1 such files\)\.\nGive both"):
        PairedFolder(root=str(tmp_path), folder="").sources("train")
    (tmp_path / "train" / "A" / "x.webp").rename(tmp_path / "train" / "B" / "y.webp")
    with pytest.raises(ValueError, match=r"B/y\.png' and 'y\.webp' have one name"):
        PairedFolder(root=str(tmp_path), folder="").sources("train")


# --- only what a stage needs -----------------------------------------------------------------------------------


def test_a_trained_method_needs_no_training_images_and_one_domain(tmp_path):
    png(tmp_path / "testA" / "x.png", 16, 16)
    data = UnpairedFolder(root=str(tmp_path), folder="", image_size=16, num_workers=0)
    assert (data.channels_a, data.channels_b, data.levels) == (3, 3, 256)
    data.setup("predict")
    assert [set(batch) for batch in data.predict_dataloader()] == [{"a", "path_a"}]
    assert data.split("test").lengths() == (1, 0)
    assert data.split("val").lengths() == (1, 0)
    with pytest.raises(FileNotFoundError, match="no folder trainA"):
        data.setup("fit")
    png(tmp_path / "trainA" / "x.png", 16, 16)
    with pytest.raises(FileNotFoundError, match="no folder trainB"):
        UnpairedFolder(root=str(tmp_path), folder="").split("train")
    with pytest.raises(FileNotFoundError, match="no folder testB or valB"):
        UnpairedFolder(root=str(tmp_path / "testA"), folder="")._folder_of("testB", "valB")
    shutil.rmtree(tmp_path / "testA")
    with pytest.raises(FileNotFoundError, match="no folder testA or valA"):
        UnpairedFolder(root=str(tmp_path), folder="").split("test")
    told = UnpairedFolder(root=str(tmp_path), folder="", expected_channels=(4, 1))
    assert (told.channels_a, told.channels_b) == (4, 1)


def test_predict_and_test_by_the_command_with_one_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    method = CycleGAN(3, 1, identity_weight=0.0, generator=generator, critic=partial(PatchCritic, width=4, layers=1))
    serialization.write(method, tmp_path / "model.ckpt")
    stored = png(tmp_path / "mine" / "testA" / "x.png", 16, 16)
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false",
             "--trainer.logger", "false", "--trainer.accelerator", "cpu"]  # fmt: skip
    data = ["--data", "UnpairedFolder", "--data.root", ".", "--data.folder", "mine", "--data.image_size", "16",
            "--data.num_workers", "0"]  # fmt: skip
    model = ["--model", "CycleGAN", "--ckpt_path", "model.ckpt"]
    main(["predict", *model, *data, *quiet])
    assert "Wrote 1 a2b, 0 b2a to" in capsys.readouterr().out
    (written,) = Path("predictions").rglob("*.png")
    expected = method.eval().translate(to_unit_range(stored)[None], "a2b")[0]
    assert (to_unit_range(read_image(written)) - expected).abs().max() <= 1.01 / 255
    main(["test", *model, *data, *quiet])
    assert "cycle_mean_a" in capsys.readouterr().out


def test_predictions_of_one_name_are_not_written_over_each_other(tmp_path, trainer):
    png(tmp_path / "testA" / "x.png", 16, 16)
    png(tmp_path / "testB" / "x.png", 16, 16)  # another direction, another folder
    shutil.copy(tmp_path / "testA" / "x.png", tmp_path / "testA" / "x.webp")
    data = UnpairedFolder(root=str(tmp_path), folder="", image_size=16, num_workers=0)
    method = CycleGAN(3, generator=generator, critic=partial(PatchCritic, width=4, layers=1))
    with pytest.raises(ValueError, match=r"testA/x\.png' and '.*testA/x\.webp' have one name"):
        trainer(callbacks=[PredictionWriter(str(tmp_path / "out"))]).predict(method, data)


def generator(in_channels: int, out_channels: int) -> UNetGenerator:
    return UNetGenerator(in_channels, out_channels, width=4, levels=3)


def test_a_damaged_image_is_named_whichever_process_reads_it(tmp_path, capsys):
    for folder in ("trainA", "trainB", "testA", "testB"):
        png(tmp_path / folder / "x.png", 16, 16)
    (tmp_path / "trainB" / "y.png").write_bytes((tmp_path / "trainB" / "x.png").read_bytes()[:100])
    arguments = ["fit", "--config", "cyclegan", "--data", "UnpairedFolder", "--data.root", str(tmp_path),
                 "--data.folder", "", "--data.image_size", "16", "--data.batch_size", "1", "--data.num_workers", "1",
                 "--model.generator.width", "4", "--trainer.precision", "32-true", "--trainer.max_epochs", "1",
                 "--trainer.num_sanity_val_steps", "0", "--trainer.logger", "false",
                 "--trainer.enable_checkpointing", "false", "--trainer.enable_progress_bar", "false",
                 "--trainer.enable_model_summary", "false"]  # fmt: skip
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"error: {str(tmp_path / 'trainB' / 'y.png')!r} cannot be read as an image: it is cut off." in lines


# --- the check before training ---------------------------------------------------------------------------------


def problems(folder, **options):
    return [problem.replace(str(folder), "") for problem in inspect_folder(folder, **options).problems]


def test_the_check_finds_what_training_stumbles_over_in_pairs(tmp_path):
    unequal(tmp_path)
    assert problems(tmp_path) == [
        f"'/{split}/A/x.png' is 24x20 px, but its partner '/{split}/B/x.png' 30x20." for split in ("train", "test")
    ]
    assert problems(tmp_path, image_size=16, load_size=18) == []
    assert problems(tmp_path / "train") == ["'/A/x.png' is 24x20 px, but its partner '/B/x.png' 30x20."]
    png(tmp_path / "train" / "B" / "x.png", 20, 24)
    shutil.rmtree(tmp_path / "test")
    assert problems(tmp_path) == []
    assert problems(tmp_path, image_size=21) == [
        f"'/train/{side}/x.png' is 24x20 px, smaller than the crop of 21." for side in "AB"
    ]
    for side in "AB":
        png(tmp_path / "train" / side / "y.png", 20, 24, channels=1)  # grey is repeated
    _rgba(tmp_path / "train" / "B" / "y.png", np.zeros((20, 24, 4), np.uint8))
    shutil.copy(tmp_path / "train" / "A" / "x.png", tmp_path / "train" / "A" / "x.webp")
    png(tmp_path / "train" / "loose.png", 20, 24)
    png(tmp_path / "train" / "A" / "more" / "z.png", 20, 24)
    (tmp_path / "train" / "B" / "phone.HEIC").write_bytes(b"any")
    assert problems(tmp_path) == [
        "'/train/A/x.png' and 'x.webp' have one name, so their partners are not clear",
        "The images in '/train' are passed over: it has a folder A or B, which are read",
        "The images in '/train/A/more' are passed over: of '/train/A', folders in it are not read",
        "'/train/B/phone.HEIC' is passed over (1 such files): .HEIC is not read, only "
        ".jpg, .jpeg, .jfif, .png, .webp, .tif, .tiff, .bmp, .gif",
    ]
    (tmp_path / "train" / "A" / "x.webp").unlink()
    assert "'/train/B/y.png' has 4 channels, but domain b has 3." in problems(tmp_path)
    shutil.rmtree(tmp_path / "train" / "B")
    assert "There is no folder '/train/B'." in problems(tmp_path)


def test_the_check_finds_what_training_stumbles_over_in_files_side_by_side(side_by_side):
    folder, _ = side_by_side
    assert problems(folder) == []
    png(folder / "train" / "1.png", 20, 47)
    _rgba(folder / "val" / "2.png", np.zeros((20, 48, 4), np.uint8))
    (folder / "val" / "0.png").write_bytes(b"no image")
    assert problems(folder) == [
        "'/val/0.png' cannot be read as an image: its beginning is not that of a whole JPEG, PNG, WebP, TIFF, BMP or "
        "GIF.",
        "'/train/1.png' is 47 px wide, which two halves cannot share.",
        "'/val/2.png' has 4 channels, but domain a has 3.",
        "'/val/2.png' has 4 channels, but domain b has 3.",
    ]


def test_the_check_finds_what_training_stumbles_over_in_unpaired_folders(tmp_path):
    png(tmp_path / "data" / "trainA" / "0.png", 16, 16)
    _rgba(tmp_path / "data" / "trainA" / "1.png", np.zeros((16, 16, 4), np.uint8))
    found = problems(tmp_path)
    assert found[0].startswith("There is no folder trainB in ")
    assert found[1:] == ["'/data/trainA/1.png' has 4 channels, but domain a has 3."]
    assert problems(tmp_path / "data" / "trainA") == ["'/1.png' has 4 channels, but domain a has 3."]
    png(tmp_path / "data" / "trainB" / "0.png", 16, 20)
    (tmp_path / "data" / "testB").mkdir()
    _rgba(tmp_path / "data" / "testB" / "0.png", np.zeros((16, 16, 4), np.uint8))
    (tmp_path / "data" / "trainA" / "1.png").unlink()
    assert problems(tmp_path) == ["'/data/testB/0.png' has 4 channels, but domain b has 3."]


def test_the_check_by_the_command_takes_the_trainings_sizes(tmp_path, capsys):
    for folder in ("trainA", "trainB"):
        png(tmp_path / folder / "0.png", 16, 16)
    crossdomain_command(["data", "check", str(tmp_path)])
    crossdomain_command(["data", "check", str(tmp_path), "--image_size", "20", "--load_size", "20"])
    assert capsys.readouterr().out.count("0 problem(s)") == 2
    with pytest.raises(SystemExit):
        crossdomain_command(["data", "check", str(tmp_path), "--image_size", "20"])
    out = capsys.readouterr().out
    assert out.count("0.png' is 16x16 px, smaller than the crop of 20.") == 2
