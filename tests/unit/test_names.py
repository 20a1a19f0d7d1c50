"""Public names: what checkpoints and recipes call a class, whatever file it stands in, now and before."""

import importlib
import inspect
import json
from typing import ClassVar

import pytest
import torch
import yaml
from torch import nn

import crossdomain
from crossdomain import companions, densities, flows, losses, methods, moved, networks, recipes, serialization
from crossdomain.method import Method

PACKAGES = (companions, densities, flows, losses, methods, networks)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_classes_and_functions_are_called_by_their_package(package):
    exported = [getattr(package, name) for name in package.__all__]
    found = [thing for thing in exported if inspect.isclass(thing) or inspect.isfunction(thing)]
    assert found
    for thing in found:
        path = serialization.class_path(thing)
        assert path == f"{package.__name__}.{thing.__name__}"
        assert serialization.resolve(path) is thing
        assert serialization.resolve(f"{thing.__module__}.{thing.__name__}") is thing  # as version 0.1 wrote it


def test_a_file_may_move_within_its_package():
    assert serialization.resolve("crossdomain.networks.anywhere.PatchCritic") is networks.PatchCritic
    with pytest.raises(ValueError, match=r"needs 'crossdomain.networks.anywhere.Nothing'"):
        serialization.resolve("crossdomain.networks.anywhere.Nothing")
    with pytest.raises(ValueError, match="which is not part of this crossdomain"):
        serialization.resolve("os.path.join.system")


def test_torch_classes_are_called_by_their_package_too():
    assert serialization.class_path(torch.optim.Adam) == "torch.optim.Adam"
    assert serialization.resolve("torch.optim.adam.Adam") is torch.optim.Adam


MODULES = {before: today for before, today in moved.MOVED.items() if before.count(".") == 1}
FUNCTIONS = {before: today for before, today in moved.MOVED.items() if before not in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_modules_of_version_0_1_can_be_imported(module):
    with pytest.warns(FutureWarning, match=f"{module} is {MODULES[module]} now"):
        found = importlib.reload(importlib.import_module(module))
    today = importlib.import_module(MODULES[module])
    names = [name for name in vars(today) if not name.startswith("_")]
    assert names
    assert all(getattr(found, name) is getattr(today, name) for name in names)


@pytest.mark.parametrize(("before", "today"), FUNCTIONS.items())
def test_functions_of_version_0_1_are_found(before, today):
    module, _, name = today.rpartition(".")
    assert serialization.resolve(before) is getattr(importlib.import_module(module), name)


def paths_in(plain):
    if isinstance(plain, dict):
        plain = list(plain.values())
    if isinstance(plain, list):
        return [path for item in plain for path in paths_in(item)]
    return [plain] if isinstance(plain, str) and plain.startswith("crossdomain.") else []


def test_every_path_in_a_record_of_an_earlier_version_is_known():
    from reference.test_reference import RECORDS

    seen = set()
    for path in RECORDS:
        seen |= set(paths_in(torch.load(path, weights_only=True)["hyper_parameters"]))
    assert len(seen) > 40
    for path in seen:
        thing = serialization.resolve(path)
        assert serialization.class_path(thing) == moved.current(path) or thing.__module__ in path


def test_recipes_and_options_of_version_0_1_are_understood(tmp_path, monkeypatch):
    from crossdomain.commands.lightning import run

    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "old.yaml"
    model = {
        "class_path": "crossdomain.methods.pix2pix.Pix2Pix",
        "init_args": {
            "critic": "crossdomain.methods.pix2pix.patch_critic",
            "objective": "crossdomain.methods.pix2pix.halved_cross_entropy",
            "generator": {
                "class_path": "crossdomain.networks.unet.UNetGenerator",
                "init_args": {"levels": 3, "width": 2},
            },
        },
    }
    data = {"class_path": "ToyFacades", "init_args": {"image_size": 32}}
    recipe.write_text(yaml.safe_dump({"model": model, "data": data}))
    assert recipes.read_recipe(recipe)["model"]["init_args"]["critic"] == "crossdomain.networks.batch_patch_critic"
    quick = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "0"]
    option = "--model.objective=crossdomain.objectives.Hinge"
    command = run(["fit", "--config", str(recipe), *quick, option])
    assert command.model.hparams["critic"] == "crossdomain.networks.batch_patch_critic"
    assert command.model.hparams["objective"]["class_path"] == "crossdomain.losses.Hinge"
    assert json.dumps(dict(command.model.hparams)).count("patch_critic") == 1


class Scaled(nn.Module):
    """A network whose option was called otherwise once, and meant percent."""

    added_arguments: ClassVar = {"shift": 1.0}

    def __init__(self, in_channels: int, out_channels: int, factor: float = 1.0, shift: float = 0.0):
        super().__init__()
        self.factor, self.shift = factor, shift

    @classmethod
    def upgrade(cls, arguments):
        arguments = dict(arguments)
        if "percent" in arguments:
            arguments["factor"] = arguments.pop("percent") / 100
        return arguments


class Scaling(Method):
    """One such network."""

    directions = ("a2b",)
    added_arguments: ClassVar = {"offset": 3.0}

    def __init__(self, channels_a: int, network: type[nn.Module] = Scaled, offset: float = 0.0, **options):
        super().__init__(channels_a, None, **options)
        self.save_hyperparameters()
        self.network, self.offset, self.players = network(channels_a, channels_a), offset, {}

    def generate(self, batch):
        return {}

    def _translate(self, images, direction, guide, noise):
        return self.network.factor * images + self.network.shift + self.offset


def test_a_class_says_what_became_of_its_arguments(tmp_path):
    path = tmp_path / "old.ckpt"
    serialization.write(Scaling(1), path)
    checkpoint = serialization.read(path)
    del checkpoint["hyper_parameters"]["offset"]
    name = f"{Scaled.__module__}.{Scaled.__name__}"
    checkpoint["hyper_parameters"]["network"] = {"class_path": name, "init_args": {"percent": 250}}
    serialization.write_plain(checkpoint, path)
    assert serialization.arguments(checkpoint)["network"]["init_args"] == {"factor": 2.5, "shift": 1.0}
    assert serialization.arguments(checkpoint)["offset"] == 3.0


def test_the_version_stands_in_checkpoints(tmp_path):
    serialization.write(Scaling(1), tmp_path / "method.ckpt")
    assert serialization.read(tmp_path / "method.ckpt")["crossdomain"]["version"] == crossdomain.__version__


def test_the_face_names_checkpoints_and_methods():
    assert crossdomain.list_methods() == sorted(methods.__all__, key=str.lower)
    assert crossdomain.list_models() == crossdomain.list_checkpoints()
    with pytest.raises(AttributeError, match="no attribute 'list_everything'"):
        crossdomain.list_everything()
