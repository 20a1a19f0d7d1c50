"""Every flow through gradients, inverse, Jacobian, saving and loading, in one test."""

import math
from functools import partial

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import Normal
from torch.nn import functional as F

from crossdomain.flows import (
    MADE,
    NICE,
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    AffineFlow,
    BackToBack,
    ChannelCoupling,
    CheckerboardCoupling,
    ConditionalPrior,
    FlowSequence,
    Glow,
    GlowCoupling,
    ImageFlow,
    InverseAutoregressive,
    InvertibleConv,
    Logit,
    MaskedAutoregressive,
    MLPConditioner,
    Permutation,
    Planar,
    Radial,
    RationalQuadraticSpline,
    RealNVP,
    Squeeze,
    Unsqueeze,
    VectorFlow,
    dequantize,
)
from crossdomain.flows.splines import SMALLEST_SLOPE
from crossdomain.losses import standard_normal_log_prob

FLOWS = {
    "act_norm": (lambda: ActNorm(3), (3, 4, 4)),
    "act_norm_vector": (lambda: ActNorm(5), (5,)),
    "squeeze": (Squeeze, (2, 4, 4)),
    "unsqueeze": (Unsqueeze, (8, 2, 2)),
    "permutation": (lambda: Permutation(6, seed=3), (6, 2, 2)),
    "logit": (lambda: Logit(0.05), (1, 4, 4)),
    "spline": (lambda: RationalQuadraticSpline(2, bins=8), (2, 4, 4)),
    "spline_vector": (lambda: RationalQuadraticSpline(5, bins=2), (5,)),
    "invertible_conv": (lambda: InvertibleConv(5, seed=3), (5, 3, 2)),
    "invertible_conv_vector": (lambda: InvertibleConv(4), (4,)),
    "affine_coupling": (lambda: AffineCoupling(4), (4, 4, 4)),
    "affine_coupling_odd": (lambda: AffineCoupling(3), (3, 4, 4)),
    "affine_coupling_vector": (lambda: AffineCoupling(5, MLPConditioner, log_scale_bound=3.0), (5,)),
    "additive_coupling": (lambda: AdditiveCoupling(4), (4, 4, 4)),
    "image_flow": (lambda: ImageFlow(1, scales=2, steps=2, width=8), (1, 8, 8)),
    "image_flow_colour": (lambda: ImageFlow(3, scales=1, steps=3, width=8), (3, 4, 4)),
    "image_flow_spline": (lambda: ImageFlow(3, scales=1, steps=1, width=8, bins=4), (3, 4, 4)),
    "image_flow_recomputed": (lambda: ImageFlow(1, scales=2, steps=2, width=8, recompute=True), (1, 8, 8)),
    "glow_coupling": (lambda: GlowCoupling(4, width=8), (4, 4, 4)),
    "conditional_prior": (lambda: ConditionalPrior(4), (4, 4, 4)),
    "glow": (lambda: Glow(1, scales=2, steps=2, width=8), (1, 8, 8)),
    "glow_additive": (lambda: Glow(3, scales=2, steps=1, width=8, coupling="additive"), (3, 4, 4)),
    "glow_logit_recomputed": (lambda: Glow(1, scales=3, steps=1, width=8, alpha=0.05, recompute=True), (1, 8, 8)),
    "nice": (lambda: NICE(1, size=4, layers=2, width=8), (1, 4, 4)),
    "nice_odd": (lambda: NICE(1, size=3, couplings=3, layers=1, width=8), (1, 3, 3)),
    "planar": (lambda: Planar(2), (2,)),
    "planar_long": (lambda: Planar(5), (5,)),
    "radial": (lambda: Radial(2), (2,)),
    "radial_long": (lambda: Radial(5), (5,)),
    "inverse_autoregressive": (lambda: InverseAutoregressive(2, width=8), (2,)),
    "inverse_autoregressive_long": (lambda: InverseAutoregressive(5, width=8), (5,)),
    "masked_autoregressive": (lambda: MaskedAutoregressive(2, width=8), (2,)),
    "masked_autoregressive_long": (lambda: MaskedAutoregressive(5, width=8), (5,)),
    "vector_flow_inverse_autoregressive": (
        lambda: VectorFlow(2, steps=2, width=8, layer="inverse_autoregressive"),
        (2,),
    ),
    "vector_flow_planar": (lambda: VectorFlow(2, steps=3, layer="planar"), (2,)),
    "vector_flow_radial": (lambda: VectorFlow(2, steps=3, layer="radial"), (2,)),
    "vector_flow": (lambda: VectorFlow(2, steps=3, width=8), (2,)),
    "vector_flow_odd": (lambda: VectorFlow(5, steps=2, width=8), (5,)),
    "checkerboard_coupling": (lambda: CheckerboardCoupling(2, even=False, width=8, blocks=1), (2, 4, 4)),
    "channel_coupling": (lambda: ChannelCoupling(4, first=True, width=8, blocks=1), (4, 4, 4)),
    "realnvp": (lambda: RealNVP(1, scales=2, width=8, blocks=1), (1, 4, 4)),
    "realnvp_three_scales": (lambda: RealNVP(1, scales=3, width=8, blocks=1), (1, 8, 8)),
    "affine_flow": (lambda: AffineFlow(4), (4,)),
    "back_to_back": (lambda: BackToBack(1, partial(ImageFlow, scales=1, steps=1, width=4)), (1, 4, 4)),
    "sequence": (lambda: FlowSequence([ActNorm(4), Permutation(4), AdditiveCoupling(4)]), (4, 2, 2)),
}

