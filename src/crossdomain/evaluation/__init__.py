"""Evaluation: the same metrics, tags and pictures for every method, in validation and test."""

from crossdomain.evaluation.callback import Evaluation, dataset_of, logged_metric
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag

__all__ = ["Evaluation", "MeasuredBatch", "Probe", "Tag", "dataset_of", "logged_metric"]
