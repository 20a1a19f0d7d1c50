"""Which translated digits a judge reads as others: the confusions, and a picture of the first ones.

    python benchmarks/misjudged_digits.py CHECKPOINT JUDGE --source usps --target mnist --picture misjudged.png

JUDGE is a classifier of the target domain, such as that of ``classifier_target_usps_mnist``. Printed are how often it
reads the true digit in images of the source as they are, and in their translations; and, row by row of the true digit,
what it reads in translations. In the picture inputs stand above their translations.
"""

import argparse

import torch
from torchvision.utils import make_grid, save_image

import crossdomain
from crossdomain.datamodules import DigitPair, DrawSampler, make_loader

SHOWN = 32
ENLARGED = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a method from the source, domain a, to the target, domain b")
    parser.add_argument("judge", help="checkpoint of a classifier of the target")
    parser.add_argument("--source", default="usps")
    parser.add_argument("--target", default="mnist")
    parser.add_argument("--split", default="test", choices=["train", "val", "test"])
    parser.add_argument("--picture", help="PNG to write")
    options = parser.parse_args()
    method, judge = crossdomain.load(options.checkpoint), crossdomain.load(options.judge)
    size = method.spec.image_size
    dataset = DigitPair(source=options.source, target=options.target, image_size=size).split(options.split)
    loader = make_loader(dataset, DrawSampler(dataset.lengths(), training=False), batch_size=500)
    batches = [(batch["a"], batch["label_a"]) for batch in loader if "a" in batch]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        outputs = torch.cat([method.translate(part, "a2b") for part in images.split(500)]).clamp(-1, 1)
        copies, read = (
            torch.cat([judge.classify(part, "b").argmax(1) for part in shown.split(500)]) for shown in (images, outputs)
        )
    for name, found in (("as they are", copies), ("translated", read)):
        print(f"read as the true digit, {name}: {(found == labels).float().mean():.3f} of {len(labels)}")
    confusion = torch.zeros(10, 10, dtype=torch.int64)
    confusion.index_put_((labels, read), torch.ones_like(labels), accumulate=True)
    print("true | read as " + "".join(f"{digit:5}" for digit in range(10)))
    for digit, row in enumerate(confusion.tolist()):
        print(f"{digit:4} |         " + "".join(f"{count:5}" for count in row))
    if options.picture:
        wrong = (read != labels).nonzero()[:SHOWN, 0]
        grid = make_grid((torch.cat([images[wrong], outputs[wrong]]) + 1) / 2, nrow=len(wrong), padding=1)
        save_image(torch.nn.functional.interpolate(grid[None], scale_factor=ENLARGED), options.picture)


if __name__ == "__main__":
    main()
