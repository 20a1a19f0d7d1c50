"""What needs no training scores on Facades: the mean picture, a copy, colours matched, another house, the truth.

    python benchmarks/facades_rivals.py SEGMENTER

where SEGMENTER is the checkpoint of ``segmenter_facades`` at 64 px. Reads ``CROSSDOMAIN_DATA``, as Facades does. Prints
a table of the val split: mse on [-1, 1] in both directions, pixel accuracy and class IoU of labels made of photos (by
the nearest colour) and of photos made of labels (by the segmenter), and the Frechet distance of these photos to the
real ones on the segmenter's features.
"""

import argparse

import torch

import crossdomain
from crossdomain.datamodules import Facades
from crossdomain.metrics import SegmentationScore
from crossdomain.metrics.features import frechet_distance
from crossdomain.metrics.palette import nearest_class


def pictures(split, batch_size):
    """Photos and labels of a split, (N, 3, 64, 64) each."""
    data = Facades(batch_size=batch_size, image_size=64, load_size=64, flip=False)
    data.setup("fit")
    batch = next(iter(data.train_dataloader() if split == "train" else data.val_dataloader()))
    return data.palette, batch["a"], batch["b"]


def matched(images, seen, wanted):
    """Each channel brought from the mean and deviation of ``seen`` to those of ``wanted``."""
    (mean, deviation), (new_mean, new_deviation) = (
        (each.mean((0, 2, 3), keepdim=True), each.std((0, 2, 3), keepdim=True)) for each in (seen, wanted)
    )
    return ((images - mean) / deviation * new_deviation + new_mean).clamp(-1, 1)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segmenter")
    segmenter = crossdomain.load(parser.parse_args().segmenter)
    palette, photos, labels = pictures("val", 100)
    _, train_photos, train_labels = pictures("train", 400)
    classes = nearest_class(labels, palette["colours"], palette["ignored"])
    real = segmenter.features(photos).double()

    def score(found):
        metric = SegmentationScore(len(palette["colours"]))
        metric.update(found, classes)
        values = metric.compute()
        return f"{values['pixel_accuracy']:.3f}, {values['class_iou']:.3f}"

    rows = {
        "the mean training picture": (train_labels.mean(0).expand_as(labels), train_photos.mean(0).expand_as(photos)),
        "a copy of the input": (photos, labels),
        "each channel brought to the other domain's mean and deviation": (
            matched(photos, train_photos, train_labels),
            matched(labels, train_labels, train_photos),
        ),
        "the true picture of another house": (labels.roll(1, 0), photos.roll(1, 0)),
        "the truth": (labels, photos),
    }
    print("| | mse a2b / b2a | labels | photo | Frechet |\n|---|---|---|---|---|")
    for name, (b, a) in rows.items():
        errors = f"{(b - labels).square().mean():.3f} / {(a - photos).square().mean():.3f}"
        distance = frechet_distance(segmenter.features(a).double(), real)
        made = score(nearest_class(b, palette["colours"])), score(segmenter.segment(a).argmax(1))
        print(f"| {name} | {errors} | {made[0]} | {made[1]} | {distance.abs():.1f} |")


if __name__ == "__main__":
    main()
