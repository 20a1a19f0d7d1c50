"""What all datamodules have in common: channels, domains, and that none downloads unless it is asked to."""

import inspect
import urllib.request
from contextlib import suppress
from string import ascii_lowercase

import pytest
import torch
from torchvision import datasets

from crossdomain import datamodules
from crossdomain.datamodules import DomainData, DomainImages

CLASSES = [made for name in datamodules.__all__ if inspect.isclass(made := getattr(datamodules, name))]
CONCRETE = [made for made in CLASSES if issubclass(made, DomainData) and made.split is not DomainData.split]


class Plain(DomainData):
    """As many domains as it is given names, three images each."""

    def __init__(self, domains, channels=1, held=None):
        super().__init__(batch_size=1, image_size=4)
        self.domains, self.channels, self.held = domains, channels, len(domains) if held is None else held

    def split(self, name):
        return DomainImages(*({letter: torch.zeros(3, 1, 4, 4)} for letter in ascii_lowercase[: self.held]))


@pytest.mark.parametrize(("channels", "all_channels"), [(2, (2, 2, 2)), ((1, 3, 5), (1, 3, 5)), ([1, 3, 5], (1, 3, 5))])
def test_channels_are_one_number_for_all_domains_or_one_for_each(channels, all_channels):
    data = Plain(("x", "y", "z"), channels)
    assert data.all_channels == all_channels
    assert (data.channels_a, data.channels_b) == all_channels[:2]
    assert data.spec()["channels"] == list(all_channels)


def test_channels_for_other_domains_than_there_are():
    with pytest.raises(ValueError, match=r"Plain has 3 domains, but its channels are \[1, 3\]\.\nSet its channels"):
        Plain(("x", "y", "z"), (1, 3)).spec()


def test_one_domain_is_enough():
    data = Plain(("only",), 3)
    data.setup("fit")
    assert [set(batch) for batch in data.train_dataloader()] == [{"a"}] * 3
    assert (data.channels_a, data.channels_b, data.spec()["channels"]) == (3, None, [3])


def test_as_many_domains_as_there_are_letters():
    data = Plain(tuple(f"domain {k}" for k in range(26)))
    data.setup("fit")
    assert "".join(next(iter(data.train_dataloader()))) == ascii_lowercase


@pytest.mark.parametrize("domains", [(), ("x", "y", "x"), tuple(map(str, range(27)))])
def test_domains_without_a_letter_or_a_name_of_their_own_are_refused(domains):
    with pytest.raises(ValueError, match=r"Plain has the domains .*\nSet its domains to 1 to 26 different names\."):
        Plain(domains).setup("fit")


def test_a_split_of_other_domains_is_refused():
    message = r"The split 'train' of Plain holds 2 domains, but its domains are \['x', 'y', 'z'\]\.\nGive the fields"
    with pytest.raises(ValueError, match=message):
        Plain(("x", "y", "z"), held=2).setup("fit")


@pytest.mark.parametrize("make", CONCRETE, ids=lambda made: made.__name__)
def test_no_property_downloads(make, tmp_path, monkeypatch):
    """All properties of data that is told to download and has nothing yet; they may miss files, and no more."""
    asked = []

    def note(*arguments, **options):
        asked.append(arguments)
        raise ConnectionError("not in a property")

    monkeypatch.setattr(make, "prepare_data", note)
    monkeypatch.setattr(urllib.request, "urlopen", note)
    monkeypatch.setattr(datamodules.folders, "fetch_folder", note)
    for dataset in (datasets.MNIST, datasets.USPS, datasets.SVHN):
        monkeypatch.setattr(dataset, "__init__", note)
    data = make(root=str(tmp_path), download=True)
    properties = [name for name, _ in inspect.getmembers(make, lambda member: isinstance(member, property))]
    assert {"all_channels", "channels_a", "channels_b", "letters"} <= set(properties)
    for name in properties:
        with suppress(FileNotFoundError):
            getattr(data, name)
    with suppress(FileNotFoundError):
        data.spec()
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_all_datamodules_are_asked():
    names = {made.__name__ for made in CONCRETE}
    assert {"Facades", "UnpairedFolder", "Embeddings", "DigitPair", "DigitDomains", "FacadeStyles"} <= names
    assert not {"DomainData", "VectorData"} & names
