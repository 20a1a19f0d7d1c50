"""Recipes with a base: what they say as a whole, what is refused, and that the commands take them.

``reference/recipes.json`` holds every recipe as it was before any had a base; ``CHANGED`` are those that were to say
something else since.
"""

import json
import re
from pathlib import Path

import pytest
import yaml

from crossdomain import hub, serialization
from crossdomain.cli import crossdomain, main
from crossdomain.commands.lightning import run
from crossdomain.recipes import ZOO, read_recipe, standalone

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "recipes.json").read_text())
CHANGED = {
    *["alignflow_mnist_usps", "alignflow_usps_mnist", "munit", "munit_shapes"],
    *[f"cyclegan{data}" for data in ("", "_mnist_usps", "_usps_mnist", "_svhn_mnist")],
    *[
        f"classifier_{row}{data}"
        for row in ("source", "adapted", "target")
        for data in ("", "_mnist_usps", "_usps_mnist", "_svhn_mnist")
    ],
}
QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1",
         "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]  # fmt: skip
BASE = """\
# A base.
trainer: {max_epochs: 3, log_every_n_steps: 5}
model:
  class_path: CycleGAN
  init_args:
    generator: {class_path: ResNetGenerator, init_args: {width: 16, blocks: 3}}
    critic: PatchCritic
    pool_size: 7
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 1.0e-3, betas: [0.5, 0.999]}}
data: {class_path: Digits, init_args: {batch_size: 64}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)


def with_base(text, name="mine.yaml", base="base.yaml"):
    Path(name).write_text(f"# Mine.\nbase: {base}\n{text}")
    return name


def as_text(content):
    """With 1 and 1.0 told apart, of which the one is a batch and the other all of them."""
    return json.dumps(content, sort_keys=True)


@pytest.mark.parametrize("name", REFERENCE)
def test_a_recipe_of_the_zoo_says_what_it_said(name):
    same = as_text(read_recipe(hub.find_recipe(name))) == as_text(REFERENCE[name])
    assert same == (name not in CHANGED)


@pytest.mark.parametrize("name", hub.list_recipes())
def test_a_recipe_of_the_zoo_is_printed_whole(name, capsys):
    crossdomain(["show", name])
    printed = capsys.readouterr().out
    assert printed.startswith(f"# {hub.list_recipes()[name]}\n")
    Path("printed.yaml").write_text(printed)
    assert "base" not in yaml.safe_load(printed)
    assert as_text(read_recipe("printed.yaml")) == as_text(read_recipe(hub.find_recipe(name)))


def test_the_zoo_is_short():
    lengths = [len(path.read_text().splitlines()) for path in ZOO.glob("*.yaml")]
    assert sum(lengths) < 17 * len(lengths)  # 1,067 for 65, which were 1,999 when each said all
    assert all(hub.list_recipes().values())  # the first line of each is a comment


def test_mappings_are_merged_and_anything_else_is_replaced():
    mine = with_base("""\
trainer: {max_epochs: 9, limit_val_batches: null}
model:
  init_args:
    generator: {init_args: {width: 4}}
    critic: {init_args: {width: 8}}
    optimizer: {init_args: {betas: [0.9]}}
""")
    assert read_recipe(mine) == {
        "trainer": {"max_epochs": 9, "log_every_n_steps": 5, "limit_val_batches": None},
        "model": {
            "class_path": "CycleGAN",
            "init_args": {
                "generator": {"class_path": "ResNetGenerator", "init_args": {"width": 4, "blocks": 3}},
                "critic": {"class_path": "PatchCritic", "init_args": {"width": 8}},
                "pool_size": 7,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3, "betas": [0.9]}},
            },
        },
        "data": {"class_path": "Digits", "init_args": {"batch_size": 64}},
    }


def test_another_class_takes_no_arguments_over():
    mine = with_base("""\
model:
  init_args:
    generator: {class_path: UNetGenerator, init_args: {levels: 4}}
    optimizer: torch.optim.SGD
