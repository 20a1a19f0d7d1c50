"""Which images make the positions of an epoch: orders that were written once, and must never change."""

import json
from pathlib import Path

import pytest

from crossdomain.datamodules import DrawSampler

CASES = json.loads((Path(__file__).parent / "reference" / "orders.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_orders_are_those_that_were_written_for_two_domains(case):
    sampler = DrawSampler(**case["arguments"])
    sampler.set_epoch(case["epoch"])
    sampler.first = case["first"]
    assert [[draw.epoch, draw.position, *draw.indices] for draw in sampler] == case["draws"]
