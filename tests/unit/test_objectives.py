"""Adversarial objectives: numbers by hand, divergences between Gaussians, finite differences, and one round of each."""

import copy
import math
from functools import partial
from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from crossdomain import serialization
from crossdomain.losses import (
    FGAN,
    DivergenceName,
    GradientPenalty,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    RothRegularizer,
    Wasserstein,
    f_divergence,
)
from crossdomain.methods import BiCycleGAN, CycleGAN, Pix2Pix
from crossdomain.networks import (
    DiscoCritic,
    LatentUNetGenerator,
    MultiScaleCritic,
    PatchCritic,
    PixelCritic,
    ResNetEncoder,
    ResNetGenerator,
    UNetGenerator,
)

REAL, FAKE = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, -2.0]])
ALPHAS = (-2.0, -1.0, -0.5, 0.3, 0.5, 0.7, 1.5, 2.0, 3.0)
DIVERGENCES = [(name, None) for name in get_args(DivergenceName) if name != "alpha"] + [("alpha", a) for a in ALPHAS]
OBJECTIVES = [
    LeastSquares,
    NonSaturating,
    Minimax,
    Hinge,
    Wasserstein,
    *(partial(FGAN, *row, saturating=saturating) for row in DIVERGENCES for saturating in (True, False)),
]


def names(objectives):
    return [
        " ".join(map(str, (*o.args, *o.keywords.values()))) if isinstance(o, partial) else o.__name__
        for o in objectives
    ]


def softplus(x):
    return math.log(1 + math.exp(x))


# --- losses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "critic", "generator"),
    [
        (Minimax(), (softplus(-2) + softplus(0) + softplus(3) + softplus(-2)) / 2, -(softplus(3) + softplus(-2)) / 2),
        (Minimax(critic_scale=0.5), (softplus(-2) + softplus(0) + softplus(3) + softplus(-2)) / 4, None),
        (Hinge(), (0 + 1) / 2 + (4 + 0) / 2, -0.5),
        (Wasserstein(), 0.5 - 1.0, -0.5),
        (FGAN("kl"), (math.exp(2) + math.exp(-3)) / 2 - 1, -(math.exp(2) + math.exp(-3)) / 2),
        (FGAN("kl", saturating=False), (math.exp(2) + math.exp(-3)) / 2 - 1, -0.5),
        (FGAN("reverse_kl"), (2 - 3) / 2 + (math.exp(-2) + 1) / 2, -(2 - 3) / 2),
        (FGAN("pearson"), ((9 / 4 + 3) + (1 - 2)) / 2 - 1, -((9 / 4 + 3) + (1 - 2)) / 2),
        (FGAN("total_variation"), (math.tanh(3) - 2 * math.tanh(2)) / 4, (math.tanh(2) - math.tanh(3)) / 4),
    ],
)  # fmt: skip
def test_losses_by_hand(objective, critic, generator):
    assert objective.critic(REAL, FAKE).item() == pytest.approx(critic, rel=1e-6)
    if generator is not None:
        assert objective.generator(FAKE).item() == pytest.approx(generator, rel=1e-6)
    scales = objective.critic([REAL, REAL[:, :1]], [FAKE, FAKE[:, :1]])
    torch.testing.assert_close(scales, objective.critic(REAL, FAKE) + objective.critic(REAL[:, :1], FAKE[:, :1]))
    critic_loss = objective.critic_loss(lambda images: 2 * images, REAL, FAKE)
    torch.testing.assert_close(critic_loss, objective.critic(2 * REAL, 2 * FAKE))


def test_fgan_of_gan_is_the_game_of_the_first_paper():
    for name, constant in (("gan", 0.0), ("jensen_shannon", math.log(4))):
        torch.testing.assert_close(FGAN(name).critic(REAL, FAKE), Minimax().critic(REAL, FAKE) - constant)
        torch.testing.assert_close(FGAN(name).generator(FAKE), Minimax().generator(FAKE) + constant / 2)
        alternative = FGAN(name, saturating=False).generator(FAKE)
        torch.testing.assert_close(alternative, NonSaturating().generator(FAKE) - constant / 2)