# Glow's scales have no bound: random weights of that size would stretch by more than a round trip can undo.
DEVIATIONS = {"glow": 0.1, "glow_logit_recomputed": 0.1}


def away_from_identity(flow, deviation=0.3):
    for p in flow.parameters():
        p.data += deviation * torch.randn_like(p)
    return flow


@pytest.mark.parametrize("name", FLOWS)
def test_flow(name, tmp_path):
    make, shape = FLOWS[name]
    # In training mode RealNVP's batch norm ties images together.
    flow = away_from_identity(make().double(), DEVIATIONS.get(name, 0.3)).eval()
    x = 2 * torch.rand(3, *shape, dtype=torch.float64) - 1

    z, log_det = flow(x)
    assert log_det.shape == (3,)
    back, inverse_log_det = flow.inverse(z)
    assert (back - x).abs().max() < 1e-10
    assert (log_det + inverse_log_det).abs().max() < 1e-10

    for i in range(len(x)):
        for run, point, found in ((flow, x, log_det), (flow.inverse, z, inverse_log_det)):
            matrix = jacobian(lambda v, run=run: run(v)[0].flatten(), point[i : i + 1]).reshape(x[0].numel(), -1)
            assert abs(torch.linalg.slogdet(matrix)[1] - found[i]) < 1e-8

    def loss(flow):
        z, log_det = flow(x)
        x_again, _ = flow.inverse(z + 0.1)
        return z.square().sum() - log_det.sum() + x_again.pow(3).sum()

    parameters = list(flow.parameters())
    if parameters:
        gradients = torch.autograd.grad(loss(flow), parameters, allow_unused=True)
        assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in gradients)

    torch.save(flow.state_dict(), tmp_path / "flow.pt")
    other = make().double().eval()
    other.load_state_dict(torch.load(tmp_path / "flow.pt", weights_only=True))
    assert torch.equal(other(x)[0], z)


@pytest.mark.parametrize("name", [name for name, (_, shape) in FLOWS.items() if shape == (2,)])
def test_densities_of_the_plane_integrate_to_one(name):
    flow = away_from_identity(FLOWS[name][0]().double())
    side = torch.linspace(-20, 20, 1001, dtype=torch.float64)
    total = 0.0
    for points in torch.cartesian_prod(side, side).split(200_000):
        z, log_det = flow(points)
        total += (standard_normal_log_prob(z) + log_det).exp().sum().item() * (side[1] - side[0]).item() ** 2
    assert total == pytest.approx(1.0, abs=1e-3)


