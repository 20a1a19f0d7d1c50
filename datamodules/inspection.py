"""A look at image folders before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .image_files import levels_of, list_images, read_image


@dataclass
class FolderReport:
    """What :func:`inspect_folder` found.

    Attributes:
        folders: for each folder with images, how many there are of each kind: ``(width, height, channels, bits)``.
        problems: one line for each file that cannot be used, with its name.
    """

    folders: dict[Path, Counter[tuple[int, int, int, int]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        for folder, kinds in self.folders.items():
            lines.append(f"{folder}: {sum(kinds.values())} images")
            for (width, height, channels, bits), count in kinds.most_common(5):
                lines.append(f"  {count:7} of {width}x{height} px, {channels} channel(s), {bits} bits")
            if len(kinds) > 5:
                lines.append(f"  and {len(kinds) - 5} other kinds")
        lines += [f"problem: {problem}" for problem in self.problems]
        lines.append(f"{len(self.problems)} problem(s)")
        return "\n".join(lines)


def inspect_folder(path: Path, progress: Callable[[Iterable[Path]], Iterable[Path]] = iter) -> FolderReport:
    """Read all images below a folder, and say what a training would stumble over.

    Counts, sizes, channels and depths are listed by folder. Problems are files that cannot be read, and, where a folder
    has the subfolders ``A`` and ``B``, files without a partner of the same name.

    Args:
        path: the folder.
        progress: wraps the list of files, to show how far it is.

    Raises:
        FileNotFoundError: there is no such folder, or no image below it.
    """
    files = list_images(path, recursive=True)
    report = FolderReport()
    for file in progress(files):
        kinds = report.folders.setdefault(file.parent, Counter())
        try:
            image = read_image(file)
        except ValueError as error:
            report.problems.append(str(error).splitlines()[0])
        else:
            channels, height, width = image.shape
            kinds[width, height, channels, 8 if levels_of(image) == 256 else 16] += 1
    for folder in sorted({file.parent.parent for file in files if file.parent.name in ("A", "B")}):
        names = {side: {f.stem: f for f in files if f.parent == folder / side} for side in "AB"}
        for side, other in ("AB", "BA"):
            alone = sorted(set(names[side]) - set(names[other]))
            report.problems += [f"{str(names[side][stem])!r} has no partner in {other}" for stem in alone]
    return report