def test_losses_of_half_precision_are_means_in_single():
    logits = torch.full((3001,), 1.0, dtype=torch.bfloat16)
    logits[0] = 2.0
    loss = Wasserstein().generator(logits)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(-3002 / 3001, abs=1e-6)
    assert Wasserstein().generator(logits.double()).dtype == torch.float64


# --- f-divergences ---------------------------------------------------------------------------------------------

# Of N(d, 1) and N(0, 1): E_q (p / q)^k = exp(k (k - 1) d^2 / 2).
CLOSED = {
    "kl": lambda d: d**2 / 2,
    "reverse_kl": lambda d: d**2 / 2,
    "pearson": lambda d: math.exp(d**2) - 1,
    "neyman": lambda d: math.exp(d**2) - 1,
    "squared_hellinger": lambda d: 2 - 2 * math.exp(-(d**2) / 8),
    "total_variation": lambda d: math.erf(d / math.sqrt(8)),
}


def gaussians(mean, deviation):
    """A grid, its weights under p = N(mean, deviation^2) and q = N(0, 1), and the log-ratio, in double precision."""
    x = torch.linspace(-12, 12, 48_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, s).log_prob(x) for m, s in ((mean, deviation), (0.0, 1.0)))
    step = x[1] - x[0]
    return x, p.exp() * step, q.exp() * step, p - q


def bound(formulas, logits, p, q):
    return ((p * formulas.activation(logits)).sum() - (q * formulas.conjugate(logits)).sum()).item()


@pytest.mark.parametrize(("name", "alpha"), DIVERGENCES)
@pytest.mark.parametrize(("mean", "deviation"), [(0.7, 1.0), (0.4, 0.95)])
def test_bound_of_the_best_critic_is_the_divergence(name, alpha, mean, deviation):
    x, p, q, log_ratio = gaussians(mean, deviation)
    formulas = FGAN(name, alpha).formulas
    best = formulas.logit(log_ratio.exp())
    reached = bound(formulas, best, p, q)
    assert reached == pytest.approx((q * formulas.f(log_ratio.exp())).sum().item(), abs=1e-6)
    if deviation == 1:
        if name == "alpha":
            expected = (math.exp(alpha * (alpha - 1) * mean**2 / 2) - 1) / (alpha * (alpha - 1))
        elif name in CLOSED:
            expected = CLOSED[name](mean)
        else:
            middle = (p + q) / 2
            expected = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()).item()
            expected -= math.log(4) if name == "gan" else 0
        assert reached == pytest.approx(expected, abs=1e-3)
    for change in (0.1, -0.1, 0.1 * x.sin(), -0.1 * x.cos()):
        assert bound(formulas, best + change, p, q) < reached + 1e-12


@pytest.mark.parametrize(("name", "alpha"), DIVERGENCES)
def test_critic_loss_of_samples_is_the_negative_divergence(name, alpha):
    """By the objective itself, on the quantiles of both Gaussians."""
    quantiles = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    q = math.sqrt(2) * torch.erfinv(2 * quantiles - 1)
    p = q + 0.3
    objective = FGAN(name, alpha)

    def critic(x):
        return objective.formulas.logit((0.3 * x - 0.045).exp())

    _, _, weight, log_ratio = gaussians(0.3, 1.0)
    expected = (weight * objective.formulas.f(log_ratio.exp())).sum().item()
    assert -objective.critic_loss(critic, p, q).item() == pytest.approx(expected, abs=1e-3)


def test_divergences_at_equal_densities():
    one = torch.ones(1, dtype=torch.float64)
    slopes = {"kl": 1.0, "reverse_kl": -1.0, "gan": -math.log(2)}
    for name, alpha in DIVERGENCES:
        formulas = f_divergence(name, alpha)
        assert formulas.f(one).item() == pytest.approx(-math.log(4) if name == "gan" else 0, abs=1e-12)
        assert formulas.activation(formulas.logit(one)).item() == pytest.approx(slopes.get(name, 0.0), abs=1e-12)


