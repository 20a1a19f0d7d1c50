"""Evaluation: which tags appear when, and that their values are right."""

import ast
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.conformance import SingleDomain
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchmetrics import Metric

import crossdomain
from crossdomain import serialization
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits, Shapes, ToyFacades
from crossdomain.domains import DataSpec
from crossdomain.evaluation import Evaluation
from crossdomain.evaluation.grid import labelled_grid
from crossdomain.evaluation.measured import SEED
from crossdomain.flows import ImageFlow, dequantize
from crossdomain.method import Method
from crossdomain.methods import AlignFlow, CycleGAN, Pix2Pix, RandomTranslation
from crossdomain.metrics.features import frechet_distance, kernel_distance
from crossdomain.networks import ConvClassifier, PatchCritic, ResNetGenerator, UNetGenerator

CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")


def alignflow(**options):
    return AlignFlow(1, flow=partial(ImageFlow, scales=1, steps=1, width=4), critic=CRITIC, **options)


def cyclegan():
    return CycleGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC)


PER_DIRECTION = {f"{metric}_{d}" for metric in ("mse", "psnr", "ssim") for d in ("a2b", "b2a")}
PER_CYCLE = {f"{kind}_{d}" for kind in ("cycle_max", "cycle_mean", "rh", "sn") for d in "ab"}


@pytest.mark.parametrize(
    ("make", "tags"),
    [
        (alignflow, PER_DIRECTION | PER_CYCLE | {"bits_per_dim_a", "bits_per_dim_b"}),
        (cyclegan, PER_DIRECTION | PER_CYCLE),
        (lambda: DomainClassifier(1, network=partial(ConvClassifier, width=4)), {"accuracy_a", "accuracy_b"}),
    ],
)
def test_every_method_logs_the_tags_of_what_it_offers(make, tags, trainer):
    run = trainer()
    for stage, evaluate in (("val", run.validate), ("test", run.test)):
        (metrics,) = evaluate(make(), Digits(), verbose=False)
        assert set(metrics) == {f"{stage}/{tag}" for tag in tags}


def test_values_over_a_whole_split(trainer):
    method, data = alignflow(), Digits(batch_size=64)
    for p in method.parameters():
        p.data += 0.05 * torch.randn_like(p)
    (metrics,) = trainer().validate(method, data, verbose=False)
    fields_a, fields_b = data.splits["val"].fields
    a, truth = (fields_a[k].float() / 127.5 - 1 for k in ("a", "truth_a2b"))
    b = fields_b["b"].float() / 127.5 - 1
    output = method.translate(a, "a2b")
    mse = (output.clamp(-1, 1) - truth).square().flatten(1).mean(1)
    assert metrics["val/mse_a2b"] == pytest.approx(mse.mean().item(), rel=1e-5)
    assert metrics["val/psnr_a2b"] == pytest.approx((10 * torch.log10(4 / mse)).mean().item(), rel=1e-5)
    back = method.translate(output, "b2a")
    assert metrics["val/cycle_max_a"] == pytest.approx((back - a).abs().max().item(), rel=1e-3)
    honest = method.translate((127.5 * (output.clamp(-1, 1) + 1)).round() / 127.5 - 1, "b2a")
    loss = (honest - a).flatten(1).norm(dim=1) - (back - a).flatten(1).norm(dim=1)
    assert metrics["val/rh_a"] == pytest.approx(loss.mean().item(), rel=1e-4)
    noise = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = method.translate(output + 0.1 * noise, "b2a") - back
    assert metrics["val/sn_a"] == pytest.approx(moved.flatten(1).norm(dim=1).mean().item(), rel=1e-5)
    noise = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0))
    bits = -method.log_prob(dequantize(b, noise=noise), "b") / (256 * torch.log(torch.tensor(2.0))) + 7
    assert metrics["val/bits_per_dim_b"] == pytest.approx(bits.mean().item(), rel=1e-5)


def test_labels_are_stored_in_the_colours_of_their_palette(trainer):
    """RH of a way back that reads colours: pix2pix's cycle is not measured, CycleGAN's goes through legal colours."""
    method = CycleGAN(3, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC)
    data = ToyFacades(batch_size=4)
    run = trainer(limit_val_batches=1, callbacks=[Evaluation(pictures=0)])
    (metrics,) = run.validate(method, data, verbose=False)
    a = next(iter(data.val_dataloader()))["a"]
    output = method.translate(a, "a2b")
    colours = torch.tensor(data.palette["colours"]) / 127.5 - 1
    distances = torch.cdist(output.permute(0, 2, 3, 1).reshape(-1, 3), colours)
    legal = colours[distances.argmin(1)].view(4, 64, 64, 3).permute(0, 3, 1, 2)
    honest, back = (method.translate(images, "b2a") for images in (legal, output))
    expected = (honest - a).flatten(1).norm(dim=1) - (back - a).flatten(1).norm(dim=1)
    assert metrics["val/rh_a"] == pytest.approx(expected.mean().item(), rel=1e-3)
    (without,) = trainer(limit_val_batches=1, callbacks=[Evaluation(pictures=0, cycle_noise=0)]).validate(
        method, data, verbose=False
    )
    assert set(metrics) - set(without) == {"val/rh_a", "val/rh_b", "val/sn_a", "val/sn_b"}


