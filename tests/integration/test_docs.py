"""Pages of the docs: tables of options as the code has them, links that lead somewhere, versions that agree."""

import configparser
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import TypedDict, Unpack

from crossdomain import methods

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

_spec = importlib.util.spec_from_file_location("docs_options", ROOT / "docs" / "options.py")
options = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(options)


# --- options ---------------------------------------------------------------------------------------------------


def test_what_comes_from_the_code_is_current():
    for path, text in options.files():
        assert path.read_text() == text, "run `python docs/options.py`"


def test_the_readme_lists_the_methods():
    rows = options.methods_table().splitlines()[2:]
    assert len(rows) == len(methods.__all__)
    assert (
        "| [FlowGAN](docs/methods/flowgan.md) | a flow as generator, so that likelihood and a critic can train the "
        "same model | [1705.08868](https://arxiv.org/abs/1705.08868) | [`flowgan-digits`](docs/zoo/flowgan-digits.md) |"
    ) in rows
    checkpoints = [f"[`{name}`](docs/zoo/{name}.md)" for name in ("alignflow-digits", "alignflow-mnist-usps")]
    assert any(row.endswith(f" | {', '.join(checkpoints)} |") for row in rows)
    assert any(row.startswith("| [MUNIT]") and row.endswith("| no checkpoint |") for row in rows)


def test_every_method_has_a_page_and_every_page_is_listed():
    shown = {classes[0].__name__ for _, classes in options.pages()}
    assert set(methods.__all__) < shown
    index = (options.FOLDER / "README.md").read_text()
    for path in options.FOLDER.glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index


def test_every_option_is_described():
    for _, classes in options.pages():
        for cls in classes:
            rows = [row for group in options.options(cls).values() for row in group]
            assert [row.name for row in rows if not row.what] == []
            assert len({row.name for row in rows}) == len(rows)


def test_options_stand_under_the_class_that_declares_them():
    found = options.options(methods.RIFT)
    assert list(found) == ["RIFT", "Game"]
    assert ("cycle_noise", 0.5) in [row[:2] for row in found["RIFT"]]
    assert [row.default.__name__ for row in found["Game"] if row.name == "optimizer"] == ["adam"]


class Base:
    """Ends what is passed on.

    Args:
        rate: how fast, as :class:`Base` counts, |x| at
            most.
        hidden: not offered by those below.
    """

    def __init__(self, rate: float = 0.5, hidden: int = 3) -> None:
        pass


class RateOptions(TypedDict, total=False):
    """What :class:`Typed` passes on.

    Args:
        held: for an object that it holds.
    """

    rate: float
    held: str


class Typed(Base):
    """Says by a TypedDict what it takes.

    Args:
        own: its own.
        options: those of :class:`Base`.
    """

    def __init__(self, own: int, **options: Unpack[RateOptions]) -> None:
        super().__init__(rate=options.get("rate", 0.5))


class Untyped(Base):
    """Says nothing of what it takes.

    Args:
        rate: faster.
    """

    def __init__(self, rate: float = 2.0, **options: Any) -> None:
        super().__init__(rate, **options)


def test_a_typed_dict_says_what_is_passed_on():
    assert options.options(Typed) == {
        "Typed": [("own", options.REQUIRED, "its own.")],
        "Base": [("rate", 0.5, r"how fast, as `Base` counts, \|x\| at most.")],
        "RateOptions": [("held", options.REQUIRED, "for an object that it holds.")],
    }


def test_without_one_all_of_the_bases_is():
    assert options.options(Untyped) == {
        "Untyped": [("rate", 2.0, "faster.")],
        "Base": [("hidden", 3, "not offered by those below.")],
    }


def test_a_stale_table_is_found(tmp_path, monkeypatch, capsys):
    page = tmp_path / "untyped.md"
    page.write_text(f"# Untyped\n\n{options.BEGIN}\nold\n{options.END}\nafter\n")
    monkeypatch.setattr(options, "pages", lambda: [(page, [Untyped])])
    monkeypatch.setattr(options, "LISTS", {})
    monkeypatch.setattr("sys.argv", ["options.py", "--check"])
    assert options.main() == 1
    assert "untyped.md" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["options.py"])
    assert options.main() == 0
    assert "| `hidden` | `3` | not offered by those below. |\n<!-- options: end -->\nafter" in page.read_text()
    monkeypatch.setattr("sys.argv", ["options.py", "--check"])
    assert options.main() == 0


# --- links -----------------------------------------------------------------------------------------------------


def prose(page):
    """A page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"^    .*$", "", text, flags=re.M)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_nothing_names_a_page_that_is_gone():
    sources = [
        path for folder in ("src", "datamodules", "checkpoints", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    for path in [*PAGES, *sources]:
        for named in re.findall(r"\bdocs/[\w/]+\.md\b", path.read_text()):
            assert (ROOT / named).is_file() or "NAME" in named, f"{path.name} names {named}"


# --- versions and papers ---------------------------------------------------------------------------------------


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_one_version_everywhere():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    version = setup["metadata"]["version"]
    assert citation()["version"] == version
    latest = re.search(r"^## \[(.+?)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert latest[1] == version
    assert latest[2] == "unreleased" or re.fullmatch(r"\d{4}-\d\d-\d\d", latest[2])


def test_citation_names_the_papers_of_the_methods():
    cited = citation()
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "abstract", "keywords", "license"} <= cited.keys()
    numbers = [re.search(r"\d{4}\.\d{5}", reference["url"])[0] for reference in cited["references"]]
    for reference, number in zip(cited["references"], numbers, strict=True):
        assert reference["identifiers"] == [{"type": "other", "value": f"arXiv:{number}"}]
        assert {"type", "title", "authors", "year"} <= reference.keys()
    docstrings = " ".join(getattr(methods, name).__doc__ for name in methods.__all__)
    assert len(set(numbers)) == len(numbers) >= 10
    assert set(numbers) <= set(re.findall(r"arXiv (\d{4}\.\d{5})", docstrings))


def test_changelog_has_the_known_sections_alone():
    sections = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
