"""Which images make the positions of an epoch, for one domain, two or many."""

import json
from pathlib import Path

import pytest
import torch

from crossdomain.datamodules import DomainImages, Draw, DrawSampler, fields_of, images_of, make_loader
from crossdomain.datamodules.loading import ABSENT, FixedDraws

CASES = json.loads((Path(__file__).parents[1] / "reference" / "orders.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_orders_are_those_that_were_written_for_two_domains(case):
    sampler = DrawSampler(**case["arguments"])
    sampler.set_epoch(case["epoch"])
    sampler.first = case["first"]
    assert [[draw.epoch, draw.position, *draw.indices] for draw in sampler] == case["draws"]


def orders(*lengths, epoch=0, make=DrawSampler, **options):
    """The indices of one epoch, a list for each domain."""
    sampler = make(lengths, **options)
    sampler.set_epoch(epoch)
    return [list(order) for order in zip(*[draw.indices for draw in sampler], strict=True)]


def test_a_further_domain_changes_nothing_for_those_before_it():
    two, five = orders(7, 5, training=True, seed=4), orders(7, 5, 1, 0, 6, training=True, seed=4)
    assert five[:2] == two
    assert five[2:4] == [[0] * 7, [ABSENT] * 7]
    assert sorted(five[4][:6]) == list(range(6))
    assert orders(7, training=True, seed=4) == two[:1]


def test_domains_of_an_epoch_are_shuffled_apart_and_the_longest_decides():
    a, b, c = orders(4, 9, 9, training=True)
    assert sorted(b) == sorted(c) == list(range(9)) != b
    assert b != c
    assert [sorted(a[:4]), sorted(a[4:8])] == [[0, 1, 2, 3]] * 2
    assert orders(4, 9, 9, training=True, epoch=1) != [a, b, c]


def test_evaluation_of_many_domains_neither_pads_nor_drops():
    assert orders(3, 1, 0, 2, training=False) == [
        [0, 1, 2],
        [0, ABSENT, ABSENT],
        [ABSENT] * 3,
        [0, 1, ABSENT],
    ]
    parts = [orders(5, 3, 4, training=False, rank=rank, world_size=2) for rank in range(2)]
    assert [[i for part in parts for i in part[domain] if i != ABSENT] for domain in range(3)] == [
        [0, 2, 4, 1, 3],
        [0, 2, 1],
        [0, 2, 1, 3],
    ]


def test_paired_domains_share_one_order_and_one_length():
    a, b, c = orders(6, 6, 6, training=True, paired=True)
    assert a == b == c != list(range(6))
    with pytest.raises(ValueError, match=r"Paired domains have 6, 5, 6 images\.\nGive all the same number"):
        DrawSampler((6, 5, 6), training=True, paired=True)


def test_fixed_draws_are_the_same_in_every_epoch():
    assert orders(5, 3, 4, training=True, make=FixedDraws, epoch=3) == orders(5, 3, 4, training=True)


def test_images_of_one_domain_by_their_indices():
    dataset = DomainImages(*({letter: 10 * k + torch.arange(4)} for k, letter in enumerate("abc")))
    assert dataset.lengths() == (4, 4, 4)
    assert images_of(dataset, "b", [3, 0]).tolist() == [13, 10]
    assert images_of(dataset, "c", [1]).tolist() == [21]
    batch = dataset.__getitems__([Draw(0, 0, (2, ABSENT, ABSENT)), Draw(0, 1, (ABSENT, ABSENT, 0))])
    assert {name: values.tolist() for name, values in batch.items()} == {"a": [2], "c": [20]}
    assert images_of(DomainImages({"a": torch.arange(3)}), "a", [2]).tolist() == [2]


def test_fields_in_another_order_than_the_letters_are_refused():
    with pytest.raises(ValueError, match=r"The fields of domain b are c, label_c, without b itself\.\nGive the fields"):
        DomainImages({"a": torch.arange(2)}, {"c": torch.arange(2), "label_c": torch.arange(2)})
    assert DomainImages({}, {"label_b": torch.arange(2), "b": torch.arange(2)}).lengths() == (0, 2)


def test_fields_of_a_domain_carry_its_letter_and_its_truths():
    images = {letter: torch.full((2,), k) for k, letter in enumerate("abc")}
    fields = fields_of("b", images, label=torch.tensor([7, 8]), path=["x", "y"])
    assert list(fields) == ["b", "label_b", "path_b", "truth_b2a", "truth_b2c"]
    assert fields["truth_b2c"] is images["c"]
    # They stay with their own domain's images: where that is absent, its truth is, too.
    dataset = DomainImages({"a": torch.arange(3)}, {"b": torch.arange(1), "truth_b2a": torch.arange(1) + 5})
    batches = list(make_loader(dataset, DrawSampler(dataset.lengths(), training=False), batch_size=2))
    assert [set(batch) for batch in batches] == [{"a", "b", "truth_b2a"}, {"a"}]


def labelled(*labels):
    """One domain a of images whose values are their numbers, with these labels, and one image in b."""
    images = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1)
    one = {"b": images[:1], "label_b": torch.tensor([1])}
    return DomainImages({"a": images, "label_a": torch.tensor(labels)}, one)


def test_weights_make_classes_as_frequent_as_asked_for():
    data = labelled(0, 0, 0, 2, 1, 0)
    weights = data.weights("a", [1.0, 2.0, 1.0])
    assert weights.tolist() == [1 / 16, 1 / 16, 1 / 16, 1 / 4, 1 / 2, 1 / 16]
    sampler = DrawSampler((6, 4000), training=True, weights=(weights, None), seed=5)
    drawn = torch.tensor([draw.indices for draw in sampler])
    counts = torch.bincount(data.fields[0]["label_a"][drawn[:, 0]]) / 4000
    assert (counts - torch.tensor([0.25, 0.5, 0.25])).abs().max() < 4 * 0.5 / 4000**0.5
    assert sorted(drawn[:, 1].tolist()) == list(range(4000))  # the other domain is shuffled as ever
    assert drawn.tolist() == [list(draw.indices) for draw in sampler]  # a pure function of seed and epoch
    sampler.set_epoch(1)
    assert drawn.tolist() != [list(draw.indices) for draw in sampler]


@pytest.mark.parametrize("frequencies", [[1, 1], [1, 1, -1], [0, 0, 0], [1, 1, 1, 1]])
def test_frequencies_that_cannot_be_are_refused(frequencies):
    with pytest.raises(ValueError, match=r"domain a has \[4, 1, 1(, 0)?\] images of its classes\.\nGive a number"):
        labelled(0, 0, 0, 2, 1, 0).weights("a", frequencies)


def test_labels_can_be_taken_away_from_a_domain():
    hidden = labelled(0, 1).without_labels("b")
    assert [set(fields) for fields in hidden.fields] == [{"a", "label_a"}, {"b"}]
    with pytest.raises(ValueError, match="Domain b has no labels"):
        hidden.weights("b", [1.0])


def test_paired_images_have_no_weights():
    with pytest.raises(ValueError, match="no image has a weight of its own"):
        DrawSampler((2, 2), training=True, paired=True, weights=(torch.ones(2), None))
