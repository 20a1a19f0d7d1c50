"""The FCN-score: palettes, class maps, the three scores, the segmenter, and its tags in evaluation."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch

import crossdomain
from crossdomain import hub, serialization
from crossdomain.commands import lightning as lightning_cli
from crossdomain.companions import DomainSegmenter
from crossdomain.datamodules import Cityscapes, DomainData, DomainImages, Facades, Maps
from crossdomain.domains import DataSpec
from crossdomain.evaluation import Evaluation
from crossdomain.method import Method
from crossdomain.metrics import SegmentationScore
from crossdomain.metrics.features import frechet_distance, kernel_distance
from crossdomain.metrics.palette import VOID, nearest_class
from crossdomain.networks import TimmSegmenter

REAL = Path(os.environ.get("CROSSDOMAIN_DATA", "nowhere"))
NETWORK = partial(TimmSegmenter, stages=2, width=8)
COLOURS = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
BLACK = [0, 0, 0]


class Stripes(DomainData):
    """Photos in grey, as bright as the class, and labels in red, green and blue, with a void margin on top."""

    domains = ("photo", "labels")
    channels = 3
    palette = {"domain": "b", "names": ["r", "g", "b"], "colours": COLOURS, "ignored": [BLACK]}  # noqa: RUF012

    def __init__(self, images: int = 24):
        super().__init__(batch_size=8, image_size=16)
        generator = torch.Generator().manual_seed(0)
        self.classes = torch.randint(3, (images, 1, 4), generator=generator).repeat_interleave(4, 2).expand(-1, 16, -1)
        photos = (self.classes * 100 + 20)[:, None].expand(-1, 3, -1, -1)
        photos = photos + torch.randint(30, (images, 3, 16, 16), generator=generator)
        labels = torch.tensor(COLOURS)[self.classes].permute(0, 3, 1, 2).contiguous()
        labels[:, :, :2] = 0
        self.photos, self.labels = photos.to(torch.uint8), labels.to(torch.uint8)

    def split(self, name):
        a, b = {"a": self.photos, "truth_a2b": self.labels}, {"b": self.labels, "truth_b2a": self.photos}
        return DomainImages(a, b)


class Painter(Method):
    """Fixed translations that leave [-1, 1]; nothing is learned."""

    directions = ("a2b", "b2a")

    def __init__(self, channels_a: int, channels_b: int | None = None, **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.net = torch.nn.Conv2d(3, 3, 1)
        self.players = {"generator": ("net",)}

    def generate(self, batch):
        return {}

    def generator_loss(self, batch, out):
        return {}

    def _translate(self, images, direction, guide, noise):
        if direction == "a2b":
            return 3 * images[:, [2, 0, 1]] - 0.5
        return (images * torch.linspace(-3, 3, 16)).flip(1)


@pytest.fixture
def segmenter(trainer, tmp_path):
    """An untrained segmenter of Stripes and its checkpoint."""
    method = DomainSegmenter(3, classes=3, network=NETWORK)
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    run.fit(method, Stripes())
    run.save_checkpoint(tmp_path / "segmenter.ckpt")
    return str(tmp_path / "segmenter.ckpt"), method.eval()


def as_image(*pixels):
    """One row of pixels as a picture in [-1, 1]."""
    return (torch.tensor(pixels).T[None, :, None].float()) / 127.5 - 1


# --- palettes and class maps -----------------------------------------------------------------------------------


def test_each_pixel_takes_the_nearest_colour():
    image = as_image([255, 0, 0], [20, 200, 90], [0, 0, 250], [100, 100, 0], [60, 0, 10])
    assert nearest_class(image, COLOURS).tolist() == [[[0, 1, 2, 0, 0]]]  # the fourth is a tie: the first counts
    assert nearest_class(image, COLOURS, [BLACK]).tolist() == [[[0, 1, 2, VOID, VOID]]]
    assert nearest_class(5 * image, COLOURS).tolist() == nearest_class((5 * image).clamp(-1, 1), COLOURS).tolist()
    with pytest.raises(ValueError, match=r"are \(N, 3, H, W\), but these images have shape \(1, 1, 4, 4\)"):
        nearest_class(torch.zeros(1, 1, 4, 4), COLOURS)


def test_class_map_is_the_argmin_of_all_distances():
    palette = Cityscapes.palette
    images = 2 * torch.rand(2, 3, 9, 7) - 1
    every = torch.tensor(palette["colours"] + palette["ignored"]).float()
    expected = torch.cdist(((images + 1) * 127.5).permute(0, 2, 3, 1).flatten(0, 2), every).argmin(1).view(2, 9, 7)
    found = nearest_class(images, palette["colours"], palette["ignored"])
    assert found.dtype == torch.int64
    assert torch.equal(found, expected.where(expected < 19, torch.tensor(VOID)))
    assert (found == VOID).any()


@pytest.mark.parametrize(("data", "classes", "first", "last"), [(Facades, 12, "background", "shop"),
                                                                (Cityscapes, 19, "road", "bicycle")])  # fmt: skip
def test_palettes_tell_their_classes_apart(data, classes, first, last):
    palette = data.palette
    assert (palette["names"][0], palette["names"][-1], len(set(palette["names"]))) == (first, last, classes)
    every = as_image(*palette["colours"], *palette["ignored"])
    expected = [*range(classes), *[VOID] * len(palette["ignored"])]
    assert nearest_class(every, palette["colours"], palette["ignored"]).flatten().tolist() == expected


def test_cityscapes_is_in_the_order_of_its_evaluation():
    names = (
        "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
        "rider, car, truck, bus, train, motorcycle, bicycle"
    )
    assert ", ".join(Cityscapes.palette["names"]) == names


@pytest.mark.skipif(not (REAL / "facades").is_dir(), reason="CROSSDOMAIN_DATA has no facades")
def test_real_facades_are_painted_in_the_palette():
    data = Facades(root=str(REAL), image_size=256, load_size=256, num_workers=0)
    data.setup("validate")
    batches = iter(data.val_dataloader())
    labels = torch.cat([next(batches)["b"] for _ in range(4)])
    colours = torch.tensor(data.palette["colours"])
    classes = nearest_class(labels, data.palette["colours"])
    assert classes.unique().tolist() == list(range(12))
    away = ((labels + 1) * 127.5 - colours[classes].permute(0, 3, 1, 2)).abs().amax(1)
    assert (away < 12).float().mean() > 0.6  # the rest are edges and the noise of JPEG
    photos = next(iter(data.val_dataloader()))["a"]
    away = ((photos + 1) * 127.5 - colours[nearest_class(photos, colours.tolist())].permute(0, 3, 1, 2)).abs().amax(1)
    assert (away < 12).float().mean() < 0.05


# --- scores ----------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    metric = SegmentationScore(4)
    metric.update(torch.tensor([[[0, 0, 1]]]), torch.tensor([[[0, 0, 0]]]))
    metric.update(torch.tensor([[[1, 2, 2, 0]]]), torch.tensor([[[1, 1, VOID, VOID]]]))
    # Rows of the matrix: 0 is (2, 1, 0), 1 is (0, 1, 1); 2 was predicted once and never true, 3 neither.
    assert {k: v.item() for k, v in metric.compute().items()} == pytest.approx(
        {"pixel_accuracy": 3 / 5, "class_accuracy": (2 / 3 + 1 / 2) / 2, "class_iou": (2 / 3 + 1 / 3 + 0 / 1) / 3}
    )
    with pytest.raises(ValueError, match="cannot match truth"):
        metric.update(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long())


def test_scores_are_of_one_matrix_and_not_means_over_images():
    metric = SegmentationScore(2)
    metric.update(torch.tensor([[[0, 0, 0, 0]]]), torch.tensor([[[0, 0, 0, 1]]]))
    metric.update(torch.tensor([[[1]]]), torch.tensor([[[1]]]))
    scores = {k: v.item() for k, v in metric.compute().items()}
    assert scores == pytest.approx({"pixel_accuracy": 4 / 5, "class_accuracy": 3 / 4, "class_iou": (3 / 4 + 1 / 2) / 2})


# --- the segmenter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (37, 21), (128, 96)])
def test_network_takes_any_size(size):
    network = TimmSegmenter(3, 5, width=8).eval()
    images = torch.rand(1, 3, *size, requires_grad=True)
    logits = network(images)
    assert logits.shape == (1, 5, *size)
    logits.sum().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert unused == []


def test_stages_leave_out_the_rest_of_the_backbone():
    count = {s: sum(p.numel() for p in TimmSegmenter(3, 5, stages=s).parameters()) for s in (4, 5)}
    # 3,673,088 in the last stage of resnet10t, and its lateral connection.
    assert count[5] - count[4] == 3_673_088 + 512 * 64 + 64


@pytest.mark.parametrize(
    ("options", "message"),
    [({"name": "resnet10"}, "no architecture 'resnet10'; near it: "), ({"stages": 6}, "does not give 6 maps")],
)
def test_backbones_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TimmSegmenter(3, 5, **options)


def test_loss_is_the_cross_entropy_of_pixels_that_count():
    method = DomainSegmenter(3, classes=3, network=NETWORK)
    method.spec = DataSpec.from_plain(Stripes().spec())
    batch = {
        "a": torch.rand(1, 3, 1, 3),
        "truth_a2b": as_image([255, 0, 0], [0, 0, 0], [0, 0, 255]),
    }
    out = method.eval().generate(batch)
    assert out["truth"].tolist() == [[[0, VOID, 2]]]
    logits = method.segment(batch["a"])
    expected = -(logits.log_softmax(1)[0, 0, 0, 0] + logits.log_softmax(1)[0, 2, 0, 2]) / 2
    torch.testing.assert_close(method.segmenter_loss(batch, out)["cross_entropy"], expected)
    nothing = {"logits": out["logits"], "truth": torch.full((1, 1, 3), VOID)}
    assert method.segmenter_loss(batch, nothing)["cross_entropy"] == 0
    with pytest.raises(ValueError, match="no labels of its photos"):
        method.generate({"a": batch["a"]})


def test_it_learns_stripes_and_comes_back_from_its_checkpoint(trainer, tmp_path):
    data = Stripes()
    method = DomainSegmenter(3, classes=3, network=NETWORK, optimizer=partial(torch.optim.Adam, lr=0.01))
    (before,) = trainer().validate(method, data, verbose=False)
    assert set(before) == {f"val/{k}_a" for k in ("pixel_accuracy", "class_accuracy", "class_iou")}
    run = trainer(max_epochs=12, limit_val_batches=0)
    run.fit(method, data)
    run.save_checkpoint(tmp_path / "segmenter.ckpt")
    (after,) = trainer().validate(method, data, verbose=False)
    assert before["val/pixel_accuracy_a"] < 0.6
    assert after["val/pixel_accuracy_a"] > 0.9
    again = crossdomain.load(tmp_path / "segmenter.ckpt")
    assert again.spec.to_plain() == data.spec()
    photos = data.photos[:8].float() / 127.5 - 1
    assert torch.equal(again.segment(photos), method.eval().segment(photos))
    right = again.segment(data.photos.float() / 127.5 - 1).argmax(1) == data.classes
    assert after["val/pixel_accuracy_a"] == pytest.approx(right[:, 2:].float().mean().item(), abs=1e-6)


def test_labels_may_be_domain_a(trainer):
    data = Stripes()
    data.palette = data.palette | {"domain": "a"}
    data.splits["val"] = DomainImages({"a": data.labels, "truth_a2b": data.photos},
                                      {"b": data.photos, "truth_b2a": data.labels})  # fmt: skip
    method = DomainSegmenter(3, classes=3, network=NETWORK, labels="a")
    (metrics,) = trainer().validate(method, data, verbose=False)
    right = method.eval().segment(data.photos.float() / 127.5 - 1).argmax(1) == data.classes
    assert metrics["val/pixel_accuracy_b"] == pytest.approx(right[:, 2:].float().mean().item(), abs=1e-6)


def test_data_without_fitting_labels_is_refused(trainer):
    data = Stripes()
    with pytest.raises(ValueError, match="has 3 classes in domain b, but this DomainSegmenter was made for 12 in b"):
        trainer().validate(DomainSegmenter(3, network=NETWORK), data)
    with pytest.raises(ValueError, match="made for 3 in a"):
        trainer().validate(DomainSegmenter(3, classes=3, network=NETWORK, labels="a"), data)
    data.palette = None
    with pytest.raises(ValueError, match="The data has no palette"):
        trainer().validate(DomainSegmenter(3, classes=3, network=NETWORK), data)


# --- evaluation ------------------------------------------------------------------------------------------------


def test_translations_are_scored_in_both_directions(segmenter, trainer):
    path, network = segmenter
    method, data = Painter(3), Stripes()
    state = set(method.state_dict())
    (metrics,) = trainer(callbacks=[Evaluation(segmenter=path, pictures=0)]).test(method, data, verbose=False)
    assert set(method.state_dict()) == state
    photos, labels = (images.float() / 127.5 - 1 for images in (data.photos, data.labels))
    seen = network.segment(method.translate(labels, "b2a").clamp(-1, 1)).argmax(1)
    painted = nearest_class(method.translate(photos, "a2b").clamp(-1, 1), COLOURS)
    for direction, predicted in (("b2a", seen), ("a2b", painted)):
        predicted, truth = predicted[:, 2:], data.classes[:, 2:]  # without the void margin
        right = [((predicted == k) & (truth == k)).sum() for k in range(3)]
        true, said = ([(classes == k).sum() for k in range(3)] for classes in (truth, predicted))
        scores = {
            "pixel_accuracy": sum(right) / truth.numel(),
            "class_accuracy": sum(r / t for r, t in zip(right, true, strict=True)) / 3,
            "class_iou": sum(r / (t + s - r) for r, t, s in zip(right, true, said, strict=True)) / 3,
        }
        assert 0 < scores["pixel_accuracy"] < 1
        for name, score in scores.items():
            assert metrics[f"test/{name}_{direction}"] == pytest.approx(score.item(), abs=1e-6)


def test_distances_of_photos_on_the_segmenters_features(segmenter, trainer):
    path, network = segmenter
    method, data = Painter(3), Stripes()
    evaluation = Evaluation(segmenter=path, judge_distances=True, pictures=0)
    (metrics,) = trainer(callbacks=[evaluation]).test(method, data, verbose=False)
    photos, labels = (images.float() / 127.5 - 1 for images in (data.photos, data.labels))
    samples = [network.features(x).double() for x in (method.translate(labels, "b2a").clamp(-1, 1), photos)]
    assert [sample.shape for sample in samples] == [(24, 8), (24, 8)]
    assert metrics["test/frechet_judge_b2a"] == pytest.approx(frechet_distance(*samples).item(), rel=1e-3)
    assert metrics["test/kernel_judge_b2a"] == pytest.approx(kernel_distance(*samples).item(), rel=1e-3, abs=1e-6)
    assert "test/frechet_judge_a2b" not in metrics
    with pytest.raises(ValueError, match=r"looks at photos, domain a, and not at domain b"):
        network.features(labels, "b")


def test_features_are_what_the_last_layer_reads():
    network = TimmSegmenter(3, 5, stages=1, width=8, dropout=0.0).eval()  # its only map is read off without resizing
    images = torch.rand(2, 3, 16, 16)
    logits = torch.nn.functional.conv2d(network.features(images)[..., None, None], *network.head[-1].parameters())
    small = network.head(network.lateral[0](network.backbone(images)[0])).mean((2, 3))  # means pass a 1x1 convolution
    assert torch.allclose(logits.flatten(1), small, atol=1e-5)


def test_without_a_segmenter_labels_alone_are_scored(trainer):
    (metrics,) = trainer().validate(Painter(3), Stripes(), verbose=False)
    assert {key for key in metrics if "iou" in key} == {"val/class_iou_a2b"}
    data = Stripes()
    data.palette = None
    (metrics,) = trainer().validate(Painter(3), data, verbose=False)
    assert not any("class" in key or "pixel" in key for key in metrics)


def test_segmenters_that_do_not_fit_are_refused(segmenter, trainer, tmp_path):
    path, _ = segmenter
    run = trainer(callbacks=[Evaluation(segmenter=path)])
    data = Stripes()
    data.palette = Facades.palette
    with pytest.raises(ValueError, match=r"trained on 3 classes of domain b \(r to b\),\n.* is 12 classes of domain b"):
        run.test(Painter(3), data)
    data.palette = None
    with pytest.raises(ValueError, match="labels have a palette, which this data has not"):
        run.validate(Painter(3), data)
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    method = Painter(3)
    method.spec = DataSpec.from_plain(Stripes().spec())
    serialization.write(method, tmp_path / "painter.ckpt")
    with pytest.raises(ValueError, match=r"segmenter is .* a Painter, which cannot segment"):
        trainer(callbacks=[Evaluation(segmenter=str(tmp_path / "painter.ckpt"))]).validate(Painter(3), Stripes())


def test_older_checkpoints_know_no_palette(segmenter, tmp_path, trainer):
    checkpoint = serialization.read(segmenter[0])
    assert checkpoint["crossdomain"].pop("palette") == Stripes.palette
    assert serialization.rebuild(checkpoint).spec.palette is None
    torch.save(checkpoint, tmp_path / "older.ckpt")
    method = DomainSegmenter(3, classes=3, network=NETWORK)
    (metrics,) = trainer().validate(method, Stripes(), ckpt_path=tmp_path / "older.ckpt", verbose=False)
    assert "val/pixel_accuracy_a" in metrics  # the data's palette is used


def test_only_labels_by_colour_have_a_palette():
    assert Maps.palette is None
    assert Facades.palette["domain"] == Cityscapes.palette["domain"] == "b"


def test_segmenter_may_be_a_name_of_the_zoo(monkeypatch):
    monkeypatch.setattr(hub, "find_checkpoint", lambda name: Path("/zoo") / f"{name}.ckpt")
    callbacks = [lightning_cli.Namespace(init_args=lightning_cli.Namespace(segmenter="segmenter-facades"))]
    config = lightning_cli.Namespace(
        {"test": lightning_cli.Namespace(trainer=lightning_cli.Namespace(callbacks=callbacks))}
    )
    lightning_cli._resolve_checkpoints(config)
    assert callbacks[0].init_args.segmenter == str(Path("/zoo/segmenter-facades.ckpt"))
