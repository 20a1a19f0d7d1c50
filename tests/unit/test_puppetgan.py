"""PuppetGAN: its losses by hand, which part of whom a translation shows, noise, the sizes of the unofficial port."""

from functools import partial

import pytest
import torch
from torch import nn

from crossdomain.capabilities import HidesCodes
from crossdomain.datamodules import Digits, PuppetDigits
from crossdomain.evaluation import Evaluation
from crossdomain.methods import PuppetGAN
from crossdomain.networks import PatchCritic, PuppetDecoder, PuppetEncoder, batch_patch_critic

SIZE, N, LATENT, ATTRIBUTE = 8, 3, 6, 2
SMALL = {
    "latent": LATENT,
    "attribute_latent": ATTRIBUTE,
    "encoder": partial(PuppetEncoder, width=4, layers=2, size=SIZE, norm="none"),
    "decoder": partial(PuppetDecoder, width=4, layers=2, size=SIZE, norm="none"),
    "critic": partial(PatchCritic, width=4, layers=1, norm="none"),
}
WEIGHTS = {
    "adversarial_weight": 2.0,
    "reconstruction_weight": 3.0,
    "disentanglement_weight": 5.0,
    "cycle_weight": 7.0,
    "attribute_cycle_weight_a": 11.0,
    "attribute_cycle_weight_b": 13.0,
}
ON_DIGITS = {  # as PuppetDigits at 16 px has them
    "encoder": partial(PuppetEncoder, width=4, layers=2, size=16),
    "decoder": partial(PuppetDecoder, width=4, layers=2, size=16),
    "critic": partial(PatchCritic, width=4, layers=1),
}


def make(**options):
    method = PuppetGAN(2, **{**SMALL, **options})
    for parameter in method.parameters():
        nn.init.normal_(parameter, 0.0, 0.3)  # far enough from 0 for each part to matter
    return method


@pytest.fixture
def batch():
    return {key: 2 * torch.rand(N, 2, SIZE, SIZE) - 1 for key in ("a", "b", "reference_b", "rest_b")}


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def distance(x, y):
    return (x - y).abs().mean()


def by_hand(method, batch, noise):
    """The paper's R, S and all that they make, one image of the triplet after the other."""

    def code(x):
        found = method.encoder(x)
        return found[:, :ATTRIBUTE], found[:, ATTRIBUTE:]

    def show(decoder, rest_of, attribute_of):
        return decoder(torch.cat([code(attribute_of)[0], code(rest_of)[1]], 1))

    R, S = partial(show, method.decoder_a), partial(show, method.decoder_b)
    a, b = batch["a"], [batch[key] for key in ("reference_b", "rest_b", "b")]
    there_a, there_b = S(a, a), [R(x, x) for x in b]
    moved, opposite = R(a, b[0]), S(b[0], a)
    return {
        "a": a,
        "b": b,
        "reconstruction": (R(a, a), [S(x, x) for x in b]),
        "joined": S(b[1], b[0]),
        "between": (there_a, there_b),
        "cycle": (
            R(*[there_a + noise["there_a"]] * 2),
            [S(*[x + n] * 2) for x, n in zip(there_b, noise["there_b"].chunk(3), strict=True)],
        ),
        "moved": moved,
        "opposite": opposite,
        "cycle_b": S(b[1], moved + noise["moved"]),
        "cycle_a": R(a, opposite + noise["opposite"]),
    }


def drawn(sigma):
    """The noise of a round, in the order in which it is drawn: of S(a, a), of R(b_i, b_i), of b~ and of a~."""
    counts = {"there_a": N, "there_b": 3 * N, "opposite": N, "moved": N}
    return {name: sigma * torch.randn(count, 2, SIZE, SIZE) for name, count in counts.items()}


