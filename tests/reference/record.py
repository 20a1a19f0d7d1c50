"""Write a tiny checkpoint of every method and companion, and what it gives, for the tests of later versions.

    python tests/reference/record.py tests/reference/v1 [NAME ...]

writes for each case ``NAME.ckpt``, as a training of two rounds leaves it, and ``NAME.pt``: inputs and outputs of all
that the method can do, the metrics of a test, and the terms of the last of two more rounds. ``shipped.pt`` has outputs
of the checkpoints of the zoo. Run it once a format, by the version that has it; it writes nothing a second time.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything

import crossdomain
from crossdomain import datamodules, flows, hub, losses, networks
from crossdomain.callbacks import RoundCheckpoint
from crossdomain.companions import AttributePredictor, DomainClassifier, DomainSegmenter, SharedAutoencoder
from crossdomain.densities import FlowDensity, GaussianDensity, MixtureDensity
from crossdomain.evaluation import Evaluation
from crossdomain.methods import (
    ADDA,
    LRMF,
    MUNIT,
    RIFT,
    AlignFlow,
    BiCycleGAN,
    CycleGAN,
    DiscoGAN,
    DistanceGAN,
    FlowGAN,
    Pix2Pix,
    RandomTranslation,
)
from crossdomain.optimization import LinearDecay

CRITIC = partial(networks.PatchCritic, width=2, layers=1, norm="instance")
RESNET = partial(networks.ResNetGenerator, width=2, blocks=1)
FLOW = partial(flows.ImageFlow, scales=1, steps=2, width=4)
VECTORS = partial(flows.VectorFlow, steps=2, width=4)
UNET = partial(networks.UNetGenerator, width=2, levels=3)
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))

DATA = {
    "digits": partial(datamodules.Digits, batch_size=4),
    "colours": partial(datamodules.Digits, batch_size=4, channels=3),
    "facades": partial(datamodules.ToyFacades, batch_size=4, image_size=32),
    "shapes": partial(datamodules.Shapes, batch_size=4, image_size=16),
    "moons": partial(datamodules.Moons, batch_size=50, size=200),
    "gaussians": partial(datamodules.Gaussians, batch_size=50, size=200),
}


def cases(folder: Path) -> dict[str, tuple[str, Any]]:
    """Data and method of each case; later ones may name the checkpoints of earlier ones."""
    classifier = str(folder / "classifier.ckpt")
    return {
        "classifier": (
            "digits",
            lambda: DomainClassifier(1, 1, network=partial(networks.ConvClassifier, width=2), optimizer=ADAM),
        ),
        "predictor": (
            "shapes",
            lambda: AttributePredictor(
                3,
                3,
                attributes=dict(datamodules.Shapes.attributes),
                network=partial(networks.StridedClassifier, width=2, layers=2, grid=2, hidden=4),
            ),
        ),
        "segmenter": (
            "facades",
            lambda: DomainSegmenter(
                3,
                3,
                classes=12,
                network=partial(networks.TimmSegmenter, name="test_resnet.r160_in1k", stages=2, width=4),
            ),
        ),
        "autoencoder": (
            "digits",
            lambda: SharedAutoencoder(
                1,
                1,
                latent=3,
                encoder=partial(networks.ConvEncoder, width=2, layers=2),
                decoder=partial(networks.ConvDecoder, width=2, layers=2),
            ),
        ),
        "alignflow": (
            "digits",
            lambda: AlignFlow(1, 1, flow=FLOW, critic=CRITIC, schedule=partial(LinearDecay, constant=1, decay=4)),
        ),
        "alignflow_semantic": (
            "digits",
            lambda: AlignFlow(
                1,
                flow=partial(flows.RealNVP, scales=2, width=2, blocks=1),
                critic=partial(networks.PixelCritic, width=2),
                objective=losses.Hinge,
                semantic_classifier=classifier,
            ),
        ),
        "alignflow_glow": (
            "digits",
            lambda: AlignFlow(1, 1, flow=partial(flows.Glow, scales=2, steps=1, width=4), adversarial_weight=0.0),
        ),
        "cyclegan": ("digits", lambda: CycleGAN(1, 1, generator=RESNET, critic=CRITIC, pool_size=3)),
        "cyclegan_guess": (
            "colours",
            lambda: CycleGAN(
                3, 3, generator=RESNET, critic=CRITIC, cycle_noise=0.1, guess_weight=2.0, generator_interval=2
            ),
        ),
        "cyclegan_wasserstein": (
            "digits",
            lambda: CycleGAN(
                1,
                1,
                generator=UNET,
                critic=partial(networks.PatchCritic, width=2, layers=1, norm="none"),
                objective=partial(losses.Wasserstein, penalty=losses.GradientPenalty),
                critic_turns=2,
            ),
        ),
        "distancegan": ("digits", lambda: DistanceGAN(1, 1, generator=RESNET, critic=CRITIC)),
        "distancegan_both": (
            "digits",
            lambda: DistanceGAN(
                1,
                generator=RESNET,
                critic=CRITIC,
                direction="both",
                distance="halves",
                cycle_weight_a=1.0,
                cycle_weight_b=1.0,
                objective=partial(losses.FGAN, divergence="pearson"),
            ),
        ),
        "discogan": (
            "facades",
            lambda: DiscoGAN(
                3,
                3,
                generator=partial(networks.DiscoGenerator, width=2, layers=2),
                critic=partial(networks.DiscoCritic, width=2, layers=2),
            ),
        ),
        "pix2pix": ("facades", lambda: Pix2Pix(3, 3, direction="b2a", generator=UNET, critic=CRITIC)),
        "pix2pix_l1": ("facades", lambda: Pix2Pix(3, 3, generator=UNET, adversarial_weight=0.0)),
        "pix2pix_plain": (
            "facades",
            lambda: Pix2Pix(
                3,
                3,
                generator=UNET,
                critic=CRITIC,
                conditional=False,
                test_dropout=False,
                test_batch_norm="running",
                objective=losses.NonSaturating,
                accumulate=2,
            ),
        ),
        "bicyclegan": (
            "facades",
            lambda: BiCycleGAN(
                3,
                3,
                direction="b2a",
                latent=2,
                generator=partial(networks.LatentUNetGenerator, width=2, levels=3),
                encoder=partial(networks.ResNetEncoder, width=2, blocks=1),
                critic=partial(networks.MultiScaleCritic, width=2, layers=1, scales=2),
            ),
        ),
        "flowgan": ("digits", lambda: FlowGAN(1, 1, flow=FLOW, critic=networks.PixelCritic)),
        "flowgan_b": (
            "digits",
            lambda: FlowGAN(
                1,
                1,
                domain="b",
                flow=partial(flows.NICE, size=16, couplings=2, layers=2, width=4),
                prior="logistic",
                adversarial_weight=0.0,
            ),
        ),
        "lrmf": (
            "moons",
            lambda: LRMF(
                2, 2, flow=partial(flows.BackToBack, flow=VECTORS), density=partial(FlowDensity, flow=VECTORS)
            ),
        ),
        "lrmf_mixture": (
            "gaussians",
            lambda: LRMF(
                2, 2, flow=flows.AffineFlow, density=partial(MixtureDensity, density=GaussianDensity, components=2)
            ),
        ),
        "lrmf_images": (
            "digits",
            lambda: LRMF(1, 1, flow=partial(flows.BackToBack, flow=FLOW), density=partial(FlowDensity, flow=FLOW)),
        ),
        "rift": (
            "shapes",
            lambda: RIFT(
                3,
                3,
                generator=partial(networks.StyledResNetGenerator, width=2, blocks=1),
                critic=CRITIC,
                swap_weight=1.0,
                cycle_swap_weight=1.0,
            ),
        ),
        "munit": (
            "shapes",
            lambda: MUNIT(
                3,
                3,
                latent=2,
                generator=partial(networks.MUNITGenerator, width=2, blocks=1, halvings=1, style_halvings=2, hidden=4),
                critic=partial(networks.MUNITCritic, width=2, layers=1, scales=1),
                cycle_weight=1.0,
            ),
        ),
        "adda": (
            "digits",
            lambda: ADDA(
                1,
                1,
                network=partial(networks.ConvClassifier, width=2),
                critic=partial(networks.VectorNetwork, width=4),
                start_from=classifier,
            ),
        ),
        "random": ("shapes", lambda: RandomTranslation(3, 3, image_size=16, memory=4)),
        "classifier_adapted": (
            "digits",
            lambda: DomainClassifier(
                1,
                1,
                network=partial(networks.ConvClassifier, width=2),
                train_on="a2b",
                translator=str(folder / "alignflow.ckpt"),
            ),
        ),
    }


def scores(folder: Path, name: str) -> dict[str, Any]:
    """Options of the evaluation of a case: the companions that go with it."""
    judge = str(folder / "classifier.ckpt")
    return {
        "alignflow": {"judge_a": judge, "judge_b": judge, "judge_distances": True, "jacobian": 1},
        "cyclegan": {"judge_b": judge},
        "discogan": {"segmenter": str(folder / "segmenter.ckpt")},
        "bicyclegan": {"segmenter": str(folder / "segmenter.ckpt")},
        "rift": {"predictor": str(folder / "predictor.ckpt")},
        "munit": {"predictor": str(folder / "predictor.ckpt")},
    }.get(name, {})


def trainer(folder: Path, **options: Any) -> Trainer:
    """A quiet Trainer for a round or two."""
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    limits = {"limit_val_batches": 0, "limit_test_batches": 2, "log_every_n_steps": 1}
    return Trainer(accelerator="cpu", devices=1, default_root_dir=folder, **{**quiet, **limits, **options})


def calls(method: Any, batch: dict[str, Any]) -> dict[str, tuple[str, tuple, dict[str, Any]]]:
    """What can be asked of a method, by a name of its own: the attribute, arguments, options."""
    asked: dict[str, tuple[str, tuple, dict[str, Any]]] = {}
    images = {d: batch[d][:2] for d in "ab"}
    for direction in method.directions:
        source, target = direction.source, direction.target
        guide, given = {"guide": images[target]}, (images[source], direction)
        if method.guide != "required":
            asked[f"translate_{direction}"] = ("translate", given, {"seed": 3})
        if method.guide != "none":
            asked[f"guided_{direction}"] = ("translate", given, {"seed": 3, **guide})
        if method.multimodal:
            many = {"seed": 3, "samples": 2, **(guide if method.guide == "required" else {})}
            asked[f"samples_{direction}"] = ("translate", given, many)
    # Paired methods encode what they translate to.
    encoded = method.densities or (method.directions[0].target if method.supervised else "ab")
    known = {"encode": encoded, "log_prob": method.densities, "gap": "ab", "reconstruct": "ab"}
    for name, domains in known.items():
        if hasattr(method, name):
            asked |= {f"{name}_{d}": (name, (images[d], d), {}) for d in domains}
    for name in ("classify", "features"):
        if hasattr(method, name):
            asked |= {f"{name}_{d}": (name, (images[d],), {}) for d in "ab"}
    if hasattr(method, "sample"):
        asked["sample"] = ("sample", (2,), {"seed": 5})
    if hasattr(method, "interpolate"):
        asked["interpolate"] = ("interpolate", (images["a"], images["a"].flip(0), "a"), {"steps": 3})
    if hasattr(method, "log_odds"):
        asked["log_odds"] = ("log_odds", (images["b"],), {})
    if hasattr(method, "segment"):
        asked["segment"] = ("segment", (images[method.photos],), {})
    if hasattr(method, "predict_attributes"):
        asked["predict_attributes"] = ("predict_attributes", (images["a"],), {})
    return asked


def answers(method: Any, batch: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the method gives: for each call the attribute, its arguments, and the output."""
    found = {}
    for name, (call, arguments, options) in calls(method, batch).items():
        output = getattr(method, call)(*arguments, **options)
        found[name] = {"call": call, "arguments": list(arguments), "options": options, "output": output}
    return found


