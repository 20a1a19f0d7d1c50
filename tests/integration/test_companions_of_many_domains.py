"""Companions on data of one domain, of two and of more: one network reads them all."""

import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import crossdomain
from crossdomain import serialization
from crossdomain.capabilities import Classifies
from crossdomain.cli import crossdomain as command
from crossdomain.companion import Companion
from crossdomain.companions import AttributePredictor, DomainClassifier, DomainSegmenter, SharedAutoencoder
from crossdomain.datamodules import DigitDomains, DomainData, DomainImages, fields_of
from crossdomain.domains import directions_between
from crossdomain.evaluation import Evaluation
from crossdomain.method import Method, MisfitError
from crossdomain.networks import ConvClassifier, ConvDecoder, ConvEncoder, StridedClassifier
from crossdomain.semantic import SemanticConsistency

KINDS = ("digits", "inverted", "printed")
CLASSIFIER = partial(ConvClassifier, width=4)
PREDICTOR = partial(StridedClassifier, width=4, layers=2, grid=4, hidden=8)
ATTRIBUTES = {"grey": 4}


class Greys(DomainData):
    """As many domains as are asked for: plain pictures of four greys, which are label and attribute."""

    attributes = ATTRIBUTES

    def __init__(self, domains=("one",), channels=1):
        super().__init__(batch_size=8, image_size=16)
        self.domains, self.channels = domains, channels

    def split(self, name):
        """Each domain is a little brighter than the one before."""
        grey, fields = torch.arange(12) % 4, []
        for place, (letter, channels) in enumerate(zip(self.letters, self.all_channels, strict=True)):
            images = (10 * place + 50 * grey).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, channels, 16, 16)
            fields.append(fields_of(letter, {letter: images}, label=grey, attributes=grey[:, None].float()))
        return DomainImages(*fields)


class Darken(Method):
    """Three domains, all ways between them by one number."""

    directions = directions_between("abc")

    def __init__(self, channels_a: int, **options):
        super().__init__(channels_a, **options)
        self.save_hyperparameters()
        self.scale = nn.Conv2d(1, 1, 1, bias=False)
        self.players = {"generator": ("scale",)}

    def generate(self, batch):
        return {"fake": self.scale(batch["a"])}

    def generator_loss(self, batch, out):
        return {"size": out["fake"].square().mean()}

    def _translate(self, images, direction, guide, noise):
        return images * 0.5


MADE = {
    "classifier": partial(DomainClassifier, 1, classes=4, network=CLASSIFIER),
    "predictor": partial(AttributePredictor, 1, attributes=ATTRIBUTES, network=PREDICTOR),
    "autoencoder": partial(
        SharedAutoencoder, 1, latent=3, encoder=partial(ConvEncoder, width=4, layers=3, norm="none"),
        decoder=partial(ConvDecoder, width=4),
    ),
}  # fmt: skip
TAGS = {"classifier": "accuracy_{}", "predictor": "accuracy_grey_{}", "autoencoder": "reconstruction_mse_{}"}


def pictures_of(data, place):
    """The images of one domain and their greys."""
    letter, fields = data.letters[place], data.split("test").fields[place]
    return fields[letter].float() / 127.5 - 1, fields[f"label_{letter}"]


def measured(kind, method, images, greys):
    """What the tag of this kind says, worked out from the network itself."""
    if kind == "autoencoder":
        return (method.decoder(method.encoder(images)[0]) - images).square().mean().item()
    found = method.network(images).argmax(1)
    return (found == greys).float().mean().item()


