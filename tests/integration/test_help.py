"""Pages of help, versions and the list: what is on them, and that they fit."""

import inspect
import subprocess
import sys
from itertools import pairwise

import pytest

import crossdomain
from crossdomain import datamodules, hub, methods
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.cli import main
from crossdomain.commands import help_pages
from crossdomain.commands.lightning import ZooParser
from crossdomain.datamodules import DomainData
from crossdomain.game import Game
from crossdomain.headlines import headlines
from crossdomain.methods import CycleGAN

PAGE = 52  # lines


@pytest.fixture
def page(capsys, monkeypatch):
    """What a command prints in a terminal of 80 columns before it ends well."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(*args, command=main):
        with pytest.raises(SystemExit) as exit_info:
            command(list(args))
        assert exit_info.value.code == 0
        return capsys.readouterr().out

    return show


def options_of(text):
    return [line.split()[0] for line in text.splitlines() if line.startswith("  --")]


def test_version_help_and_list_need_no_torch():
    code = (
        "import sys; from crossdomain import cli; cli.main(['--version']); cli.main(['--help']); cli.main(['-h'])\n"
        "cli.crossdomain(['list'])\n"
        "try: cli.crossdomain(['--version'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'lightning', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == lines[-1] == crossdomain.__version__
    assert lines.count("usage: lightning {fit,validate,test,predict} --config RECIPE [--OPTION VALUE]") == 2
    shown = subprocess.run([sys.executable, "-m", "crossdomain", "--version"], capture_output=True, text=True)
    assert shown.stdout == f"{crossdomain.__version__}\n"


def test_page_of_a_method_has_its_own_options(page):
    text = page("fit", "--model.help", "CycleGAN")
    lines = text.splitlines()
    common = {*inspect.signature(Game).parameters, "channels_a", "channels_b"}
    own = [f"--model.{name}" for name in inspect.signature(CycleGAN).parameters if name not in {*common, "options"}]
    assert set(own) <= set(options_of(text))
    assert {"--model.cycle_weight_a", "--model.guess_weight", "--model.semantic_weight"} <= set(options_of(text))
    assert lines[0] == "CycleGAN (Zhu et al., ICCV 2017, arXiv 1703.10593)"
    assert "  --model.cycle_weight_a       lambda_a (10.0)" in lines
    assert "  --model.objective            makes L_GAN (LeastSquares)" in lines
    shared = text.partition("Shared by all methods: ")[2].partition(". Channels")[0].split()
    assert {name.strip(",") for name in shared} == common
    assert not any(option.endswith(("gradient_clip", "optimizer")) for option in options_of(text))
    assert "Options of a class: add --model.generator.help ResNetGenerator" in lines
    assert lines[-1] == "All options, with types and classes: add --all"


def test_what_the_page_points_to_is_there(page):
    every = page("fit", "--model.help", "CycleGAN", "--all")
    assert len(every.splitlines()) > 4 * PAGE
    for part in ("--model.gradient_clip", "type: int", "crossdomain.networks.UNetGenerator", "torch.optim.Adam"):
        assert part in every
    assert "torch.nn.Linear" not in every
    of_class = page("fit", "--model.help", "CycleGAN", "--model.generator.help", "ResNetGenerator")
    assert options_of(of_class) == [f"--model.generator.{name}" for name in ("width", "blocks", "norm", "dropout")]


@pytest.mark.parametrize(
    ("key", "cls"),
    [("model", getattr(methods, name)) for name in methods.__all__]
    + [("data", cls) for cls in vars(datamodules).values() if inspect.isclass(cls) and issubclass(cls, DomainData)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_page_fits(key, cls, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = ZooParser(description=f"Help for --{key}.help")
    parser.add_class_arguments(cls, key, fail_untyped=False)
    lines = parser.format_help().splitlines()
    assert 5 < len(lines) < PAGE
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[0] == cls.__doc__.split()[0]
    assert any(line.startswith("Shared by all methods: ") for line in lines) == (key == "model")
    assert "as everywhere" not in " ".join(lines)


@pytest.mark.parametrize("command", ["fit", "test"])
def test_page_of_a_command_has_the_common_options(command, page):
    text = page(command, "--help")
    assert text.startswith(f"usage: lightning {command} --config RECIPE")
    assert options_of(text) == [f"--{name}" for name in help_pages.COMMON]
    assert len(text.splitlines()) < PAGE
    assert max(map(len, text.splitlines())) <= 80
    for name in ("AlignFlow", "RIFT", "UnpairedFolder", "Digits"):
        assert name in text
    for base in ("Method", "Game", "ImageFolder", "DomainData"):
        assert base not in text


def test_all_options_of_a_command_are_told_when_asked_for(page):
    text = page("fit", "--help", "--all")
    assert "--trainer.deterministic" in text
    assert "type: " in text


def test_all_goes_with_help_alone(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["fit", "--config", "alignflow", "--all"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.startswith("error: There is no option all.")


def test_page_of_compare(page):
    text = page("compare", "--help", command=crossdomain_command)
    assert {"--data", "--split", "--format", "--evaluation.judge_a"} <= set(options_of(text))
    assert len(text.splitlines()) < PAGE
    assert "--evaluation.judge_a" in page("compare", "--help", "--all", command=crossdomain_command)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, None])
def test_list_fits_the_terminal_and_is_whole_elsewhere(columns, capsys, monkeypatch):
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    crossdomain_command(["list"])
    lines = capsys.readouterr().out.splitlines()
    entries = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert list(entries) == [*hub.list_recipes(), *(name for name in entries if name in hub.list_models())]
    assert set(hub.list_models()) <= set(entries)
    headings = [line for before, line in pairwise(lines) if before == "" and line]
    assert headings[:5] == ["ADDA", "AlignFlow", "AugCycleGAN", "Autoencoder", "BiCycleGAN"]
    assert {"Digits, test split", "Moons, test split"} <= set(headings)
    metrics = hub.model_info("cyclegan-digits")["metrics"]
    told = ", ".join(f"{tag} {metrics[tag]:.4g}" for tag in headlines(metrics))
    if columns is None:
        assert entries["cyclegan-digits"].split(None, 1)[1] == told
        assert "…" not in "".join(lines)
        for name, what in hub.list_recipes().items():
            assert entries[name].endswith(what.partition(" ")[2])
    elif columns >= 60:
        assert max(len(line) for line in entries.values()) <= columns
        shown = entries["cyclegan-digits"].split(None, 1)[1]
        assert shown == told or (shown.endswith(" …") and told.startswith(f"{shown[:-2]}, "))
        assert max(map(len, lines)) <= max(columns, 68)  # the headings


def test_headlines_come_in_their_order():
    tags = ["psnr_a2b", "cycle_mean_b", "mse_b2a", "certificate", "mse_a2b", "cycle_mean_a", "mse"]
    assert headlines(tags) == ["mse", "mse_a2b", "mse_b2a", "certificate", "cycle_mean_a", "cycle_mean_b"]
