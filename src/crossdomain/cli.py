"""The commands ``lightning`` and ``crossdomain``. Torch is imported only by what needs it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import NoReturn

from crossdomain import __version__, hub, recipes
from crossdomain.checks import reason
from crossdomain.headlines import headlines

DEBUG = "CROSSDOMAIN_DEBUG"
CHECKPOINT_HELP = "a checkpoint: its path, a name of the zoo, or a URL that ends in #sha256=HEX"


def _guarded(action: Callable[[], object]) -> None:
    """Run ``action``; a user's mistake becomes at most three lines on stderr and exit status 1.

    With the environment variable CROSSDOMAIN_DEBUG set, the traceback is shown instead.
    """
    try:
        action()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as ending:
        if isinstance(ending.__context__, KeyboardInterrupt):  # of which Lightning makes status 1
            sys.exit(130)
        raise
    except Exception as error:
        if os.environ.get(DEBUG) or not (_is_mistake(error) or _is_loss(error)):
            raise
        if _is_loss(error):
            error = ChildProcessError(
                "Another process of this run has ended, so this one ends too. Its own message says why."
            )
        print("error: " + _worded(reason(error)), file=sys.stderr)
        sys.exit(1)


def _worded(error: Exception) -> str:
    """What went wrong, in three lines at most."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        expected = {
            FileExistsError: " is a file, expected a folder",
            IsADirectoryError: " is a folder, expected a file",
        }
        return f"{os.fspath(error.filename)!r}{expected.get(type(error), f': {error.strerror}')}."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not _is_mistake(error):  # what a constructor stumbled over
        lines[:1] = [f"{type(error).__name__}: {lines[0] if lines else ''}"]
    return "\n".join(lines[:3])


def _is_mistake(error: Exception) -> bool:
    # Lightning's own refusals and torch's lack of memory have classes of their own, looked up by name to keep this
    # module light.
    names = {cls.__name__ for cls in type(error).__mro__}
    return (
        isinstance(error, (ValueError, OSError, FloatingPointError))
        or bool(names & {"MisconfigurationException", "OutOfMemoryError"})
        or "can't allocate memory" in str(error)
    )


def _is_loss(error: Exception) -> bool:
    """Whether a process of a training by several was gone when this one waited for it."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"DistBackendError", "DistNetworkError", "DistStoreError"}) or "gloo/" in str(error)


def _with_recipes(args: list[str]) -> list[str]:
    """Replace the names of recipes by their paths."""
    resolved: list[str] = []
    for arg in args:
        if arg.startswith("--config="):
            resolved += ["--config", str(hub.find_recipe(arg.removeprefix("--config=")))]
        elif resolved and resolved[-1] in ("--config", "-c"):
            resolved.append(str(hub.find_recipe(arg)))
        else:
            resolved.append(arg)
    return resolved


HELP = """\
usage: lightning {fit,validate,test,predict} --config RECIPE [--OPTION VALUE]
       lightning --version

  fit         train by a recipe
  validate    measure a checkpoint on the val split
  test        measure a checkpoint on the test split
  predict     translate the test split, and write pictures

A recipe is a YAML file, or a name of the zoo, which `crossdomain list` shows.

  lightning fit --config alignflow                               train
  lightning fit --config alignflow --trainer.max_epochs 20       with another option
  lightning test --config alignflow --ckpt_path alignflow-digits
  lightning fit --help                                           common options
  lightning fit --help --all                                     all options
  lightning fit --model.help CycleGAN                            those of a method
  lightning fit --data.help UnpairedFolder                       those of data