@pytest.mark.parametrize("domains", [("one",), ("one", "two"), ("one", "two", "three", "four", "five")], ids=len)
@pytest.mark.parametrize("kind", MADE)
def test_each_domain_of_the_data_is_learnt_and_measured(kind, domains, trainer, tmp_path):
    data, method = Greys(domains), MADE[kind]()
    run = trainer(max_epochs=2)
    run.fit(method, data)
    assert method.rounds == 2
    assert {tag for tag in run.callback_metrics if TAGS[kind].split("_{}")[0] in tag} == {
        f"val/{TAGS[kind].format(letter)}" for letter in data.letters
    }
    run.save_checkpoint(tmp_path / "companion.ckpt")
    again = crossdomain.load(tmp_path / "companion.ckpt")
    assert again.spec.domains == domains
    (metrics,) = run.test(method, data, verbose=False)
    for place, letter in enumerate(data.letters):
        expected = measured(kind, again, *pictures_of(data, place))
        assert metrics[f"test/{TAGS[kind].format(letter)}"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["predictor", "autoencoder"])
def test_the_loss_is_the_mean_over_the_images_of_all_domains(kind):
    method = MADE[kind]().eval()
    batch = {letter: torch.rand(count, 1, 16, 16) for letter, count in (("a", 2), ("b", 3), ("c", 1))}
    batch |= {f"attributes_{letter}": torch.arange(len(batch[letter]))[:, None].float() for letter in "abc"}
    images, greys = (torch.cat([batch[f"{key}{letter}"] for letter in "abc"]) for key in ("", "attributes_"))
    torch.manual_seed(1)
    out = method.generate(batch)
    loss = getattr(method, f"{method.generating_player}_loss")(batch, out)
    if kind == "predictor":
        torch.testing.assert_close(loss["grey"], F.cross_entropy(method.network(images), greys[:, 0].long()))
        return
    torch.manual_seed(1)
    mean, log_variance = method.encoder(images)
    again = method.decoder(mean + torch.randn_like(mean) * (log_variance / 2).exp())
    torch.testing.assert_close(loss["reconstruction"], (again - images).square().sum() / 2 / 6)


def test_a_classifier_of_digits_is_validated_on_three_kinds(trainer):
    (metrics,) = trainer(limit_val_batches=1).validate(
        DomainClassifier(1, network=CLASSIFIER), DigitDomains(KINDS), verbose=False
    )
    assert set(metrics) == {"val/accuracy_a", "val/accuracy_b", "val/accuracy_c"}


def test_a_checkpoint_of_two_domains_is_tested_on_three(trainer, tmp_path):
    """By the names of the data's domains, whatever those were that it was trained on."""
    two, three = Greys(("one", "two")), Greys(("four", "three", "one"))
    run = trainer()
    run.fit(MADE["classifier"](), two)
    run.save_checkpoint(tmp_path / "two.ckpt")
    method = MADE["classifier"]()
    (metrics,) = trainer().test(method, three, ckpt_path=tmp_path / "two.ckpt", verbose=False)
    assert set(metrics) == {"test/accuracy_a", "test/accuracy_b", "test/accuracy_c"}
    assert method.spec.domains == three.domains
    assert crossdomain.load(tmp_path / "two.ckpt").spec.domains == two.domains


@pytest.mark.parametrize("train_on", ["c", "c2b"])
def test_a_classifier_trains_on_any_domain_and_direction(train_on, trainer):
    translator = "darken.ckpt" if "2" in train_on else None
    method, data = MADE["classifier"](train_on=train_on, translator=translator), Greys(("one", "two", "three"))
    if translator is not None:
        method._translator._method = Darken(1).eval()  # a class of a test is none that a checkpoint may name
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, data)
    batch = {d: torch.rand(4, 1, 16, 16) for d in "abc"} | {"label_c": torch.arange(4)}
    out = method.eval().generate(batch)
    torch.testing.assert_close(out["logits"], method.network(batch["c"] * (0.5 if translator else 1)))
    torch.testing.assert_close(out["labels"], batch["label_c"])