def test_metrics_do_not_depend_on_the_batch_size(trainer):
    method = alignflow()
    first, second = (trainer().validate(method, Digits(batch_size=n), verbose=False)[0] for n in (7, 100))
    assert first == pytest.approx(second, rel=1e-5)


def test_judge_scores_translations_and_stays_out_of_the_method(trainer, tmp_path):
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    classifier = DomainClassifier(1, network=partial(ConvClassifier, width=4))
    run.fit(classifier, Digits())
    run.save_checkpoint(tmp_path / "judge.ckpt")
    method, data = alignflow(), Digits()
    before = set(method.state_dict())
    run = trainer(callbacks=[Evaluation(judge_b=str(tmp_path / "judge.ckpt"), pictures=0)])
    (metrics,) = run.test(method, data, verbose=False)
    fields = data.splits["test"].fields[0]
    translated = method.translate(fields["a"].float() / 127.5 - 1, "a2b").clamp(-1, 1)
    right = classifier.eval().classify(translated).argmax(1) == fields["label_a"]
    assert metrics["test/accuracy_a2b"] == pytest.approx(right.float().mean().item())
    assert "test/accuracy_b2a" not in metrics
    assert set(method.state_dict()) == before
    run.save_checkpoint(tmp_path / "method.ckpt")
    with pytest.raises(ValueError, match=r"judge_a is .* a AlignFlow, which cannot classify"):
        trainer(callbacks=[Evaluation(judge_a=str(tmp_path / "method.ckpt"))]).validate(alignflow(), Digits())


def test_distances_on_the_judges_features(trainer, tmp_path):
    judge = DomainClassifier(1, network=partial(ConvClassifier, width=4)).eval()
    serialization.write(judge, tmp_path / "judge.ckpt")
    method, data = alignflow(), Digits(batch_size=17)
    before = set(method.state_dict())
    evaluation = Evaluation(judge_b=str(tmp_path / "judge.ckpt"), judge_distances=True, pictures=0)
    (metrics,) = trainer(callbacks=[evaluation]).test(method, data, verbose=False)
    fields_a, fields_b = data.splits["test"].fields
    translated = method.translate(fields_a["a"].float() / 127.5 - 1, "a2b").clamp(-1, 1)
    samples = [judge.features(images).double() for images in (translated, fields_b["b"].float() / 127.5 - 1)]
    assert [len(sample) for sample in samples] == [80, 360]
    assert metrics["test/frechet_judge_a2b"] == pytest.approx(frechet_distance(*samples).item(), rel=1e-3)
    assert metrics["test/kernel_judge_a2b"] == pytest.approx(kernel_distance(*samples).item(), rel=1e-3, abs=1e-6)
    assert not {"test/frechet_judge_b2a", "test/fid_a2b", "test/kid_a2b"} & set(metrics)
    assert set(method.state_dict()) == before
    plain = Evaluation(judge_b=str(tmp_path / "judge.ckpt"), pictures=0)
    (without,) = trainer(callbacks=[plain]).test(method, data, verbose=False)
    assert set(metrics) - set(without) == {"test/frechet_judge_a2b", "test/kernel_judge_a2b"}
    with pytest.raises(ValueError, match=r"but there is none\.\nGive judge_a, judge_b or both, or a segmenter"):
        Evaluation(judge_distances=True)


def test_training_writes_scalars_grid_and_hyperparameters(trainer, tmp_path):
    logger = TensorBoardLogger(tmp_path, name="run", default_hp_metric=False)
    trainer(logger=logger, max_epochs=2, limit_train_batches=3).fit(alignflow(), Digits())
    events = EventAccumulator(logger.log_dir, size_guidance={"images": 0})
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"train/generator_adversarial_a", "train/critic_b", "images_seen", "val/mse_a2b"} <= scalars
    assert [e.value for e in events.Scalars("images_seen")] == [64.0 * k for k in range(1, 7)]
    assert len(events.Images("val/grid")) == 2
    assert "_hparams_/experiment" in events.summary_metadata
    assert b"val/mse_a2b" in events.summary_metadata["_hparams_/experiment"].plugin_data.content
    assert b"AlignFlow" in events.summary_metadata["_hparams_/session_start_info"].plugin_data.content


