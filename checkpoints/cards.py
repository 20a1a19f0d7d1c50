"""Cards of the zoo, ``docs/zoo/NAME.md``, and the README's tables: written from the index, checkpoints and event files.

    python checkpoints/cards.py     # writes all of them anew

Pictures are taken from a training's event files when it ends (:func:`draw`). Their names hold the first digits of the
checkpoint's SHA-256, so that pictures of other weights are not taken for these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import crossdomain
from crossdomain import hub
from crossdomain.capabilities import Classifies, Samples
from crossdomain.headlines import SIDES, STEMS, headlines

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "zoo"
README = ROOT / "README.md"
RIVALS = Path(__file__).with_name("rivals.yaml")  # by rivals.py
BEGIN, END = "<!-- tables by checkpoints/cards.py -->", "<!-- end of tables -->"


def pictures(name: str, sha256: str) -> dict[str, Path]:
    """The files of a checkpoint's pictures: ``curves``, of the val split, and ``grid``, inputs and outputs, if any."""
    files = {kind: _picture(name, sha256, kind) for kind in ("grid", "curves")}
    return {kind: file for kind, file in files.items() if kind == "curves" or file.exists()}


def _picture(name: str, sha256: str, kind: str) -> Path:
    return FOLDER / f"{name}-{sha256[:8]}-{kind}.png"


