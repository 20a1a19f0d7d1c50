"""Callbacks of the commands."""

from crossdomain.callbacks.generator_ema import GeneratorEMA
from crossdomain.callbacks.non_finite_guard import NonFiniteGuard
from crossdomain.callbacks.player_summary import PlayerSummary
from crossdomain.callbacks.prediction_writer import PredictionWriter
from crossdomain.callbacks.progress import Progress
from crossdomain.callbacks.round_checkpoint import RoundCheckpoint

__all__ = ["GeneratorEMA", "NonFiniteGuard", "PlayerSummary", "PredictionWriter", "Progress", "RoundCheckpoint"]