@pytest.mark.parametrize(("name", "alpha"), [row for row in DIVERGENCES if row[0] != "total_variation"])
def test_conjugates_and_best_logits(name, alpha):
    """t = f'(u) and f*(t) = u t - f(u)."""
    formulas = f_divergence(name, alpha)
    u = torch.logspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(formulas.f(u).sum(), u)
    with torch.no_grad():
        v = formulas.logit(u)
        torch.testing.assert_close(formulas.activation(v), slope)
        torch.testing.assert_close(formulas.conjugate(v), u * slope - formulas.f(u), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "conjugate"),
    [
        ("kl", lambda t: (t - 1).exp()),
        ("reverse_kl", lambda t: -1 - (-t).log()),
        ("pearson", lambda t: t**2 / 4 + t),
        ("neyman", lambda t: 2 - 2 * (1 - t).sqrt()),
        ("squared_hellinger", lambda t: t / (1 - t)),
        ("jensen_shannon", lambda t: -(2 - t.exp()).log()),
        ("gan", lambda t: -(1 - t.exp()).log()),
        ("total_variation", lambda t: t),
    ],
)
def test_conjugates_are_those_of_the_papers_table(name, conjugate):
    formulas = f_divergence(name)
    v = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(formulas.conjugate(v), conjugate(formulas.activation(v)))


def test_alpha_divergences_of_other_names():
    u, v = torch.logspace(-1, 1, 9, dtype=torch.float64), torch.linspace(-1.5, 3, 9, dtype=torch.float64)
    for alpha, name, factor in ((0.5, "squared_hellinger", 2), (-1.0, "neyman", 0.5), (2.0, "pearson", 0.5)):
        one, other = f_divergence("alpha", alpha), f_divergence(name)
        torch.testing.assert_close(one.f(u), factor * other.f(u))
        logits = v / 2 if name == "pearson" else v  # f' is half as large
        torch.testing.assert_close(one.activation(logits), factor * other.activation(v))
        torch.testing.assert_close(one.conjugate(logits), factor * other.conjugate(v))
    for alpha, name in ((1e-6, "reverse_kl"), (1 - 1e-6, "kl"), (1 + 1e-6, "kl")):
        linear = u - 1 if name == "reverse_kl" else 1 - u  # has no part in the divergence
        expected = f_divergence(name).f(u) + linear
        torch.testing.assert_close(f_divergence("alpha", alpha).f(u), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "alpha"), DIVERGENCES)
def test_far_logits_stay_finite_and_lead_back(name, alpha):
    for sign in (1, -1):
        real, fake = (torch.full((4,), sign * 500.0, requires_grad=True) for _ in range(2))
        objective = FGAN(name, alpha)
        loss = objective.critic(real, fake)
        loss.backward()
        assert loss.isfinite()
        assert real.grad.isfinite().all()
        assert fake.grad.isfinite().all()
        assert (real.grad <= 0).all()
        assert (fake.grad >= 0).all() or name == "pearson"  # whose conjugate turns at -2
    if name != "total_variation":
        assert (real.grad + fake.grad).abs().max() > 0


@pytest.mark.parametrize(("name", "alpha"), DIVERGENCES)
def test_bounds_hold_for_all_logits(name, alpha):
    """f(u) >= u g(v) - f*(g(v)) for ratios u from e^-20 to e^20, also where exponentials go on as tangents."""
    formulas = f_divergence(name, alpha)
    v = torch.linspace(-100, 100, 2001, dtype=torch.float64)
    for u in torch.linspace(-20, 20, 41, dtype=torch.float64).exp():
        f = formulas.f(u)
        assert (u * formulas.activation(v) - formulas.conjugate(v) - f).max() <= 1e-12 * (1 + u + f.abs())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divergence": "foo"}, r"divergence is 'foo', but has to be one of: kl, reverse_kl, .*, alpha\.$"),
        ({"divergence": "kl", "alpha": 0.5}, r"alpha is 0.5, but the divergence is kl\.\nLeave alpha out"),
        ({"divergence": "alpha"}, "alpha is None, but the divergence 'alpha' needs a number other than 0 and 1"),
        ({"divergence": "alpha", "alpha": 1.0}, "alpha is 1.0"),
        ({"divergence": "alpha", "alpha": 0}, r"alpha is 0,.*\nGive one; the limits at 0 and 1 are"),
    ],
)
def test_divergences_that_there_are_not(options, message):
    with pytest.raises(ValueError, match=message):
        FGAN(**options)