def test_losses_by_hand(batch):
    method = make(cycle_noise=0.3, **WEIGHTS)
    torch.manual_seed(1)
    noise = drawn(0.3)
    torch.manual_seed(1)
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    made = by_hand(method, batch, noise)
    a, b = made["a"], made["b"]
    of_real = [made["reconstruction"][0], made["cycle"][0], *made["between"][1], made["moved"], made["cycle_a"]]
    beside = {  # what S shows, and the natural image that it is judged beside
        "reconstruction": [*zip(made["reconstruction"][1], b, strict=True)],
        "joined": [(made["joined"], b[2])],
        "between": [(made["between"][0], b[0])],
        "cycle": [*zip(made["cycle"][1], b, strict=True)],
        "cycle_b": [(made["cycle_b"], b[2])],
        "opposite": [(made["opposite"], b[0])],
    }
    of_synthetic = [pair for pairs in beside.values() for pair in pairs]
    assert (len(of_real), len(of_synthetic)) == (7, 10)
    critic_a, critic_b = method.critic_a, method.critic_b
    expected = {
        "reconstruction_a": 3 * distance(made["reconstruction"][0], a),
        "reconstruction_b": 3 * sum(distance(x, y) for x, y in zip(made["reconstruction"][1], b, strict=True)),
        "disentanglement": 5 * distance(made["joined"], b[2]),
        "cycle_a": 7 * distance(made["cycle"][0], a),
        "cycle_b": 7 * sum(distance(x, y) for x, y in zip(made["cycle"][1], b, strict=True)),
        "attribute_cycle_a": 11 * distance(made["cycle_a"], a),
        "attribute_cycle_b": 13 * distance(made["cycle_b"], b[2]),
        "adversarial_a": 2 * sum((critic_a(x) - 1).square().mean() for x in of_real),
        "adversarial_b": 2 * sum((critic_b(x) - 1).square().mean() for x, _ in of_synthetic),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)

    terms = method.critic_loss(batch, {name: value.detach() for name, value in out.items()})
    on_a = sum((critic_a(a) - 1).square().mean() + critic_a(x).square().mean() for x in of_real)
    on_b = sum((critic_b(real) - 1).square().mean() + critic_b(x).square().mean() for x, real in of_synthetic)
    torch.testing.assert_close(terms, {"a": 2 * on_a, "b": 2 * on_b})


def test_a_critic_with_batch_norm_sees_each_kind_of_output_by_itself(batch):
    method = make(critic=partial(PatchCritic, width=4, layers=1, norm="batch"), cycle_noise=0.0)
    out = method.generate(batch)
    seen = []
    method.critic_b.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    method.generator_loss(batch, out)
    outputs = ["image_b"] * 3 + ["joined_b", "fake_b", "attribute_cycle_b", "between_b"] + ["cycle_b"] * 3
    assert [len(images) for images in seen] == [N] * len(outputs)
    found = {key: value.split(N) for key, value in out.items() if key in outputs}
    assert all(any(torch.equal(images, part) for part in sum(found.values(), ())) for images in seen)


def test_defaults_are_the_weights_of_the_port(batch):
    method = make()
    for critic in (method.critic_a, method.critic_b):
        for parameter in critic.parameters():
            nn.init.constant_(parameter, 0.0)
        nn.init.constant_(critic.model[-1].bias, 0.5)  # every logit is one half
    torch.manual_seed(1)
    noise = drawn(0.2)
    torch.manual_seed(1)
    out = method.generate(batch)
    terms, made = method.generator_loss(batch, out), by_hand(method, batch, noise)
    assert terms["adversarial_a"].item() == pytest.approx(7 * 0.25)
    assert terms["adversarial_b"].item() == pytest.approx(10 * 0.25)
    assert method.critic_loss(batch, out)["b"].item() == pytest.approx(10 * 0.5)
    torch.testing.assert_close(terms["reconstruction_a"], 10 * distance(made["reconstruction"][0], batch["a"]))
    torch.testing.assert_close(terms["disentanglement"], 10 * distance(made["joined"], batch["b"]))
    torch.testing.assert_close(terms["cycle_a"], 10 * distance(made["cycle"][0], batch["a"]))
    torch.testing.assert_close(terms["attribute_cycle_b"], 5 * distance(made["cycle_b"], batch["b"]))
    torch.testing.assert_close(terms["attribute_cycle_a"], 3 * distance(made["cycle_a"], batch["a"]))


