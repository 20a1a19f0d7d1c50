"""LRMF against closed forms: Gaussians, the optimal critic, the vanishing gradient; who moves, what it warns of."""

import math
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from crossdomain import serialization
from crossdomain.datamodules import Gaussians, Moons
from crossdomain.densities import FlowDensity, GaussianDensity, MixtureDensity
from crossdomain.evaluation import Evaluation
from crossdomain.flows import AffineFlow, BackToBack, ImageFlow, VectorFlow
from crossdomain.methods import LRMF
from crossdomain.optimization import LinearDecay

FLOW = partial(BackToBack, flow=partial(VectorFlow, steps=2, width=8))
DENSITY = partial(FlowDensity, flow=partial(VectorFlow, steps=2, width=8))


def gaussian(channels, **options):
    """In float64, and not the identity."""
    method = LRMF(channels, flow=AffineFlow, density=GaussianDensity, **options).double()
    method.spec = replace(method.spec, levels=None)
    for p in method.flow.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return method


def batch(n=50, channels=2):
    a, b = torch.randn(2, n, channels, dtype=torch.float64)
    return {"a": a @ torch.randn(channels, channels).double() + 1.0, "b": 0.5 * b - 0.3}


def moments(x):
    return x.mean(0), torch.cov(x.T, correction=0).reshape(x.shape[1], x.shape[1])


def certificate(method, data):
    return sum(term for term in method.generator_loss(data, method.generate(data)).values())


def set_gaussian(density, mean, deviation):
    density.flow.shift.data.fill_(-mean)
    density.flow.log_diagonal.data.fill_(-math.log(deviation))


# --- densities ---------------------------------------------------------------------------------------------------


def test_gaussian_density_is_the_gaussian_and_is_initialised_to_the_moments():
    x = batch(channels=3)["a"]
    density = GaussianDensity(3).double()
    density.initialize(x)
    mean, covariance = moments(x)
    torch.testing.assert_close(density.mean, mean)
    torch.testing.assert_close(density.covariance, covariance, rtol=1e-4, atol=1e-5)
    for p in density.parameters():
        p.data += 0.2 * torch.randn_like(p)
    expected = MultivariateNormal(density.mean, density.covariance).log_prob(x)
    torch.testing.assert_close(density(x), expected)


def test_mixture_density_by_hand():
    x = batch()["a"]
    density = MixtureDensity(2, components=3).double()
    for p in density.parameters():
        p.data += 0.3 * torch.randn_like(p)
    weights = density.logits.softmax(0)
    expected = sum(w * component(x).exp() for w, component in zip(weights, density.components, strict=True)).log()
    torch.testing.assert_close(density(x), expected)
    density.initialize(x)
    torch.testing.assert_close(density.components[1].mean, x.chunk(3)[1].mean(0))


def test_flows_back_to_back_start_as_the_identity():
    for flow, x in (
        (BackToBack(1, partial(ImageFlow, scales=1, steps=2, width=4)), 2 * torch.rand(3, 1, 4, 4) - 1),
        (FLOW(5), torch.randn(3, 5)),
    ):
        flow, x = flow.double(), x.double()
        for moved in (flow(x)[0], flow.initialize(x)):
            torch.testing.assert_close(moved, x, atol=1e-5, rtol=0)
        assert flow(x)[1].abs().max() < 1e-4


# --- the loss ----------------------------------------------------------------------------------------------------