data: {class_path: Moons}
""")
    content = read_recipe(mine)
    assert content["model"]["init_args"]["generator"] == {"class_path": "UNetGenerator", "init_args": {"levels": 4}}
    assert content["model"]["init_args"]["optimizer"] == "torch.optim.SGD"
    assert content["model"]["init_args"]["pool_size"] == 7
    assert content["data"] == {"class_path": "Moons"}
    other = read_recipe(with_base("model: {class_path: AlignFlow, init_args: {pool_size: 1}}\n"))
    assert other["model"] == {"class_path": "AlignFlow", "init_args": {"pool_size": 1}}
    same = read_recipe(with_base("data: {class_path: Digits, init_args: {seed: 1}}\n"))
    assert same["data"]["init_args"] == {"batch_size": 64, "seed": 1}


def test_null_is_a_value_and_without_takes_out():
    content = read_recipe(with_base("trainer: null\nmodel: {init_args: {pool_size: null}}\n"))
    assert content["trainer"] is None
    assert content["model"]["init_args"]["pool_size"] is None
    keys = "trainer.max_epochs, model.generator.blocks, model.init_args.pool_size, data"
    content = read_recipe(with_base(f"without: [{keys}]\n"))
    assert content["trainer"] == {"log_every_n_steps": 5}
    assert content["model"]["init_args"]["generator"]["init_args"] == {"width": 16}
    assert "pool_size" not in content["model"]["init_args"]
    assert "without" not in content
    assert "data" not in content
    replaced = with_base("without: [model.generator]\nmodel: {init_args: {generator: {init_args: {width: 2}}}}\n")
    assert read_recipe(replaced)["model"]["init_args"]["generator"] == {"init_args": {"width": 2}}


def test_a_base_may_have_a_base_of_its_own_in_another_folder():
    Path("own").mkdir()
    with_base("trainer: {max_epochs: 4}\n", "own/middle.yaml", "../base.yaml")
    content = read_recipe(with_base("model: {init_args: {pool_size: 8}}\n", base="own/middle.yaml"))
    assert content["trainer"] == {"max_epochs": 4, "log_every_n_steps": 5}
    assert content["model"]["init_args"]["pool_size"] == 8


def test_a_name_of_the_zoo_is_a_base_also_for_a_recipe_of_that_name():
    content = read_recipe(with_base("trainer: {max_epochs: 1}\n", "distancegan.yaml", "distancegan"))
    expected = REFERENCE["distancegan"]
    assert content == {**expected, "trainer": {**expected["trainer"], "max_epochs": 1}}


MISTAKES = {
    "itself": ("base: itself.yaml\n", ["'itself.yaml' is its own base: itself.yaml -> itself.yaml", "Take base out"]),
    "ring": ("base: back.yaml\n", ["'back.yaml' is its own base: ring.yaml -> back.yaml -> ring.yaml"]),
    "back": ("base: ring.yaml\n", ["'ring.yaml' is its own base: back.yaml -> ring.yaml -> back.yaml"]),
    "name": ("base: cyclgan\n", ["'name.yaml' has base: 'cyclgan', neither", "Nearest in the zoo: cyclegan"]),
    "path": ("base: ../nowhere.yaml\n", ["'path.yaml' has base: '../nowhere.yaml'", "crossdomain list"]),
    "number": ("base: 3\n", ["'number.yaml' has base: 3", "Expected a name"]),
    "nothing": ("base:\n", ["'nothing.yaml' has base: None"]),
    "of_list": ("base: list.yaml\n", ["'list.yaml' holds a list", "options by name"]),
    "of_tab": ("base: tab.yaml\n", ["'tab.yaml' is no YAML, line 2: a tab"]),
    "without": ("base: base.yaml\nwithout: trainer\n", ["'without.yaml' has without: 'trainer'", "a list"]),
    "absent": ("base: base.yaml\nwithout: [model.generator.widht]\n",
               ["'absent.yaml' is without model.generator.widht, which its base 'base.yaml' does not give"]),
    "value": ("base: base.yaml\nwithout: [model.pool_size.x]\n", ["without model.pool_size.x"]),
    "option": ("base: base.yaml\nmodel: {init_args: {generator: {init_args: {widht: 4}}}}\n",
               ["no option model.generator.widht: ResNetGenerator", "Nearest: model.generator.width"]),
    "alone": ("without: [model.pool_size]\nmodel: CycleGAN\ndata: Digits\n", ["no option without"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_three_lines(name, capsys):
    for file, (text, _) in MISTAKES.items():
        Path(f"{file}.yaml").write_text(text)
    Path("list.yaml").write_text("- 1\n")
    Path("tab.yaml").write_text("trainer:\n\tmax_epochs: 1\n")
    with pytest.raises(SystemExit):
        main(["fit", "--config", f"{name}.yaml"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 3
    for words in MISTAKES[name][1]:
        assert words in "\n".join(lines)


@pytest.mark.parametrize(
    ("given", "words"), [("cyclgan", "Nearest there: cyclegan"), (".", "is a folder"), ("ring.yaml", "is its own base")]
)
def test_what_cannot_be_shown_is_named(given, words, capsys):
    Path("ring.yaml").write_text("base: ring.yaml\n")
    with pytest.raises(SystemExit):
        crossdomain(["show", given])
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) <= 3


def test_a_recipe_without_base_is_shown_and_taken_as_it_is():
    assert standalone("base.yaml") == BASE
    assert standalone(with_base("")).startswith("# Mine.\ntrainer:\n  max_epochs: 3\n")
    Path("bare.yaml").write_text("base: base.yaml\n")
    assert standalone("bare.yaml").startswith("trainer:\n")


def saved(recipe):
    return yaml.safe_load(Path(f"runs/{recipe}/version_0/config.yaml").read_text())


@pytest.mark.parametrize("name", ["distancegan_svhn_mnist", "classifier_target_mnist_usps"])
def test_a_recipe_of_the_zoo_with_a_base_trains(name, small_data):
    assert "base" in yaml.safe_load((ZOO / f"{name}.yaml").read_text())
    main(["fit", "--config", f"zoo/{name}.yaml", "--data.root", str(small_data), "--data.batch_size", "4", *QUICK])
    checkpoint = serialization.read(f"runs/{name}/version_0/checkpoints/last.ckpt")
    assert checkpoint["crossdomain"]["rounds"] == 2
    written, whole = saved(name), REFERENCE[name]
    assert written["trainer"]["log_every_n_steps"] == whole["trainer"]["log_every_n_steps"]
    assert {key: written["data"]["init_args"][key] for key in ("source", "target", "image_size")} == {
        key: whole["data"]["init_args"][key] for key in ("source", "target", "image_size")
    }
    given, expected = written["model"]["init_args"], whole["model"]["init_args"]
    for key, value in expected.items():
        if isinstance(value, dict):
            assert given[key]["init_args"].items() >= value["init_args"].items(), key
        else:
            assert given[key] == value, key


def test_an_own_recipe_with_a_base_trains_and_its_config_stands_alone():
    mine = with_base("""\