# --- gradients -------------------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """A smooth critic of two scales as a function of its weights, in double precision; weights and images."""
    torch.manual_seed(1)
    weights = [torch.randn(shape, dtype=torch.float64) / 2 for shape in ((3, 2, 3, 3), (1, 3, 2, 2), (1, 2, 3, 3))]
    images = torch.randn(2, 4, 2, 5, 5, dtype=torch.float64).unbind()

    def critic(images, first, second, other):
        return [F.conv2d(F.softplus(F.conv2d(images, first)), second), F.conv2d(images, other).tanh()]

    return critic, [w.requires_grad_() for w in weights], images


@pytest.mark.parametrize("make", OBJECTIVES, ids=names(OBJECTIVES))
def test_gradients_agree_with_finite_differences(make, network):
    critic, weights, (real, fake) = network
    objective = make()
    assert torch.autograd.gradcheck(lambda *w: objective.critic_loss(partial(_of, critic, w), real, fake), weights)
    images = fake.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: objective.generator(critic(x, *weights)), images)


@pytest.mark.parametrize("make", [GradientPenalty, RothRegularizer])
def test_gradients_of_penalties_agree_with_finite_differences(make, network):
    critic, weights, (real, fake) = network
    objective = NonSaturating(penalty=partial(make, weight=3.0))

    def loss(*weights):
        torch.manual_seed(5)  # the same mixture each time
        return objective.critic_loss(partial(_of, critic, weights), real, fake)

    assert torch.autograd.gradcheck(loss, weights)
    assert loss(*weights) > NonSaturating().critic_loss(partial(_of, critic, weights), real, fake)


def _of(critic, weights, images):
    return critic(images, *weights)


# --- penalties -------------------------------------------------------------------------------------------------


def linear(weight, bias=0.0):
    """A critic with one logit, whose gradient is ``weight`` everywhere."""
    return lambda images: (images * weight).flatten(1).sum(1, keepdim=True) + bias


def test_gradient_penalty_of_a_linear_critic():
    """The norm is over all of an image: by columns, as in Flow-GAN's code, it would be far smaller."""
    weight, real, fake = torch.randn(3, 8, 8), torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    penalty = GradientPenalty(weight=7.0)(linear(weight), real, fake)
    assert penalty.item() == pytest.approx(7 * (weight.norm().item() - 1) ** 2, rel=1e-5)
    vectors = GradientPenalty()(linear(weight[0, 0]), real[:, 0, 0], fake[:, 0, 0])
    assert vectors.item() == pytest.approx(10 * (weight[0, 0].norm().item() - 1) ** 2, rel=1e-5)


def test_gradient_penalty_looks_between_the_images_at_one_place_each():
    seen = []
    real, fake = torch.ones(64, 2, 3, 3), torch.zeros(64, 2, 3, 3)

    def critic(images):
        seen.append(images.detach())
        return images.square().flatten(1).sum(1) / 2  # whose gradient is the image

    penalty = GradientPenalty(weight=1.0)(critic, real, fake)
    shares = seen[0].flatten(1)
    assert torch.equal(shares.amin(1), shares.amax(1))
    assert len(shares[:, 0].unique()) == 64
    assert 0 <= shares.min() < 0.2 < 0.8 < shares.max() <= 1
    torch.testing.assert_close(penalty, (shares.norm(dim=1) - 1).square().mean())


