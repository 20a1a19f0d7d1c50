"""Metrics of attributes: whether guided translations keep the right ones and take the right ones from the guide."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric

from crossdomain.domains import Direction


class AttributeAccuracy(Metric):
    """How well attributes are predicted: the share that is right, or the mean absolute error of a real number.

    Args:
        attributes: name to number of values; 0 for a real number.
    """

    full_state_update = False
    categorical: Tensor
    sum: Tensor
    images: Tensor

    def __init__(self, attributes: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(attributes)
        self.register_buffer("categorical", torch.tensor([values > 0 for values in attributes.values()]))
        self.add_state("sum", torch.zeros(len(attributes), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add predicted and true attributes, both (N, K)."""
        scores = torch.where(self.categorical, predicted == truth, (predicted - truth).abs())
        self.sum += scores.double().sum(0)
        self.images += len(scores)

    def compute(self) -> dict[str, Tensor]:
        """``accuracy_NAME`` of each attribute that has values, ``error_NAME`` of each real number."""
        kinds = ["accuracy" if categorical else "error" for categorical in self.categorical]
        scores = (self.sum / self.images).float()
        return {f"{kind}_{name}": score for kind, name, score in zip(kinds, self.names, scores, strict=True)}


class _Transfer(Metric):
    """Counts, attribute by attribute, the outputs that changed, or kept, what a guided translation should.

    An output should have the image's value of a shared attribute and the guide's of all others: those special to the
    target or to both domains, and those special to the source, of which all images of the target have the same value.
    A pair counts for an attribute if image and guide differ in it, since otherwise leaving it alone is as good as
    copying it.

    Of a real number every pair counts, and the output is right if it is at least as near to the value that it should
    have as to the other one of image and guide.

    Args:
        attributes: name to number of values; 0 for a real number.
        roles: name to ``shared``, or to ``a`` or ``b``, the domain that the attribute is special to, or to ``both``.
        direction: ``a2b`` or ``b2a``.
    """

    full_state_update = False
    categorical: Tensor
    kept: Tensor
    right: Tensor
    pairs: Tensor

    def __init__(self, attributes: Mapping[str, int], roles: Mapping[str, str], direction: str) -> None:
        super().__init__()
        if set(roles) != set(attributes) or not set(roles.values()) <= {"shared", "a", "b", "both"}:
            raise ValueError(
                f"roles are {dict(roles)}; each of {', '.join(attributes)} is 'shared', 'a', 'b' or 'both'."
            )
        source, target = Direction(direction).source, Direction(direction).target
        parts = {"shared": "kept", source: "held", target: "taken", "both": "taken"}
        self.names = tuple(attributes)
        self.parts = [parts[roles[name]] for name in attributes]
        self.register_buffer("categorical", torch.tensor([values > 0 for values in attributes.values()]))
        self.register_buffer("kept", self._in("kept"))
        for name in ("right", "pairs"):
            self.add_state(name, torch.zeros(len(attributes), dtype=torch.float64), dist_reduce_fx="sum")

    def _in(self, *parts: str) -> Tensor:
        """Which attributes are in these parts, bool (K,)."""
        return torch.tensor([part in parts for part in self.parts])

    def update(self, output: Tensor, image: Tensor, guide: Tensor) -> None:
        """Add attributes of outputs, of the images they were made from and of their guides, (N, K) each."""
        expected, other = torch.where(self.kept, image, guide), torch.where(self.kept, guide, image)
        nearer = (output - expected).abs() <= (output - other).abs()
        right = torch.where(self.categorical, output == expected, nearer)
        counts = (image != guide) | ~self.categorical
        self.right += (right & counts).double().sum(0)
        self.pairs += counts.double().sum(0)


