"""Segmentation: a network that scores translated photos by the classes that it sees in them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.metrics.palette import VOID, nearest_class
from crossdomain.misfits import features_of
from crossdomain.networks import TimmSegmenter


class DomainSegmenter(Method):
    """A segmentation network trained on real photos and their labels, for the FCN-score of translated ones.

    It minimises the cross-entropy E -log softmax(f(x))[y] of each pixel, where x is a photo and y the class whose
    palette colour is nearest to the pixel of its label picture; void pixels do not count. The palette is the data's.

    Isola et al. (arXiv 1611.07004) score with the FCN-8s of Long et al. in Caffe. This is another network, so its
    scores compare methods with each other and with its own scores on real photos, not with figures in papers.

    Validation and test log ``pixel_accuracy_a``, ``class_accuracy_a`` and ``class_iou_a`` (``b`` where ``labels`` is
    ``a``), on real photos: what a perfect translation would get.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b; that of domain a when left out.
        classes: number of classes, as many as the palette has.
        network: makes the network from the number of channels and of classes.
        labels: the domain whose images are labels; the other one's are the photos.
        options: those of :class:`Game`.
    """

    generating_player = "segmenter"

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        classes: int = 12,
        network: NetworkFactory = TimmSegmenter,
        labels: Literal["a", "b"] = "b",
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        at_least(1, self, classes=classes)
        self.save_hyperparameters()
        if labels not in self.channels:
            raise ValueError(f"labels is {labels!r}, but has to be 'a' or 'b'.")
        from_photos = next(direction for direction in BOTH if direction.target == labels)
        self.classes = classes
        self.labels = labels
        self.photos = from_photos.source
        self.truth = f"truth_{from_photos}"
        self.network = network(self.channels[self.photos], classes)
        self.players = {"segmenter": ("network",)}

    def setup(self, stage: str) -> None:
        """Check that the data has labels by colour, of as many classes."""
        super().setup(stage)
        palette = self.spec.palette
        if palette is None or palette["domain"] != self.labels or len(palette["names"]) != self.classes:
            found = "no palette"
            if palette is not None:
                found = f"{len(palette['names'])} classes in domain {palette['domain']}"
            raise ValueError(
                f"The data has {found}, but this {type(self).__name__} was made for {self.classes} in {self.labels}.\n"
                "Choose data with labels by colour, such as Facades, and set model.classes and model.labels."
            )

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Logits of the photos, and the classes of their labels."""
        if self.truth not in batch:
            raise ValueError("The training batch has no labels of its photos; use paired data.")
        palette = self.spec.palette
        assert palette is not None  # as setup has seen to
        truth = nearest_class(batch[self.truth], palette["colours"], palette["ignored"])
        return {"logits": self.network(batch[self.photos]), "truth": truth}

    def segmenter_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Cross-entropy, the mean over pixels that are not void."""
        logits, truth = out["logits"].float(), out["truth"]
        total = F.cross_entropy(logits, truth, ignore_index=VOID, reduction="sum")
        return {"cross_entropy": total / (truth != VOID).sum().clamp_min(1)}

    @torch.no_grad()
    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, classes, H, W) of photos (N, C, H, W) in [-1, 1]."""
        self.check_images(images, self.photos)
        with self.misfits_named(images):
            return self.network(images)

    @torch.no_grad()
    def features(self, images: Tensor, domain: str | None = None) -> Tensor:
        """Features (N, D) of photos (N, C, H, W) in [-1, 1], for distances of translated photos to real ones.

        Args:
            images: the photos.
            domain: the domain of the photos, which is the default.

        Raises:
            ValueError: it is asked about labels, or the network is one that does not tell.
        """
        domain = domain or self.photos
        if domain != self.photos:
            raise ValueError(f"The segmenter looks at photos, domain {self.photos}, and not at domain {domain}.")
        self.check_images(images, domain)
        features = features_of(self.network, "The segmenter's", "Use a segmenter whose network is TimmSegmenter.")
        with self.misfits_named(images):
            return features(images)