@pytest.mark.parametrize("domains", [("one",), ("one", "two")], ids=len)
def test_what_was_trained_on_one_domain_or_two_judges_a_third(domains, trainer, tmp_path):
    run, judge = trainer(), MADE["classifier"]()
    run.fit(judge, Greys(domains))
    run.save_checkpoint(tmp_path / "judge.ckpt")
    data = Greys(("one", "two", "three"))
    evaluation = Evaluation(judges={"c": str(tmp_path / "judge.ckpt")})
    (metrics,) = trainer(callbacks=[evaluation]).test(Darken(1), data, verbose=False)
    accuracy = {tag: value for tag, value in metrics.items() if "accuracy" in tag}
    assert set(accuracy) == {"test/accuracy_a2c", "test/accuracy_b2c"}
    judge.eval()
    for place, letter in enumerate("ab"):
        images, greys = pictures_of(data, place)
        expected = measured("classifier", judge, images * 0.5, greys)
        assert accuracy[f"test/accuracy_{letter}2c"] == pytest.approx(expected)


@pytest.mark.parametrize("kind", MADE)
def test_other_channels_are_refused(kind, trainer):
    method = MADE[kind]()
    made_for = f"but this {type(method).__name__} was made for 1 in all domains."
    for channels in ((1, 1, 3), (3, 3, 3)):
        message = f"The data has {list(channels)} channels in domains (a, b, c), {made_for}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            trainer().validate(method, Greys(("one", "two", "three"), channels))


def test_a_domain_is_a_letter():
    method = MADE["classifier"]().eval()
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(method.classify(images, "z"), method.classify(images, "a"))
    for domain in ("ab", "", "two"):
        with pytest.raises(ValueError, match=f"domain is '{domain}', but has to be a letter"):
            method.classify(images, domain)


def test_embed_encodes_all_domains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    method = MADE["autoencoder"]().eval()
    for parameter in method.encoder.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    serialization.write(method, "autoencoder.ckpt")  # of domains a and b
    recipe = tmp_path / "autoencoder_digits.yaml"
    recipe.write_text(
        "model:\n  class_path: SharedAutoencoder\n  init_args:\n    latent: 3\n"
        "    encoder: {class_path: crossdomain.networks.ConvEncoder, init_args: {width: 4, layers: 3, norm: none}}\n"
        "    decoder: {class_path: crossdomain.networks.ConvDecoder, init_args: {width: 4}}\n"
        f"data: {{class_path: DigitDomains, init_args: {{names: [{', '.join(KINDS)}], image_size: 16}}}}\n"
    )
    command(["embed", "autoencoder.ckpt", "--config", str(recipe), "--output", "vectors.pt"])
    assert "Wrote embeddings of length 3 to vectors.pt" in capsys.readouterr().out
    written, data = torch.load("vectors.pt"), DigitDomains(KINDS, image_size=16)
    assert written["domains"] == list(KINDS)
    for place, letter in enumerate("abc"):
        images, labels = pictures_of(data, place)
        vectors = written["splits"]["test"][letter]
        torch.testing.assert_close(vectors[letter], method.encode(images, letter), rtol=1e-4, atol=1e-5)
        assert torch.equal(vectors[f"label_{letter}"], labels)


# --- images that networks cannot take ----------------------------------------------------------------------------