def test_cycles_can_be_left_out(batch):
    method = make(attribute_cycle_weight_a=0.0, attribute_cycle_weight_b=0.0)
    out = method.generate(batch)
    kept = {"image_a", "image_b", "joined_b", "fake_a", "fake_b", "between_a", "between_b", "cycle_a", "cycle_b"}
    assert set(out) == kept
    names = {"reconstruction_a", "reconstruction_b", "disentanglement", "adversarial_a", "adversarial_b"}
    assert set(method.generator_loss(batch, out)) == names | {"cycle_a", "cycle_b"}
    method = make(attribute_cycle_weight_b=0.0, cycle_weight=0.0)
    out = method.generate(batch)
    assert set(out) == {"image_a", "image_b", "joined_b", "fake_a", "fake_b", "attribute_cycle_a"}
    assert set(method.generator_loss(batch, out)) == names | {"attribute_cycle_a"}
    with pytest.raises(ValueError, match="attribute_cycle_weight_a is -1, but has to be at least 0"):
        make(attribute_cycle_weight_a=-1)


def test_neither_player_leaves_gradients_in_the_others_networks(batch, trainer):
    method = make()
    out = method.generate(batch)
    sum(method.critic_loss(batch, {name: value.detach() for name, value in out.items()}).values()).backward()
    assert {n.split("_")[0] for n, p in method.named_parameters() if p.grad is not None} == {"critic"}
    data = PuppetDigits(batch_size=4, image_size=16)
    method = PuppetGAN(1, **ON_DIGITS)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, data)
    assert [term.partition("_")[0] for term in method.last_terms] == ["generator"] * 9 + ["critic"] * 2
    assert all(p.grad is None for p in method.parameters())
    assert method.pools() == {}


def test_a_translation_has_the_attribute_of_the_image_and_the_rest_of_the_guide(batch):
    method = make(bottleneck_noise=0.5)  # in training mode, where only translations are free of noise
    a, reference = batch["a"], batch["reference_b"]
    of_a, of_reference = method.encoder(a), method.encoder(reference)
    moved = method.decoder_a(torch.cat([of_reference[:, :ATTRIBUTE], of_a[:, ATTRIBUTE:]], 1))
    assert torch.equal(method.translate(reference, "b2a", guide=a), moved)
    assert torch.equal(method.manipulate(a, reference), moved)
    opposite = method.decoder_b(torch.cat([of_a[:, :ATTRIBUTE], of_reference[:, ATTRIBUTE:]], 1))
    assert torch.equal(method.translate(a, "a2b", guide=reference), opposite)
    assert torch.equal(method.encode(reference, "b"), of_reference[:, :ATTRIBUTE])
    with pytest.raises(ValueError, match="PuppetGAN needs a guide of the target domain"):
        method.translate(a, "a2b")
    with pytest.raises(ValueError, match="domain is 'c', but has to be 'a' or 'b'"):
        method.encode(a, "c")


def test_images_and_guides_of_other_sizes_are_resized_and_outputs_back(batch):
    method = make()
    larger = torch.nn.functional.interpolate(batch["b"], (2 * SIZE, 3 * SIZE))
    made = method.translate(larger, "b2a", guide=batch["a"])
    assert made.shape == (N, 2, 2 * SIZE, 3 * SIZE)
    resize = partial(nn.functional.interpolate, mode="bilinear", antialias=True)
    seen = resize(larger, (SIZE, SIZE))
    expected = resize(method.translate(seen, "b2a", guide=batch["a"]), (2 * SIZE, 3 * SIZE))
    torch.testing.assert_close(made, expected)
    assert method.manipulate(larger, batch["b"]).shape == (N, 2, SIZE, SIZE)


