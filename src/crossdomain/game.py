"""Game: players that move one after the other, and the one training step that all methods share."""

from __future__ import annotations

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from inspect import Signature, signature
from typing import Any, Literal, overload

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from crossdomain import optimization, options, progress, schedules
from crossdomain.checks import at_least
from crossdomain.domains import Batch, domains_in, with_truths
from crossdomain.evaluation import logged_metric
from crossdomain.losses import ImagePool, Objective
from crossdomain.misfits import misfits_named
from crossdomain.optimization import OptimizerFactory, ScheduleFactory, adam
from crossdomain.players import check_players, detached
from crossdomain.serialization import kept_randomness

Terms = dict[str, Tensor]
"""Weighted parts of a player's loss, scalars, by name."""


class _Made(ABCMeta):
    """Checks a game when the last ``__init__`` of its classes has run."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        game = type.__call__(cls, *args, **options)  # not super(): Lightning looks for __class__ in frames
        game.after_init()
        return game

    @property
    def __signature__(cls) -> Signature:
        whole = signature(cls.__init__)  # type: ignore[misc]  # cls is the class itself
        return whole.replace(parameters=list(whole.parameters.values())[1:])


class Game(LightningModule, metaclass=_Made):
    """Players who own networks, and move them in rounds.

    A subclass makes its networks in ``__init__``, sets ``players``, and defines ``generate`` and one ``<player>_loss``
    for each player. In each round the players move one after the other; a player's terms are summed, its networks
    updated, and no others.

    Args:
        optimizer: makes the optimizer of every player that has none of its own.
        schedule: makes the learning rate schedule of every player that has none of its own; None keeps rates constant.
        schedule_interval: what the schedules count, epochs or rounds (``step``).
        schedule_monitor: the metric, such as ``val/mse_a2b``, that schedules of the class ReduceLROnPlateau follow;
            they count validations, and nothing else.
        generator_optimizer: optimizer of the player ``generator``.
        critic_optimizer: optimizer of the player ``critic``.
        generator_schedule: schedule of the player ``generator``.
        critic_schedule: schedule of the player ``critic``.
        critic_turns: updates of the player ``critic`` on each batch.
        generator_interval: the player ``generator`` moves in every so many rounds alone, in the last of them, so that
            critics learn from as many batches between its moves; 5 is usual with :class:`Wasserstein`.
        gradient_clip: largest norm of one player's gradient; None does not clip. The Trainer's own option cannot work
            with several optimizers.
        accumulate: gradients of this many rounds are averaged before each update, in place of the Trainer's option;
            what is left at an epoch's end makes an update of its own.
        channels_last: lay out images and convolutions with channels last, which is faster on many processors.
        compile_networks: compile each network (of a flow, the forward map) when training starts, which takes a minute
            and needs a C++ compiler; the module as a whole cannot be compiled.

    Attributes:
        players: names of the modules each player owns, in the order in which players move.
        objective: the adversarial objective, which may constrain the player ``critic`` after each of its updates.
        generating_player: the player whose gradients pass through what ``generate`` returns.
        rounds: calls of ``training_step`` so far, across epochs and resumed runs.
        images_seen: images of the largest domain so far, over all processes.
        pretrained: names of the weights that came from another checkpoint (``crossdomain.init_from``).
        last_terms: terms of the last round, detached, as ``<player>_<term>``.
        last_losses: each player's loss when it last moved, detached.

    Raises:
        TypeError: a player has no loss, or owns a module that is not there.
        ValueError: options below what works, or some that do not go together.
    """

    players: dict[str, tuple[str, ...]]
    objective: Objective | None = None
    generating_player: str = "generator"

    def __init__(
        self,
        *,
        optimizer: OptimizerFactory = adam,
        schedule: ScheduleFactory | None = None,
        schedule_interval: Literal["epoch", "step"] = "epoch",
        schedule_monitor: str | None = None,
        generator_optimizer: OptimizerFactory | None = None,
        critic_optimizer: OptimizerFactory | None = None,
        generator_schedule: ScheduleFactory | None = None,
        critic_schedule: ScheduleFactory | None = None,
        critic_turns: int = 1,
        generator_interval: int = 1,
        gradient_clip: float | None = None,
        accumulate: int = 1,
        channels_last: bool = False,
        compile_networks: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        at_least(1, self, accumulate=accumulate, critic_turns=critic_turns, generator_interval=generator_interval)
        at_least(0, self, gradient_clip=0.0 if gradient_clip is None else gradient_clip)
        if accumulate > 1 and max(critic_turns, generator_interval) > 1:
            raise ValueError(
                f"accumulate is {accumulate}, but it averages rounds in which every player moves once.\n"
                "Leave model.critic_turns and model.generator_interval out, or model.accumulate."
            )
        self.optimizer = optimizer
        self.schedule = schedule
        self.schedule_interval = schedule_interval
        self.schedule_monitor = schedule_monitor
        self.generator_optimizer = generator_optimizer
        self.critic_optimizer = critic_optimizer
        self.generator_schedule = generator_schedule
        self.critic_schedule = critic_schedule
        self.critic_turns = critic_turns
        self.generator_interval = generator_interval
        self.gradient_clip = self._clip = gradient_clip
        self.accumulate = accumulate
        self.channels_last = channels_last
        self.compile_networks = compile_networks
        self.last_terms: Terms = {}
        self.last_losses: Terms = {}
        self.rounds = 0
        self.images_seen = 0
        self.prepared = False
        self.pretrained: frozenset[str] = frozenset()
        self._saved_gradients: dict[str, Tensor] = {}
        self._resumption: schedules.Resumption | None = None

    def after_init(self) -> None:
        """Called once, when the game has been made: checks its players."""
        check_players(self)

    # --- what a method defines ---------------------------------------------------------------------------------

    @abstractmethod
    def generate(self, batch: Batch) -> dict[str, Any]:
        """One forward pass that all players share; gradients pass to the generating player alone.

        Fakes for the critic are drawn from the pools here, so that a pool is asked once a round.
        """

    def turns(self, player: str, round: int) -> int:
        """How often ``player`` moves on the batch of ``round``: 0 skips it, k repeats the update on this batch.

        By default what ``critic_turns`` and ``generator_interval`` say; other players move once.
        """
        if player == "critic":
            return self.critic_turns
        if player == "generator":
            return int((round + 1) % self.generator_interval == 0)
        return 1

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """What else there is to log of a round, beside the terms: numbers that no player minimises.

        Asked for in rounds that are logged, with everything detached.
        """
        return {}

    def after_step(self, player: str) -> None:
        """Called after each update of ``player``: clipping its weights, where the objective does, and the like."""
        if player == "critic" and self.objective is not None:
            self.objective.constrain(self.player_parameters(player))

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Called once before the first round, with the training data: statistics, data-dependent initialisation.

        Runs on one process and is handed to all others, without gradients and without a trace in the global random
        state; skipped when training resumes. Weights that are ``pretrained`` stay as they are.
        """

    # --- networks ----------------------------------------------------------------------------------------------

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks of all players, by name."""
        return {name: self.get_submodule(name) for names in self.players.values() for name in names}

    @property
    def total_stride(self) -> int:
        """Height and width of images must be multiples of this: what the networks ask for in their ``total_stride``."""
        return math.lcm(*(getattr(network, "total_stride", 1) for network in self.networks.values()))

    def player_parameters(self, player: str) -> list[nn.Parameter]:
        """The parameters of the modules that ``player`` owns, each once, however many of its modules share it."""
        modules = (self.get_submodule(name) for name in self.players[player])
        return list(dict.fromkeys(parameter for module in modules for parameter in module.parameters()))

    def misfits_named(self, images: Tensor | None = None) -> Any:
        """A context that says which network cannot take ``images``; see :mod:`crossdomain.misfits`."""
        return misfits_named(lambda: self.networks, type(self).__name__, images)

    # --- a round -----------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One round: every player moves as often as ``turns`` says."""
        turns = {player: self.turns(player, self.rounds) for player in self.players}
        if self.accumulate > 1 and max(turns.values()) > 1:
            raise ValueError("accumulate cannot be combined with players that move several times in a round.")
        generating = self.generating_player
        self.last_terms = {}
        domains = domains_in(batch)
        images = batch[domains[0]]
        with self.misfits_named(images):
            out = self._generate(batch, turns)
        for player, optimizer in zip(self.players, self._optimizers(), strict=True):
            loss = getattr(self, f"{player}_loss")
            for turn in range(turns[player]):
                if player == generating and turn > 0:
                    out = self._generate(batch, turns)  # the last update freed the graph and moved the networks
                with self.toggled_optimizer(optimizer):
                    with self.misfits_named(images):
                        terms = loss(batch, out if player == generating else detached(out))
                    total = sum(terms.values())
                    self._update(player, optimizer, total)
            if turns[player] > 0:
                self.last_terms |= {f"{player}_{name}": term.detach() for name, term in terms.items()}
                self.last_losses[player] = total.detach()
        self.rounds += 1
        self.images_seen += self.trainer.world_size * max(len(batch[domain]) for domain in domains)
        self._step_schedules("step")
        self._log(batch, out)

    def _generate(self, batch: Batch, turns: Mapping[str, int]) -> dict[str, Any]:
        with torch.set_grad_enabled(turns.get(self.generating_player, 0) > 0):
            return self.generate(batch)

    def _update(self, player: str, optimizer: Optimizer | LightningOptimizer, loss: Tensor) -> None:
        self.manual_backward(loss / self.accumulate if self.accumulate > 1 else loss)
        if (self.rounds + 1) % self.accumulate == 0 or self.trainer.is_last_batch:
            own = getattr(self, f"{player}_gradient_clip", None)
            self._clip = self.gradient_clip if own is None else own
            optimizer.step()
            optimizer.zero_grad()
            self.after_step(player)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient of the player that is about to move, by its own bound or that of all, freed of a scaler."""
        if self._clip is None:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # fused optimizers would do it in their step; of others Lightning has done it
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], self._clip)

    def on_validation_model_zero_grad(self) -> None:
        """Free gradients before a validation, unless they are of rounds whose update is still to come."""
        if self.rounds % self.accumulate == 0:
            super().on_validation_model_zero_grad()

    def _log(self, batch: Batch, out: dict[str, Any]) -> None:
        # Lightning drops values between the rounds it logs, but only after the work of collecting them.
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set where no checker looks
        if (self.trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % every == 0:
            self.log_dict(self.last_losses, prog_bar=True, logger=False)
            measured = self.last_terms | self.measures(batch, detached(out))
            self.log_dict({f"train/{name}": value for name, value in measured.items()})
            self.log("images_seen", float(self.images_seen))

    # --- optimizers and schedules ------------------------------------------------------------------------------

    @overload
    def factory(self, player: str, kind: Literal["optimizer"]) -> OptimizerFactory: ...
    @overload
    def factory(self, player: str, kind: Literal["schedule"]) -> ScheduleFactory | None: ...

    def factory(self, player: str, kind: str) -> Any:
        """What makes the optimizer or schedule of ``player``: its own, else the default."""
        return getattr(self, f"{player}_{kind}", None) or getattr(self, kind)

    def _optimizers(self) -> Sequence[Optimizer | LightningOptimizer]:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer and schedule for each player: its own, else the default."""
        optimizers, made = [], []
        for player in self.players:
            try:
                optimizers.append(self.factory(player, "optimizer")(self.player_parameters(player)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"The optimizer of the player {player} (model.optimizer): {error}.") from error
            optimization.check_optimizer(optimizers[-1], player)
            made.append(schedules.make_schedule(self, player, optimizers[-1]))
        # Lightning takes dicts, and its annotation knows of them elsewhere alone.
        return optimizers, [schedule for schedule in made if schedule is not None]  # type: ignore[return-value]

    def _step_schedules(self, interval: str) -> None:
        if interval == self.schedule_interval:
            for schedule in schedules.of_intervals(self):
                schedules.advance(schedule)

    def on_train_epoch_end(self) -> None:
        """Count the epoch for the schedules, if it is over; under manual optimization Lightning never does."""
        if progress.epoch_finished(self.trainer):
            self._step_schedules("epoch")
        self.equalize_buffers()

    def on_validation_end(self) -> None:
        """Tell the schedules that follow a metric what it is now."""
        following, monitor = schedules.of_metrics(self), self.schedule_monitor
        if not following or monitor is None or self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        metric = logged_metric(self.trainer, monitor, "model.schedule_monitor")
        for schedule in following:
            schedule.step(metric)

    # --- before the first round --------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Lay out and compile the networks, and let players stand still under DDP."""
        strategy = self.trainer.strategy
        if isinstance(strategy, DDPStrategy):
            # While one player moves, the others' parameters take no part; plain DDP stops at that.
            strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
        if self.channels_last:
            self.to(memory_format=torch.channels_last)
        if self.compile_networks and stage == "fit":
            if self.objective is not None and self.objective.penalty is not None:
                raise ValueError(
                    f"{type(self.objective.penalty).__name__} needs gradients of gradients, which compiled networks do "
                    "not have.\nLeave model.compile_networks or the penalty out."
                )
            for network in self.networks.values():
                network.compile()

    def on_fit_start(self) -> None:
        """Run ``prepare`` on one process and give all others its result, unless training resumes."""
        if self.prepared:
            return
        if self.global_rank > 0:
            torch.manual_seed(torch.initial_seed() + self.global_rank)  # noise and pools differ between processes
        state = self.state_dict()
        if self.trainer.is_global_zero and not self.pretrained.issuperset(state):
            pretrained = {name: state[name].clone() for name in self.pretrained}
            loader = self.trainer.fit_loop._data_source.dataloader()
            with torch.no_grad(), kept_randomness(seed=0), self.misfits_named():
                batches = (self.transfer_batch_to_device(batch, self.device, 0) for batch in loader)
                self.prepare(map(with_truths, batches))
            self.load_state_dict(pretrained, strict=False)
        if self.trainer.world_size > 1:
            _broadcast(*self.parameters(), *self.buffers())
        self.prepared = True

    def on_train_start(self) -> None:
        """Take up the place in an epoch, gradients in between, and options that differ from the checkpoint's."""
        progress.go_on(self.trainer)
        for name, gradient in self._saved_gradients.items():
            self.get_parameter(name).grad = gradient.to(self.device)
        self._saved_gradients = {}
        if self._resumption is not None:
            self._resumption.take_place(self)
            self._resumption = None
        schedules.warn_of_idle_ones(self)
        options.warn_of_idle_ones(self)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Lay out images as the networks want them; name truths by direction."""
        batch = with_truths(batch)
        for key, value in batch.items() if self.channels_last else ():
            if isinstance(value, Tensor) and value.ndim == 4:
                batch[key] = value.contiguous(memory_format=torch.channels_last)
        return batch

    # --- several processes -------------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        """Let all processes validate the same networks."""
        self.equalize_buffers()

    def equalize_buffers(self) -> None:
        """Give all processes the buffers of the first one."""
        # Running statistics are of each process's own batches, and DDP does not sync them in manual optimization.
        if self.trainer.world_size > 1:
            _broadcast(*self.buffers())

    def pools(self) -> dict[str, ImagePool]:
        """The pools of images that the game remembers, by attribute."""
        return {name: value for name, value in vars(self).items() if isinstance(value, ImagePool)}


def _broadcast(*tensors: Tensor) -> None:
    """Give the first process's values to all others."""
    for tensor in tensors:
        torch.distributed.broadcast(tensor.detach(), src=0)