def test_regularizer_of_a_linear_critic():
    weight, real, fake = torch.randn(2, 4, 4) / 4, torch.randn(5, 2, 4, 4), torch.randn(5, 2, 4, 4)
    critic = linear(weight, bias=0.3)
    on_real, on_fake = critic(real).sigmoid(), critic(fake).sigmoid()
    expected = 2.0 / 2 * weight.square().sum() * ((1 - on_real).square().mean() + on_fake.square().mean())
    torch.testing.assert_close(RothRegularizer(weight=2.0)(critic, real, fake), expected)


@pytest.mark.parametrize("penalty", [GradientPenalty(weight=2.0), RothRegularizer(weight=2.0)])
def test_scores_are_means_of_logits_and_scales_add_up(penalty):
    weight, real, fake = torch.randn(1, 4, 4) / 2, torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    one, other = linear(weight), linear(2 * weight)
    patches = penalty(lambda x: one(x)[..., None, None].expand(-1, 1, 6, 6), real, fake)
    torch.testing.assert_close(patches, penalty(one, real, fake))
    both = penalty(lambda x: [one(x), other(x)], real, fake)
    torch.testing.assert_close(both, penalty(one, real, fake) + penalty(other, real, fake))


@pytest.mark.parametrize("penalty", [GradientPenalty(), RothRegularizer()])
def test_penalties_move_critics_and_no_images(penalty):
    critic = nn.Conv2d(1, 1, 3)
    real, fake = (torch.randn(2, 1, 5, 5, requires_grad=True) for _ in range(2))
    penalty(critic, real, fake).backward()
    assert critic.weight.grad.abs().sum() > 0
    assert real.grad is None
    assert fake.grad is None
    assert real.requires_grad
    nn.init.zeros_(critic.weight)  # a flat critic, at whose gradient the norm has no slope of its own
    critic.weight.grad = None
    penalty(critic, real, fake).backward()
    assert critic.weight.grad.isfinite().all()
    penalty.weight = 0.0
    assert penalty(critic, real, fake) == 0


@pytest.mark.parametrize("penalty", [GradientPenalty(), RothRegularizer()])
def test_penalties_stay_in_single_precision_under_autocast(penalty):
    critic, real, fake = PatchCritic(1, 1, width=4, layers=1), torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    seen = []
    critic.model[-1].register_forward_hook(lambda module, given, logits: seen.append(logits.dtype))
    fake = fake.bfloat16().float()
    values = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            critic(real)
            values.append(penalty(critic, real, fake.bfloat16() if enabled else fake))
    assert torch.equal(*values)
    assert seen.count(torch.bfloat16) == 1  # of the pass outside the penalty
    assert set(seen[-1:]) == {torch.float32}


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(
        ValueError, match=r"clip is 0.01, and there is a penalty also.*\nLeave one of clip and penalty out"
    ):
        Wasserstein(clip=0.01, penalty=GradientPenalty)
    with pytest.raises(ValueError, match="clip is 0, but weights are clamped to a range above 0, such as"):
        Wasserstein(clip=0)
    with pytest.raises(ValueError, match="weight is -1, but has to be at least 0"):
        GradientPenalty(weight=-1)


# --- spectral norm ---------------------------------------------------------------------------------------------

