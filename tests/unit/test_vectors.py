"""Vectors from end to end: data, metrics, pictures, classifiers, embeddings."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crossdomain import serialization
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.companions import DomainClassifier, SharedAutoencoder
from crossdomain.datamodules import Digits, Embeddings, Gaussians, Moons
from crossdomain.densities import GaussianDensity
from crossdomain.evaluation import Evaluation
from crossdomain.evaluation.grid import scatter_plots
from crossdomain.flows import AffineFlow, VectorFlow, dequantize
from crossdomain.losses import standard_normal_kl
from crossdomain.methods import LRMF, AlignFlow
from crossdomain.metrics import NeighbourAccuracy
from crossdomain.networks import ConvDecoder, ConvEncoder, VectorNetwork

FLOW = partial(VectorFlow, steps=2, width=8)
ENCODER = partial(ConvEncoder, width=4, layers=3, norm="none")


def lrmf():
    return LRMF(2, flow=AffineFlow, density=GaussianDensity)


def alignflow(channels=2, **options):
    return AlignFlow(channels, flow=FLOW, critic=VectorNetwork, **options)


# --- data --------------------------------------------------------------------------------------------------------


def test_gaussians_have_the_moments_that_were_asked_for():
    covariance = ((2.0, 0.5), (0.5, 1.0))
    data = Gaussians((3.0, -1.0), covariance, size=50_000)
    data.setup("fit")
    a = data.splits["train"].fields[0]["a"]
    torch.testing.assert_close(a.mean(0), torch.tensor([3.0, -1.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(a.T), torch.tensor(covariance), atol=0.05, rtol=0)
    assert len(data.splits["val"]) == 10_000
    assert data.spec() == {
        "domains": ["Gaussian", "other Gaussian"],
        "channels": [2, 2],
        "image_size": None,
        "resize_filter": "none",
        "levels": None,
        "palette": None,
        "attributes": None,
        "roles": None,
    }


def test_moons_are_turned_by_the_formula():
    data = Moons(angle=90.0, scale=2.0, shift=1.0, noise=0.0, size=100)
    data.setup("fit")
    for name, count in (("train", 100), ("val", 20)):
        fields_a, fields_b = data.splits[name].fields
        back = (fields_a["a"] - 1.0) / 2.0 @ torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        for points, arms in ((back, fields_a["label_a"]), (fields_b["b"], fields_b["label_b"])):
            assert points.shape == (count, 2)
            centre = torch.tensor([-0.5, -0.25]) + arms.unsqueeze(1) * torch.tensor([1.0, 0.5])
            torch.testing.assert_close((points - centre).norm(dim=1), torch.ones(count))  # half circles
    again = Moons(seed=5)
    again.setup("fit")
    other = Moons()
    other.setup("fit")
    assert torch.equal(again.splits["train"].fields[0]["a"], other.splits["train"].fields[0]["a"])
    val = other.splits["val"].fields[1]["b"]
    assert not torch.equal(other.splits["train"].fields[1]["b"][: len(val)], val)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean_a": (0.0, 1.0, 2.0)}, "data.covariance_a shape"),
        ({"mean_b": (0.0,)}, "data.mean_b has 1 numbers"),
        ({"covariance_b": ((1.0, 2.0), (2.0, 1.0))}, "not positive definite"),
    ],
)
def test_gaussians_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Gaussians(**options)


def test_vectors_are_not_dequantized():
    x = torch.randn(3, 2)
    assert dequantize(x, None) is x


# --- evaluation --------------------------------------------------------------------------------------------------


def test_neighbour_accuracy_by_hand():
    metric = NeighbourAccuracy()
    target = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    metric.update(target[:1], torch.tensor([0]), translated=False)
    metric.update(torch.tensor([[1.0, 1.0], [9.0, 2.0]]), torch.tensor([0, 2]), translated=True)
    metric.update(target[1:], torch.tensor([1, 2]), translated=False)  # neighbours may come after
    metric.update(torch.tensor([[1.0, 8.0], [6.0, 0.0]]), torch.tensor([2, 1]), translated=True)
    assert metric.compute() == 0.75
    for name in ("moved", "moved_labels", "target", "target_labels"):  # as several processes leave them
        setattr(metric, name, torch.cat(getattr(metric, name)))
    metric._computed = None
    assert metric.compute() == 0.75
    alone = NeighbourAccuracy()
    alone.update(target, torch.tensor([0, 1, 2]), translated=True)
    assert alone.compute().isnan()


def test_tags_and_values_of_vectors(trainer, tensors):
    """Domains of different lengths in small batches; all vectors of b are neighbours, of a also."""
    a, b = torch.randn(10, 2), torch.randn(23, 2)
    labels = {"a": torch.arange(10) % 2, "b": torch.arange(23) % 2}
    data = tensors({"a": a, "label_a": labels["a"]}, {"b": b, "label_b": labels["b"]})
    method = lrmf()
    method.spec = replace(method.spec, levels=None)
    method.flow.shift.data.fill_(0.3)
    (metrics,) = trainer().validate(method, data, verbose=False)
    kinds = ("cycle_max", "cycle_mean", "gap", "log_prob")
    assert set(metrics) == {f"val/{kind}_{d}" for kind in kinds for d in "ab"} | {
        "val/certificate",
        "val/neighbour_accuracy_a2b",
        "val/neighbour_accuracy_b2a",
    }
    assert metrics["val/log_prob_b"] == pytest.approx(method.log_prob(b, "b").mean().item(), rel=1e-5)
    nearest = torch.cdist(a + 0.3, b).argmin(1)
    expected = (labels["b"][nearest] == labels["a"]).float().mean().item()
    assert metrics["val/neighbour_accuracy_a2b"] == pytest.approx(expected)
    nearest = torch.cdist(b - 0.3, a).argmin(1)
    expected = (labels["a"][nearest] == labels["b"]).float().mean().item()
    assert metrics["val/neighbour_accuracy_b2a"] == pytest.approx(expected)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_scatter_plots(dimensions):
    points, labels = torch.randn(30, dimensions), torch.arange(30) % 3
    plots = {"a": [(points, labels)], "b": [(points + 1, None)], "a to b": [(points + 1, None), (points, labels)]}
    picture = scatter_plots(plots, side=200)
    assert picture.shape == (3, 200, 600)
    assert picture.dtype == torch.uint8
    colours = picture.flatten(1).T.unique(dim=0)
    for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):  # the first three of the palette
        assert (colours == torch.tensor(colour)).all(1).any()
    assert torch.equal(picture, scatter_plots(plots, side=200))


def test_pictures_before_during_and_after(trainer, tmp_path):
    logger = TensorBoardLogger(tmp_path)
    run = trainer(logger=logger, max_epochs=2, num_sanity_val_steps=1)
    run.fit(lrmf(), Moons(size=600, batch_size=256))
    events = EventAccumulator(logger.log_dir, {"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("val/grid")] == [0, 2, 4]
    # The check before the training sees a part of the split, and logs no figures. HParams repeats the first one.
    assert len({event.value for event in events.Scalars("val/certificate")}) == 2


def test_alignflow_on_vectors(trainer, tmp_path):
    method = alignflow()
    run = trainer(max_epochs=1, limit_train_batches=3, callbacks=[Evaluation()])
    run.fit(method, Moons(size=600, batch_size=256))
    assert "val/neighbour_accuracy_a2b" in run.callback_metrics
    assert not any("bits_per_dim" in key for key in run.callback_metrics)
    samples = method.sample(4, seed=0)
    assert samples["a"].shape == samples["b"].shape == (4, 2)
    far = 100 * torch.ones(2, 2)
    predicted = method.predict_step({"a": far}, 0)["a2b"]
    assert torch.equal(predicted, method.translate(far, "a2b"))  # vectors are not clamped


def test_classifiers_of_vectors_and_their_translations(trainer, tmp_path):
    """The rows of the adaptation table on moons: a translator that undoes a shift of 10, beyond any image."""
    translator = lrmf()
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    translator.prepare = lambda loader: None
    data = Moons(angle=0.0, scale=1.0, shift=10.0, size=1000, batch_size=250)
    run.fit(translator, data)
    translator.flow.shift.data.fill_(-10.0)
    run.save_checkpoint(tmp_path / "translator.ckpt")
    accuracy = {}
    for train_on, path in (("a", None), ("a2b", str(tmp_path / "translator.ckpt")), ("b", None)):
        adam = partial(torch.optim.Adam, lr=1e-2)
        options = {"classes": 2, "network": VectorNetwork, "train_on": train_on, "translator": path, "optimizer": adam}
        classifier = DomainClassifier(2, **options)
        run = trainer(max_epochs=30, limit_val_batches=0)
        run.fit(classifier, data)
        (metrics,) = run.test(classifier, data, verbose=False)
        accuracy[train_on] = metrics["test/accuracy_b"]
    assert accuracy["a"] < 0.9
    assert min(accuracy["a2b"], accuracy["b"]) > 0.97


# --- embeddings --------------------------------------------------------------------------------------------------


def test_autoencoder_by_hand():
    method = SharedAutoencoder(1, latent=3, encoder=ENCODER, decoder=ConvDecoder, kl_weight=0.3)
    batch = {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"}
    torch.manual_seed(3)
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    images = torch.cat([batch["a"], batch["b"]])
    torch.manual_seed(3)
    mean, log_variance = method.encoder(images)
    again = method.decoder(mean + torch.randn_like(mean) * log_variance.exp().sqrt())
    torch.testing.assert_close(terms["reconstruction"], 0.5 * (again - images).pow(2).sum() / 8)
    torch.testing.assert_close(terms["kl"], 0.3 * standard_normal_kl(mean, log_variance).mean())
    torch.testing.assert_close(method.encode(batch["b"], "b"), mean[4:])
    assert method.eval().reconstruct(batch["a"], "a").shape == (4, 1, 16, 16)
    with pytest.raises(ValueError, match=r"Change data\.image_size, or the layers of model.decoder"):
        method.generate({d: torch.zeros(2, 1, 32, 32) for d in "ab"})


def test_autoencoder_learns_and_its_reconstruction_is_measured(trainer):
    method = SharedAutoencoder(1, latent=8, encoder=ENCODER, kl_weight=0.1)
    (before,) = trainer().validate(method, Digits(), verbose=False)
    method.optimizer = partial(torch.optim.Adam, lr=3e-3)
    run = trainer(max_epochs=6, limit_val_batches=0)
    run.fit(method, Digits())
    (after,) = trainer().validate(method, Digits(), verbose=False)
    assert {"val/reconstruction_mse_a", "val/reconstruction_mse_b"} <= set(after)
    assert after["val/reconstruction_mse_a"] < 0.6 * before["val/reconstruction_mse_a"]


def test_embed_writes_what_embeddings_reads(small_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSDOMAIN_DATA", str(small_data))
    method = SharedAutoencoder(1, latent=3, encoder=ENCODER)
    for p in method.encoder.parameters():
        p.data += 0.2 * torch.randn_like(p)  # a new encoder hardly looks at its input
    method.spec = replace(method.spec, domains=("mnist", "usps"), image_size=16)
    serialization.write(method, "autoencoder.ckpt")
    options = ["--config", "autoencoder_mnist_usps"]
    crossdomain_command(["embed", "autoencoder.ckpt", *options])
    path = small_data / "embeddings" / "mnist_usps.pt"
    assert f"Wrote embeddings of length 3 to {path}" in capsys.readouterr().out
    data = Embeddings()
    data.setup("fit")
    assert (data.domains, data.channels) == (("mnist", "usps"), 3)
    assert [len(data.splits[name]) for name in ("train", "val")] == [18, 2]
    fields_a, fields_b = data.splits["train"].fields
    together = Embeddings(standardize="together")
    together.setup("fit")
    both = torch.cat([f[d] for f, d in zip(together.splits["train"].fields, "ab", strict=True)])
    for vectors in (fields_a["a"], fields_b["b"], both):
        torch.testing.assert_close(vectors.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(vectors.std(0, correction=0), torch.ones(3))
    assert fields_a["label_a"].dtype == torch.int64


def test_missing_embeddings_are_explained(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        _ = Embeddings(root=str(tmp_path)).channels
    message = str(error.value)
    assert len(message.splitlines()) <= 3
    assert "embeddings/mnist_usps.pt" in message
    assert "crossdomain embed CHECKPOINT --config autoencoder_mnist_usps" in message


def test_embed_needs_an_encoder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        crossdomain_command(["embed", "cyclegan-digits", "--config", "cyclegan"])
    assert "is a CycleGAN, which cannot encode.\nGive an autoencoder." in capsys.readouterr().err
