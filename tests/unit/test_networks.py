"""Parameter counts of the sheets, shapes, receptive fields, and what the U-Nets may have beside the paper's."""

from functools import partial

import pytest
import torch

from crossdomain.networks import (
    ConvClassifier,
    LatentUNetGenerator,
    LocalStyledGenerator,
    PatchCritic,
    ResNetGenerator,
    StyledResNetGenerator,
    TimmClassifier,
    UNetGenerator,
)
from crossdomain.networks.concatenation import concatenate
from crossdomain.networks.norms import make_norm


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: ResNetGenerator(3, 3, blocks=9), 11_378_179),
        (lambda: ResNetGenerator(3, 3, blocks=9, norm="batch"), 11_383_427),
        (lambda: ResNetGenerator(3, 3, blocks=6), 7_837_699),
        (lambda: StyledResNetGenerator(3, 3), 11_389_700),
        (lambda: LocalStyledGenerator(3, 3), 122_260),
        (lambda: PatchCritic(3, 1), 2_764_737),
        (lambda: PatchCritic(3, 1, norm="instance_affine"), 2_765_633),
        (lambda: PatchCritic(6, 1, norm="instance_affine"), 2_768_705),
        (lambda: PatchCritic(6, 1, norm="batch"), 2_768_705),
        (lambda: PatchCritic(6, 1), 2_767_809),
        (lambda: PatchCritic(6, 1, layers=1, norm="batch"), 139_585),
        (lambda: PatchCritic(6, 1, layers=2, norm="batch"), 666_433),
        (lambda: PatchCritic(6, 1, layers=4, norm="batch"), 6_964_033),
        (lambda: PatchCritic(6, 1, layers=5, norm="batch"), 11_159_361),
    ],
)
def test_parameter_counts_are_those_of_the_papers(network, parameters):
    assert count(network()) == parameters