"""


def main(args: list[str] | None = None) -> None:
    """The ``lightning`` command: fit, validate, test and predict; its version and first page of help need no torch."""
    args = sys.argv[1:] if args is None else args
    if args in (["--version"], ["--help"], ["-h"]):
        print(__version__ if args == ["--version"] else HELP.rstrip())
        return

    def action() -> None:
        resolved = _with_recipes(args)
        from crossdomain.commands.lightning import run

        run(resolved)

    _guarded(action)


def _shown(text: str, between: str) -> str:
    """A line as it fits into the terminal, cut at ``between``; the whole of it where it goes elsewhere."""
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or len(text) <= width:
        return text
    whole = text[: width - 1].rpartition(between)[0] or text[: width - 2]
    return f"{whole.rstrip(' ,:')} …"


def _print_groups(title: str, groups: dict[str, dict[str, str]], between: str) -> None:
    """Print entries in groups, a line each: a name and what there is to say."""
    print(title)
    for heading, entries in groups.items():
        print(f"\n{heading}")
        width = max(map(len, entries))
        for name, what in entries.items():
            print(_shown(f"  {name:{width}}  {what}", between))


def _list(options: argparse.Namespace) -> None:
    recipes: dict[str, dict[str, str]] = {}
    for name, what in hub.list_recipes().items():
        recipes.setdefault(name.partition("_")[0], {})[name] = what
    # A description begins with the method's name as it is written, which then is the heading; companions have none.
    spelled = {key: next(iter(of.values())).partition(" ")[0] for key, of in recipes.items()}
    headings = {key: name if name.lower() == key else key.capitalize() for key, name in spelled.items()}
    by_method = {
        headings[key]: {name: what.removeprefix(f"{headings[key]} ") for name, what in of.items()}
        for key, of in recipes.items()
    }
    checkpoints: dict[str, dict[str, str]] = {}
    for name in hub.list_checkpoints():
        entry = hub.model_info(name)
        metrics = ", ".join(f"{tag} {entry['metrics'][tag]:.4g}" for tag in headlines(entry["metrics"]))
        checkpoints.setdefault(f"{entry['data']}, {entry['split']} split", {})[name] = metrics
    _print_groups("Recipes by method: lightning fit --config NAME", by_method, " ")
    _print_groups("\nCheckpoints by data: crossdomain.load(NAME), or --ckpt_path NAME", checkpoints, ", ")


def _show(options: argparse.Namespace) -> None:
    print(recipes.standalone(hub.find_recipe(options.recipe)), end="")


def _adapt(options: argparse.Namespace) -> None:
    recipes = [str(hub.find_recipe(name)) for name in options.config]
    from crossdomain.commands.adapt import adapt

    print(adapt(recipes, options.seeds, options.semantic, options.match_frequencies))


def _embed(options: argparse.Namespace) -> None:
    recipe, checkpoint = hub.find_recipe(options.config), hub.find_checkpoint(options.checkpoint)
    from crossdomain.commands.adapt import embed

    path, length = embed(str(recipe), str(checkpoint), options.output)
    print(f"Wrote embeddings of length {length} to {path}")


@contextmanager
def _notes() -> Iterator[None]:
    """Show warnings of what is done inside as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        print(f"note: {warning.message}", file=sys.stderr)


def _import(options: argparse.Namespace) -> None:
    from crossdomain import serialization
    from crossdomain.official import import_official

    with _notes():
        method = import_official(options.files, options.origin, options.direction, options.dropout)
    serialization.write(method, options.output)
    ways, size = " and ".join(method.directions), sum(p.numel() for p in method.parameters())
    print(f"{options.output}: {type(method).__name__} {ways}, {size:,} parameters")


def _export(options: argparse.Namespace) -> None:
    method = hub.load(options.checkpoint)
    from crossdomain.official import export_official

    with _notes():
        files = export_official(method, options.output, options.origin)
    print(*files, sep="\n")


def _translate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from crossdomain.commands.translate import find_images, translate_files

    files = find_images(options.paths)
    method = hub.load(options.model, options.device)
    written = translate_files(
        method, files, options.output, options.direction, options.samples, options.seed, options.guide
    )
    bar = tqdm(written, total=len(files) * options.samples, unit="image", delay=1)  # what is refused is refused before
    print(f"Wrote {sum(1 for _ in bar)} images to {options.output}")