def test_all_methods_show_the_same_inputs(trainer):
    data = Digits()
    data.setup("validate")
    batch = next(iter(data.val_dataloader()))
    grids = []
    for method in (alignflow(), cyclegan()):
        method.spec = DataSpec.from_plain(data.spec())
        grids.append(Evaluation(pictures=5).grid(method, batch))
    height = grids[1].shape[1]
    assert grids[1].shape == (
        3,
        8 * 51,
        150 + 5 * 51,
    )  # input, translation, truth and back, from both domains
    assert grids[0].shape == (3, 10 * 51, 150 + 5 * 51)  # and samples of both
    for row in (0, 2, 4, 6):  # inputs and truths
        rows = slice(51 * row, 51 * (row + 1))
        assert torch.equal(grids[0][:, :height][:, rows], grids[1][:, rows])
    shown = grids[0][0, 1:48:3, 151 : 151 + 48 : 3]
    expected = ((batch["a"][0, 0] + 1) * 127.5).round()
    assert torch.equal(shown.float(), expected)


def test_methods_without_directions_show_samples(trainer):
    grid = Evaluation(pictures=3).grid(SingleDomain(1), {"a": torch.zeros(4, 1, 4, 4)})
    assert grid.shape == (3, 51, 150 + 3 * 51)
    assert Evaluation().grid(DomainClassifier(1), {"a": torch.zeros(4, 1, 16, 16)}) is None


def test_grid_of_other_channels():
    rows = [("two\nlines", torch.zeros(2, 2, 4, 4)), ("five", torch.ones(1, 5, 64, 64))]
    grid = labelled_grid(rows)
    assert grid.shape == (3, 51 + 67, 150 + 2 * 51)
    assert grid[:, 51 + 30, 150 + 30].tolist() == [255, 255, 255]


def test_user_given_evaluation_is_not_replaced(trainer):
    mine = Evaluation(pictures=2)
    run = trainer(callbacks=[mine])
    run.validate(alignflow(), Digits(), verbose=False)
    assert [c for c in run.callbacks if isinstance(c, Evaluation)] == [mine]


@pytest.mark.parametrize("dropout", [True, False])
def test_several_truths_are_compared_with_all_samples(dropout, trainer, tensors, monkeypatch):
    method = Pix2Pix(3, direction="b2a", generator=partial(UNetGenerator, width=4, levels=6), test_dropout=dropout)
    for p in method.parameters():
        p.data += 0.1 * torch.randn_like(p)
    b = 2 * torch.rand(4, 3, 64, 64) - 1
    outputs = method.eval().translate(b, "b2a", samples=20 if dropout else 1, seed=0)
    outputs = outputs if dropout else outputs.unsqueeze(1)
    # The true answers: near the first output, near the last, and far away from all.
    truths = torch.stack([outputs[:, 0] + 0.01, outputs[:, -1] - 0.01, -outputs[:, 0].sign()], 1)
    calls, translate = [], method.translate
    monkeypatch.setattr(method, "translate", lambda *a, **kw: calls.append(kw) or translate(*a, **kw))
    data = tensors({}, {"b": b, "truth_b2a": truths[:, 0], "truths_b2a": truths})
    (metrics,) = trainer(callbacks=[Evaluation(pictures=0)]).validate(method, data, verbose=False)
    assert len(calls) == 1
    expected = {"mse_b2a", "psnr_b2a", "ssim_b2a", "nearest_mse_b2a", "modes_covered_b2a"}
    assert set(metrics) == {f"val/{tag}" for tag in expected | ({"diversity_b2a"} if dropout else set())}
    distances = (outputs.clamp(-1, 1)[:, :, None] - truths[:, None]).square().mean((3, 4, 5))
    assert metrics["val/nearest_mse_b2a"] == pytest.approx(distances.amin(2).mean().item(), rel=1e-4)
    assert metrics["val/mse_b2a"] == pytest.approx(1e-4, rel=1e-2)
    if dropout:
        assert metrics["val/diversity_b2a"] == pytest.approx(diversity(outputs[:, :4]), rel=1e-4)
        assert metrics["val/modes_covered_b2a"] == 2
        (narrow,) = trainer(callbacks=[Evaluation(pictures=0, mode_radius=0.005)]).validate(method, data, verbose=False)
        assert narrow["val/modes_covered_b2a"] == 0
    else:
        assert metrics["val/modes_covered_b2a"] == 1


