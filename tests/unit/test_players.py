"""Players: what each owns, that it can move at all, and that nothing moves twice."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from crossdomain.losses import LeastSquares
from crossdomain.method import Method
from crossdomain.players import detached


class Tied(Method):
    """Two encoders that share a layer, as UNIT's do."""

    def __init__(self, channels_a: int, channels_b: int | None = None, **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        shared = nn.Linear(channels_a, 1)
        self.first = nn.Sequential(nn.Linear(channels_a, channels_a), shared)
        self.second = nn.Sequential(nn.Linear(channels_a, channels_a), shared)
        self.players = {"generator": ("first", "second")}

    def generate(self, batch):
        return {}

    def generator_loss(self, batch, out):
        return {"sum": self.first(batch["a"]).sum() + self.second(batch["b"]).sum()}


def sgd(parameters):
    return torch.optim.SGD(list(parameters), lr=0.1)


def test_shared_parameters_are_listed_and_moved_once(tensors, trainer, recwarn):
    method = Tied(2, optimizer=sgd)
    parameters = method.player_parameters("generator")
    assert len(parameters) == len({id(parameter) for parameter in parameters}) == 6
    a, b = torch.randn(4, 2), torch.randn(4, 2)
    shared, before = method.first[1], method.first[1].weight.detach().clone()
    expected = method.first[0](a).sum(0) + method.second[0](b).sum(0)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, tensors({"a": a}, {"b": b}, batch_size=4))
    torch.testing.assert_close(shared.weight, before - 0.1 * expected)
    assert not [warning for warning in recwarn if "duplicate parameters" in str(warning.message)]


class Plain(Method):
    """One network; what it lacks, subclasses show."""

    def __init__(self, channels_a: int, channels_b: int | None = None, **options):
        super().__init__(channels_a, channels_b, **options)
        self.net = nn.Linear(2, 2)
        self.players = {"generator": ("net",)}

    def generate(self, batch):
        return {}

    def generator_loss(self, batch, out):
        return {"zero": self.net.weight.sum()}


class WithoutLoss(Plain):
    def __init__(self, channels_a: int, **options):
        super().__init__(channels_a, **options)
        self.players |= {"critic": ("net",)}


class Misspelt(Plain):
    def __init__(self, channels_a: int, **options):
        super().__init__(channels_a, **options)
        self.players = {"generator": ("nett",)}


class WithoutPlayers(Plain):
    def __init__(self, channels_a: int, **options):
        super().__init__(channels_a, **options)
        del self.players


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (WithoutLoss, r"player critic of WithoutLoss has no loss.\nDefine critic_loss\(batch, out\)"),
        (Misspelt, "player generator of Misspelt owns 'nett', but there is no such module"),
        (WithoutPlayers, "WithoutPlayers names no players"),
    ],
)
def test_what_cannot_be_played_is_refused_when_it_is_made(cls, message):
    with pytest.raises(TypeError, match=message):
        cls(2)
    assert Plain(2).players == {"generator": ("net",)}


@pytest.mark.parametrize("logits", [(torch.zeros(2), torch.zeros(2)), [torch.zeros(2), (torch.zeros(2),)], None])
def test_several_heads_are_not_taken_for_several_scales(logits):
    objective = LeastSquares()
    with pytest.raises(ValueError, match="hand the objective the head that tells real from generated"):
        objective.generator(logits)
    with pytest.raises(ValueError, match="logits were expected: a tensor, or a list of one a scale"):
        objective.critic(logits, logits)


def test_words_of_earlier_versions_that_would_be_without_effect_are_refused():
    with pytest.raises(TypeError, match=r"Guided sets guided, .*\nSet guide = 'required'"):
        type("Guided", (Plain,), {"guided": True})

    class Late(Plain):
        def __init__(self, channels_a: int, **options):
            super().__init__(channels_a, **options)
            self.accepts_guide = True

    with pytest.raises(TypeError, match=r"Late sets accepts_guide, .*\nSet guide = 'optional'"):
        Late(2)


def test_graphs_are_cut_in_whatever_holds_tensors():
    class Pair(NamedTuple):
        mean: torch.Tensor
        rest: list

    held = torch.ones(2, requires_grad=True) * 2
    found = detached({"pair": Pair(held, [held, (held, "name")]), "number": 3})
    assert isinstance(found["pair"], Pair)
    mean, (first, (second, name)) = found["pair"]
    assert not any(tensor.requires_grad for tensor in (mean, first, second))
    assert (name, found["number"]) == ("name", 3)


def test_a_batch_without_images_is_refused(trainer):
    class Nothing(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return {"label_a": index}

    loader = torch.utils.data.DataLoader(Nothing(), batch_size=2)
    with pytest.raises(ValueError, match="The training batch has no images, but 'label_a'"):
        trainer().fit(Plain(2), loader)