model: {init_args: {generator: {init_args: {width: 4}}, pool_size: 5, optimizer: {init_args: {lr: 2e-3}}}}
data: {init_args: {batch_size: 16}}
""", base="cyclegan")  # fmt: skip
    main(["fit", "--config", mine, "--model.generator.blocks", "1", *QUICK])
    config = saved("mine")
    assert not {"base", "without"} & config.keys()
    assert config["model"]["init_args"]["generator"]["init_args"]["width"] == 4
    assert config["model"]["init_args"]["generator"]["init_args"]["blocks"] == 1
    assert config["model"]["init_args"]["generator"]["init_args"]["norm"] == "batch"
    assert config["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 2e-3  # to YAML alone 2e-3 is text
    assert config["data"]["init_args"]["batch_size"] == 16
    Path(mine).unlink()
    Path("again.yaml").write_text(Path("runs/mine/version_0/config.yaml").read_text())
    again = run(["fit", "--config", "again.yaml", *QUICK])
    assert (again.model.rounds, again.model.hparams["pool_size"]) == (2, 5)


def test_several_recipes_are_taken_in_their_order():
    Path("short.yaml").write_text("trainer: {max_epochs: 2, limit_train_batches: 1, limit_val_batches: 1}\n")
    mine = with_base("trainer: {max_epochs: 5}\n", base="classifier_source")
    done = run(["fit", "--config", mine, "--config", "short.yaml", "--trainer.enable_progress_bar", "false"])
    assert done.trainer.max_epochs == 2
    assert Path("runs/short/version_0/config.yaml").is_file()


def test_adaptation_reads_the_data_of_a_base(capsys):
    mine = with_base("data: Moons\n", "mine_usps_mnist.yaml", "cyclegan_usps_mnist")
    with pytest.raises(SystemExit):
        crossdomain(["adapt", "--config", mine])
    assert re.search("trains on Moons, the classifiers of its table on DigitPair", capsys.readouterr().err)