def diversity(outputs):
    pairs = [(outputs[:, i] - outputs[:, j]).abs().mean() for i in range(4) for j in range(i)]
    return torch.stack(pairs).mean().item()


class TinyFeatures(torch.nn.Module):
    num_features = 8

    def forward(self, images):
        return images.float().flatten(1)[:, :8]


def test_fid_is_computed_where_it_is_asked_for(trainer, monkeypatch):
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    from crossdomain.evaluation.probes import distances as module

    monkeypatch.setattr(module, "_fid", lambda: FrechetInceptionDistance(TinyFeatures(), normalize=True))
    monkeypatch.setattr(module, "_kid", lambda: KernelInceptionDistance(TinyFeatures(), subset_size=20, normalize=True))
    run = trainer(callbacks=[Evaluation(fid=True)])
    (metrics,) = run.test(alignflow(), Digits(), verbose=False)
    assert {f"test/{k}_{d}" for k in ("fid", "kid") for d in ("a2b", "b2a")} <= set(metrics)
    assert metrics["test/fid_a2b"] > 0


def test_fid_without_its_extra_says_what_to_install(monkeypatch):
    import builtins

    from crossdomain.evaluation.probes import distances as module

    real = builtins.__import__

    def blocked(name, *args, **kwargs):
        if name.startswith("torchmetrics.image."):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", blocked)
    for make in (module._fid, module._kid):
        with pytest.raises(ValueError, match=r"pip install 'crossdomain\[fid\]'"):
            make()


class TinyPerception(Metric):
    """Takes the place of LPIPS, whose weights are fetched: the mean absolute difference of pairs."""

    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("pairs", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, first, second):
        assert first.shape == second.shape
        assert first.shape[1] == 3
        assert first.abs().max() <= 1
        self.total += (first - second).abs().flatten(1).mean(1).sum()
        self.pairs += len(first)

    def compute(self):
        return self.total / self.pairs


def test_lpips_compares_all_pairs_of_outputs_where_it_is_asked_for(trainer, monkeypatch):
    from crossdomain.evaluation.probes import perceptual as module

    monkeypatch.setattr(module, "_lpips", TinyPerception)
    method, data = RandomTranslation(3, image_size=32), Shapes(image_size=32, batch_size=100)
    data.setup("fit")
    method.prepare(data.train_dataloader())
    run = trainer(callbacks=[Evaluation(lpips=True, samples=3)], limit_test_batches=1)
    (metrics,) = run.test(method, data, verbose=False)
    images = next(iter(data.test_dataloader()))["a"]
    outputs = method.translate(images, "a2b", guide=images, samples=3, seed=SEED, indices=range(len(images)))
    pairs = [(outputs[:, i] - outputs[:, j]).abs().mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert metrics["test/lpips_diversity_a2b"] == pytest.approx(sum(pairs).item() / 3, rel=1e-5)
    (without,) = trainer(callbacks=[Evaluation()], limit_test_batches=1).test(method, data, verbose=False)
    assert not [tag for tag in without if "lpips" in tag]
    small = Shapes(image_size=16, batch_size=100)
    method = RandomTranslation(3, image_size=16)
    small.setup("fit")
    method.prepare(small.train_dataloader())
    with pytest.raises(ValueError, match="at least 32 px, but these have 16"):
        trainer(callbacks=[Evaluation(lpips=True)], limit_test_batches=1).test(method, small, verbose=False)


def test_lpips_without_a_network_says_what_is_missing(monkeypatch):
    from urllib.error import URLError

    from torchvision.models import _api

    from crossdomain.evaluation.probes import perceptual as module

    def unreachable(*args, **kwargs):
        raise URLError("no route")

    monkeypatch.setattr(_api, "load_state_dict_from_url", unreachable)
    with pytest.raises(ValueError, match=r"AlexNet's weights of torchvision, which could not be fetched: .*no route"):
        module._lpips()


def test_methods_are_known_by_capabilities():
    """Evaluation asks what a method can do by protocols, and not for names that it may have."""
    files = sorted(Path(crossdomain.evaluation.__file__).parent.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not names & {"hasattr", "getattr", "setattr"}, path


def test_base_method_has_no_translation():
    class Nothing(Method):
        directions = ("a2b",)

        def __init__(self):
            super().__init__(1)
            self.players = {}

        def generate(self, batch):
            return {}

    with pytest.raises(ValueError, match="does not translate"):
        Nothing().translate(torch.zeros(1, 1, 4, 4), "a2b")
