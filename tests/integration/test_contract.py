"""What holds for every method of the zoo and every companion, whatever its losses are."""

from __future__ import annotations

import inspect
from functools import cache, partial
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from reference import record

import crossdomain
from crossdomain import companions, datamodules, methods, recipes, serialization
from crossdomain.domains import DataSpec, Direction
from crossdomain.game import Game
from crossdomain.method import Method
from crossdomain.options import GameOptions, TrainingOptions

FOLDER = Path(__file__).parents[1] / "reference" / "v1"


def _parts(thing):
    """Name and options of what a recipe says by its name alone, or with options."""
    return (thing, {}) if isinstance(thing, str) else (thing["class_path"], thing.get("init_args", {}))


def default_recipe(name):
    """The recipe that is named like a method, or the first of it where its recipes are named by what it is given."""
    if name.lower() in (known := recipes.list_recipes()):
        return recipes.read_recipe(recipes.find_recipe(name.lower()))
    read = (recipes.read_recipe(recipes.find_recipe(recipe)) for recipe in known)
    return next(recipe for recipe in read if _parts(recipe["model"])[0] == name)


def of_recipe(name):
    """Data and method of the default recipe of a method that has no small case of its own."""
    recipe = default_recipe(name)
    (kind, options), (_, own) = (_parts(recipe[key]) for key in ("data", "model"))
    data = partial(getattr(datamodules, kind.rpartition(".")[2]), **options)
    cls = getattr(methods, name)

    def make():
        letters = dict(zip(("channels_a", "channels_b"), data().spec()["channels"], strict=False))
        channels = {"channels": data().spec()["channels"], **letters}
        known = {key: value for key, value in channels.items() if key in serialization.parameters(cls)}
        return instantiate_module(Method, {"_class_path": name, **own, **known})

    return data, make


CASES = {name: (record.DATA[kind], make) for name, (kind, make) in record.cases(FOLDER).items()}
SMALL = {type(make()).__name__ for _, make in CASES.values()}
CASES |= {name: of_recipe(name) for name in methods.__all__ if name not in SMALL}
PLAYED = [name for name in CASES if name not in ("random", "classifier_adapted")]  # nothing moves; moved by another


def made(name):
    torch.manual_seed(0)
    return CASES[name][1]()


@cache
def first_batch(data):
    """The first test batch of some data."""
    return record.batch_of(data())


def changed(method, before):
    return {name for name, parameter in method.named_parameters() if not torch.equal(parameter, before[name])}


def play(method, data, folder, rounds=1, **options):
    run = record.trainer(folder, max_epochs=1, limit_train_batches=rounds, enable_checkpointing=False, **options)
    run.fit(method, data())


def test_there_is_a_case_of_every_method_and_companion():
    made_of = {type(made(name)).__name__ for name in CASES}
    assert made_of >= {*methods.__all__, *companions.__all__}
    method = of_recipe("AlignFlow")[1]()  # as one of a method that is new would be made
    assert method.hparams["flow"]["init_args"]["scales"] == 2


def test_options_that_travel_are_those_of_the_game():
    taken = inspect.signature(Game.__init__).parameters
    assert list(taken)[1:] == list(dict.fromkeys([*taken][1:]))
    assert set(GameOptions.__annotations__) | set(TrainingOptions.__annotations__) == set(taken) - {"self"}
    assert get_type_hints(GameOptions) == {k: v for k, v in get_type_hints(Game.__init__).items() if k != "return"}


@pytest.mark.parametrize("cls", [getattr(methods, name) for name in methods.__all__], ids=lambda cls: cls.__name__)
def test_a_method_stands_on_method_itself(cls):
    assert cls.__mro__[: cls.__mro__.index(LightningModule)] == (cls, Method, Game)
    options = serialization.parameters(cls)
    assert set(get_type_hints(GameOptions)) <= set(options)
    assert all(p.annotation is not p.empty for p in options.values())


@pytest.mark.parametrize("base", [Game, Method])
def test_bases_that_cannot_train_cannot_be_made(base):
    with pytest.raises(TypeError, match="abstract"):
        base(1)


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_gives_the_same_method_again(name, tmp_path):
    method, batch = made(name).eval(), first_batch(CASES[name][0])
    if name == "random":
        method.prepare([batch])
    method.spec = DataSpec.from_plain(CASES[name][0]().spec())
    before = record.answers(method, batch)
    serialization.write(method, tmp_path / "method.ckpt")
    again = crossdomain.load(tmp_path / "method.ckpt")
    assert type(again) is type(method)
    assert again.hparams == method.hparams
    after = record.answers(again, batch)
    for call, answer in before.items():
        torch.testing.assert_close(after[call]["output"], answer["output"], rtol=0, atol=0, msg=call)


@pytest.mark.parametrize("name", PLAYED)
def test_a_player_moves_its_own_parameters_alone(name, tmp_path):
    for player in made(name).players:
        method = made(name)
        method.prepared = True  # statistics are no moves
        method.turns = lambda which, round, moving=player: int(which == moving)
        before = {key: value.detach().clone() for key, value in method.named_parameters()}
        free = {key for key, parameter in method.named_parameters() if parameter.requires_grad}
        play(method, CASES[name][0], tmp_path)
        own = {id(parameter) for parameter in method.player_parameters(player)}
        names = {key for key, parameter in method.named_parameters() if id(parameter) in own}
        moved = changed(method, before)
        assert moved, player
        assert moved <= names, player
        assert {key for key, parameter in method.named_parameters() if parameter.requires_grad} == free
        assert all(p.requires_grad for other in method.players for p in method.player_parameters(other))


@pytest.mark.parametrize("name", CASES)
def test_a_round_counts_and_gives_finite_terms(name, tmp_path):
    method = made(name)
    play(method, CASES[name][0], tmp_path)
    assert method.rounds == 1
    assert method.images_seen == CASES[name][0]().batch_size
    terms = method.last_terms
    assert all(term.isfinite() and not term.requires_grad for term in terms.values())
    assert {term.partition("_")[0] for term in terms} <= {player.partition("_")[0] for player in method.players}


@pytest.mark.parametrize("name", CASES)
def test_images_of_any_size_are_translated(name):
    method, batch = made(name).eval(), first_batch(CASES[name][0])
    if name == "random":
        return  # knows images of one size alone
    for direction in method.directions:
        assert isinstance(direction, Direction)
        images = batch[direction.source][:2]
        guide = batch[direction.target][:2]
        if images.ndim == 4:
            images, guide = (torch.nn.functional.pad(x, (0, 13, 0, 7), mode="replicate") for x in (images, guide))
        options = {"guide": guide} if method.guide == "required" else {}
        state = torch.get_rng_state()
        translated = method.translate(images, direction, seed=1, **options)
        assert translated.shape == (len(images), method.channels[direction.target], *images.shape[2:])
        assert torch.equal(torch.get_rng_state(), state)
        names = method.spec.names
        by_names = f"{names[direction.source]}2{names[direction.target]}"
        assert torch.equal(method.translate(images, by_names, seed=1, **options), translated)
