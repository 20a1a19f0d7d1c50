"""Evaluation: the same metrics, tags and pictures for every method, in validation and test."""

from crossdomain.evaluation.callback import Evaluation, dataset_of, logged_metric

__all__ = ["Evaluation", "dataset_of", "logged_metric"]