def _compare(args: list[str]) -> None:
    from crossdomain.commands.lightning import parse_comparison

    options = parse_comparison(args)
    from crossdomain.commands.compare import compare

    result = compare(
        options.members,
        options.data,
        options.split,
        options.evaluation,
        options.logs,
        options.pictures,
        options.device,
    )
    print(result if options.format == "table" else result.render(options.format))


def _build_cityscapes(options: argparse.Namespace) -> None:
    from pathlib import Path

    from tqdm import tqdm

    from crossdomain.datamodules import Cityscapes
    from crossdomain.datamodules.cityscapes import build_cityscapes

    output = Path(options.output) if options.output else Cityscapes().path
    count = build_cityscapes(Path(options.photos), Path(options.labels), output, tqdm)
    print(f"Wrote {count} pairs to {output}")


def _check(options: argparse.Namespace) -> None:
    from pathlib import Path

    from tqdm import tqdm

    from crossdomain.datamodules.downloads import check_archive
    from crossdomain.datamodules.inspection import inspect_folder

    if Path(options.path).is_file():
        print(f"{options.path}: {check_archive(Path(options.path))} files, all as they were packed")
        return
    report = inspect_folder(Path(options.path), tqdm, options.image_size, options.load_size)
    print(report)
    if report.problems:
        sys.exit(1)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are three lines at most, and name what is near."""

    def error(self, message: str) -> NoReturn:
        """Print what was wrong and what is near, and exit with status 2."""
        if match := re.match(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message):
            name, given, choices = match.groups()
            message = (
                f"{name} is {given!r}.\nNearest: {hub.near(given, [c.strip(chr(39)) for c in choices.split(', ')])}."
            )
            if name == "command" and given in ("fit", "validate", "test", "predict"):
                message = f"command is {given!r}.\nThat is one of the other command: lightning {given}."
        elif match := re.match(r"argument (\S+): invalid (\w+) value: (.*)", message):
            message = f"{match[1]} is {match[3]}.\nExpected: {match[2]}."
        elif match := re.match(r"argument (\S+): expected (.*)", message):
            message = f"{match[1]} has no value: expected {match[2]}."
        print(f"error: {message}\nSee {self.prog} --help.", file=sys.stderr)
        sys.exit(2)

    def parse_known_args(self, args=None, namespace=None):
        """As argparse does it, but misspelt options are named before missing ones."""
        args = sys.argv[1:] if args is None else list(args)
        nested = any(isinstance(action, argparse._SubParsersAction) for action in self._actions)
        mine = takewhile(lambda arg: arg.startswith("-"), args) if nested else args
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for name in (arg.partition("=")[0] for arg in mine if arg.startswith("--")):
            if not any(option.startswith(name) for option in options):
                self.error(f"There is no option {name}.\nNearest: {hub.near(name, options)}.")
        return super().parse_known_args(args, namespace)


def crossdomain(args: list[str] | None = None) -> None:
    """The ``crossdomain`` command: list, show, translate, compare, adapt, embed, look after data, exchange weights."""
    parser = _Parser("crossdomain", description="A model zoo for moving images between domains.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show recipes by method and checkpoints by data").set_defaults(action=_list)
    show = commands.add_parser("show", help="print a recipe whole, with what it takes from its base")
    show.add_argument("recipe", help="a name of the zoo, or the path of a YAML file")
    show.set_defaults(action=_show)
    adapt = commands.add_parser("adapt", help="train methods and classifiers, and print the adaptation table")
    adapt.add_argument("--config", nargs="+", default=["alignflow"], help="the methods' recipes (default: alignflow)")
    adapt.add_argument("--seeds", nargs="+", type=int, default=[0], help="each of all trainings once (default: 0)")
    adapt.add_argument(
        "--semantic",
        nargs="?",
        const="self-trained",
        choices=["source only", "+ augmentation", "self-trained"],
        help="semantic consistency, with the classifier of this row (default: self-trained)",
    )
    adapt.add_argument(
        "--match_frequencies",
        action="store_true",
        help="draw the source's classes as often as the self-trained classifier sees them in the target",
    )
    adapt.set_defaults(action=_adapt)
    embed = commands.add_parser("embed", help="encode a whole dataset, for methods that work on vectors")
    embed.add_argument("checkpoint", help="an autoencoder: its path, or a name of the zoo")
    embed.add_argument("--config", required=True, help="the recipe it was trained by, which names the data")
    embed.add_argument("--output", help="file to write (default: embeddings/<data>.pt below the data's root)")
    embed.set_defaults(action=_embed)
    translate = commands.add_parser("translate", help="translate image files, at their own size")
    translate.add_argument("model", help=CHECKPOINT_HELP)
    translate.add_argument("paths", nargs="+", help="image files, folders, patterns")
    translate.add_argument("--output", required=True, help="folder to write to, under the same names")
    translate.add_argument("--direction", help="such as a2b, or photo2labels; needed where the method has several")
    translate.add_argument("--samples", type=int, default=1, help="outputs for each image (default: 1)")
    translate.add_argument("--seed", type=int, default=0, help="decides the outputs of a method that has many")
    translate.add_argument("--guide", help="an image whose look the outputs take, where the method can do that")
    translate.add_argument("--device", default="cpu", help="such as cuda (default: cpu)")
    translate.set_defaults(action=_translate)
    commands.add_parser("compare", help="evaluate methods on the same data, side by side", add_help=False)
    data = commands.add_parser("data", help="look after data").add_subparsers(dest="task", required=True)
    check = data.add_parser("check", help="counts, sizes and kinds of the images in a folder, and what is wrong")
    check.add_argument("path", help="the folder; of a .zip or .tar.gz the checksums and names are checked")
    check.add_argument("--image_size", type=int, help="the training's: images smaller than its crop are named")
    check.add_argument("--load_size", type=int, help="the training's, to which images are resized first")
    check.set_defaults(action=_check)
    cityscapes = data.add_parser("cityscapes", help="build Cityscapes in pix2pix's layout from your own download")
    cityscapes.add_argument("photos", metavar="LEFTIMG8BIT", help="folder with train/CITY/*_leftImg8bit.png and val")
    cityscapes.add_argument("labels", metavar="GTFINE", help="folder with train/CITY/*_gtFine_color.png and val")
    cityscapes.add_argument(
        "--output", metavar="DIR", help="folder to make (default: cityscapes in CROSSDOMAIN_DATA, else in data)"
    )
    cityscapes.set_defaults(action=_build_cityscapes)
    importer = commands.add_parser("import", help="turn the authors' published weights into a checkpoint of the zoo")
    importer.add_argument(
        "files",
        nargs="+",
        metavar="file",
        help="what the official code wrote, such as latest_net_G.pth; ROLE=FILE where a name does not say what it is",
    )
    importer.add_argument(
        "--from", dest="origin", required=True, help="the official code: alignflow, pix2pix, cyclegan or bicyclegan"
    )
    importer.add_argument("--output", required=True, help="the checkpoint to write, such as horse2zebra.ckpt")
    importer.add_argument("--direction", choices=["a2b", "b2a"], help="of a model that goes one way (default: a2b)")
    importer.add_argument(
        "--dropout",
        action=argparse.BooleanOptionalAction,
        help="whether a U-Net was trained with dropout, which files do not tell (default: yes, but for cyclegan)",
    )
    importer.set_defaults(action=_import)
    exporter = commands.add_parser("export", help="write a checkpoint's weights as the authors' own code does")
    exporter.add_argument("checkpoint", help=CHECKPOINT_HELP)
    exporter.add_argument(
        "--to", dest="origin", help="the official code: pix2pix, cyclegan or bicyclegan (default: its own)"
    )
    exporter.add_argument("--output", required=True, help="folder to write latest_net_G.pth and the like to")
    exporter.set_defaults(action=_export)
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["compare"]:  # whose data is any class with its options, which argparse cannot read
        return _guarded(lambda: _compare(args[1:]))
    options = parser.parse_args(args)
    return _guarded(lambda: options.action(options))