def test_planar_and_radial_stay_invertible_at_the_ends_of_their_parameters():
    """However far u and beta are pushed, the maps only come near to folding."""
    planar, radial = Planar(2).double(), Radial(2).double()
    planar.direction.data = -5.0 * planar.weight.data / planar.weight.data.square().sum()
    radial.raw_beta.data.fill_(-5.0)
    x = 3 * torch.randn(100, 2, dtype=torch.float64)
    for flow in (planar, radial):
        z, log_det = flow(x)
        assert log_det.min() < -1.0
        assert (flow.inverse(z)[0] - x).abs().max() < 1e-9


def test_inverse_of_planar_has_exact_gradients_of_its_parameters():
    flow = away_from_identity(Planar(3).double())
    z = torch.randn(2, 3, dtype=torch.float64)
    by_autograd = torch.autograd.grad(flow.inverse(z)[0].square().sum(), flow.bias)[0]
    values = []
    for step in (1e-6, -2e-6):
        flow.bias.data += step
        values.append(flow.inverse(z)[0].square().sum().item())
    assert by_autograd.item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


def test_radial_by_hand():
    flow = Radial(2)
    flow.centre.data = torch.tensor([1.0, 0.0])
    alpha, beta = math.log(2.0), 0.5
    flow.raw_beta.data = torch.tensor(math.log(math.expm1(alpha + beta)))
    z, log_det = flow(torch.tensor([[1.0, 2.0]]))
    h = 1 / (alpha + 2)
    assert z.flatten().tolist() == pytest.approx([1.0, 2.0 + 2 * beta * h])
    assert log_det.item() == pytest.approx(math.log(1 + beta * h) + math.log(1 + beta * h - 2 * beta * h**2))


def test_made_sees_what_comes_before_alone():
    network = away_from_identity(MADE(4, width=9))
    matrix = jacobian(lambda x: network(x).view(2, 4), torch.randn(1, 4)).squeeze(2)
    strictly_before = torch.ones(4, 4).tril(-1).bool()
    assert (matrix[:, ~strictly_before] == 0).all()
    assert (matrix[:, strictly_before] != 0).all()
    with pytest.raises(ValueError, match="at least 7"):
        MADE(8, width=6)


def test_autoregressive_flows_are_one_map_in_two_directions():
    inverse, masked = InverseAutoregressive(4, width=8), MaskedAutoregressive(4, width=8)
    masked.load_state_dict(away_from_identity(inverse).state_dict())
    x = torch.randn(3, 4)
    torch.testing.assert_close(inverse.inverse(x), masked(x), rtol=0, atol=0)
    torch.testing.assert_close(inverse(x), masked.inverse(x), rtol=0, atol=0)


def test_glow_coupling_follows_the_paper():
    coupling = GlowCoupling(4, width=8)
    x = torch.randn(2, 4, 2, 2)
    z, log_det = coupling(x)
    torch.testing.assert_close(z[:, 2:], x[:, 2:] * torch.sigmoid(torch.tensor(2.0)))  # the last layer starts at zero
    assert log_det.tolist() == pytest.approx([8 * math.log(1 / (1 + math.exp(-2)))] * 2, rel=1e-5)
    coupling.conditioner.last.bias.data[:2] = 0.7
    coupling.conditioner.last.log_scale.data.fill_(0.5)
    expected = torch.sigmoid(torch.tensor(0.7 * math.exp(1.5) + 2))
    torch.testing.assert_close(coupling(x)[0][:, 2:], x[:, 2:] * expected)


def test_conditional_prior_is_the_density_of_the_half_that_leaves():
    flow = away_from_identity(ConditionalPrior(4).double())
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    z, log_det = flow(x)
    kept, leaves = x.chunk(2, 1)
    mean, log_deviation = flow.conv(kept).chunk(2, 1)
    density = Normal(mean, log_deviation.exp()).log_prob(leaves).flatten(1).sum(1)
    torch.testing.assert_close(standard_normal_log_prob(z[:, 2:]) + log_det, density)
    fresh = ConditionalPrior(4)
    assert torch.equal(fresh(x.float())[0], x.float())


