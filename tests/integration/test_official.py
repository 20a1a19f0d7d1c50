"""Weights that the authors' code wrote, against outputs that it computed.

``reference/alignflow_official.pt`` was made with the official networks of github.com/ermongroup/alignflow at commit
718bca10c9b5 (``.view`` on permuted tensors replaced by ``.reshape``, as new PyTorch asks): a Flow2Flow with 4 channels,
1 block, 2 scales, weights and running statistics moved away from their initial values, evaluation mode.

``reference/pix2pix_official.pt`` and ``reference/cyclegan_official.pt`` were made with the networks of
github.com/junyanz/pytorch-CycleGAN-and-pix2pix at commit 78913853ab4a (whose instance norms keep running statistics
that its test never uses), ``reference/bicyclegan_official.pt`` with those of github.com/junyanz/BicycleGAN at commit
40b9d52c27b9: the smallest networks that these build, weights and running statistics moved likewise. Norms look at the
image where the official test lets them. The updates in these files are checked by the tests of each method.
"""

import contextlib
import math
import re
import warnings
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import torch

import crossdomain
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.flows import dequantize
from crossdomain.methods import BiCycleGAN, CycleGAN, Pix2Pix
from crossdomain.networks import (
    LatentUNetGenerator,
    MultiScaleCritic,
    PatchCritic,
    ResNetEncoder,
    ResNetGenerator,
    UNetGenerator,
)
from crossdomain.official import export_official, import_official


def load_reference(origin):
    return torch.load(Path(__file__).parents[1] / "reference" / f"{origin}_official.pt", weights_only=True)


@pytest.fixture
def reference():
    return load_reference("alignflow")


@pytest.fixture
def file(reference, tmp_path):
    torch.save(reference["checkpoint"], tmp_path / "iter_7.pth.tar")
    return tmp_path / "iter_7.pth.tar"


def test_alignflow_gives_the_official_latents_and_densities(reference, file):
    method = import_official(file, "alignflow")
    with torch.no_grad():
        for domain, end in (("a", "src"), ("b", "tgt")):
            images = reference["images"][end].float() / 127.5 - 1
            noisy = dequantize(images, noise=reference["noise"][end])
            latents, log_det = method.get_submodule(f"flow_{domain}")(noisy)
            assert (latents - reference["latents"][end]).abs().max() < 1e-4
            # The official log-determinant leaves out the constant of mapping [-1, 1] to [0, 1].
            constant = images[0].numel() * math.log(0.5)
            torch.testing.assert_close(log_det - constant, reference["log_dets"][end], rtol=1e-6, atol=1e-4)
            logits = method.get_submodule(f"critic_{domain}")(images)
            torch.testing.assert_close(logits, reference["logits"][end], rtol=1e-4, atol=1e-5)


def test_imported_checkpoint_loads_by_the_face_and_translates(reference, file, tmp_path, capsys):
    output = tmp_path / "imported.ckpt"
    crossdomain_command(["import", str(file), "--from", "alignflow", "--output", str(output)])
    assert "AlignFlow" in capsys.readouterr().out
    method = crossdomain.load(output)
    images = reference["images"]["src"].float() / 127.5 - 1
    back = method.translate(method.translate(images, "a2b"), "b2a")
    assert (back - images).abs().max() < 1e-3
    assert method.hparams["flow"]["init_args"] == {"scales": 2, "width": 4, "blocks": 1, "alpha": 0.05}


def test_alignflow_files_that_are_something_else_are_refused(reference, file, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        import_official(tmp_path / "none.pth", "alignflow")
    with pytest.raises(ValueError, match="Known: alignflow"):
        import_official(file, "alignflw")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="damaged"):
        import_official(tmp_path / "text.pth", "alignflow")
    content = reference["checkpoint"]
    torch.save({**content, "model_name": "CycleFlow"}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="expected AlignFlow's 'Flow2Flow'"):
        import_official(tmp_path / "other.pth", "alignflow")
    content["model_state"].pop("g_tgt.module.flows.in_couplings.0.s_scale")
    torch.save(content, tmp_path / "less.pth")
    with pytest.raises(ValueError, match="scale"):
        import_official(tmp_path / "less.pth", "alignflow")


