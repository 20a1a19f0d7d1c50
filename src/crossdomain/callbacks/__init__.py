"""Callbacks of the commands."""

from crossdomain.callbacks.prediction_writer import PredictionWriter

__all__ = ["PredictionWriter"]