CRITICS = [
    partial(PatchCritic, 2, 1, width=4, layers=2),
    partial(PixelCritic, 2, 1, width=4),
    partial(MultiScaleCritic, 2, 1, width=4, layers=1),
    partial(DiscoCritic, 2, 1, width=4, layers=2),
]


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("make", CRITICS, ids=lambda make: make.func.__name__)
def test_spectral_norm_of_every_critic(make):
    torch.manual_seed(0)
    plain = make()
    torch.manual_seed(0)
    critic, images = make(spectral_norm=True), torch.randn(2, 2, 16, 16)
    assert sum(p.numel() for p in critic.parameters()) == sum(p.numel() for p in plain.parameters())
    assert not any("parametrizations" in key for key in plain.state_dict())
    for mine, other in zip(convolutions(critic), convolutions(plain), strict=True):
        assert torch.equal(mine.parametrizations.weight.original, other.weight)  # initialised as without
    for _ in range(200):
        critic(images)
    for convolution in convolutions(critic):
        assert torch.linalg.matrix_norm(convolution.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("make", CRITICS, ids=lambda make: make.func.__name__)
def test_singular_vectors_move_in_training_alone(make):
    critic, images = make(spectral_norm=True), torch.randn(2, 2, 16, 16)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(torch.randn_like(parameter))  # so that the vectors are not yet those of the weights
    vectors = {name: b.clone() for name, b in critic.named_buffers() if name.endswith(("_u", "_v"))}
    assert len(vectors) == 2 * len(convolutions(critic))
    critic.eval()(images)
    assert all(torch.equal(critic.get_buffer(name), vector) for name, vector in vectors.items())
    critic.train()(images)
    assert not any(torch.equal(critic.get_buffer(name), vector) for name, vector in vectors.items() if len(vector) > 1)
    again, copied = make(spectral_norm=True).eval(), copy.deepcopy(critic).eval()
    again.load_state_dict(critic.state_dict())
    expected = critic.eval()(images)
    for other in (again, copied):
        torch.testing.assert_close(other(images), expected, rtol=0, atol=0)


# --- methods ---------------------------------------------------------------------------------------------------

CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")
SGD = partial(torch.optim.SGD, lr=0.1)
SPECTRAL = partial(PatchCritic, width=4, layers=1, norm="none", spectral_norm=True)
METHODS = {
    "CycleGAN": partial(CycleGAN, 1, generator=partial(ResNetGenerator, width=4, blocks=1)),
    "Pix2Pix": partial(Pix2Pix, 1, generator=partial(UNetGenerator, width=4, levels=2)),
}
SETTINGS = {
    "penalty": ({"objective": partial(Wasserstein, penalty=GradientPenalty)}, CRITIC),
    "regularizer": ({"objective": partial(Minimax, penalty=RothRegularizer)}, CRITIC),
    "clip": ({"objective": partial(Wasserstein, clip=0.01)}, CRITIC),
    "spectral norm": ({"objective": Hinge}, SPECTRAL),
    "divergence": ({"objective": partial(FGAN, divergence="squared_hellinger")}, CRITIC),
}


@pytest.fixture
def pairs(tensors):
    """Eight pairs of noise, as batches of four."""
    a, b = (torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8) for _ in "ab")
    return tensors({"a": a, "truth_a2b": b}, {"b": b, "truth_b2a": a})


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_one_round_moves_all_and_constrains_critics(name, setting, trainer, snapshot, pairs):
    options, critic = SETTINGS[setting]
    method = METHODS[name](critic=critic, **options)
    before = snapshot(method)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, pairs)
    still = {name for name, p in method.named_parameters() if torch.equal(p, before[name])}
    # A difference of scores does not depend on the last bias.
    assert still <= {f"{critic}.model.5.bias" for critic in method.players["critic"]}
    assert all(term.isfinite() for term in method.last_terms.values())
    weights = torch.cat([p.flatten() for p in method.player_parameters("critic")])
    assert (weights.abs().max() <= 0.01) == (setting == "clip")
    if setting == "spectral norm":
        method.eval()
        convolution = method.get_submodule(method.players["critic"][0]).model[2]
        norm = torch.linalg.matrix_norm(convolution.weight.flatten(1), 2).item()
        assert norm == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", METHODS)