def draw(name: str, sha256: str, logs: Path) -> None:
    """Write a checkpoint's pictures from the event files of its training, in place of earlier ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(logs), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(f"{name}-????????-*.png"):
        old.unlink()
    if "val/grid" in events.Tags()["images"]:  # classifiers make no pictures
        _picture(name, sha256, "grid").write_bytes(events.Images("val/grid")[-1].encoded_image_string)
    measured = {tag.removeprefix("val/") for tag in events.Tags()["scalars"] if tag.startswith("val/")}
    stems = [stem for stem in STEMS if any(stem + side in measured for side in SIDES)][:3]
    figure = Figure(figsize=(4 * len(stems), 3), layout="constrained")
    FigureCanvasAgg(figure)
    for stem, axes in zip(stems, figure.subplots(1, len(stems), squeeze=False)[0], strict=True):
        for tag in (stem + side for side in SIDES if stem + side in measured):
            points = events.Scalars(f"val/{tag}")
            axes.plot([p.step for p in points], [p.value for p in points], ".-", label=f"val/{tag}")
        axes.set_xlabel("rounds")
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.legend()
    figure.savefig(_picture(name, sha256, "curves"), dpi=80)


def _use(name: str, method: Any) -> list[str]:
    """Python that loads a checkpoint and does what it can, and the command for files."""
    spec = method.spec
    lines = ["```python", "import crossdomain", "", f'method = crossdomain.load("{name}")']
    for direction in method.directions:
        source, target = direction.source, direction.target
        channels, side = method.channels[source], spec.image_size
        shape = f"(N, {channels}, {side}, {side}) in [-1, 1]" if side else f"(N, {channels})"
        options = ", samples=5, seed=0" if method.multimodal else ""
        options = f", guide=images_{target}" if method.guide == "required" else options
        what = f"{spec.names[source]} {shape}, to {spec.names[target]}"
        lines.append(f'{target} = method.translate(images_{source}, "{direction}"{options})  # {what}')
    if isinstance(method, Classifies):
        lines.append('logits = method.classify(images, "b")  # (N, classes)')
    if isinstance(method, Samples):
        lines.append("samples = method.sample(8, seed=0)  # of each domain that it generates, a dict")
    for domain in method.densities:
        lines.append(f'log_prob = method.log_prob(images_{domain}, "{domain}")  # (N,), in nats')
    lines.append("```")
    if method.directions and spec.image_size:
        options = f" --direction {method.directions[0]}" if len(method.directions) > 1 else ""
        options += " --guide guide.png" if method.guide == "required" else " --samples 5" if method.multimodal else ""
        lines += ["", f"    crossdomain translate {name} picture.png --output translated/{options}"]
    return lines


def card(name: str) -> str:
    """The text of ``docs/zoo/NAME.md``."""
    entry, method = hub.model_info(name), crossdomain.load(name)
    files = pictures(name, entry["sha256"])
    size, parameters = hub.find_checkpoint(name).stat().st_size / 1e6, sum(p.numel() for p in method.parameters())
    recipe = f"zoo/{entry['recipe']}.yaml"
    lines = [f"# {name}", "", hub.list_recipes()[entry["recipe"]]]
    if "grid" in files:
        lines += ["", f"![Inputs and outputs]({files['grid'].name})", "", f"*The val split after {entry['budget']}.*"]
    lines += ["", "## Use", "", *_use(name, method)]
    lines += ["", f"## Metrics on the {entry['split']} split of {entry['data']}", "", "| tag | value |", "|---|---|"]
    lines += [f"| `{tag}` | {value:.4g} |" for tag, value in entry["metrics"].items()]
    fit, test = (" ".join(["", entry.get(command, "")]).rstrip() for command in ("fit", "test"))
    lines += ["", f"    lightning test --config {recipe} --ckpt_path {name}{test}", ""]
    lines += [
        "What the tags mean: [metrics](../metrics.md).",
        "",
        f"![The val split in training]({files['curves'].name})",
    ]
    lines += ["", "## Notes and limits", "", entry["notes"]]
    lines += ["", "## Training", "", "| | |", "|---|---|"]
    page = entry["method"].lower() if entry["method"] in hub.list_methods() else "companions"
    rows = {
        "method": f"[{entry['method']}](../methods/{page}.md)",
        "recipe": f"`{recipe}`, seed {entry['seed']}",
        "budget": entry["budget"],
        "hardware": entry["hardware"],
        "version": entry["version"],
        "parameters": f"{parameters:,}, of all networks",
        "file": f"`{entry['file']}`, {size:.1f} MB, SHA-256 `{entry['sha256']}`",
        "licence of the weights": entry["licence"],
        "licence of the data": entry["data_licence"],
    }
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    lines += ["", f"Again: `lightning fit --config {recipe} --seed_everything {entry['seed']}{fit}`, or"]
    lines += [f"`python checkpoints/train.py {name}`, which also tests it and writes its index entry."]
    return "\n".join(lines) + "\n"


def by_data() -> dict[str, list[str]]:
    """Names of the checkpoints in each table of the README, by their data; companions are in none."""
    of_methods = set(hub.list_methods())
    tables: dict[str, list[str]] = {}
    for name in hub.list_checkpoints():
        entry = hub.model_info(name)
        if entry["method"] in of_methods:
            tables.setdefault(entry["data"], []).append(name)
    return tables


def comparison(names: Sequence[str]) -> list[str]:
    """Arguments of ``crossdomain compare`` for checkpoints on the data of the first, as it was tested on it."""
    entry = hub.model_info(names[0])
    data = hub.read_recipe(hub.find_recipe(entry["recipe"]))["data"]
    options = {"data": data["class_path"], **{f"data.{key}": value for key, value in data["init_args"].items()}}
    judges = re.findall(r"--trainer\.callbacks\.(judge_\w+) (\S+)", entry.get("test", ""))
    options |= {f"evaluation.{judge}": checkpoint for judge, checkpoint in judges}
    return [*names, *(str(part) for option, value in options.items() for part in (f"--{option}", value))]


def tables() -> str:
    """The README's tables: of each data the checkpoints, then what knows nothing, metrics across, the command below."""
    lines: list[str] = []
    rivals = yaml.safe_load(RIVALS.read_text())
    for data, names in by_data().items():
        rows = {f"[{name}](docs/zoo/{name}.md)": hub.model_info(name)["metrics"] for name in names}
        tags = headlines(tag for metrics in rows.values() for tag in metrics)
        lines += ["", f"| {data} | " + " | ".join(tags) + " |", "|---" * (len(tags) + 1) + "|"]
        for name, metrics in (rows | rivals.get(data, {})).items():
            cells = [f"{metrics[tag]:.4g}" if tag in metrics else "" for tag in tags]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines += ["", f"    crossdomain compare {' '.join(comparison(names))}"]
    return "\n".join(lines[1:])


def with_tables(readme: str) -> str:
    """``readme`` with its tables as :func:`tables` writes them."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> None:
    """Write all cards and the README's tables; cards of names that are gone go too."""
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name in hub.list_checkpoints():
        (FOLDER / f"{name}.md").write_text(card(name))
    README.write_text(with_tables(README.read_text()))


if __name__ == "__main__":
    main()