def test_bottleneck_noise_is_on_embeddings_in_training_and_bounds_their_bits(batch, trainer):
    method = make(cycle_noise=0.0)
    first, second = (method.generate(batch) for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    noisy = make(cycle_noise=0.0, bottleneck_noise=0.1)
    assert (noisy.generate(batch)["image_a"] - noisy.generate(batch)["image_a"]).abs().max() > 1e-3
    torch.manual_seed(3)
    noise = 0.1 * torch.randn(N, LATENT)
    torch.manual_seed(3)
    expected = noisy.decoder_a(noisy.encoder(batch["a"]) + noise)
    torch.testing.assert_close(noisy.generate(batch)["image_a"], expected)
    noisy.eval()
    assert torch.equal(noisy.generate(batch)["image_a"], noisy.decoder_a(noisy.encoder(batch["a"])))

    assert isinstance(noisy, HidesCodes)
    method = PuppetGAN(1, latent=8, attribute_latent=2, bottleneck_noise=0.5, **ON_DIGITS)
    nn.init.normal_(method.encoder.model[-1].weight)
    data = PuppetDigits(batch_size=100, image_size=16)
    run = trainer(callbacks=[Evaluation(pictures=0)], limit_val_batches=1)
    (found,) = run.validate(method, data, verbose=False)
    codes = method.eval().encode(next(iter(data.val_dataloader()))["b"], "b")
    bits = 2 * torch.log2(1 + codes.double().square().mean() / 0.25)  # two numbers, through noise
    assert found["val/capacity_bits_b"] == pytest.approx(bits.item(), rel=1e-3)


def test_networks_of_the_port():
    encoder, decoder = PuppetEncoder(3, 128), PuppetDecoder(128, 3)
    convolutions = [3 * 64 * 16 + 64, *(16 * x * y + 2 * y for x, y in ((64, 128), (128, 256), (256, 512), (512, 512)))]
    assert parameters(encoder) == sum(convolutions) + 512 * 128 + 128 == 7_018_432
    back = [16 * x * y + 2 * y for x, y in ((512, 512), (512, 256), (256, 128), (128, 64))]
    assert parameters(decoder) == 128 * 512 + 512 + sum(back) + 64 * 3 * 16 + 3 == 7_017_859
    large = PuppetEncoder(3, 128, size=128), PuppetDecoder(128, 3, size=128)  # 4x4 places are left of faces
    assert parameters(large[0]) - parameters(encoder) == 15 * 512 * 128
    assert parameters(large[1]) - parameters(decoder) == 15 * 512 * 129
    method = PuppetGAN(3)
    assert parameters(method.encoder, method.decoder_a, method.decoder_b) == 7_018_432 + 2 * 7_017_859
    assert parameters(method.critic_a) == parameters(batch_patch_critic(3, 1)) == 2_765_633
    assert [m.negative_slope for m in encoder.modules() if isinstance(m, nn.LeakyReLU)] == [0.3] * 5
    images = torch.zeros(2, 3, 32, 32)
    assert encoder(images).shape == (2, 128)
    assert decoder(encoder(images)).shape == images.shape
    assert large[1](large[0](torch.zeros(2, 3, 128, 128))).shape == (2, 3, 128, 128)
    with pytest.raises(ValueError, match="size is 40, but 4 layers halve it: it has to be a multiple of 16"):
        PuppetEncoder(3, 8, layers=4, size=40)


def test_what_does_not_fit_is_refused(batch, trainer):
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    message = r"learns from triplets of domain b, but the training batch has no 'reference_b'.\nUse PuppetDigits"
    with pytest.raises(ValueError, match=message):
        run.fit(PuppetGAN(1, **ON_DIGITS), Digits(batch_size=4))
    with pytest.raises(ValueError, match="give both domains equal batches"):
        make().generate({**batch, "a": batch["a"][:2]})
    message = r"data.image_size is 32, but the decoders make images of 16 px.\nSet model.encoder.size and"
    with pytest.raises(ValueError, match=message):
        run.fit(PuppetGAN(1, **ON_DIGITS), PuppetDigits(batch_size=4))
    with pytest.raises(ValueError, match="attribute_latent is 6 and latent is 6, so nothing is left for the rest"):
        make(attribute_latent=6)
    with pytest.raises(ValueError, match="domains have 1 and 3 channels, but one encoder reads both"):
        PuppetGAN(1, 3)