def test_glow_is_initialised_by_data_at_every_depth():
    """Data sets every ActNorm, those inside couplings and those of later scales too."""
    flow = Glow(1, scales=2, steps=2, width=8)
    x = 2 * torch.rand(64, 1, 8, 8) - 1
    z = flow.initialize(x)
    torch.testing.assert_close(z, flow(x)[0])
    norms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    assert len(norms) == 2 * 2 * 3
    assert all((norm.log_scale != 0).all() and (norm.shift != 0).all() for norm in norms)


def test_glow_has_the_parameters_of_its_layers():
    """In each step 2c of ActNorm, 2c^2 + c of the mix (triangles stored whole), and the coupling's network."""
    flow = Glow(3, scales=3, steps=2, width=16)

    def network(channels, out):
        return 9 * channels * 16 + 2 * 16 + 16 * 16 + 2 * 16 + 9 * 16 * out + 2 * out

    expected = 0
    for c in (12, 24, 48):
        expected += 2 * (2 * c + 2 * c * c + c + network(c // 2, c))
        expected += 0 if c == 48 else 9 * c // 2 * c + 2 * c
    assert sum(p.numel() for p in flow.parameters()) == expected


def test_nice_has_the_size_of_flow_gans():
    assert sum(p.numel() for p in NICE(1, layers=6).parameters()) == 23_162_352 + 784


def test_nice_starts_with_centred_latents_of_one_common_scale():
    flow = NICE(1, size=4, layers=1, width=8)
    x = 2 * torch.rand(64, 1, 4, 4) - 1
    x[:, :, 0] = -0.99 + 0.001 * torch.rand(64, 1, 4)  # nearly constant, and not to be blown up
    z = flow.initialize(x)
    torch.testing.assert_close(z, flow(x)[0])
    torch.testing.assert_close(z.mean(0), torch.zeros(1, 4, 4), atol=1e-4, rtol=0)
    assert z.square().mean().item() == pytest.approx(1.0, rel=1e-3)
    assert z.std(0).min() < 0.01


def test_nice_moves_even_and_odd_pixels_in_turns():
    flow = NICE(1, size=4, couplings=1, layers=1, width=8, alpha=0.25)
    away_from_identity(flow.flow.flows[1])
    x = 2 * torch.rand(2, 1, 4, 4) - 1
    z, y = flow(x)[0].flatten(1), Logit(0.25)(x)[0].flatten(1)
    torch.testing.assert_close(z[:, 8:], y[:, ::2])  # the halves have changed places
    assert (z[:, :8] != y[:, 1::2]).all()
    with pytest.raises(ValueError, match=r"\(1, 5, 5\), but this NICE was made for \(1, 4, 4\)"):
        flow(torch.zeros(1, 1, 5, 5))


def test_invertible_conv_starts_as_a_rotation_and_agrees_with_a_convolution():
    layer = InvertibleConv(6, seed=1)
    weight = layer(torch.eye(6))[0].T
    torch.testing.assert_close(weight @ weight.T, torch.eye(6), atol=1e-5, rtol=0)
    assert layer(torch.zeros(1, 6))[1].item() == pytest.approx(0.0, abs=1e-5)
    x = torch.randn(2, 6, 3, 4)
    torch.testing.assert_close(layer(x)[0], F.conv2d(x, weight[:, :, None, None]))
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = layer(x)
        assert z.dtype == log_det.dtype == torch.float32
        torch.testing.assert_close(layer.inverse(z)[0], x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(4, 6, 6), (7,)])
def test_act_norm_is_initialised_to_zero_mean_and_unit_variance(shape):
    layer = ActNorm(shape[0])
    x = 3 * torch.randn(64, *shape) + 5
    z = layer.initialize(x)
    axes = [0, *range(2, z.ndim)]
    torch.testing.assert_close(z.mean(axes), torch.zeros(shape[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(axes, correction=0), torch.ones(shape[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(z, layer(x)[0])


def test_act_norm_survives_a_constant_channel():
    layer = ActNorm(2)
    assert layer.initialize(torch.ones(4, 2)).isfinite().all()
    assert torch.equal(layer.log_scale.data, torch.zeros(2))


def test_spline_by_hand():
    """One piece with slopes 2 and 1/2 at its ends; beyond them nothing moves."""
    spline = RationalQuadraticSpline(1, bins=1).double()
    slopes = torch.tensor([2.0, 0.5]).double() - SMALLEST_SLOPE
    spline.slopes.data[:] = slopes.expm1().log()
    y, log_det = spline(torch.tensor([[-2.0], [-1.0], [0.0], [1.0], [2.0]]).double())
    # In the middle (s t^2 + d t (1 - t)) / (s + (d + e - 2 s) t (1 - t)) = (1/4 + 2/4) / (1 + 1/8) = 2/3 of the height.
    assert y.flatten().tolist() == pytest.approx([-2, -1, 1 / 3, 1, 2])
    middle = (2 / 4 + 2 / 4 + 0.5 / 4) / (1 + 1 / 8) ** 2
    assert log_det.exp().tolist() == pytest.approx([1, 2, middle, 0.5, 1])


def test_spline_evens_out_each_channel_of_the_first_batch():
    spline = RationalQuadraticSpline(2, bins=16)
    black = torch.rand(64, 1, 8, 8) < 0.7
    peaked = torch.where(black, torch.rand(64, 1, 8, 8) / 128 - 1, 2 * torch.rand(64, 1, 8, 8) - 1)
    images = torch.cat([peaked, -peaked.square()], 1)
    torch.testing.assert_close(spline(images)[0], images)
    z = spline.initialize(images)
    for channel in z.unbind(1):
        shares = channel.histc(8, -1, 1) / channel.numel()
        assert (shares - 1 / 8).abs().max() < 0.02
    assert (spline.inverse(z)[0] - images).abs().max() < 1e-5


@pytest.mark.parametrize("value", [-1.0, 0.3, 1.0])
def test_spline_survives_a_constant_channel(value):
    spline = RationalQuadraticSpline(1)
    spline.initialize(torch.full((4, 1, 8, 8), value))
    images = torch.linspace(-1.2, 1.2, 101).view(1, 1, 1, -1)
    z, log_det = spline(images)
    assert log_det.isfinite().all()
    assert (z.diff() > 0).all()
    assert (spline.inverse(z)[0] - images).abs().max() < 1e-3


def test_spline_has_at_least_one_piece():
    with pytest.raises(ValueError, match="bins is 0, but has to be at least 1"):
        RationalQuadraticSpline(3, bins=0)
    with pytest.raises(ValueError, match="bins is -1"):
        ImageFlow(1, bins=-1)


def test_new_image_flow_is_the_logit_up_to_permutation():
    flow = ImageFlow(1, scales=1, steps=1, width=4)
    x = 2 * torch.rand(2, 1, 4, 4) - 1
    z, log_det = flow(x)
    torch.testing.assert_close(z.flatten(1).sort().values, Logit()(x)[0].flatten(1).sort().values)
    torch.testing.assert_close(log_det, Logit()(x)[1])


def test_logit_matches_its_formula_and_is_finite_at_the_ends():
    x = torch.tensor([[-1.0, 0.0, 0.5, 1.0]], dtype=torch.float64)
    y, log_det = Logit(0.05)(x)
    p = 0.05 + 0.9 * (x + 1) / 2
    torch.testing.assert_close(y, torch.log(p / (1 - p)))
    torch.testing.assert_close(log_det, torch.log(0.45 / (p * (1 - p))).sum(1))
    assert y.abs().max() == pytest.approx(2.9444389791664403)
    for alpha in (0.0, 0.5):
        with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
            Logit(alpha)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logit_of_its_own_extreme_outputs_is_finite(dtype):
    logit = Logit(0.05)
    z = torch.tensor([[-1e3, -40.0, -20.0, 20.0, 40.0, 1e3]], dtype=dtype)
    x, log_det = logit.inverse(z)
    again, _ = logit(x)
    assert x.isfinite().all()
    assert log_det.isfinite().all()
    assert again.isfinite().all()
    assert torch.equal(again.sign(), z.sign())


def test_squeeze_orders_channels_as_the_sheet_says():
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert Squeeze()(x)[0].flatten().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert Squeeze()(x)[0][0, 1].flatten().tolist() == [1, 3, 9, 11]  # offset (0, 1)


def test_coupling_stretches_by_no_more_than_its_bound():
    coupling = AffineCoupling(4, log_scale_bound=0.5)
    coupling.conditioner[-1].bias.data.fill_(100.0)
    x = torch.randn(2, 4, 4, 4)
    _, log_det = coupling(x)
    assert torch.allclose(log_det, torch.tensor(0.5 * 2 * 16))


def test_recomputation_changes_no_bit():
    torch.manual_seed(1)
    plain = away_from_identity(ImageFlow(1, scales=2, steps=2, width=8))
    again = ImageFlow(1, scales=2, steps=2, width=8, recompute=True)
    again.load_state_dict(plain.state_dict())
    x = 2 * torch.rand(4, 1, 8, 8) - 1
    losses = []
    for flow in (plain, again):
        z, log_det = flow(x)
        y, _ = flow.inverse(z.roll(1, 0))
        losses.append(z.square().sum() - log_det.sum() + y.square().sum())
        losses[-1].backward()
    assert torch.equal(*losses)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(plain.parameters(), again.parameters(), strict=True))


def test_bfloat16_autocast_leaves_log_determinants_in_float32():
    flow = ImageFlow(1, width=16)
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = flow(2 * torch.rand(2, 1, 8, 8) - 1)
    assert z.dtype == log_det.dtype == torch.float32


def test_dequantize_stays_inside_each_bin():
    values = torch.arange(256.0)
    images = (values / 127.5 - 1).view(1, 1, 16, 16)
    for noise, expected in ((0.0, values / 128 - 1), (0.999, (values + 0.999) / 128 - 1)):
        torch.testing.assert_close(dequantize(images, noise=torch.full_like(images, noise)).flatten(), expected)
    torch.manual_seed(0)
    drawn = (dequantize(images).flatten() + 1) * 128
    assert torch.equal(drawn.floor(), values)


def test_couplings_refuse_a_single_channel():
    for coupling in (AffineCoupling, partial(AdditiveCoupling)):
        with pytest.raises(ValueError, match="two halves"):
            coupling(1)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({"width": 32, "blocks": 4}, 2_530_048), ({"width": 64, "blocks": 4}, 9_948_448), ({}, 19_637_792)],
)
def test_realnvp_has_the_sizes_of_alignflows_experiments(options, parameters):
    assert sum(p.numel() for p in RealNVP(3, **options).parameters()) == parameters


def test_checkerboard_coupling_moves_one_colour_by_what_the_other_says():
    coupling = away_from_identity(CheckerboardCoupling(1, even=False, width=8, blocks=1)).eval()
    x = torch.randn(2, 1, 4, 4)
    moved = coupling(x)[0] != x
    even = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 0
    assert torch.equal(moved, even.expand(2, 1, 4, 4))
    other = x + even  # what moves has no say
    assert torch.equal(coupling(other)[1], coupling(x)[1])


def test_realnvp_hands_a_colour_of_the_checkerboard_to_the_next_scale():
    """The half that goes on holds both diagonal places of each 2x2 block, so each pixel has its colour's neighbours."""
    flow = RealNVP(1, scales=2, width=4, blocks=1)
    squeeze, permutation = flow.flows[4], flow.flows[8]
    x = torch.arange(16.0).view(1, 1, 4, 4)
    grouped = permutation(squeeze(x)[0])[0]
    assert grouped[0, :2].flatten().tolist() == [0, 2, 8, 10, 5, 7, 13, 15]
    with pytest.raises(ValueError, match="at least 1"):
        RealNVP(1, blocks=0)


def test_realnvp_inverts_a_batch_in_training_mode_also():
    flow = away_from_identity(RealNVP(1, scales=2, width=4, blocks=1).double()).train()
    x = 2 * torch.rand(4, 1, 8, 8, dtype=torch.float64) - 1
    assert (flow.inverse(flow(x)[0])[0] - x).abs().max() < 1e-10
