"""Domains, directions and what data is like."""

import pytest
import torch

from crossdomain.domains import BOTH, DataSpec, Direction, directions_between, domains_in, with_truths


def test_a_direction_is_a_string_with_two_ends():
    direction = Direction("a2c")
    assert (direction, direction.source, direction.target, direction.back) == ("a2c", "a", "c", "c2a")
    assert {direction: 1}["a2c"] == 1
    assert directions_between("abc") == ("a2b", "a2c", "b2a", "b2c", "c2a", "c2b")
    assert directions_between("a") == ()
    assert directions_between("ab") == BOTH


@pytest.mark.parametrize("text", ["a2a", "ab", "a2", "2b", "aa2b", "A2b", "a2b ", "", "photo2labels"])
def test_what_is_no_direction_is_refused(text):
    with pytest.raises(ValueError, match="expected two letters of domains with a 2 between, as a2b"):
        Direction(text)


SPEC = DataSpec(("photo", "printed digits", "labels"), (3, 1, 3))


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("a2b", "a2b"),
        ("c2a", "c2a"),
        ("photo2labels", "a2c"),
        ("Labels2Photo", "c2a"),
        ("printed digits2photo", "b2a"),
        ("printed-digits2photo", "b2a"),
        ("printed_digits2labels", "b2c"),
        ("photo2printeddigits", "a2b"),
    ],
)
def test_directions_by_letters_and_by_names(text, direction):
    assert SPEC.direction(text) == direction
    assert isinstance(SPEC.direction(text), Direction)


@pytest.mark.parametrize("text", ["a2d", "photo2photo", "photo", "a2labels", ""])
def test_directions_that_the_data_has_not_are_refused(text):
    with pytest.raises(ValueError, match=r"a \(photo\), b \(printed digits\), c \(labels\).\nExpected a2b"):
        SPEC.direction(text)


def test_letters_come_before_names_and_names_have_to_be_clear():
    assert DataSpec(("b", "a"), (1, 1)).direction("b2a") == "b2a"
    with pytest.raises(ValueError, match=r"'ab2x' may be a2c or b2c.\nGive it by the letters"):
        DataSpec(("a b", "ab", "x"), (1, 1, 1)).direction("ab2x")


@pytest.mark.parametrize(
    ("domains", "channels"), [((), ()), (("a", "b"), (1,)), (tuple(map(str, range(27))), (1,) * 27)]
)
def test_data_of_no_or_too_many_domains_is_refused(domains, channels):
    with pytest.raises(ValueError, match=f"{len(domains)} domains and channels of {len(channels)}"):
        DataSpec(domains, channels)


def test_a_spec_is_plain_values_and_back():
    plain = SPEC.to_plain()
    assert plain["domains"] == ["photo", "printed digits", "labels"]
    assert DataSpec.from_plain({**plain, "rounds": 3}) == SPEC
    older = {key: plain[key] for key in ("domains", "channels", "image_size")}
    assert DataSpec.from_plain(older) == SPEC
    assert SPEC.names == {"a": "photo", "b": "printed digits", "c": "labels"}


def test_truths_of_version_0_1_are_named_by_direction():
    batch = {"a": torch.zeros(1), "truth_b": 1, "truths_a": 2, "truth_a2b": 3, "label_a": 4}
    assert with_truths({key: batch[key] for key in ("a", "truth_b", "truths_a", "label_a")}) == {
        "a": batch["a"],
        "truth_a2b": 1,
        "truths_b2a": 2,
        "label_a": 4,
    }
    assert domains_in(batch) == ("a",)
