"""What the docs take from the code: tables of options, on the pages of ``docs/methods``, lists of methods, and of tags.

Options are those of the signatures, described by the docstrings; what a method is in a line is the first of its module;
tags of metrics are those of the zoo's probes.

python docs/options.py            # writes them anew
python docs/options.py --check    # fails, and names the pages, where they are out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from crossdomain import companions, hub, methods, serialization
from crossdomain.evaluation.probes import all_probes

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "methods"
COMPANIONS = tuple(getattr(companions, name) for name in companions.__all__)
BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
LIST_BEGIN, LIST_END = "<!-- methods: begin -->", "<!-- methods: end -->"
PROBES_BEGIN, PROBES_END = "<!-- probes: begin -->", "<!-- probes: end -->"
REQUIRED = inspect.Parameter.empty


class Option(NamedTuple):
    """A row of a table; ``default`` is ``REQUIRED`` where there is none, ``what`` empty where no docstring says it."""

    name: str
    default: Any
    what: str


def documented(cls: type) -> dict[str, str]:
    """What the section ``Args`` of a class's own docstring says of each argument, in one line of Markdown."""
    lines = iter(inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines())
    found: dict[str, list[str]] = {}
    for line in lines:
        if line == "Args:":
            break
    for line in lines:
        if line and not line.startswith(" "):
            break
        if start := re.match(r" {4}\*{0,2}(\w+)(?: \([^)]*\))?: ?(.*)", line):
            found[name := start[1]] = [start[2]]
        elif line.strip():
            found[name].append(line.strip())
    return {name: _markdown(" ".join(parts)) for name, parts in found.items()}


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return text.replace("|", r"\|").strip()


def options(cls: type) -> dict[str, list[Option]]:
    """The options of ``cls``: its own first, then those that it passes on, by the class that declares them.

    Where ``**options`` is an ``Unpack`` of a ``TypedDict``, its keys are passed on; those that no base declares stand
    under its name. Otherwise all arguments of the bases are, but for those without a default, which the class gives
    itself.
    """
    bases = [base for base in cls.__mro__ if "__init__" in vars(base)]
    own, *others = (_named(base) for base in bases)
    passed = _unpacked(bases[0])
    names = set(serialization.parameters(cls)) | own.keys() if passed is None else {*get_type_hints(passed), *own}
    groups = {cls.__name__: own}
    left = names - own.keys()
    for base, declared in zip(bases[1:], others, strict=True):
        taken = {name: default for name, default in declared.items() if name in left}
        left -= taken.keys()
        groups[base.__name__] = {k: v for k, v in taken.items() if v is not REQUIRED or passed is not None}
    if passed is not None:
        groups[passed.__name__] = {name: REQUIRED for name in get_type_hints(passed) if name in left}
    sources = [*cls.__mro__, *([passed] if passed is not None else [])]
    return {
        title: [Option(name, default, _what(name, title, sources)) for name, default in group.items()]
        for title, group in groups.items()
        if group
    }


def _named(cls: type) -> dict[str, Any]:
    """The named arguments of the class's own ``__init__`` and their defaults."""
    signature = inspect.signature(vars(cls)["__init__"]).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p.default for name, p in signature.items() if p.kind in kinds and name != "self"}


def _unpacked(cls: type) -> type | None:
    """The ``TypedDict`` that ``**options`` of the class's own ``__init__`` is an ``Unpack`` of."""
    init = vars(cls)["__init__"]
    for name, parameter in inspect.signature(init).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            hint = get_type_hints(init).get(name)
            return next((found for found in get_args(hint) if hasattr(found, "__total__")), None)
    return None


def _what(name: str, title: str, sources: list[type]) -> str:
    """The description of an option by the class that declares it, or else by the nearest that has one."""
    first = [cls for cls in sources if cls.__name__ == title]
    return next((text for cls in [*first, *sources] if (text := documented(cls).get(name))), "")


def _shown(default: Any) -> str:
    if default is REQUIRED:
        return "required"
    if isinstance(default, partial):
        arguments = ", ".join(f"{name}={value!r}" for name, value in default.keywords.items())
        return f"`{default.func.__name__}({arguments})`"
    return f"`{default.__name__ if callable(default) else repr(default)}`"


def table(rows: list[Option]) -> str:
    """Options as a table of Markdown."""
    lines = [f"| `{row.name}` | {_shown(row.default)} | {row.what} |" for row in rows]
    return "\n".join(["| option | default | what |", "|---|---|---|", *lines])