def test_terms_by_hand_in_one_dimension():
    """T(x) = s (x + t), Gaussians with scalars of their own."""
    method = LRMF(1, flow=AffineFlow, density=GaussianDensity)
    method.spec = replace(method.spec, levels=None)
    method.flow.shift.data.fill_(0.5)
    method.flow.log_diagonal.data.fill_(math.log(3.0))
    for density, mean, deviation in (
        (method.private_a, 0.1, 0.7),
        (method.private_b, -0.2, 1.5),
        (method.shared, 0.4, 2.0),
    ):
        set_gaussian(density, mean, deviation)
    data = {"a": torch.tensor([[0.0], [1.0]]), "b": torch.tensor([[2.0], [-1.0], [0.5]])}
    out = method.generate(data)
    a, b = data["a"][:, 0], data["b"][:, 0]
    gap_a = Normal(0.1, 0.7).log_prob(a) - Normal(0.4, 2.0).log_prob(3 * (a + 0.5)) - math.log(3)
    gap_b = Normal(-0.2, 1.5).log_prob(b) - Normal(0.4, 2.0).log_prob(b)
    terms = method.generator_loss(data, out)
    torch.testing.assert_close(terms["gap_a"], gap_a.mean())
    torch.testing.assert_close(terms["gap_b"], gap_b.mean())
    torch.testing.assert_close(method.gap(data["a"], "a"), gap_a)
    terms = method.density_loss(data, out)
    torch.testing.assert_close(terms["a"], -Normal(0.1, 0.7).log_prob(a).mean())
    torch.testing.assert_close(terms["b"], -Normal(-0.2, 1.5).log_prob(b).mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_gaussian_optimum_over_densities_in_closed_form(channels):
    """At the best densities the loss compares moments: log det S - log det TA / 2 - log det B / 2."""
    method, data = gaussian(channels), batch(channels=channels)
    method.prepare([data])  # for Gaussians, the maximum of the likelihood
    (mean_a, cov_a), (mean_b, cov_b) = moments(method.flow(data["a"])[0]), moments(data["b"])
    difference = (mean_a - mean_b).unsqueeze(1)
    shared = 0.5 * (cov_a + cov_b) + 0.25 * difference @ difference.T
    expected = torch.logdet(shared) - 0.5 * torch.logdet(cov_a) - 0.5 * torch.logdet(cov_b)
    loss = certificate(method, data)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    assert loss > 0.1
    if channels == 1:
        variance = moments(data["a"])[1] * method.flow.log_diagonal.exp() ** 2
        torch.testing.assert_close(cov_a, variance)
    gradients = torch.autograd.grad(loss, list(method.shared.parameters()))
    assert max(g.tril().abs().max() if g.ndim == 2 else g.abs().max() for g in gradients) < 1e-4


def test_zero_exactly_when_moments_match():
    """Matching by hand: whiten a, colour as b. Any further map makes the loss positive."""
    method, data = gaussian(2), batch()
    (mean_a, cov_a), (mean_b, cov_b) = moments(data["a"]), moments(data["b"])
    matrix = torch.linalg.cholesky(cov_b) @ torch.linalg.inv(torch.linalg.cholesky(cov_a))
    method.flow.shift.data = torch.linalg.solve(matrix, mean_b) - mean_a
    method.flow.log_diagonal.data = matrix.diagonal().log()
    method.flow.lower.data = matrix.tril(-1)
    method.prepare([data])
    assert certificate(method, data).abs() < 1e-5
    for p in method.flow.parameters():
        p.data += 0.1
        method.prepare([data])
        assert certificate(method, data) > 1e-3


def test_identical_domains_and_equal_densities_have_gaps_of_exactly_zero():
    method = LRMF(2, flow=FLOW, density=DENSITY)
    method.spec = replace(method.spec, levels=None)
    for p in method.shared.parameters():
        p.data += 0.1 * torch.randn_like(p)
    for private in (method.private_a, method.private_b):
        private.load_state_dict(method.shared.state_dict())
    x = torch.randn(20, 2)
    assert torch.equal(method.gap(x, "b"), torch.zeros(20))
    assert method.gap(x, "a").abs().max() < 1e-4  # the identity up to rounding


def test_optimal_critic_in_closed_form():
    """D = p / (p + q) for p = T[P_A]; with the best shared density, (p + q) / 2, LRMF is this critic's GAN."""
    method = LRMF(1, flow=AffineFlow, density=MixtureDensity).double()
    method.spec = replace(method.spec, levels=None)
    method.flow.shift.data.fill_(0.25)
    method.flow.log_diagonal.data.fill_(math.log(2.0))
    parts = {"private_a": ((0.0, 0.5),) * 2, "private_b": ((1.5, 0.8),) * 2, "shared": ((0.5, 1.0), (1.5, 0.8))}
    for name, components in parts.items():
        for component, (mean, deviation) in zip(method.get_submodule(name).components, components, strict=True):
            set_gaussian(component, mean, deviation)
    p, q = Normal(0.5, 1.0), Normal(1.5, 0.8)  # 2 (x + 1/4) of N(0, 1/2) is N(1/2, 1)
    y = torch.linspace(-3, 4, 50).double().unsqueeze(1)
    critic = method.log_odds(y).sigmoid()
    torch.testing.assert_close(critic, (p.log_prob(y).exp() / (p.log_prob(y).exp() + q.log_prob(y).exp()))[:, 0])

    data = {"a": 0.5 * torch.randn(100, 1).double(), "b": 1.5 + 0.8 * torch.randn(80, 1).double()}
    moved = method.translate(data["a"], "a2b")
    gan = method.log_odds(moved).sigmoid().log().mean() + (1 - method.log_odds(data["b"]).sigmoid()).log().mean()
    torch.testing.assert_close(certificate(method, data), gan + math.log(4))


def vanishing(distances):
    """|dL / d shift| at the best shared density, for a in N(-mu, 1), b in N(mu, 1) and mixtures; by quadrature."""
    method = LRMF(1, flow=AffineFlow, density=MixtureDensity).double()
    y = torch.linspace(-10, 10, 20001).double().unsqueeze(1)
    found = []
    for mu in distances:
        for component, mean in zip(method.shared.components, (-mu, mu), strict=True):
            set_gaussian(component, mean, 1.0)
        points = y - mu
        weights = Normal(-mu, 1.0).log_prob(points).exp()[:, 0] * (y[1, 0] - y[0, 0])
        shift = method.flow.shift
        loss = -(weights * method.shared(method.flow(points)[0])).sum()
        found.append(torch.autograd.grad(loss, shift)[0].abs().item())
    return torch.tensor(found).double()


def test_gradient_vanishes_as_the_exponential_of_a_square():
    """|gradient| = exp(-(slope mu + offset)^2), the law of the paper's notebook; for unit variances slope^2 is 1/2."""
    distances = torch.arange(2.0, 6.01, 0.25).double()
    gradients = vanishing(distances)
    assert (gradients.diff() < 0).all()
    roots = (-gradients.log()).sqrt()
    design = torch.stack([distances, torch.ones_like(distances)], 1)
    slope, offset = torch.linalg.lstsq(design, roots.unsqueeze(1)).solution[:, 0].tolist()
    correlation = torch.corrcoef(torch.stack([distances, roots]))[0, 1]
    assert correlation > 0.9999
    assert slope == pytest.approx(0.705, abs=0.001)
    assert offset == pytest.approx(-0.016, abs=0.001)
    assert gradients[-1] < 1e-7


# --- training ----------------------------------------------------------------------------------------------------


def test_who_moves_what(trainer, tensors, snapshot):
    """One round of plain gradient descent: each player by its own gradient, and no others."""
    method = LRMF(2, flow=FLOW, density=DENSITY, optimizer=partial(torch.optim.SGD, lr=0.1))
    method.spec = replace(method.spec, levels=None)
    method.prepare = lambda loader: None
    for p in method.parameters():
        p.data += 0.1 * torch.randn_like(p)
    data = {"a": torch.randn(4, 2), "b": torch.randn(4, 2)}
    before = snapshot(method)
    nets = {"density": ("private_a", "private_b"), "generator": ("flow", "shared")}
    assert method.players == nets
    out = method.generate(data)
    expected = {}
    for player in nets:
        loss = sum(getattr(method, f"{player}_loss")(data, out).values())
        names = [n for n, _ in method.named_parameters() if n.split(".")[0] in nets[player]]
        gradients = torch.autograd.grad(loss, [method.get_parameter(n) for n in names], retain_graph=True)
        expected |= {name: before[name] - 0.1 * g for name, g in zip(names, gradients, strict=True)}
    loader = tensors({"a": data["a"]}, {"b": data["b"]})
    trainer(limit_val_batches=0).fit(method, loader)
    assert expected.keys() == before.keys()
    for name, value in snapshot(method).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)


