"""Picture files of all kinds, through the reader, training and ``translate``, against the values they were made of."""

import importlib.util
import multiprocessing
import shutil
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from lightning.pytorch import Callback
from PIL import Image

from crossdomain.commands.translate import translate_files
from crossdomain.datamodules import UnpairedFolder
from crossdomain.datamodules.image_files import read_image, write_image
from crossdomain.datamodules.loading import Draw
from crossdomain.methods import CycleGAN, Pix2Pix
from crossdomain.networks import PatchCritic, ResNetGenerator

HEIGHT, WIDTH = 24, 40
KINDS = {}


def kind(name, tolerance=0):
    """Register a maker: it writes the file ``path`` and returns what a viewer shows, (H, W, C)."""

    def register(make):
        KINDS[name] = (make, tolerance)
        return make

    return register


def smooth(channels=3, top=255):
    """Ramps and a corner, so that lossy files are close and every turn is told from every other."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ramps = [x / (WIDTH - 1), y / (HEIGHT - 1), (x + y) / (WIDTH + HEIGHT - 2), (x + 2 * y) / (WIDTH + 2 * HEIGHT - 3)]
    values = np.stack([0.1 + 0.7 * ramps[c % 4] for c in range(channels)], 2)
    values[:8, :8] += 0.15
    return (values * top).round().astype(np.uint8 if top == 255 else np.uint16)


def noise(channels=3, top=255):
    """Any value; the first pixel is white and the second black."""
    dtype = np.uint8 if top == 255 else np.uint16
    values = np.random.default_rng(channels).integers(0, top, (HEIGHT, WIDTH, channels), dtype, endpoint=True)
    values[0, 0], values[0, 1] = top, 0
    return values


# --- orientation -----------------------------------------------------------------------------------------------

# What a viewer shows of stored values, by the words of EXIF's definition: where row 0 and column 0 are.
UPRIGHT = {
    1: lambda v: v,
    2: lambda v: v[:, ::-1],
    3: lambda v: v[::-1, ::-1],
    4: lambda v: v[::-1],
    5: lambda v: v.transpose(1, 0, 2),
    6: lambda v: v[::-1].transpose(1, 0, 2),
    7: lambda v: v[::-1, ::-1].transpose(1, 0, 2),
    8: lambda v: v[:, ::-1].transpose(1, 0, 2),
}


def turned(path, orientation, values, **options):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(values).save(path, exif=exif, **options)
    return UPRIGHT[orientation](values)


for o in range(1, 9):
    kind(f"turned_{o}.jpg", tolerance=4)(lambda path, o=o: turned(path, o, smooth(), quality=98, subsampling=0))
    kind(f"turned_{o}.png")(lambda path, o=o: turned(path, o, noise()))
for o in (3, 6, 8):
    kind(f"turned_{o}.webp")(lambda path, o=o: turned(path, o, noise(), lossless=True))


def tiff(path, values, shown=None, orientation=None, planar=False, **options):
    tags = [] if orientation is None else [(274, "H", 1, orientation, True)]
    stored = np.ascontiguousarray(values.transpose(2, 0, 1)) if planar else values
    stored = stored[..., 0] if stored.shape[-1] == 1 and not planar else stored
    if stored.ndim == 3:
        options["planarconfig"] = "separate" if planar else "contig"
    tifffile.imwrite(path, stored, extratags=tags, **options)
    shown = values if shown is None else shown
    return shown if orientation is None else UPRIGHT[orientation](shown)


for o in (2, 5, 6, 7):
    kind(f"turned_{o}.tif")(lambda path, o=o: tiff(path, noise(), photometric="rgb", orientation=o))
    kind(f"turned_{o}_16.tif")(lambda path, o=o: tiff(path, noise(3, 65535), photometric="rgb", orientation=o))


@kind("turned_by_xmp.png")
def _(path):
    from PIL.PngImagePlugin import PngInfo

    values, info = noise(), PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    Image.fromarray(values).save(path, pnginfo=info)
    return UPRIGHT[6](values)


@kind("broken_exif.jpg", tolerance=4)
def _(path):
    Image.fromarray(smooth()).save(path, quality=98, subsampling=0, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    return smooth()


# --- JPEG ------------------------------------------------------------------------------------------------------


def saved(path, values, mode=None, shown=None, **options):
    image = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    if mode is not None:
        image = image.convert(mode)
    image.save(path, **options)
    return values if shown is None else shown


kind("plain.jpg", 4)(lambda path: saved(path, smooth(), quality=98, subsampling=0))
kind("grey.jpeg", 4)(lambda path: saved(path, smooth(1), quality=98))
kind("progressive.jpg", 4)(lambda path: saved(path, smooth(), quality=98, subsampling=0, progressive=True))
kind("subsampled.jfif", 8)(lambda path: saved(path, smooth(), quality=98))


def from_inks(inks):
    """Cyan, magenta, yellow and black to RGB, as light passes through both layers of ink."""
    clear = (255 - inks.astype(float)) / 255
    return (255 * clear[..., :3] * clear[..., 3:]).round().astype(np.uint8)


@kind("inks.jpg", 6)
def _(path):
    # Pillow writes CMYK inverted, as Adobe does, with Adobe's marker.
    inks = smooth(4)
    Image.fromarray(inks, "CMYK").save(path, quality=98, subsampling=0)
    assert b"Adobe" in path.read_bytes()
    return from_inks(inks)


# --- PNG -------------------------------------------------------------------------------------------------------


def png(path, values, colour, bits, interlaced=False, extra=(), filters=True):
    """Write a PNG by hand; ``values`` (H, W, C) are as many as the colour type has."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    def packed(part):
        rows, before = [], None
        step = max(1, part.shape[2] * bits // 8)
        for number, row in enumerate(part):
            if bits == 16:
                line = row.astype(">u2").tobytes()
            elif bits == 8:
                line = row.astype(np.uint8).tobytes()
            else:
                digits = (row[:, 0, None] >> np.arange(bits - 1, -1, -1)) & 1
                line = np.packbits(digits.reshape(-1)).tobytes()
            line = np.frombuffer(line, np.uint8).astype(int)
            up = np.zeros_like(line) if before is None else before
            left, corner = (np.concatenate([np.zeros(step, int), v])[: len(line)] for v in (line, up))
            predicted = [0 * line, left, up, (left + up) // 2, paeth(left, up, corner)]
            which = number % 5 if filters else 0
            rows.append(bytes([which]) + ((line - predicted[which]) % 256).astype(np.uint8).tobytes())
            before = line
        return b"".join(rows)

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [values[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [values]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, interlaced)
    content = zlib.compress(b"".join(packed(part) for part in parts))
    middle = [content[: len(content) // 2], content[len(content) // 2 :]]
    chunks = [(b"IHDR", header), *extra, *((b"IDAT", half) for half in middle), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))


def paeth(left, up, corner):
    guess = left + up - corner
    far = [abs(guess - v) for v in (left, up, corner)]
    return np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner))


COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's colour type by channels
for c in (1, 2, 3, 4):
    for b in (8, 16):
        for i in (False, True):

            @kind(f"channels{c}_{b}{'_interlaced' if i else ''}.png")
            def _(path, c=c, b=b, i=i):
                png(path, values := noise(c, 2**b - 1), COLOURS[c], b, i)
                return values


for b in (1, 2, 4):

    @kind(f"grey_{b}_bits.png")
    def _(path, b=b):
        values = noise(1) >> (8 - b)
        png(path, values, 0, b, interlaced=b == 2)
        return (values * (255 // (2**b - 1))).astype(np.uint8)


@kind("grey_4_bits_keyed.png")
def _(path):
    values = noise(1) >> 4
    png(path, values, 0, 4, extra=[(b"tRNS", struct.pack(">H", 3))])
    return np.concatenate([values * 17, np.where(values == 3, 0, 255)], 2).astype(np.uint8)


@kind("keyed.png")
def _(path):
    values = noise(3)
    values[3, 4] = 1, 2, 3
    png(path, values, 2, 8, extra=[(b"tRNS", struct.pack(">3H", 1, 2, 3))])
    return np.concatenate([values, np.where((values == (1, 2, 3)).all(2, keepdims=True), 0, 255)], 2).astype(np.uint8)


@kind("keyed_16.png")
def _(path):
    values = noise(3, 65535)
    values[3, 4] = 1, 2, 300
    png(path, values, 2, 16, extra=[(b"tRNS", struct.pack(">3H", 1, 2, 300))])
    opacity = np.where((values == (1, 2, 300)).all(2, keepdims=True), 0, 65535)
    return np.concatenate([values, opacity], 2).astype(np.uint16)


@kind("grey_16_keyed.png")
def _(path):
    values = noise(1, 65535)
    values[3, 4] = 300
    png(path, values, 0, 16, extra=[(b"tRNS", struct.pack(">H", 300))])
    return np.concatenate([values, np.where(values == 300, 0, 65535)], 2).astype(np.uint16)


PALETTE = np.random.default_rng(7).integers(0, 256, (256, 3), dtype=np.uint8)
for b in (1, 4, 8):

    @kind(f"palette_{b}_bits.png")
    def _(path, b=b):
        index = noise(1) >> (8 - b)
        png(path, index, 3, b, extra=[(b"PLTE", PALETTE[: 2**b].tobytes())])
        return PALETTE[index[..., 0]]


@kind("palette_with_opacity.png")
def _(path):
    index, opacity = noise(1), np.random.default_rng(8).integers(0, 256, 256, dtype=np.uint8)
    png(path, index, 3, 8, extra=[(b"PLTE", PALETTE.tobytes()), (b"tRNS", opacity.tobytes())])
    return np.concatenate([PALETTE[index[..., 0]], opacity[index]], 2)


@kind("moving.png")
def _(path):
    frames = [Image.fromarray(noise()), Image.fromarray(smooth())]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return noise()


# --- WebP, GIF, BMP --------------------------------------------------------------------------------------------

kind("plain.webp")(lambda path: saved(path, noise(), lossless=True))
kind("opaque_or_not.webp")(lambda path: saved(path, noise(4), lossless=True, exact=True))
kind("plain.bmp")(lambda path: saved(path, noise()))
kind("grey.bmp")(lambda path: saved(path, noise(1)))


@kind("moving.webp")
def _(path):
    frames = [Image.fromarray(noise()), Image.fromarray(smooth())]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True, duration=100)
    return noise()


@kind("one_bit.bmp")
def _(path):
    Image.fromarray(noise(1)[..., 0] > 127).save(path)
    return np.where(noise(1) > 127, 255, 0).astype(np.uint8)


def indexed(values):
    image = Image.fromarray(values[..., 0], "P")
    image.putpalette(PALETTE.tobytes())
    return image


for name in ("palette.gif", "palette.bmp", "palette.tif"):

    @kind(name)
    def _(path):
        indexed(noise(1)).save(path)
        return PALETTE[noise(1)[..., 0]]


@kind("moving.gif")
def _(path):
    indexed(noise(1)).save(path, save_all=True, append_images=[indexed(255 - noise(1))], duration=100)
    return PALETTE[noise(1)[..., 0]]


@kind("transparent.gif")
def _(path):
    indexed(noise(1)).save(path, transparency=0)
    index = noise(1)
    opacity = np.where(index == 0, 0, 255).astype(np.uint8)
    shown = np.concatenate([PALETTE[index[..., 0]], opacity], 2)
    return shown


# --- TIFF ------------------------------------------------------------------------------------------------------

GREY = {"photometric": "minisblack"}
for c, b, planar in [(1, 8, 0), (1, 16, 0), (3, 8, 1), (3, 16, 0), (3, 16, 1), (4, 16, 0), (5, 8, 0), (7, 16, 1)]:

    @kind(f"channels{c}_{b}{'_planar' if planar else ''}.tif")
    def _(path, c=c, b=b, planar=planar):
        look = {"photometric": "rgb" if c in (3, 4) else "minisblack"}
        return tiff(path, noise(c, 2**b - 1), planar=planar, **look)


for c in (3, 4):
    kind(f"grey_channels{c}.tiff")(lambda path, c=c: tiff(path, noise(c), **GREY))
kind("deflated.tif")(lambda path: tiff(path, noise(), photometric="rgb", compression="deflate", predictor=2))
kind("deflated5.tif")(lambda path: tiff(path, noise(5), compression="deflate", **GREY))
kind("big_endian_16.tif")(lambda path: tiff(path, noise(3, 65535), photometric="rgb", byteorder=">"))
kind("big_endian_grey_16.tif")(lambda path: tiff(path, noise(1, 65535), byteorder=">", **GREY))
kind("large.tif")(lambda path: tiff(path, noise(3), photometric="rgb", bigtiff=True))
kind("tiled.tif")(lambda path: tiff(path, noise(3, 65535), photometric="rgb", tile=(16, 16)))
kind("opacity.tif")(lambda path: tiff(path, noise(2), extrasamples=["unassalpha"], **GREY))
kind("opacity_16.tif")(lambda path: tiff(path, noise(2, 65535), extrasamples=["unassalpha"], **GREY))
kind("white_is_zero.tif")(lambda path: tiff(path, 255 - noise(1), noise(1), photometric="miniswhite"))
kind("white_is_zero_16.tif")(
    lambda path: tiff(path, 65535 - noise(1, 65535), noise(1, 65535), photometric="miniswhite")
)

for compression in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "group3", "group4"):

    @kind(f"one_bit_{compression}.tif")
    def _(path, compression=compression):
        Image.fromarray(noise(1)[..., 0] > 127).save(path, compression=compression)
        return np.where(noise(1) > 127, 255, 0).astype(np.uint8)


for compression in ("packbits", "tiff_lzw"):
    for c in (1, 3, 4):
        kind(f"channels{c}_{compression}.tif")(
            lambda path, c=c, compression=compression: saved(path, noise(c), compression=compression)
        )
kind("jpeg.tif", 4)(lambda path: saved(path, smooth(), compression="jpeg", quality=98))
kind("inks.tif", 1)(lambda path: tiff(path, noise(4), from_inks(noise(4)), photometric="separated"))


@kind("inks_16.tif")
def _(path):
    clear = (65535 - noise(4, 65535).astype(np.float64)) / 65535
    shown = (65535 * clear[..., :3] * clear[..., 3:]).round().astype(np.uint16)
    return tiff(path, noise(4, 65535), shown, photometric="separated")


@kind("luma_and_chroma.tif", 1)
def _(path):
    stored = Image.fromarray(smooth()).convert("YCbCr")
    stored.save(path)
    return np.array(stored.convert("RGB"))


def lzw_16(path, orientation):
    # Pillow writes no RGB of 16 bits, so libtiff packs the same bytes as 8 bits of twice the width.
    values = noise(3, 65535)
    packed = Image.fromarray(values.astype("<u2").view(np.uint8).reshape(HEIGHT, 2 * WIDTH, 3))
    packed.save(path, compression="tiff_lzw", tiffinfo={274: orientation})
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from("<HHII", data, place)
        if tag == 256:
            struct.pack_into("<H", data, place + 8, WIDTH)
        elif tag == 258:  # bits of each sample
            struct.pack_into("<3H", data, value, 16, 16, 16)
    path.write_bytes(data)
    return UPRIGHT[orientation](values)


kind("lzw_16.tif")(lambda path: lzw_16(path, 1))
kind("turned_lzw_16.tif")(lambda path: lzw_16(path, 6))


@pytest.mark.parametrize("premultiplied", [8, 16])
def test_premultiplied_colours_are_straightened(premultiplied, tmp_path):
    top = 2**premultiplied - 1
    straight = noise(4, top)
    straight[..., 3] |= 1 << (premultiplied - 1)  # so that little is lost
    stored = straight.copy()
    stored[..., :3] = (straight[..., :3].astype(float) * straight[..., 3:] / top).round()
    tiff(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    found = read_image(tmp_path / "x.tif").permute(1, 2, 0).numpy().astype(int)
    assert (found[..., 3] == straight[..., 3]).all()
    assert abs(found - straight).max() <= 2


for axes, options in {"imagej": {"imagej": True}, "ome": {"ome": True}, "tifffile": {}}.items():

    @kind(f"pages_called_channels_{axes}.tif")
    def _(path, options=options):
        planes = np.ascontiguousarray(noise(5).transpose(2, 0, 1))
        tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"}, **options)
        return noise(5)


@kind("with_preview.tif")
def _(path):
    with tifffile.TiffWriter(path) as file:
        file.write(noise(), photometric="rgb", metadata=None)
        file.write(noise()[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
    return noise()


@kind("one_pixel_wide.tif")
def _(path):
    return tiff(path, noise(5)[:, :1], **GREY)


@kind("one_row.tif")
def _(path):
    return tiff(path, noise(5)[:1], planar=True, **GREY)


class TestKinds:
    @pytest.fixture(scope="class")
    def method(self):
        """Gives images back as they are."""
        method = Pix2Pix(3)
        method.translate = lambda images, direction, **options: images
        return method

    @pytest.mark.parametrize("name", sorted(KINDS))
    def test_as_a_viewer_shows_it(self, name, tmp_path, method):
        make, tolerance = KINDS[name]
        (tmp_path / "trainA").mkdir()
        path = tmp_path / "trainA" / name
        shown = make(path)
        expected = torch.from_numpy(np.ascontiguousarray(shown).astype(np.int64)).permute(2, 0, 1)
        levels = 256 if shown.dtype == np.uint8 else 65536
        image = read_image(path)
        assert image.dtype == (torch.uint8 if levels == 256 else torch.uint16)
        assert image.shape == expected.shape
        assert (image.int() - expected).abs().max() <= tolerance

        side = min(shown.shape[:2])
        (tmp_path / "trainB").symlink_to(tmp_path / "trainA")
        data = UnpairedFolder(root=str(tmp_path), folder="", image_size=side, flip=False, batch_size=1, num_workers=0)
        assert (data.channels_a, data.levels) == (shown.shape[2], levels)
        crop = data.split("train").__getitems__([Draw(0, 0, (0, 0))])["a"][0]
        scaled = expected * (2 / (levels - 1)) - 1
        windows = scaled.unfold(1, side, 1).unfold(2, side, 1)
        distances = (windows - crop[:, None, None]).abs().amax((0, 3, 4))
        assert distances.min() <= (tolerance + 0.01) * 2 / (levels - 1)

        if shown.shape[2] in (1, 2, 3, 4):
            (written,) = translate_files(method, [path], tmp_path / "out", "a2b")
            colours = expected[: 1 if shown.shape[2] < 3 else 3].expand(3, -1, -1).permute(1, 2, 0).numpy()
            found = tifffile.imread(written) if levels > 256 else np.array(Image.open(written))
            assert found.shape == colours.shape
            assert abs(found.astype(int) - colours).max() <= tolerance

    def test_all_kinds_train_together(self, tmp_path, trainer):
        assert len(KINDS) >= 40
        seen = set()

        class Seen(Callback):
            def on_train_batch_end(self, trainer, module, outputs, batch, number):
                seen.update(Path(path).name for path in batch["path_a"])

        for folder in ("trainA", "trainB", "testA", "testB"):
            (tmp_path / folder).mkdir()
        shown = {name: KINDS[name][0](tmp_path / "trainA" / name) for name in KINDS}
        for name, values in shown.items():
            if values.shape[2] not in (1, 3) or min(values.shape[:2]) < 8:
                (tmp_path / "trainA" / name).unlink()
        files = sorted((tmp_path / "trainA").iterdir())
        for folder in ("trainB", "testA", "testB"):
            shutil.copy(next(path for path in files if shown[path.name].shape[2] == 3), tmp_path / folder)
        options = {"image_size": 8, "num_workers": 0, "batch_size": len(files)}
        data = UnpairedFolder(root=str(tmp_path), folder="", expected_channels=(3, 3), **options)
        generator, critic = partial(ResNetGenerator, width=2, blocks=1), partial(PatchCritic, width=2, layers=1)
        method = CycleGAN(3, generator=generator, critic=critic)
        trainer(callbacks=[Seen()]).fit(method, data)
        assert seen == {path.name for path in files}
        assert len(seen) >= 60
        assert all(p.isfinite().all() for p in method.parameters())


# --- damaged files ---------------------------------------------------------------------------------------------

DAMAGED = [
    *("plain.jpg", "progressive.jpg", "inks.jpg"),
    *("channels3_8.png", "channels4_16_interlaced.png", "palette_with_opacity.png"),
    *("plain.webp", "moving.webp", "plain.bmp", "palette.gif"),
    *("channels3_16_planar.tif", "deflated.tif", "channels3_tiff_lzw.tif", "one_bit_group4.tif", "jpeg.tif"),
    "channels5_8.tif",
]


def damage(data, random):
    """``data`` with up to eight bits flipped, cut off, with a part left out, or with a part overwritten."""
    data = bytearray(data)
    place = int(random.integers(len(data)))
    what = random.integers(4)
    if what == 0:
        for where in random.integers(len(data), size=random.integers(1, 9)):
            data[where] ^= 1 << random.integers(8)
    elif what == 1:
        del data[place:]
    elif what == 2:
        del data[place : place + int(random.integers(1, 64))]
    else:
        data[place : place + 16] = random.bytes(16)
    return bytes(data)


def read_damaged(folder, counts, times):
    """Read ``times`` damaged files of each kind; ``counts`` says how many were refused, by name and in one line."""
    with open(counts, "w") as report:
        for name in DAMAGED:
            path, random, messages = folder / name, np.random.default_rng(0), []
            KINDS[name][0](path)
            whole = path.read_bytes()
            for _ in range(times):
                path.write_bytes(damage(whole, random))
                try:
                    assert read_image(path).ndim == 3
                except ValueError as error:
                    messages.append(str(error))
            assert all(str(path) in message and "\n" not in message for message in messages)
            print(name, len(messages), file=report, flush=True)


def test_damaged_files_are_refused_by_name_and_crash_nothing(tmp_path):
    child = multiprocessing.get_context("fork").Process(target=read_damaged, args=(tmp_path, tmp_path / "counts", 60))
    child.start()
    child.join()
    refused = dict(line.split() for line in (tmp_path / "counts").read_text().splitlines())
    assert child.exitcode == 0
    assert list(refused) == DAMAGED
    for name, count in refused.items():
        assert int(count) >= (60 if name.endswith("png") else 20), name  # checksums of PNG show any damage


CUT = ["plain.jpg", "progressive.jpg", "plain.webp", "plain.bmp", "palette.gif", "deflated5.tif", "channels5_8.tif"]


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_off_is_refused(name, tmp_path):
    KINDS[name][0](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=f"{name}' cannot be read as an image: "):
            read_image(tmp_path / name)


def without_a_plane(path):
    """An OME-TIFF of three channels that lacks the one in the middle."""
    planes = '<TiffData IFD="0" FirstC="0" PlaneCount="1"/><TiffData IFD="1" FirstC="2" PlaneCount="1"/>'
    channels = "".join(f'<Channel ID="Channel:0:{k}" SamplesPerPixel="1"/>' for k in range(3))
    sizes = f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeC="3" SizeZ="1" SizeT="1"'
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {sizes}>{channels}{planes}</Pixels>'
    ome = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">{pixels}</Image></OME>'
    held = np.ascontiguousarray(noise(2).transpose(2, 0, 1))
    tifffile.imwrite(path, held, photometric="minisblack", metadata=None, description=ome)


# --- what is refused -------------------------------------------------------------------------------------------


REFUSED = {
    "signed": (lambda p: tifffile.imwrite(p, noise(1).astype(np.int16)), "its pixels are signed integers"),
    "float": (lambda p: tifffile.imwrite(p, noise(1).astype(np.float32)), "its pixels are floating point numbers"),
    "deep": (lambda p: tifffile.imwrite(p, noise(1).astype(np.uint32)), "MINISBLACK with 1 channels of 32 bits"),
    "pages": (
        lambda p: tifffile.imwrite(p, noise(5).transpose(2, 0, 1).copy(), photometric="minisblack"),
        "it holds 5 pages, which it does not call channels; save the one that is meant",
    ),
    "slices": (
        lambda p: tifffile.imwrite(p, noise(5).transpose(2, 0, 1).copy(), imagej=True, metadata={"axes": "ZYX"}),
        "it holds 5 pages",
    ),
    "without_a_plane": (without_a_plane, "one of its pages is missing"),
    "lab": (lambda p: Image.fromarray(noise()).convert("LAB").save(p), "CIELAB with 3 channels of 8 bits is not read"),
    "text": (lambda p: p.write_text("no picture"), "its beginning is not that of a whole JPEG"),
    "empty": (lambda p: p.write_bytes(b""), "its beginning is not that of a whole JPEG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name_and_reason(name, tmp_path):
    make, reason = REFUSED[name]
    make(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=f"x.tif' cannot be read as an image: {reason}"):
        read_image(tmp_path / "x.tif")


def test_a_missing_decoder_is_named(tmp_path):
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs decodes it")
    Image.fromarray(noise()).save(tmp_path / "x.tif", compression="tiff_lzw")
    data = (tmp_path / "x.tif").read_bytes()
    # Photometric interpretation (tag 262, a short) from RGB to grey: three channels that libtiff does not know.
    tag = struct.pack("<HHIHH", 262, 3, 1, 2, 0)
    assert data.count(tag) == 1
    (tmp_path / "x.tif").write_bytes(data.replace(tag, struct.pack("<HHIHH", 262, 3, 1, 1, 0)))
    with pytest.raises(ValueError, match=r"compressed by LZW, .* need another package: pip install imagecodecs"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("name", ["plain.jpg", "channels3_16.png", "channels5_8.tif", "pages_called_channels_ome.tif"])
def test_pixels_have_a_limit_that_can_be_raised(name, tmp_path, monkeypatch):
    KINDS[name][0](tmp_path / name)
    count = HEIGHT * WIDTH * (5 if "5" in name or "pages" in name else 4) // 4
    monkeypatch.setenv("CROSSDOMAIN_MAX_PIXELS", str(count))
    read_image(tmp_path / name)
    monkeypatch.setenv("CROSSDOMAIN_MAX_PIXELS", str(count - 1))
    with pytest.raises(ValueError, match=rf"{name}' .* the {count - 1:,} pixels that CROSSDOMAIN_MAX_PIXELS allows"):
        read_image(tmp_path / name)
    monkeypatch.setenv("CROSSDOMAIN_MAX_PIXELS", "many")
    with pytest.raises(ValueError, match="CROSSDOMAIN_MAX_PIXELS is 'many'"):
        read_image(tmp_path / name)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(ValueError, match="it has more than the 268,435,456 pixels that CROSSDOMAIN_MAX_PIXELS"):
        read_image(tmp_path / "bomb.png")


# --- writing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [256, 65536])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (1, 6)])
def test_what_is_written_is_read_again(levels, channels, size, tmp_path):
    values = torch.randint(0, levels, (channels, *size), dtype=torch.int32)
    image = values.double() * (2 / (levels - 1)) - 1
    path = write_image(image, tmp_path / "x.y", levels)
    assert path.name == ("x.y.png" if levels == 256 and channels in (1, 3) else "x.y.tif")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert torch.equal(read_image(path).int(), values)
    other = np.array(Image.open(path)) if levels == 256 and channels in (1, 3) else tifffile.imread(path)
    assert (other.reshape(*size, channels).astype(int) == values.permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize("levels", [256, 65536])
def test_a_file_is_written_whole_or_not_at_all(levels, tmp_path, monkeypatch):
    path = write_image(torch.zeros(3, 4, 4), tmp_path / "x", levels)
    before = path.read_bytes()

    def half(self_or_path, *args, **options):
        target = args[0] if isinstance(self_or_path, Image.Image) else self_or_path
        target.write_bytes(before[:40])
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    monkeypatch.setattr(tifffile, "imwrite", half)
    with pytest.raises(OSError, match="No space left"):
        write_image(torch.ones(3, 4, 4), tmp_path / "x", levels)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