class Narrow(nn.Sequential):
    """Takes no image of less than 24 px."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(nn.Conv2d(channels, out, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def features(self, x):
        """The same."""
        return self(x)


@pytest.mark.parametrize(
    ("made", "call"),
    [
        (partial(DomainClassifier, 1, network=Narrow), lambda method, images: method.classify(images)),
        (partial(DomainClassifier, 1, network=Narrow), lambda method, images: method.features(images)),
        (
            partial(AttributePredictor, 1, attributes=ATTRIBUTES, network=Narrow),
            lambda method, images: method.predict_attributes(images),
        ),
        (partial(DomainSegmenter, 1, network=Narrow), lambda method, images: method.segment(images)),
        (partial(SharedAutoencoder, 1, encoder=Narrow), lambda method, images: method.encode(images, "a")),
        (partial(SharedAutoencoder, 1, encoder=Narrow), lambda method, images: method.reconstruct(images, "a")),
    ],
    ids=["classify", "features", "predict_attributes", "segment", "encode", "reconstruct"],
)
def test_too_small_images_are_named(made, call):
    with pytest.raises(MisfitError) as error:
        call(made().eval(), torch.rand(2, 1, 16, 16))
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Images of 16x16 px do not fit ")
    assert ", a Narrow: " in lines[0]


def test_the_default_autoencoder_says_that_its_encoder_needs_larger_images(trainer):
    run = trainer(limit_val_batches=1)
    with pytest.raises(MisfitError, match="Images of 32x32 px do not fit encoder, a ConvEncoder: Expected more than 1"):
        run.validate(SharedAutoencoder(1), DigitDomains(KINDS))
    with pytest.raises(ValueError, match=r"decoder makes images of \(1, 16, 16\), the data's \(1, 64, 64\)\.\nChange"):
        run.validate(SharedAutoencoder(1), DigitDomains(KINDS, image_size=64))


def test_latents_of_another_length_are_named():
    with pytest.raises(MisfitError, match="Vectors of length 5 do not fit decoder, a ConvDecoder"):
        MADE["autoencoder"]().decode(torch.rand(2, 5), "a")


# --- helpers of others -------------------------------------------------------------------------------------------


def test_a_companion_is_moved_only_where_it_is_not(tmp_path, monkeypatch):
    serialization.write(MADE["classifier"](), tmp_path / "classifier.ckpt")
    companion, moves, move = Companion(tmp_path / "classifier.ckpt", "judge", Classifies), [], DomainClassifier.to
    monkeypatch.setattr(DomainClassifier, "to", lambda self, device: moves.append(device) or move(self, device))
    method = companion.on()
    for device in ("cpu", torch.device("cpu")):
        assert companion.on(device) is method
    assert moves == []
    assert next(companion.on("meta").parameters()).device == torch.device("meta")
    companion.on(torch.device("meta"))
    assert moves == ["meta"]
    method.to_empty(device="cpu")  # by somebody else
    companion.on("cpu")
    assert moves == ["meta"]
    companion.on(torch.device("meta"))
    assert moves == ["meta", torch.device("meta")]


@pytest.mark.parametrize(
    ("channels", "found"), [({"a": 3, "b": 3}, "3"), ({"a": 1, "b": 3}, "1 and 3"), ({"a": 3, "b": 3, "c": 3}, "3")]
)
def test_semantic_consistency_names_the_channels_that_differ(channels, found, tmp_path):
    serialization.write(MADE["classifier"](), tmp_path / "classifier.ckpt")
    message = (
        f"semantic_classifier reads 1 channel(s), the data has {found}.\n"
        "Give data and classifier one number of channels, or leave model.semantic_classifier out."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SemanticConsistency(SimpleNamespace(channels=channels), str(tmp_path / "classifier.ckpt"), 1.0).check()


def test_semantic_consistency_asks_for_channels_and_not_for_domains(tmp_path, trainer):
    run = trainer(limit_train_batches=1)
    run.fit(MADE["classifier"](), Greys(("one",)))
    run.save_checkpoint(tmp_path / "classifier.ckpt")
    method = SimpleNamespace(channels={"a": 1, "b": 1, "c": 1})
    semantic = SemanticConsistency(method, str(tmp_path / "classifier.ckpt"), 0.5)
    semantic.check()
    network = semantic.classifier.on().network
    images, out = {d: torch.rand(4, 1, 16, 16) for d in "abc"}, {f"fake_{d}": torch.rand(4, 1, 16, 16) for d in "abc"}
    terms = semantic.terms((directions_between("abc")[1],), images, out)  # a2c
    expected = 0.5 * F.cross_entropy(network(out["fake_c"]), network(images["a"]).argmax(1))
    torch.testing.assert_close(terms, {"semantic_c": expected})