def batch_of(data: LightningDataModule) -> dict[str, Any]:
    """The first batch of the test split."""
    data.setup("test")
    return next(iter(data.test_dataloader()))


def record(folder: Path, name: str, kind: str, make: Any) -> None:
    """Train, write, and ask."""
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        seed_everything(1, verbose=False)
        method = make()
        keep = RoundCheckpoint(directory=str(scratch))
        trainer(scratch, max_epochs=1, limit_train_batches=2, callbacks=[keep]).fit(method, DATA[kind]())
        (folder / f"{name}.ckpt").write_bytes((scratch / "last.ckpt").read_bytes())
        loaded = crossdomain.load(folder / f"{name}.ckpt")
        found = answers(loaded, batch_of(DATA[kind]()))
        measure = Evaluation(pictures=0, **scores(folder, name))
        (metrics,) = trainer(scratch, callbacks=[measure]).test(loaded, DATA[kind](), verbose=False)

        resumed = make()
        trainer(scratch, max_epochs=2, limit_train_batches=2, enable_checkpointing=False).fit(
            resumed, DATA[kind](), ckpt_path=folder / f"{name}.ckpt"
        )
    torch.save({"data": kind, "answers": found, "metrics": metrics, "terms": resumed.last_terms}, folder / f"{name}.pt")
    print(name, sorted(found), sorted(metrics), flush=True)


def record_shipped(folder: Path) -> None:
    """Ask the checkpoints of the zoo."""
    found = {}
    for name in crossdomain.list_models():
        method = crossdomain.load(name)
        size = method.spec.image_size
        make = getattr(datamodules, hub.model_info(name)["data"])
        batch = batch_of(make() if size is None else make(image_size=size))
        found[name] = answers(method, {key: batch[key][:1] for key in "ab"})
        print(name, sorted(found[name]), flush=True)
    torch.save(found, folder / "shipped.pt")


def main() -> None:
    """Record into the folder that the command names: the cases that it names, or all, and then ``shipped``."""
    folder, *names = Path(sys.argv[1]), *sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    known = cases(folder)
    for name in names or [*known, "shipped"]:
        if (written := folder / f"{name}.pt").exists():
            sys.exit(
                f"{str(written)!r} is there already, and a record is written once.\nName the cases that are missing."
            )
        if name == "shipped":
            record_shipped(folder)
        else:
            record(folder, name, *known[name])


if __name__ == "__main__":
    main()
