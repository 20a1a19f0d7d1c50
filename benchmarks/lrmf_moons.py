"""LRMF on moons: what TensorBoard shows before, during and after alignment, and the certificate's curve, as one PNG.

    python benchmarks/lrmf_moons.py --seed 0 --output lrmf-moons.png

Trains by the zoo's recipe (a minute or two on one core), reads the run's log, and prints the last figures.
"""

import argparse
import io
import time

from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crossdomain import hub
from crossdomain.commands.lightning import run

QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]


def draw(events, output):
    """The first, an early and the last picture above each other, and the curve below."""
    pictures = events.Images("val/grid")
    shown = [pictures[0], pictures[1], pictures[-1]]
    figure = Figure(figsize=(9, 9.5), layout="constrained")
    *rows, curve = figure.subplots(len(shown) + 1, 1)
    for row, picture in zip(rows, shown, strict=True):
        row.imshow(Image.open(io.BytesIO(picture.encoded_image_string)))
        row.set_axis_off()
        row.set_title(f"after {picture.step} rounds", fontsize=10)
    scalars = sorted({(event.step, event.value) for event in events.Scalars("val/certificate")})
    curve.plot(*zip(*scalars, strict=True))
    curve.axhline(0.0, color="0.7", linewidth=1)
    curve.set(xlabel="rounds", ylabel="val/certificate (nats)")
    figure.savefig(output, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="lrmf-moons.png")
    options = parser.parse_args()
    start = time.perf_counter()
    done = run(["fit", "--config", str(hub.find_recipe("lrmf")), "--seed_everything", str(options.seed), *QUIET])
    seconds = time.perf_counter() - start
    events = EventAccumulator(done.trainer.log_dir, {"images": 0, "scalars": 0})
    events.Reload()
    draw(events, options.output)
    figures = {name: float(value) for name, value in done.trainer.callback_metrics.items() if name.startswith("val/")}
    for name in ("val/certificate", "val/gap_a", "val/gap_b", "val/neighbour_accuracy_a2b"):
        print(f"{name:28} {figures[name]:.4f}")
    print(f"{'seconds':28} {seconds:.0f}")


if __name__ == "__main__":
    main()