def fit(trainer, data, epochs, rate, **options):
    optimizer = partial(torch.optim.Adam, lr=rate)
    schedule = partial(LinearDecay, constant=epochs // 2, decay=epochs - epochs // 2)
    method = LRMF(data.channels, optimizer=optimizer, schedule=schedule, **options)
    run = trainer(max_epochs=epochs, check_val_every_n_epoch=epochs, callbacks=[Evaluation(pictures=0)])
    run.fit(method, data)
    return method.eval(), {k: float(v) for k, v in run.callback_metrics.items()}


def test_gaussians_reach_the_optimum(trainer):
    data = Gaussians(size=1000, batch_size=1000)
    method, metrics = fit(trainer, data, 200, 0.05, flow=AffineFlow, density=GaussianDensity)
    a, b = (fields[d] for fields, d in zip(data.splits["train"].fields, "ab", strict=True))
    assert certificate(method, {"a": a, "b": b}).abs() < 1e-2
    for found, wanted in zip(moments(method.translate(a, "a2b")), moments(b), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-2, rtol=0)
    assert abs(metrics["val/certificate"]) < 0.02  # val has 200 vectors
    assert metrics["val/certificate"] == pytest.approx(metrics["val/gap_a"] + metrics["val/gap_b"])
    assert metrics["val/cycle_max_a"] < 1e-5


def test_certificate_is_the_mean_over_the_whole_split(trainer):
    method = LRMF(2, flow=FLOW, density=DENSITY)
    for p in method.parameters():
        p.data += 0.1 * torch.randn_like(p)
    data = Moons(size=500)
    data.evaluation_batch_size = 32
    (metrics,) = trainer().validate(method, data, verbose=False)
    a, b = (fields[d] for fields, d in zip(data.splits["val"].fields, "ab", strict=True))
    expected = method.gap(a, "a").mean() + method.gap(b, "b").mean()
    assert metrics["val/certificate"] == pytest.approx(expected.item(), rel=1e-5)


def test_far_domains_have_no_gradient_and_a_warning_names_the_certificate(trainer):
    one = ((1.0, 0.0), (0.0, 1.0))
    data = Gaussians((-10.0, 0.0), one, (10.0, 0.0), one, size=500, batch_size=500)
    with pytest.warns(UserWarning, match=r"val/certificate is 1\.3\d\d nats.*\n?.*gradient has vanished") as caught:
        method, metrics = fit(trainer, data, 20, 0.01, flow=AffineFlow, density=MixtureDensity)
    assert metrics["val/certificate"] == pytest.approx(2 * math.log(2), abs=0.02)
    assert metrics["train/pull"] < 0.01
    assert method.flow.shift.abs().max() < 0.2  # of 20
    (text,) = (str(w.message) for w in caught if "certificate" in str(w.message))
    assert len(text.splitlines()) <= 3


@pytest.mark.parametrize(
    ("value", "pull", "message"),
    [(0.5, 0.2, "train longer"), (0.5, 0.01, "gradient has vanished"), (-0.3, 0.0, r"give model\.density more room")],
)
def test_warnings(value, pull, message, trainer, monkeypatch):
    method = LRMF(2, flow=AffineFlow, density=GaussianDensity)
    method.trainer = trainer()
    method.trainer.callback_metrics["val/certificate"] = torch.tensor(value)
    monkeypatch.setattr(LRMF, "pull", pull)
    with pytest.warns(UserWarning, match=message):
        method.on_fit_end()
    method.trainer.callback_metrics["val/certificate"] = torch.tensor(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.on_fit_end()


def test_checkpoint_is_rebuilt(trainer, tmp_path):
    method = LRMF(2, flow=FLOW, density=partial(MixtureDensity, density=DENSITY, components=3))
    run = trainer(limit_train_batches=2, limit_val_batches=1)
    run.fit(method, Moons(size=600, batch_size=256))
    run.save_checkpoint(tmp_path / "lrmf.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "lrmf.ckpt"))
    x = torch.randn(5, 2)
    assert torch.equal(again.translate(x, "a2b"), method.eval().translate(x, "a2b"))
    assert torch.equal(again.gap(x, "b"), method.gap(x, "b"))
    torch.testing.assert_close(again.translate(again.translate(x, "a2b"), "b2a"), x, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 8, 8\), but LRMF takes vectors \(N, 2\)"):
        again.translate(torch.zeros(1, 2, 8, 8), "a2b")


def test_domains_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 and 3 channels, but a flow cannot change their number"):
        LRMF(2, 3)


def test_the_pull_goes_on_where_it_was(trainer, tmp_path):
    """Its average is part of a checkpoint; an older one, without it, begins a new average."""
    make = partial(LRMF, 2, flow=FLOW, density=DENSITY)
    data = partial(Moons, size=400, batch_size=100)

    def train(method, epochs, resume=None):
        torch.manual_seed(1)
        run = trainer(max_epochs=epochs, limit_val_batches=0)
        run.fit(method, data(), ckpt_path=resume)
        return run, float(run.callback_metrics["train/pull"])

    torch.manual_seed(0)
    method = make()
    weights = {name: value.clone() for name, value in method.state_dict().items()}
    run, half = train(method, 2)
    run.save_checkpoint(tmp_path / "half.ckpt")
    _, resumed = train(make(), 4, tmp_path / "half.ckpt")
    (whole := make()).load_state_dict(weights)
    _, expected = train(whole, 4)
    assert resumed == expected != half
    checkpoint = torch.load(tmp_path / "half.ckpt", weights_only=True)
    assert checkpoint["crossdomain"]["processes"][0].pop("beside")["pull"].shape == (2,)
    torch.save(checkpoint, tmp_path / "older.ckpt")
    _, anew = train(older := make(), 4, tmp_path / "older.ckpt")
    assert anew != expected
    for name, value in whole.state_dict().items():
        assert torch.equal(older.state_dict()[name], value)
