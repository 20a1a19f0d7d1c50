"""The commands ``lightning`` and ``crossdomain``. Torch is imported only by what needs it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crossdomain import __version__, hub

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
    except Exception as error:
        if os.environ.get(DEBUG) or not _is_mistake(error):
            raise
        while isinstance(error.__cause__, ValueError) and "Union subtypes" in str(error):
            error = error.__cause__  # jsonargparse wraps what a constructor raised
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print("error: " + "\n".join(lines[:3]), file=sys.stderr)
        sys.exit(1)


def _is_mistake(error: Exception) -> bool:
    # Lightning's own refusals have a class of their own, looked up by name to keep this module light.
    names = {cls.__name__ for cls in type(error).__mro__}
    return isinstance(error, (ValueError, OSError, FloatingPointError)) or "MisconfigurationException" in names


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


def main(args: list[str] | None = None) -> None:
    """The ``lightning`` command: fit, validate, test and predict."""
    args = sys.argv[1:] if args is None else args

    def action() -> None:
        resolved = _with_recipes(args)
        from crossdomain.lightning_cli import run

        run(resolved)

    _guarded(action)


def _list(options: argparse.Namespace) -> None:
    recipes = hub.list_recipes()
    width = max(map(len, [*recipes, *hub.list_models()]))
    print("Recipes (lightning fit --config zoo/NAME.yaml)")
    for name, what in recipes.items():
        print(f"  {name:{width}}  {what}")
    print("\nCheckpoints (crossdomain.load(NAME))")
    for name in hub.list_models():
        entry = hub.model_info(name)
        metrics = ", ".join(f"{key} {value:.4g}" for key, value in entry["metrics"].items())
        print(f"  {name:{width}}  {metrics} ({entry['data']}, {entry['split']})")


def _adapt(options: argparse.Namespace) -> None:
    recipe = hub.find_recipe(options.config)
    from crossdomain.pipeline import adapt

    print(adapt(str(recipe), options.seed, options.semantic))


def _embed(options: argparse.Namespace) -> None:
    recipe, checkpoint = hub.find_recipe(options.config), hub.find_checkpoint(options.checkpoint)
    from crossdomain.pipeline import embed

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

    from crossdomain.translation import find_images, translate_files

    files = find_images(options.paths)
    method = hub.load(options.model, options.device)
    written = translate_files(
        method, files, options.output, options.direction, options.samples, options.seed, options.guide
    )
    count = sum(1 for _ in tqdm(written, total=len(files) * options.samples, unit="image"))
    print(f"Wrote {count} images to {options.output}")


def _compare(args: list[str]) -> None:
    from crossdomain.lightning_cli import parse_comparison

    options = parse_comparison(args)
    from crossdomain.comparison import compare

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


def crossdomain(args: list[str] | None = None) -> None:
    """The ``crossdomain`` command: list, translate, compare, adapt, embed, look after data, exchange weights."""
    parser = argparse.ArgumentParser("crossdomain", description="A model zoo for moving images between domains.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show recipes and checkpoints").set_defaults(action=_list)
    adapt = commands.add_parser("adapt", help="train a method and three classifiers, and print the adaptation table")
    adapt.add_argument("--config", default="alignflow", help="the method's recipe (default: alignflow)")
    adapt.add_argument("--seed", type=int, default=0, help="seed of all four trainings (default: 0)")
    adapt.add_argument(
        "--semantic", action="store_true", help="semantic consistency, with the classifier trained on the source"
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
    translate.add_argument("--direction", choices=["a2b", "b2a"], help="needed where the method goes both ways")
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