def _known(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores of which there is at least one pair."""
    return {name: score.float() for name, score in scores.items() if not score.isnan()}


class ManipulationAccuracy(_Transfer):
    """ACC of RIFT (Usman, Bashkirova, Saenko, arXiv 2111.13279): how often an attribute is what it should be.

    For an attribute k that has values, with its predictor f_k, and F(a, b) the translation of a with the guide b,

        ACC_k = p(f_k(F(a, b)) = y | f_k(a) != f_k(b)),  y = f_k(a) if k is shared, f_k(b) if it is special to b,

    and for a real number ACC_k = p(|f_k(F(a, b)) - y| <= |f_k(F(a, b)) - y'|), where y' is the other one of f_k(a) and
    f_k(b). Attributes that are special to the source have none. Takes the arguments of ``TranslationCorrectness``.
    """

    def compute(self) -> dict[str, Tensor]:
        """``acc_NAME`` of each attribute, and ``acc``, their mean; attributes without a pair are left out."""
        scores = torch.where(self._in("kept", "taken").to(self.pairs.device), self.right / self.pairs, torch.nan)
        return _known({"acc": scores.nanmean()} | {f"acc_{k}": v for k, v in zip(self.names, scores, strict=True)})


class TranslationCorrectness(_Transfer):
    """Correctness of a guided translation (Bashkirova, Usman, Saenko, WACV 2022, arXiv 2103.15727).

    - translation quality: attributes special to the source that are what they are in all of the target;
    - content preservation: shared attributes that are those of the image;
    - style manipulation: attributes special to the target that are those of the guide;
    - model bias: attributes in which image and guide agree, and the output does not (best 0);
    - disentanglement: the mean of content preservation and style manipulation;
    - content and style: the lesser of the two, which is 0 for copies of the image and for copies of the guide, whose
      disentanglement is 0.5. It is ours.

    Each is the share of pairs, of each attribute, and then the mean over attributes; the first three are of pairs that
    differ in the attribute, and attributes without a pair are left out. Real numbers have no bias. The paper's figures
    are means over both directions, and its bias on 3D Shapes has a seventh attribute, the domain, without bias.

    Args:
        attributes: name to number of values; 0 for a real number.
        roles: name to ``shared``, or to ``a`` or ``b``, the domain that the attribute is special to, or to ``both``.
        direction: ``a2b`` or ``b2a``.
    """

    changed: Tensor
    equal: Tensor

    def __init__(self, attributes: Mapping[str, int], roles: Mapping[str, str], direction: str) -> None:
        super().__init__(attributes, roles, direction)
        for name in ("changed", "equal"):
            self.add_state(name, torch.zeros(len(attributes), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, output: Tensor, image: Tensor, guide: Tensor) -> None:
        """Add attributes of outputs, of the images they were made from and of their guides, (N, K) each."""
        super().update(output, image, guide)
        equal = (image == guide) & self.categorical
        self.changed += (equal & (output != image)).double().sum(0)
        self.equal += equal.double().sum(0)

    def compute(self) -> dict[str, Tensor]:
        """The six scores over all pairs so far, without those that no pair tells anything about."""
        shares = self.right / self.pairs
        held, kept, taken = (shares[self._in(part).to(shares.device)].nanmean() for part in ("held", "kept", "taken"))
        return _known(
            {
                "translation_quality": held,
                "content_preservation": kept,
                "style_manipulation": taken,
                "model_bias": (self.changed / self.equal).nanmean(),
                "disentanglement": (kept + taken) / 2,
                "content_and_style": torch.minimum(kept, taken),
            }
        )


def relative_discrepancy(acc_specific: Mapping[str, float], acc_common: Mapping[str, float]) -> float:
    """RD of RIFT (arXiv 2111.13279): how much better a method treats attributes in one role than in the other.

    RD = 100 sum_k |S_k - C_k| / sum_k (S_k + C_k), from 0 (no bias) to 100.

    Args:
        acc_specific: S, the manipulation accuracy of each attribute over the splits in which it is special to a domain.
        acc_common: C, over the splits in which it is shared; the same attributes.

    Raises:
        ValueError: the attributes differ, or all accuracies are 0.
    """
    if set(acc_specific) != set(acc_common):
        raise ValueError(
            f"Accuracies of {', '.join(sorted(acc_specific))} cannot be compared with those of "
            f"{', '.join(sorted(acc_common))}.\nGive the same attributes in both roles."
        )
    total = sum(acc_specific.values()) + sum(acc_common.values())
    if total == 0:
        raise ValueError("All accuracies are 0 (or there are none), so there is no relative discrepancy.")
    return 100 * float(sum(abs(acc_specific[k] - acc_common[k]) for k in acc_specific) / total)