# --- pix2pix, CycleGAN, BicycleGAN -----------------------------------------------------------------------------


def unit(images):
    return images.float() / 127.5 - 1


def save(folder, networks, prefix="latest"):
    """The files that the official code writes of networks by role."""
    folder.mkdir(exist_ok=True)
    for role, state in networks.items():
        torch.save(state, folder / f"{prefix}_net_{role}.pth")
    return [folder / f"{prefix}_net_{role}.pth" for role in networks]


def same(ours, official):
    """The references were computed on another processor, and processors round convolutions differently."""
    for one, other in zip(ours, official, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def without_stale(state):
    """What the official code has loaded since instance norms keep no statistics."""
    return {key: value for key, value in state.items() if "running" not in key and "num_batches" not in key}


def assert_files_hold(files, networks):
    assert sorted(file.name for file in files) == sorted(f"latest_net_{role}.pth" for role in networks)
    for file in files:
        state = torch.load(file, weights_only=True)
        expected = networks[file.stem.removeprefix("latest_net_")]
        assert set(state) == set(expected)
        assert all(torch.equal(state[key], expected[key]) for key in state)


PAPERS_UNET = {"dropout": 0.5, "skips": True, "upsample": "transposed", "head": 0}
PIX2PIX = [
    ("unet_batch", "x", {"width": 2, "levels": 5, "norm": "batch", **PAPERS_UNET}),
    ("unet_instance", "x64", {"width": 1, "levels": 6, "norm": "instance", **PAPERS_UNET}),
    ("resnet_batch", "x", {"width": 2, "blocks": 2, "norm": "batch", "dropout": 0.5}),
    ("resnet_none", "x", {"width": 2, "blocks": 1, "norm": "none", "dropout": 0.0}),
]


@pytest.mark.parametrize(("name", "images", "sizes"), PIX2PIX, ids=[name for name, *_ in PIX2PIX])
@pytest.mark.filterwarnings("ignore:D not given")
@torch.no_grad()
def test_pix2pix_gives_the_official_outputs_and_goes_back(name, images, sizes, tmp_path):
    reference = load_reference("pix2pix")
    stored = reference[name]
    networks = {role: stored[role] for role in "GD" if role in stored}
    method = import_official(save(tmp_path / "in", networks), "pix2pix", direction="b2a")
    assert isinstance(method, Pix2Pix)
    assert (method.directions, method.channels) == (("b2a",), {"a": 2, "b": 3})
    assert method.hparams["generator"]["init_args"] == sizes
    x, y = unit(reference[images]), unit(reference["y"])
    same([method.generator(x)], [stored["running" if "running" in stored else "output"]])
    if "logits" in stored:
        assert method.pairs.conditional == (name != "resnet_none")
        same([method.critic(method.pairs.shown(unit(reference["x"]), y))], [stored["logits"]])
    assert method.multimodal == (name != "resnet_none")  # dropout is on, as in the official test, where there is any
    expected = {"D": method.critic.state_dict(), **networks}
    expected["G"] = without_stale(networks["G"]) if name == "unet_instance" else networks["G"]
    assert_files_hold(export_official(method, tmp_path / "out"), expected)


def test_pix2pix_translates_as_the_official_test_does(tmp_path):
    reference = load_reference("pix2pix")
    stored = reference["unet_batch"]
    files = save(tmp_path, {"G": stored["G"], "D": stored["D"]})
    method = import_official(files, "pix2pix", dropout=False)
    assert not method.multimodal
    same([method.translate(unit(reference["x"]), "a2b")], [stored["batch"]])


@pytest.mark.filterwarnings("ignore:D not given")
@pytest.mark.parametrize("legacy", [False, True])
def test_states_of_data_parallel_with_metadata_and_of_old_files(legacy, tmp_path):
    reference = load_reference("pix2pix")
    state = OrderedDict((f"module.{key}", value) for key, value in reference["unet_batch"]["G"].items())
    state._metadata = OrderedDict({"": {"version": 1}})
    for key in [key for key in state if key.endswith("num_batches_tracked")]:
        del state[key]  # batch norms did not count before PyTorch 0.4.1
    torch.save(state, tmp_path / "facades.pth", _use_new_zipfile_serialization=not legacy)
    method = import_official(tmp_path / "facades.pth", "pix2pix")
    with torch.no_grad():
        same([method.generator(unit(reference["x"]))], [reference["unet_batch"]["running"]])


@torch.no_grad()
def test_cyclegan_gives_the_official_outputs_and_goes_back(tmp_path):
    reference = load_reference("cyclegan")
    networks, x = reference["nets"], unit(reference["x"])
    assert any(key.endswith("running_mean") for key in networks["G_A"])  # stale
    method = import_official(reversed(save(tmp_path, networks)), "cyclegan")
    for role, name in (("G_A", "a2b"), ("G_B", "b2a"), ("D_A", "critic_b"), ("D_B", "critic_a")):
        same([method.get_submodule(name)(x)], [reference["outputs"][role]])
    same([method.translate(x, "b2a")], [reference["outputs"]["G_B"]])
    files = export_official(method, tmp_path / "out")
    assert_files_hold(files, {role: without_stale(state) for role, state in networks.items()})


@pytest.mark.parametrize(("role", "given", "way"), [("G", None, "a2b"), ("G", "b2a", "b2a"), ("G_B", None, "b2a")])
def test_one_generator_of_a_cyclegan_translates_and_is_no_more_than_that(role, given, way, trainer, tensors, tmp_path):
    """What is published, such as horse2zebra.pth, is one generator."""
    reference = load_reference("cyclegan")
    x = unit(reference["x"])
    (file,) = save(tmp_path, {role: reference["nets"]["G_B"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = import_official(file, "cyclegan", direction=given)
    assert isinstance(method, CycleGAN)
    assert [name for name, _ in method.named_children()] == list(method.directions) == [way]
    same([method.translate(x, way)], [reference["outputs"]["G_B"]])
    with pytest.raises(ValueError, match=f"has the generator {way} alone, so it cannot be trained"):
        trainer().fit(method, tensors({"a": x}, {"b": x}))
    (results,) = trainer().test(method, tensors({"a": x, "truth_a2b": x}, {"b": x, "truth_b2a": x}), verbose=False)
    assert {key for key in results if "mse" in key} == {f"test/mse_{way}"}
    (written,) = export_official(method, tmp_path / "out")
    assert written.name == f"latest_net_{'G_A' if way == 'a2b' else 'G_B'}.pth"
    assert import_official(written, "cyclegan").directions == (way,)


BICYCLEGAN = [("G_all", "E", {"inject": "all"}), ("G_all_batch", "E_batch", {"norm": "batch"}),
              ("G_input", "E_conv", {"inject": "input", "levels": 5})]  # fmt: skip


@pytest.mark.parametrize(("g", "e", "sizes"), BICYCLEGAN, ids=[g for g, *_ in BICYCLEGAN])
@torch.no_grad()
def test_bicyclegan_gives_the_official_outputs_and_goes_back(g, e, sizes, tmp_path):
    reference = load_reference("bicyclegan")
    nets, outputs = reference["nets"], reference["outputs"]
    x, y, z = unit(reference["x"]), unit(reference["y"]), reference["z"]
    networks = {"G": nets[g], "E": nets[e], "D": nets["D"], "D2": nets["D2"]}
    method = import_official(save(tmp_path, networks, "maps"), "bicyclegan")
    assert isinstance(method, BiCycleGAN)
    assert (method.latent, method.channels, method.pairs.conditional) == (3, {"a": 2, "b": 3}, False)
    assert sizes.items() <= method.hparams["generator"]["init_args"].items()
    same([method.generator(x, z)], [outputs[g]])
    same(method.encoder(y), outputs[e])
    same(method.critic_encoded(y), outputs["D"])
    same(method.critic_random(y), outputs["D2"])
    same([method.translate(x, "a2b", guide=y)], [method.generator(x, outputs[e][0])])
    assert_files_hold(export_official(method, tmp_path / "out"), networks)


@torch.no_grad()
def test_bicyclegan_with_critics_of_one_scale(tmp_path):
    reference = load_reference("bicyclegan")
    nets = reference["nets"]
    networks = {"G": nets["G_all"], "E": nets["E"], "D": nets["D_single"], "D2": nets["D_single"]}
    method = import_official(save(tmp_path, networks), "bicyclegan")
    same(method.critic_random(unit(reference["y"])), reference["outputs"]["D_single"])
    assert_files_hold(export_official(method, tmp_path / "out"), networks)


def test_critics_that_are_not_given_start_anew_and_are_named(tmp_path):
    reference = load_reference("cyclegan")
    files = save(tmp_path, {role: reference["nets"][role] for role in ("G_A", "G_B", "D_B")})
    state = torch.get_rng_state()
    with pytest.warns(UserWarning, match="^D_A not given: critics start anew"):
        method = import_official(files, "cyclegan")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match="D_A"):
        again = import_official(files, "cyclegan")
    assert all(torch.equal(p, q) for p, q in zip(method.parameters(), again.parameters(), strict=True))
    with torch.no_grad():
        same([method.critic_a(unit(reference["x"]))], [reference["outputs"]["D_B"]])


def command(*args, capsys):
    """What the command printed, and its complaint."""
    with contextlib.suppress(SystemExit):
        crossdomain_command([str(arg) for arg in args])
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_the_commands_there_and_back(tmp_path, capsys):
    nets = load_reference("cyclegan")["nets"]
    (tmp_path / "horse2zebra.pth").write_bytes(save(tmp_path, {"G_A": nets["G_A"]})[0].read_bytes())
    (tmp_path / "zebra2horse.pth").write_bytes(save(tmp_path, {"G_B": nets["G_B"]})[0].read_bytes())
    size = sum(value.numel() for value in without_stale(nets["G_A"]).values())
    one, both = tmp_path / "new" / "one.ckpt", tmp_path / "both.ckpt"
    out, err = command("import", tmp_path / "horse2zebra.pth", "--from", "cyclegan", "--output", one, capsys=capsys)
    assert (out, err) == (f"{one}: CycleGAN a2b, {size:,} parameters\n", "")
    roles = [f"G_B={tmp_path / 'zebra2horse.pth'}", f"G_A={tmp_path / 'horse2zebra.pth'}"]
    out, err = command("import", *roles, "--from", "cyclegan", "--output", both, capsys=capsys)
    assert "CycleGAN a2b and b2a" in out
    assert err == "note: D_A and D_B not given: critics start anew. Only further training needs them.\n"
    out, _ = command("export", both, "--to", "cyclegan", "--output", tmp_path / "official", capsys=capsys)
    assert [Path(line).name for line in out.split()] == [f"latest_net_{r}.pth" for r in ("G_A", "G_B", "D_A", "D_B")]
    assert not list(tmp_path.glob("**/*.part"))
    out, err = command("export", one, "--output", tmp_path / "official", capsys=capsys)
    assert "latest_net_G_A.pth' is there already" in err


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """A folder with all sorts of files."""
    folder = tmp_path_factory.mktemp("mixture")
    p, c, b = (load_reference(origin) for origin in ("pix2pix", "cyclegan", "bicyclegan"))
    save(folder / "p", {"G": p["unet_batch"]["G"], "D": p["unet_batch"]["D"]})
    save(folder / "c", c["nets"])
    save(folder / "b", {"G": b["nets"]["G_all"], "E": b["nets"]["E"]})
    save(folder / "u", {"G_A": p["unet_batch"]["G"]})
    broken = dict(p["unet_batch"]["G"])
    broken.pop("model.model.3.bias")
    others = {"horse": c["nets"]["G_A"], "critic": c["nets"]["D_A"], "broken": broken, "nested": p}
    for name, content in {**others, "other": {"layer.weight": torch.zeros(1)}}.items():
        torch.save(content, folder / f"{name}.pth")
    return folder


MISTAKES = [
    ("pix2pix", "nothing.pth", "There is no checkpoint 'nothing.pth'"),
    ("pix2pix", "nested.pth", "holds no weights of a network"),
    ("pix2pix", "other.pth", "that the code of pix2pix does not have.\nThe first of them is 'layer.weight'"),
    ("pix2pix", "broken.pth", "'broken.pth' does not hold the weights of pix2pix.*\n.*model.model.3.bias"),
    ("pix2pix", "p/latest_net_D.pth", "critic was given alone.\nGive the generator also"),
    ("pix2pix", "G=p/latest_net_D.pth", "should be the generator G, but it holds the weights of a critic"),
    ("pix2pix", "p/latest_net_G.pth p/latest_net_G.pth", "both count as the generator G.\nGive one of them"),
    ("pix2pix", "c/latest_net_G_A.pth", "named as the network G_A, but pix2pix has G, D.\nCheck --from"),
    ("pix2pix", "b/latest_net_G.pth", "one of BicycleGAN's.\nImport it --from bicyclegan"),
    ("pix2pix", "E=b/latest_net_E.pth", "There is no checkpoint 'E=b"),
    ("pix2pix", "p/latest_net_G.pth critic.pth", "sees 3 channels, but the generator goes from 3 to 2"),
    ("bicyclegan", "c/latest_net_D_A.pth b/latest_net_E.pth", "named as the network D_A"),
    ("cyclegan", "c/latest_net_G_A.pth critic.pth", "several.\nSay which it is: D_A=critic.pth or D_B=critic.pth"),
    ("cyclegan", "horse.pth G=horse.pth", "both count as the generator G.\nSay which is which: G_A=FILE G_B=FILE"),
    ("cyclegan", "c/latest_net_G_A.pth c/latest_net_D_A.pth", "a CycleGAN is G_A and G_B, with or without D_A"),
    ("cyclegan", "c/latest_net_G_B.pth --direction a2b", "G_B, the generator b2a, but the direction is 'a2b'"),
    ("cyclegan", "c/latest_net_G_A.pth c/latest_net_G_B.pth --direction a2b", "Leave --direction out"),
    ("cyclegan", "u/latest_net_G_A.pth c/latest_net_G_B.pth", "G_A and G_B differ in kind or size"),
    ("bicyclegan", "b/latest_net_G.pth", "E is missing; a BicycleGAN is a generator and an encoder"),
    ("bicyclegan", "p/latest_net_G.pth b/latest_net_E.pth", "takes 3 channels in all, which does not fit"),
    ("alignflow", "p/latest_net_G.pth", "expected AlignFlow's 'Flow2Flow'"),
    ("alignflow", "p/latest_net_G.pth --no-dropout", "An AlignFlow is one file"),
    ("cycelgan", "horse.pth", "Nothing is known of 'cycelgan'. Known: alignflow, pix2pix, cyclegan, bicyclegan"),
]


@pytest.mark.parametrize(("origin", "args", "message"), MISTAKES, ids=[f"{o} {a}" for o, a, _ in MISTAKES])
def test_mistakes_at_import_are_explained(origin, args, message, mixture, capsys, monkeypatch):
    monkeypatch.chdir(mixture)
    _, err = command("import", *args.split(), "--from", origin, "--output", "x.ckpt", capsys=capsys)
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 3
    assert re.search(message, err), err
    assert not Path("x.ckpt").exists()


def test_a_checkpoint_of_the_zoo_is_not_imported_again(tmp_path):
    path = crossdomain.hub.find_checkpoint("cyclegan-digits")
    with pytest.raises(ValueError, match="there is nothing to import"):
        import_official(path, "cyclegan")


def test_what_the_official_code_does_not_have_is_not_exported(tmp_path):
    small = partial(UNetGenerator, width=2, levels=4)
    bare = partial(UNetGenerator, width=2, levels=5, skips=False)
    headed = partial(UNetGenerator, width=2, levels=5, head=4)
    biased = partial(ResNetGenerator, width=2, blocks=1, norm="none")
    critic = partial(PatchCritic, width=2)
    cyclegan = CycleGAN(1, generator=biased, critic=critic)
    encoder = partial(ResNetEncoder, width=2, blocks=1, norm="none")
    latent = partial(LatentUNetGenerator, width=1, levels=6)
    nearest = partial(UNetGenerator, width=2, levels=5, upsample="nearest")
    headed_latent = partial(LatentUNetGenerator, width=1, levels=6, head=4)
    alignflow = crossdomain.load("alignflow-digits")
    refused = {
        "has 4 levels, the official code's U-Net at least 5": Pix2Pix(3, generator=small, critic=critic),
        "no U-Net without skips": Pix2Pix(3, generator=bare, critic=critic),
        "no U-Net with a head": Pix2Pix(3, generator=headed, critic=critic),
        "no U-Net without transposed convolutions": Pix2Pix(3, generator=nearest, critic=critic),
        "no U-Net with a head.": BiCycleGAN(1, generator=headed_latent),
        "This CycleGAN cannot be exported to 'pix2pix'.\nIt can be exported to 'cyclegan'": cyclegan,
        "AlignFlow cannot be exported to an official code.\nWhat can be: Pix2Pix, CycleGAN, BiCycleGAN": alignflow,
        "no ResNetEncoder with norm 'none'": BiCycleGAN(1, generator=latent, encoder=encoder),
    }
    for message, method in refused.items():
        with pytest.raises(ValueError, match=message):
            export_official(method, tmp_path, "pix2pix" if "'pix2pix'" in message else None)
    cyclegan.a2b.model[1].bias.data.fill_(0.5)
    with pytest.raises(ValueError, match="has no biases when it has no norms"):
        export_official(cyclegan, tmp_path)
    assert not list(tmp_path.iterdir())


def test_critics_that_the_official_code_does_not_have_are_left_out(tmp_path, capsys):
    out, err = command("export", "cyclegan-digits", "--output", tmp_path, capsys=capsys)
    assert sorted(Path(line).name for line in out.split()) == ["latest_net_G_A.pth", "latest_net_G_B.pth"]
    assert err.count("note: ") == 2
    assert "note: D_A is left out. The official code's PatchCritic has no biases when it has no norms." in err
    again = import_official(tmp_path / "latest_net_G_B.pth", "cyclegan")
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(again.translate(images, "b2a"), crossdomain.load("cyclegan-digits").translate(images, "b2a"))


def test_critics_with_spectral_norm_are_left_out(tmp_path):
    generator = partial(ResNetGenerator, width=4, blocks=1)
    cyclegan = CycleGAN(1, generator=generator, critic=partial(PatchCritic, width=4, spectral_norm=True))
    bicyclegan = BiCycleGAN(1, critic=partial(MultiScaleCritic, width=4, spectral_norm=True))
    for method, name, critic in ((cyclegan, "PatchCritic", "D_A"), (bicyclegan, "MultiScaleCritic", "D2")):
        with pytest.warns(
            UserWarning, match=f"{critic} is left out. The official code has no {name} with spectral norm"
        ):
            files = export_official(method, tmp_path / name)
        assert not [file for file in files if "_net_D" in file.name]