def pages() -> Iterator[tuple[Path, list[type]]]:
    """Each page of options and the classes that it is of.

    A method's is named like its class, in small letters; underscores do not count.

    Raises:
        FileNotFoundError: a method has no page.
    """
    files = {path.stem.replace("_", ""): path for path in FOLDER.glob("*.md")}
    for name in methods.__all__:
        if name.lower() not in files:
            raise FileNotFoundError(
                f"There is no page of {name} in docs/methods, expected {name.lower()}.md with a line {BEGIN}\n"
                f"and a line {END} at its end."
            )
        yield files[name.lower()], [getattr(methods, name)]
    yield files["companions"], list(COMPANIONS)


def block(classes: list[type]) -> str:
    """The tables of a page; what several classes pass on to one base stands there once."""
    found = [options(cls) for cls in classes]
    own = [
        f"`{cls.__name__}`:\n\n{table(groups.pop(cls.__name__, []))}"
        for cls, groups in zip(classes, found, strict=True)
    ]
    passed: dict[str, dict[str, Option]] = {}
    for groups in found:
        for title, rows in groups.items():
            passed.setdefault(title, {}).update({row.name: row for row in rows})
    others = [f"Passed on to `{title}`:\n\n{table(list(rows.values()))}" for title, rows in passed.items()]
    return "\n\n".join([*own, *others])


def with_tables(text: str, classes: list[type]) -> str:
    """A page's text with the tables as the code has them.

    Raises:
        ValueError: the page has no place for them.
    """
    return _between(text, BEGIN, END, block(classes))


def _between(text: str, begin: str, end: str, content: str) -> str:
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"The page {text.splitlines()[0]!r} needs one line {begin} and one line {end}.")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def methods_list() -> str:
    """The methods, one line each, for the index of their pages."""
    return "\n".join(f"- [{title}]({path.name}): {what}" for path, title, what, _ in _methods())


def methods_table() -> str:
    """The methods, their papers and their checkpoints, for the README."""
    lines = ["| method | | paper | trained here |", "|---|---|---|---|"]
    for path, title, what, cls in _methods():
        paper = re.search(r"arXiv (\d{4}\.\d{4,5})", cls.__doc__ or "")
        cited = f"[{paper[1]}](https://arxiv.org/abs/{paper[1]})" if paper else ""
        names = [name for name in hub.list_checkpoints() if hub.model_info(name)["method"] == cls.__name__]
        trained = ", ".join(f"[`{name}`](docs/zoo/{name}.md)" for name in names) or "no checkpoint"
        lines.append(f"| [{title}](docs/methods/{path.name}) | {what} | {cited} | {trained} |")
    return "\n".join(lines)


def _methods() -> Iterator[tuple[Path, str, str, type]]:
    """Of each method its page, the page's title, what it is in a line, and its class."""
    for path, (cls, *_) in sorted(pages(), key=lambda page: page[0].name):
        if cls.__name__ in methods.__all__:
            title = path.read_text().splitlines()[0].removeprefix("# ")
            what = (sys.modules[cls.__module__].__doc__ or "").splitlines()[0]
            yield path, title, what.removeprefix(f"{title}: ").rstrip("."), cls


def tags_table() -> str:
    """The tags of the zoo's probes, for the page of metrics: a2b stands for any direction, a for any domain."""
    shown = {"direction": "a2b", "domain": "a", "name": "NAME"}
    lines = ["| tag below `val/` and `test/` | when | what |", "|---|---|---|"]
    for tag in (tag for probe in all_probes() for tag in probe.tags):
        names = ", ".join(f"`{name.format(**shown)}`" for name in tag.names.split())
        lines.append(f"| {names} | {tag.when} | {tag.what} |")
    return "\n".join(lines)


LISTS = {
    FOLDER / "README.md": (LIST_BEGIN, LIST_END, methods_list),
    ROOT / "README.md": (LIST_BEGIN, LIST_END, methods_table),
    ROOT / "docs" / "metrics.md": (PROBES_BEGIN, PROBES_END, tags_table),
}


def files() -> Iterator[tuple[Path, str]]:
    """Each file that holds something of the code's, and the text that it should have."""
    for path, classes in pages():
        yield path, with_tables(path.read_text(), classes)
    for path, (begin, end, content) in LISTS.items():
        yield path, _between(path.read_text(), begin, end, content())


def main() -> int:
    """Write what is out of date, or with ``--check`` name it; returns the status of the command."""
    stale = {path: text for path, text in files() if path.read_text() != text}
    if "--check" in sys.argv[1:]:
        if stale:
            print(f"out of date: {', '.join(map(str, stale))}\nrun `python docs/options.py`", file=sys.stderr)
        return int(bool(stale))
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
