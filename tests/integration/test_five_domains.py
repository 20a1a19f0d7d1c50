"""A datamodule of five domains, as anybody may write one outside of the package."""

from itertools import islice

import pytest
import torch

from crossdomain.datamodules import DomainData, DomainImages, fields_of
from crossdomain.datamodules.loading import images_of

LENGTHS = {"dawn": 12, "noon": 9, "dusk": 7, "night": 12, "fog": 1}


class TimesOfDay(DomainData):
    """Plain pictures: each domain has its brightness, and an image's number is its label."""

    domains = tuple(LENGTHS)
    channels = (3, 3, 3, 1, 3)

    def split(self, name):
        """Lengths differ between domains, and evaluation knows what a dawn looks like at noon."""
        fields = []
        for place, letter in enumerate(self.letters):
            count = LENGTHS[self.domains[place]] if name == "train" else place + 1
            plain = torch.ones(count, 1, self.image_size, self.image_size, dtype=torch.uint8)
            images = {letter: (plain * 50 * place).expand(-1, self.channels[place], -1, -1)}
            if letter == "a" and name != "train":
                images["b"] = (plain * 50).expand(-1, 3, -1, -1)
            paths = [f"{self.domains[place]}/{number}" for number in range(count)]
            fields.append(fields_of(letter, images, label=torch.arange(count), path=paths))
        return DomainImages(*fields)


def data(stage="fit", **options):
    made = TimesOfDay(**{"batch_size": 4, "image_size": 8, **options})
    made.setup(stage)
    return made


def drawn(batches):
    """The numbers of all images, for each domain."""
    found = {letter: [] for letter in "abcde"}
    for batch in batches:
        for letter in found:
            found[letter] += batch[f"label_{letter}"].tolist() if letter in batch else []
    return found


def test_batches_hold_all_five():
    batch = next(iter(data().train_dataloader()))
    assert set(batch) == {f"{kind}{letter}" for kind in ("", "label_", "path_") for letter in "abcde"}
    for place, letter in enumerate("abcde"):
        assert batch[letter].shape == (4, 1 if letter == "d" else 3, 8, 8)
        assert batch[letter].eq(torch.tensor(50 * place) / 127.5 - 1).all()
        names = [f"{TimesOfDay.domains[place]}/{number}" for number in batch[f"label_{letter}"].tolist()]
        assert batch[f"path_{letter}"] == names


def test_an_epoch_is_as_long_as_the_longest_domain_and_each_is_drawn_by_itself():
    loader = data().train_dataloader()
    found = drawn(loader)
    assert len(loader) == 3
    assert sorted(found["a"]) == sorted(found["d"]) == list(range(12))
    assert found["a"] != found["d"]
    assert sorted(found["b"][:9]) == list(range(9))
    assert sorted(found["c"][:7]) == list(range(7))
    assert found["e"] == [0] * 12
    loader.sampler.set_epoch(1)
    assert drawn(loader)["a"] != found["a"]
    assert drawn(data(seed=1).train_dataloader())["a"] != found["a"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumes_in_mid_epoch_at_the_very_next_images(workers):
    whole = data(num_workers=workers).train_dataloader()
    whole.sampler.set_epoch(2)
    expected = drawn(whole)
    first = data(num_workers=workers).train_dataloader()
    first.sampler.set_epoch(2)
    before = drawn(islice(first, 1))
    second = data(num_workers=workers, batch_size=2).train_dataloader()  # other batches go on all the same
    second.load_state_dict(first.state_dict())
    after = drawn(second)
    assert {letter: before[letter] + after[letter] for letter in "abcde"} == expected


def test_evaluation_ends_each_domain_where_it_ends():
    batches = list(data("validate").val_dataloader())
    assert drawn(batches) == {letter: list(range(place + 1)) for place, letter in enumerate("abcde")}
    assert batches[0]["truth_a2b"].shape == (1, 3, 8, 8)
    assert set(batches[1]) == {"e", "label_e", "path_e"}
    split = data("test").splits["test"]
    assert split.lengths() == (1, 2, 3, 4, 5)
    assert images_of(split, "d", [3, 1]).shape == (2, 1, 8, 8)


def test_what_a_checkpoint_notes_has_five_entries():
    made = TimesOfDay()
    assert made.spec()["domains"] == ["dawn", "noon", "dusk", "night", "fog"]
    assert made.spec()["channels"] == [3, 3, 3, 1, 3]
    assert made.letters == ("a", "b", "c", "d", "e")
    assert (made.channels_a, made.channels_b, made.all_channels) == (3, 3, (3, 3, 3, 1, 3))
