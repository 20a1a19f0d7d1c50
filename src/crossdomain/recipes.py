"""Recipes: YAML files of options, found by a name of the zoo or a path, and read whole.

A recipe with ``base: NAME`` says only what differs from another one: a name of the zoo, or a path relative to the file
that says so. Mappings are merged, anything else is replaced. An object of another class (``class_path``) takes nothing
over from the base's, since their arguments have nothing in common. ``null`` sets a value to null, and
``without: [trainer.limit_train_batches, model.critic.norm]`` takes out of the base what shall have its default again.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from crossdomain.checks import near
from crossdomain.moved import current

ZOO = Path(str(resources.files("crossdomain.zoo")))


def list_recipes() -> dict[str, str]:
    """The shipped recipes: name to the first line of the file, a comment that says what it does."""
    return {file.stem: _comment(file).strip("# \n") for file in sorted(ZOO.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself where it exists, else the shipped recipe of that name.

    Args:
        name: a path, ``zoo/alignflow.yaml`` or ``alignflow``.

    Raises:
        FileNotFoundError: neither exists; names the nearest recipes.
        ValueError: the file is no recipe, or its base is none.
    """
    if Path(name).is_file():
        read_recipe(name)
        return Path(name)
    if Path(name).is_dir() and name:
        raise IsADirectoryError(f"The recipe {name!r} is a folder, expected a YAML file.")
    if (shipped := _shipped(name)) is not None:
        return shipped
    raise FileNotFoundError(
        f"There is no recipe {name!r}, neither on disk nor in the zoo.\nNearest there: {_nearest(name)}."
    )


def read_recipe(path: str | os.PathLike) -> dict[str, Any]:
    """What a recipe says, together with what its base says.

    Raises:
        ValueError: a file is no YAML, or no options by name; names it and, where that can be told, the line. Or a
            recipe is its own base, or leaves out what the base does not say.
        FileNotFoundError: there is no such base; names the nearest recipes.
    """
    return _resolved(Path(path), ())


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a recipe says all that it means: it has no base, and no names of earlier versions."""
    written = _parsed(Path(path))
    return "base" not in written and _of_today(written) == written


def standalone(path: str | os.PathLike) -> str:
    """The text of a recipe that says the same by itself: the first line, if that is a comment, and all options.

    For a recipe that is whole it is the file itself. Errors are those of :func:`read_recipe`.
    """
    if is_whole(path):
        return Path(path).read_text(encoding="utf-8")
    return _comment(Path(path)) + yaml.dump(read_recipe(path), Dumper=_Writer, sort_keys=False, width=120)


# --- one file --------------------------------------------------------------------------------------------------


class _Reader(yaml.SafeLoader):
    """YAML in which no key stands twice: of two alike, the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Writer(yaml.SafeDumper):
    """YAML in the zoo's layout: a line for each option, and lists of values within theirs."""

    def laid_out(self, data: list[Any]) -> yaml.Node:
        within = not any(isinstance(item, (dict, list)) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=within)


_Writer.add_representer(list, _Writer.laid_out)


def _read_file(path: Path) -> dict[str, Any]:
    """What the file itself says, in today's names of classes and functions."""
    return _of_today(_parsed(path))


def _of_today(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _of_today(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_of_today(item) for item in plain]
    return current(plain) if isinstance(plain, str) else plain


def _parsed(path: Path) -> dict[str, Any]:
    """What stands in the file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Reader)
    except UnicodeDecodeError:
        raise ValueError(
            f"The recipe {str(path)!r} is no text.\nExpected a YAML file with model, data and trainer."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).partition("\n")[0]
        if "'\\t'" in what:
            what = "a tab indents it, and YAML takes spaces alone"
        raise ValueError(f"The recipe {str(path)!r} is no YAML{line}: {what}.") from None
    if not isinstance(content, dict):
        kind = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise ValueError(
            f"The recipe {str(path)!r} {kind}.\nExpected options by name, such as model, data and trainer."
        )
    return content


def _comment(path: Path) -> str:
    """The first line with its end, if it is a comment."""
    with open(path, encoding="utf-8") as file:
        first = file.readline()
    return f"{first.strip()}\n" if first.startswith("#") else ""


# --- its base --------------------------------------------------------------------------------------------------


def _shipped(name: str) -> Path | None:
    parts = Path(name).parts
    if len(parts) == 1 or (len(parts) == 2 and parts[0] == "zoo"):
        file = ZOO / f"{Path(name).stem}.yaml"
        return file if file.is_file() else None
    return None


def _nearest(name: str) -> str:
    return near(Path(name).stem, list(list_recipes()), otherwise="none, see crossdomain list")


def _resolved(path: Path, heirs: tuple[Path, ...]) -> dict[str, Any]:
    """What a recipe says with its base; ``heirs`` are the recipes that it is a base of."""
    content = _read_file(path)
    if "base" not in content:
        return content
    base = _base_of(path, content.pop("base"))
    chain = (*heirs, path)
    if base.resolve() in [recipe.resolve() for recipe in chain]:
        names = " -> ".join(recipe.name for recipe in (*chain, base))
        raise ValueError(f"The recipe {str(path)!r} is its own base: {names}.\nTake base out of one of them.")
    removed = content.pop("without", [])
    if not isinstance(removed, list):
        raise ValueError(f"The recipe {str(path)!r} has without: {removed!r}.\nExpected a list of its base's options.")
    options = _resolved(base, chain)
    for key in map(str, removed):
        if not _removed(options, key.split(".")):
            raise ValueError(
                f"The recipe {str(path)!r} is without {key}, which its base {base.name!r} does not give.\n"
                f"See crossdomain show {base.stem if base.parent == ZOO else base}."
            )
    return _merged(options, content)


def _base_of(path: Path, name: Any) -> Path:
    if not isinstance(name, str):
        raise ValueError(
            f"The recipe {str(path)!r} has base: {name!r}.\nExpected a name of the zoo, or a path from its own folder."
        )
    if (beside := path.parent / name).is_file():
        return beside
    if (shipped := _shipped(name)) is not None:
        return shipped
    raise FileNotFoundError(
        f"The recipe {str(path)!r} has base: {name!r}, neither a name of the zoo nor a path from its own folder.\n"
        f"Nearest in the zoo: {_nearest(name)}."
    )


def _removed(options: Any, key: list[str]) -> bool:
    """Take an option out, whose key may leave out init_args as on the command line; False if there is none."""
    if not isinstance(options, dict):
        return False
    if key[0] not in options and "init_args" in options:
        return _removed(options["init_args"], key)
    if len(key) > 1:
        return _removed(options.get(key[0]), key[1:])
    return options.pop(key[0], options) is not options


def _one_class(first: str, second: str) -> bool:
    """Whether two names of classes mean one, where one of them may be without its package."""
    bare = "." not in first or "." not in second
    return first == second or (bare and first.rpartition(".")[2] == second.rpartition(".")[2])


def _merged(base: Any, given: Any) -> Any:
    """What is given over what the base says."""
    if isinstance(base, str) and isinstance(given, dict) and "init_args" in given:
        base = {"class_path": base}  # a class without options may stand as its name alone
    if not (isinstance(base, dict) and isinstance(given, dict)):
        return given
    if "class_path" in base and not _one_class(base["class_path"], str(given.get("class_path", base["class_path"]))):
        return given
    return base | {key: _merged(base[key], value) if key in base else value for key, value in given.items()}