@pytest.mark.parametrize(("layers", "field", "side"), [(1, 16, 126), (2, 34, 62), (3, 70, 30), (4, 142, 14)])
def test_receptive_field_of_the_patch_critic(layers, field, side):
    critic = PatchCritic(1, 1, width=2, layers=layers, norm="none")
    for p in critic.parameters():
        p.data.fill_(0.01)
    x = torch.zeros(1, 1, 256, 256, requires_grad=True)
    logits = critic(x)
    assert logits.shape == (1, 1, side, side)
    logits[0, 0, side // 2, side // 2].backward()
    seen = x.grad[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [field, field]


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_local_generator_sees_no_farther_than_it_says(blocks):
    network = LocalStyledGenerator(1, 1, width=2, blocks=blocks)
    for p in network.parameters():
        p.data.fill_(0.01)
    farthest = 0
    for place in (30, 31):
        image, style = torch.ones(2, 1, 1, 64, 64).requires_grad_().unbind()
        image.retain_grad(), style.retain_grad()
        made, other = network(image, style)
        assert made.shape == other.shape == (1, 1, 64, 64)
        (made + other)[0, 0, place, place].backward()
        for seen in (image, style):
            rows = seen.grad[0, 0].sum(1).nonzero()
            farthest = max(farthest, (rows - place).abs().max().item())
    assert farthest == 5 + 4 * blocks


def test_a_local_generator_by_hand():
    network = LocalStyledGenerator(2, 3, width=4, blocks=1)
    for p in network.parameters():
        torch.nn.init.normal_(p, 0, 0.2)
    image, style = 2 * torch.rand(2, 2, 6, 8) - 1, 2 * torch.rand(2, 1, 6, 8) - 1
    rows = torch.linspace(-1, 1, 6)[:, None].expand(2, 1, 6, 8)
    columns = torch.linspace(-1, 1, 8).expand(2, 1, 6, 8)
    first, _, down, _ = network.encoder
    x = down(first(torch.cat([image, style, rows, columns], 1)).relu()).relu()
    x = x + network.blocks[0].conv_block(x)
    _, up, _, last, _ = network.decoder
    expected = last(up(x.relu()).relu()).tanh()
    for found, part in zip(network(image, style), (expected[:, :3], expected[:, 3:]), strict=True):
        torch.testing.assert_close(found, part)
    blind = LocalStyledGenerator(2, 3, width=4, blocks=1, positions=False)
    assert count(network) - count(blind) == 2 * 4 * 9
    level = torch.full((1, 1, 64, 64), 0.3)
    made, _ = blind(level.expand(1, 2, 64, 64), level)  # it cannot tell places far from the border apart
    torch.testing.assert_close(made[..., 20:30, 20:30], made[..., 22:32, 30:40])


def test_a_local_generator_starts_as_its_encoder_and_decoder():
    network, image = LocalStyledGenerator(1, 1, width=4), torch.rand(1, 1, 8, 8)
    x = network.encoder(torch.rand(1, 4, 8, 8))
    assert torch.equal(network.blocks(x), x)
    made, style = network(image, torch.zeros_like(image))
    assert 0 < made.abs().max() < 0.5
    assert 0 < style.abs().max() < 0.5


def test_noise_of_the_patch_critic_is_added_in_training_alone():
    critic = PatchCritic(1, 1, width=2, layers=1, norm="none", noise=0.5)
    seen = []
    critic.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    critic(images)
    critic(images)
    critic.eval()(images)
    noise = [x - images for x in seen]
    assert noise[0].std().item() == pytest.approx(0.5, rel=0.05)
    assert abs(noise[0].mean().item()) < 0.03
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(seen[2], images)
    with pytest.raises(ValueError, match="noise"):
        PatchCritic(1, 1, noise=-0.1)


def test_official_weights_find_their_places():
    keys = set(ResNetGenerator(3, 3, blocks=6).state_dict())
    for key in ("model.1.weight", "model.4.bias", "model.10.conv_block.1.weight", "model.15.conv_block.5.bias",
                "model.16.weight", "model.19.weight", "model.23.bias"):  # fmt: skip
        assert key in keys
    assert len(keys) == 2 * (1 + 2 + 12 + 2 + 1)
    assert "model.10.conv_block.6.weight" in ResNetGenerator(3, 3, width=4, blocks=1, dropout=0.5).state_dict()
    assert {k.split(".")[1] for k in PatchCritic(3, 1).state_dict()} == {"0", "2", "5", "8", "11"}


def test_generator_keeps_the_size_and_the_range():
    y = ResNetGenerator(1, 3, width=8, blocks=2)(torch.randn(2, 1, 16, 24))
    assert y.shape == (2, 3, 16, 24)
    assert y.abs().max() <= 1


def test_weights_start_as_the_papers_say():
    weight = PatchCritic(3, 1).model[8].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    gamma = ResNetGenerator(3, 3, blocks=1, norm="batch").model[5].weight
    assert gamma.mean().item() == pytest.approx(1, abs=0.01)


def test_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'instance', 'instance_affine', 'batch' or 'none'"):
        PatchCritic(3, 1, norm="layer")


def test_classifiers():
    assert ConvClassifier(1, 10, width=4)(torch.randn(2, 1, 16, 16)).shape == (2, 10)
    assert TimmClassifier(3, 7, name="test_vit").eval()(torch.randn(2, 3, 160, 160)).shape == (2, 7)
    with pytest.raises(ValueError, match="timm has no architecture 'resnet_eleven'; near it: "):
        TimmClassifier(3, 7, name="resnet_eleven")


def test_features_of_classifiers_are_what_their_last_layer_reads():
    x = torch.randn(2, 1, 16, 16)
    classifier = ConvClassifier(1, 10, width=4).eval()
    assert classifier.features(x).shape == (2, 32)
    assert torch.equal(classifier.model[-1](classifier.features(x)), classifier(x))
    for name, size in (("test_vit", 160), ("test_resnet", 32)):
        x, classifier = torch.randn(2, 1, size, size), TimmClassifier(1, 7, name=name).eval()
        assert classifier.features(x).ndim == 2
        assert torch.equal(classifier.model.get_classifier()(classifier.features(x)), classifier(x))


def test_concatenation_is_that_of_torch_with_dense_gradients():
    parts = [torch.randn(2, channels, 3, 4, dtype=torch.float64, requires_grad=True) for channels in (2, 3)]
    assert torch.equal(concatenate(*parts), torch.cat(parts, 1))
    assert torch.autograd.gradcheck(concatenate, parts)
    assert torch.autograd.gradgradcheck(concatenate, parts)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_concatenation_keeps_the_layout_both_ways(layout):
    seen = []
    parts = [torch.randn(2, channels, 4, 4).to(memory_format=layout).requires_grad_() for channels in (2, 3)]
    for part in parts:
        part.register_hook(lambda gradient: seen.append(gradient.is_contiguous(memory_format=layout)))
    joined = concatenate(*parts)
    assert joined.is_contiguous(memory_format=layout)
    joined.square().sum().backward()
    assert seen == [True, True]


UNETS = [UNetGenerator, partial(LatentUNetGenerator, latent=2)]


@pytest.mark.parametrize("head", [0, 3])
@pytest.mark.parametrize("generator", UNETS)
@torch.no_grad()
def test_nearest_upsampling_draws_no_checkerboard(generator, head):
    def middle(upsample):
        torch.manual_seed(0)
        network = generator(3, 2, width=3, levels=3, norm="batch", dropout=0.0, upsample=upsample, head=head).eval()
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
        flat = torch.tensor([0.5, -0.2, 0.1])[None, :, None, None].expand(1, 3, 128, 128)
        latent = [torch.tensor([[1.0, -1.0]])] if isinstance(network, LatentUNetGenerator) else []
        image = network(flat, *latent)
        assert image.shape == (1, 2, 128, 128)
        return image[:, :, 40:88, 40:88]  # where no padding is seen

    assert float(middle("nearest").std((2, 3)).max()) < 1e-6
    assert float(middle("transposed").std((2, 3)).max()) > 1e-3
    with pytest.raises(ValueError, match="upsample is 'linear'"):
        generator(3, 2, levels=2, upsample="linear")


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("generator", UNETS)
def test_a_head_makes_the_image_at_full_size(generator, norm):
    network = generator(3, 4, width=2, levels=2, norm=norm, head=5)
    up, convolution = [m for m in network.modules() if isinstance(m, (torch.nn.ConvTranspose2d, torch.nn.Conv2d))][-2:]
    assert (up.out_channels, convolution.in_channels, convolution.out_channels) == (5, 5, 4)
    assert (convolution.stride, convolution.kernel_size) == ((1, 1), (3, 3))
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.5)
    inputs = [torch.rand(2, 3, 16, 16), *([torch.randn(2, 2)] if isinstance(network, LatentUNetGenerator) else [])]
    at_full_size = []
    up.register_forward_hook(lambda module, given, made: at_full_size.append(made))
    image = network(*inputs)
    normalization = [m for m in network.modules() if isinstance(m, type(make_norm(norm, 5)))][-1]
    assert normalization.num_features == 5
    torch.testing.assert_close(image, torch.tanh(convolution(torch.relu(normalization(at_full_size[0])))))
    assert image.shape == (2, 4, 16, 16)
    plain = generator(3, 4, width=2, levels=2, norm=norm)
    affine = 2 * 5 * (norm == "batch")
    assert count(network) - count(plain) == (5 - 4) * (4 * 16 + 1) + affine + (5 * 9 + 1) * 4
    with pytest.raises(ValueError, match="head is -1"):
        generator(3, 4, width=2, levels=2, head=-1)