def test_penalty_is_in_the_critics_loss_and_update(name, trainer, pairs):
    """One step of gradient descent, by hand."""
    penalty = partial(RothRegularizer, weight=4.0)
    method = METHODS[name](critic=CRITIC, objective=partial(NonSaturating, penalty=penalty), optimizer=SGD)
    seen = {}
    critic_loss = method.critic_loss

    def noted(batch, out):
        before = copy.deepcopy([method.get_submodule(name) for name in method.players["critic"]])
        terms = critic_loss(batch, out)
        seen.update(before=before, batch=batch, out=out, terms=terms)
        return terms

    method.critic_loss = noted
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, pairs)
    batch, out = seen["batch"], seen["out"]
    if name == "CycleGAN":
        judged = [(batch[d], out[f"pooled_{d}"]) for d in (n[-1] for n in method.players["critic"])]
    else:
        x, y = method.pairs.of(batch)
        judged = [(torch.cat([x, y], 1), torch.cat([x, out["fake"]], 1))]
    trained = [method.get_submodule(name) for name in method.players["critic"]]
    for critic, after, (real, fake) in zip(seen["before"], trained, judged, strict=True):
        for parameter in critic.parameters():
            parameter.requires_grad_()
        loss = NonSaturating().critic_loss(critic, real, fake) + penalty()(critic, real, fake)
        assert any(torch.equal(loss, term) for term in seen["terms"].values())
        gradients = torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)
        for old, new, gradient in zip(critic.parameters(), after.parameters(), gradients, strict=True):
            torch.testing.assert_close(new.data, old.data - 0.1 * gradient)


def test_penalty_and_spectral_norm_survive_a_checkpoint(trainer, pairs, tmp_path):
    objective = partial(FGAN, divergence="alpha", alpha=0.5, penalty=partial(GradientPenalty, weight=3.0))
    method = METHODS["CycleGAN"](critic=SPECTRAL, objective=objective, critic_turns=2)
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    run.fit(method, pairs)
    run.save_checkpoint(tmp_path / "x.ckpt")
    checkpoint = serialization.read(tmp_path / "x.ckpt")
    assert checkpoint["hyper_parameters"]["objective"] == {
        "class_path": "crossdomain.losses.FGAN",
        "init_args": {
            "divergence": "alpha",
            "alpha": 0.5,
            "saturating": True,
            "penalty": {"class_path": "crossdomain.losses.GradientPenalty", "init_args": {"weight": 3.0}},
        },
    }
    again = serialization.rebuild(checkpoint)
    assert isinstance(again.objective, FGAN)
    assert isinstance(again.objective.penalty, GradientPenalty)
    assert (again.objective.alpha, again.objective.penalty.weight, again.critic_turns) == (0.5, 3.0, 2)
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(again.critic_a(images), method.eval().critic_a(images))
    assert torch.equal(copy.deepcopy(again).critic_a(images), again.critic_a(images))


def test_penalties_suit_critics_of_several_scales(trainer, pairs):
    method = BiCycleGAN(
        1,
        generator=partial(LatentUNetGenerator, width=4, levels=4),
        encoder=partial(ResNetEncoder, width=4, blocks=2),
        critic=partial(MultiScaleCritic, width=4, layers=1),
        objective=partial(LeastSquares, penalty=GradientPenalty),
    )
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, pairs)
    assert all(term.isfinite() for term in method.last_terms.values())


def test_compiled_networks_and_penalties_are_refused_together(trainer, pairs):
    method = METHODS["CycleGAN"](
        critic=CRITIC, objective=partial(Hinge, penalty=GradientPenalty), compile_networks=True
    )
    with pytest.raises(
        ValueError, match=r"GradientPenalty needs gradients of gradients.*\nLeave model.compile_networks"
    ):
        trainer(limit_train_batches=1).fit(method, pairs)


def test_an_objective_of_ones_own_needs_two_losses_alone():
    class Own(Objective):
        def _critic(self, real, fake):
            return (fake - real).mean()

        def _generator(self, fake):
            return -fake.mean()

    objective = Own(penalty=partial(GradientPenalty, weight=1.0))
    weight, real, fake = torch.ones(1, 2, 2), torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    assert objective.critic_loss(linear(weight), real, fake).item() == pytest.approx(-4 + (2 - 1) ** 2)
    objective.constrain([])
