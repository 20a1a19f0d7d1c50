"""Callbacks of the commands."""

from crossdomain.callbacks.generator_ema import GeneratorEMA
from crossdomain.callbacks.non_finite_guard import NonFiniteGuard
from crossdomain.callbacks.prediction_writer import PredictionWriter
from crossdomain.callbacks.round_checkpoint import RoundCheckpoint

__all__ = ["GeneratorEMA", "NonFiniteGuard", "PredictionWriter", "RoundCheckpoint"]
