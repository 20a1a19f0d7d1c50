"""How the house is built: files of one subject, classes of few floors."""

from pathlib import Path

import pytest
from lightning.pytorch import LightningModule

from crossdomain import companions, methods

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "datamodules").glob("*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("name", [*methods.__all__, *companions.__all__])
def test_a_class_is_at_most_three_below_lightnings(name):
    cls = getattr(methods, name, None) or getattr(companions, name)
    assert cls.__mro__.index(LightningModule) <= 3
