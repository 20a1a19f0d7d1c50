"""Method: the one training step that all methods share."""

from __future__ import annotations

import inspect
import math
import re
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from crossdomain import optimization, progress, serialization
from crossdomain.checks import at_least
from crossdomain.evaluation import Evaluation, Places, clamped, logged_metric, partners
from crossdomain.noise import Noise
from crossdomain.objectives import Objective
from crossdomain.optimization import OptimizerFactory, ScheduleFactory, adam
from crossdomain.pool import ImagePool
from crossdomain.serialization import companion as companion  # methods know no file format

NetworkFactory = Callable[[int, int], nn.Module]
"""Makes a network from the number of channels in and out."""

# What torch says where a network cannot take its input.
MISFITS = (
    "Kernel size can't be greater than actual input size",
    "Padding size should be less than the corresponding input dimension",
    "Expected more than 1 spatial element",
    "Expected more than 1 value per channel",
    "Output size is too small",
    "must match the size of tensor",
    "Sizes of tensors must match",
    "shapes cannot be multiplied",
    "expects input to have at least 3 dimensions",
    "Expected 3D (unbatched) or 4D (batched) input",
)

Batch = dict[str, Any]
Terms = dict[str, Tensor]


class MisfitError(ValueError):
    """Images of a size or shape that a method's networks cannot take."""


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let losses computed inside flow through ``networks`` without moving them."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def _kept_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators inside, and leave them as they were."""
    state = serialization.random_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        serialization.set_random_state(state)


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_detached(item) for item in value)
    return value


class Method(LightningModule, ABC):
    """A way to move images between two domains: networks, and a loss for each player.

    A subclass makes its networks in ``__init__``, calls ``save_hyperparameters()``, sets ``players`` (and
    ``directions``), and defines ``generate`` and one ``<player>_loss`` for each player. The training step is here:
    in each round the players move one after the other; a player's terms are summed, its networks updated, and no
    others.

    Args:
        channels_a: channels of domain a, or the length of its vectors.
        channels_b: channels of domain b; that of domain a when left out.
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
        directions: the ways ``translate`` knows, of ``a2b`` and ``b2a``.
        densities: the domains that ``log_prob`` knows.
        generating_player: the player whose gradients pass through what ``generate`` returns.
        supervised: whether training reads the truth; a batch without it is then refused.
        multimodal: whether ``translate`` has many outputs for one input.
        guided: whether ``translate`` needs a guide.
        accepts_guide: whether ``translate`` can do with or without a guide.
        rounds: calls of ``training_step`` so far, across epochs and resumed runs.
        images_seen: images of the larger domain so far, over all processes.
        pretrained: names of the weights that came from another checkpoint (``crossdomain.init_from``).
        last_terms: terms of the last round, detached, as ``<player>_<term>``.
        last_losses: each player's loss when it last moved, detached.
    """

    players: dict[str, tuple[str, ...]]
    objective: Objective | None = None
    directions: tuple[str, ...] = ()
    densities: tuple[str, ...] = ()
    generating_player: str = "generator"
    supervised: bool = False
    multimodal: bool = False
    guided: bool = False
    accepts_guide: bool = False

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
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
        channels_b = channels_a if channels_b is None else channels_b
        at_least(1, self, channels_a=channels_a, channels_b=channels_b, accumulate=accumulate)
        at_least(1, self, critic_turns=critic_turns, generator_interval=generator_interval)
        at_least(0, self, gradient_clip=0.0 if gradient_clip is None else gradient_clip)
        if accumulate > 1 and max(critic_turns, generator_interval) > 1:
            raise ValueError(
                f"accumulate is {accumulate}, but it averages rounds in which every player moves once.\n"
                "Leave model.critic_turns and model.generator_interval out, or model.accumulate."
            )
        self.channels = {"a": channels_a, "b": channels_b}
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
        self.gradient_clip = gradient_clip
        self.accumulate = accumulate
        self.channels_last = channels_last
        self.compile_networks = compile_networks
        self.last_terms: Terms = {}
        self.last_losses: Terms = {}
        self.rounds = 0
        self.images_seen = 0
        self.prepared = False
        self.pretrained: frozenset[str] = frozenset()
        self.data_spec: dict[str, Any] = {
            "domains": ["a", "b"],
            "channels": [channels_a, channels_b],
            "image_size": None,
            "resize_filter": "bicubic",
            "levels": 256,
            "palette": None,
            "attributes": None,
            "roles": None,
        }
        self._places = Places()
        self._saved_process_state: dict[str, Any] | None = None
        self._saved_gradients: dict[str, Tensor] = {}
        self._saved_schedules: dict[str, dict[str, Any]] | None = None  # by player; None where Lightning restores them
        self._with_new_options: list[str] = []  # players whose optimizers have others than the checkpoint's

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

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Noise | None) -> Tensor:
        """One output for each image; ``noise`` draws for each of them where ``multimodal``, and is None elsewhere."""
        raise ValueError(f"{type(self).__name__} does not translate.")

    # --- using it ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(
        self,
        images: Tensor,
        direction: str,
        *,
        guide: Tensor | None = None,
        samples: int = 1,
        seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> Tensor:
        """Move images to the other domain, noise-free and unclamped.

        Args:
            images: (N, C, H, W) in [-1, 1], or vectors (N, D), of the domain where ``direction`` starts. Sides that are
                no multiple of ``total_stride`` are padded, and the output cropped back.
            direction: ``a2b`` or ``b2a``, one of ``directions``.
            guide: images of the other domain, one for each input, where the method is ``guided`` or ``accepts_guide``.
            samples: outputs for each input; more than one where the method is ``multimodal``.
            seed: decides which outputs a multimodal method draws; the global generator does when left out.
            indices: which image of its data set each of ``images`` is, by which it has draws of its own; its place in
                ``images`` when left out. Outputs then do not depend on which images are translated together.

        Returns:
            (N, C, H, W), or (N, samples, C, H, W) when ``samples`` is more than 1.

        Raises:
            ValueError: for an unknown direction, wrong channels, a missing or unwanted guide, or more samples than the
                method has.
        """
        name = type(self).__name__
        if direction not in self.directions:
            known = ", ".join(self.directions) or "none"
            raise ValueError(f"{name} has no direction {direction!r}; its directions: {known}.")
        source, target = direction.split("2")
        self._check_channels(images, source)
        if self.guided and guide is None:
            raise ValueError(f"{name} needs a guide of the target domain.")
        if guide is not None:
            if not (self.guided or self.accepts_guide):
                raise ValueError(f"{name} takes no guide.")
            self._check_channels(guide, target)
            if len(guide) != len(images):
                raise ValueError(f"{name} got {len(guide)} guides for {len(images)} images; one each is needed.")
        if samples < 1 or (samples > 1 and not self.multimodal):
            raise ValueError(f"{name} gives one output for an input, but samples is {samples}.")
        if seed is not None and not -(2**63) <= seed < 2**63:
            raise ValueError(f"seed is {seed}, but has to be a whole number of 64 bits.")
        noise = None
        if self.multimodal:
            seed = int(torch.randint(2**62, ())) if seed is None else seed
            noise = Noise(seed, range(len(images)) if indices is None else indices, images.device)
        size = images.shape[2:]
        with self._misfits_named(images):
            images = self._padded(images)
            guide = None if guide is None else self._padded(guide)
            outputs = [_cropped(self._translate(images, direction, guide, noise), size) for _ in range(samples)]
        return outputs[0] if samples == 1 else torch.stack(outputs, 1)

    def forward(self, images: Tensor, direction: str = "a2b") -> Tensor:
        """The same as ``translate(images, direction)``."""
        return self.translate(images, direction)

    @property
    def total_stride(self) -> int:
        """Height and width of images must be multiples of this: what the networks ask for in their ``total_stride``."""
        return math.lcm(*(getattr(network, "total_stride", 1) for network in self._networks()))

    def _networks(self) -> Iterator[nn.Module]:
        return (self.get_submodule(name) for names in self.players.values() for name in names)

    def _padded(self, images: Tensor) -> Tensor:
        """Repeat the right and bottom edges until the networks can take the size."""
        if images.ndim != 4:
            return images
        below, beside = (-side % self.total_stride for side in images.shape[2:])
        return F.pad(images, (0, beside, 0, below), mode="replicate") if below or beside else images

    @contextmanager
    def _misfits_named(self, images: Tensor | None = None) -> Iterator[None]:
        """Say which network cannot take ``images``, where torch tells of its kernels and matrices alone."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if not any(words in str(error) for words in MISFITS):
                raise
            what = "What the data gives does not"
            if images is not None:
                size = "x".join(map(str, images.shape[2:])) + " px" if images.ndim == 4 else f"length {images.shape[1]}"
                what = f"{'Images' if images.ndim == 4 else 'Vectors'} of {size} do not"
            raise MisfitError(
                f"{what} fit {self._network_in(error)}: {str(error).splitlines()[0].rstrip('.')}.\n"
                "Take larger images (data.image_size), fewer layers, or another network."
            ) from error

    def _network_in(self, error: Exception) -> str:
        """The network in whose forward pass ``error`` was raised, as ``critic_a, a PatchCritic``."""
        networks = {id(self.get_submodule(name)): name for names in self.players.values() for name in names}
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if (name := networks.get(id(frame.f_locals.get("self")))) is not None:
                return f"{name}, a {type(self.get_submodule(name)).__name__}"
        return f"the networks of {type(self).__name__}"

    def _require_equal_channels(self, why: str, advice: str = "Give both domains the same channels.") -> None:
        """Refuse domains of different channels, which ``why`` says what speaks against."""
        if self.channels["a"] != self.channels["b"]:
            a, b = self.channels.values()
            raise ValueError(f"The domains have {a} and {b} channels, but {why}.\n{advice}")

    def _check_channels(self, images: Tensor, domain: str) -> None:
        if domain not in self.channels:
            raise ValueError(f"domain is {domain!r}, but has to be 'a' or 'b'.")
        name, channels = type(self).__name__, self.channels[domain]
        if not isinstance(images, Tensor) or not images.is_floating_point():
            kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise ValueError(f"Images of domain {domain} are {kind}, but {name} takes a tensor of floats in [-1, 1].")
        taken, axes = f"(N, {channels}, H, W)", (2, 4)
        if self.data_spec["levels"] is None:
            taken, axes = f"vectors (N, {channels})", (2,)
        if images.ndim not in axes or images.shape[1] != channels or images.numel() == 0:
            raise ValueError(f"Images of domain {domain} have shape {tuple(images.shape)}, but {name} takes {taken}.")

    def _check_images(self, images: Tensor, domain: str) -> None:
        self._check_channels(images, domain)
        if images.ndim == 4 and any(side % self.total_stride for side in images.shape[2:]):
            raise ValueError(
                f"Images of {images.shape[2]}x{images.shape[3]} px do not fit {type(self).__name__}: "
                f"its networks need sides that are multiples of {self.total_stride}."
            )

    # --- training ----------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One round: every player moves as often as ``turns`` says."""
        if self.supervised and not any(f"truth_{d[-1]}" in batch for d in self.directions):
            raise ValueError(
                f"{type(self).__name__} learns from pairs, but the training batch has no truth.\n"
                "Use paired data, or an unpaired method such as CycleGAN."
            )
        turns = {player: self.turns(player, self.rounds) for player in self.players}
        if self.accumulate > 1 and max(turns.values()) > 1:
            raise ValueError("accumulate cannot be combined with players that move several times in a round.")
        generating = self.generating_player
        self.last_terms = {}
        images = next(batch[d] for d in "ab" if d in batch)
        with self._misfits_named(images):
            out = self._generate(batch, turns)
        for player, optimizer in zip(self.players, self._optimizers(), strict=True):
            loss = getattr(self, f"{player}_loss")
            for turn in range(turns[player]):
                if player == generating and turn > 0:
                    out = self._generate(batch, turns)  # the last update freed the graph and moved the networks
                with self.toggled_optimizer(optimizer):
                    with self._misfits_named(images):
                        terms = loss(batch, out if player == generating else _detached(out))
                    total = sum(terms.values())
                    self._update(player, optimizer, total)
            if turns[player] > 0:
                self.last_terms |= {f"{player}_{name}": term.detach() for name, term in terms.items()}
                self.last_losses[player] = total.detach()
        self.rounds += 1
        self.images_seen += self.trainer.world_size * max(len(batch[d]) for d in "ab" if d in batch)
        self._step_schedules("step")
        self._log(batch, out)

    def _generate(self, batch: Batch, turns: Mapping[str, int]) -> dict[str, Any]:
        with torch.set_grad_enabled(turns.get(self.generating_player, 0) > 0):
            return self.generate(batch)

    def _update(self, player: str, optimizer: Optimizer, loss: Tensor) -> None:
        self.manual_backward(loss / self.accumulate if self.accumulate > 1 else loss)
        if (self.rounds + 1) % self.accumulate == 0 or self.trainer.is_last_batch:
            optimizer.step()
            optimizer.zero_grad()
            self.after_step(player)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient of the player that is about to move, freed of a scaler's factor."""
        if self.gradient_clip is None:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # fused optimizers would do it in their step; of others Lightning has done it
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], self.gradient_clip)

    def on_validation_model_zero_grad(self) -> None:
        """Free gradients before a validation, unless they are of rounds whose update is still to come."""
        if self.rounds % self.accumulate == 0:
            super().on_validation_model_zero_grad()

    def _log(self, batch: Batch, out: dict[str, Any]) -> None:
        # Lightning drops values between the rounds it logs, but only after the work of collecting them.
        if (self.trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % self.trainer.log_every_n_steps == 0:
            self.log_dict(self.last_losses, prog_bar=True, logger=False)
            measured = self.last_terms | self.measures(batch, _detached(out))
            self.log_dict({f"train/{name}": value for name, value in measured.items()})
            self.log("images_seen", float(self.images_seen))

    def _optimizers(self) -> list[Optimizer]:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def player_parameters(self, player: str) -> list[nn.Parameter]:
        """The parameters of the modules that ``player`` owns."""
        return [p for name in self.players[player] for p in self.get_submodule(name).parameters()]

    def _factory(self, player: str, kind: Literal["optimizer", "schedule"]) -> Callable[..., Any] | None:
        return getattr(self, f"{player}_{kind}", None) or getattr(self, kind)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """One optimizer and schedule for each player: its own, else the default."""
        optimizers, schedules = [], []
        for player in self.players:
            try:
                optimizers.append(self._factory(player, "optimizer")(self.player_parameters(player)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"The optimizer of the player {player} (model.optimizer): {error}.") from error
            optimization.check_optimizer(optimizers[-1], player)
            make_schedule = self._factory(player, "schedule")
            if make_schedule is not None:
                schedule = make_schedule(optimizers[-1])
                if isinstance(schedule, ReduceLROnPlateau) and self.schedule_monitor is None:
                    raise ValueError(
                        f"The schedule of {player} is ReduceLROnPlateau, which follows a metric, but none is named.\n"
                        "Give model.schedule_monitor, such as val/mse_a2b; where more is better, also "
                        "model.schedule.mode max."
                    )
                schedules.append({"scheduler": schedule, "name": f"{player}_learning_rate"})
        return optimizers, schedules

    def _schedules(self) -> Iterator[LRScheduler]:
        """Those that count intervals."""
        schedules = (config.scheduler for config in self.trainer.lr_scheduler_configs)
        return (schedule for schedule in schedules if not isinstance(schedule, ReduceLROnPlateau))

    def _step_schedules(self, interval: str) -> None:
        if interval == self.schedule_interval:
            for schedule in self._schedules():
                schedule.step()

    def on_train_epoch_end(self) -> None:
        """Count the epoch for the schedules, if it is over; under manual optimization Lightning never does."""
        if progress.epoch_finished(self.trainer):
            self._step_schedules("epoch")
        self._equalize_buffers()

    def on_validation_end(self) -> None:
        """Tell the schedules that follow a metric what it is now."""
        plateaus = [
            c.scheduler for c in self.trainer.lr_scheduler_configs if isinstance(c.scheduler, ReduceLROnPlateau)
        ]
        if not plateaus or self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        metric = logged_metric(self.trainer, self.schedule_monitor, "model.schedule_monitor")
        for schedule in plateaus:
            schedule.step(metric)

    def on_validation_start(self) -> None:
        """Let all processes validate the same method."""
        self._equalize_buffers()

    def _equalize_buffers(self) -> None:
        # Running statistics are of each process's own batches, and DDP does not sync them in manual optimization.
        if self.trainer.world_size > 1:
            _broadcast(*self.buffers())

    def setup(self, stage: str) -> None:
        """Take note of the data, and check that the networks fit it."""
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
            for network in self._networks():
                network.compile()
        data = self.trainer.datamodule
        if not hasattr(data, "spec"):
            return
        spec = data.spec()
        if spec["channels"] != list(self.channels.values()):
            raise ValueError(
                f"The data has {spec['channels']} channels in domains (a, b), "
                f"but this {type(self).__name__} was made for {list(self.channels.values())}."
            )
        size, stride = spec["image_size"], self.total_stride
        if size is not None and size % stride:
            near = " or ".join(str(s) for s in (size // stride * stride, (size // stride + 1) * stride) if s)
            raise ValueError(
                f"data.image_size is {size}, but the networks of {type(self).__name__} need a multiple of {stride}.\n"
                f"Nearest: {near}."
            )
        self.data_spec = spec

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
            with torch.no_grad(), _kept_randomness(seed=0), self._misfits_named():
                self.prepare(_on_device(loader, self))
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
        if self._saved_schedules is not None:
            self._take_new_options(self._saved_schedules)
            self._saved_schedules = None
        self._warn_of_idle_schedules()

    def _intervals(self, epochs: int) -> int:
        """What schedules count in so many epochs."""
        return epochs if self.schedule_interval == "epoch" else epochs * int(self.trainer.num_training_batches)

    def _intervals_done(self) -> int:
        return (
            self.trainer.fit_loop.epoch_progress.current.processed if self.schedule_interval == "epoch" else self.rounds
        )

    def _take_new_options(self, saved: Mapping[str, dict[str, Any]]) -> None:
        """Give optimizers this method's options, and make schedules anew, at the interval where they would stand.

        Args:
            saved: states of the schedules that stay as they were, by player.
        """
        configs = iter(self.trainer.lr_scheduler_configs)
        for player, optimizer in zip(self.players, self.trainer.optimizers, strict=True):
            make_schedule = self._factory(player, "schedule")
            if player in self._with_new_options:
                optimization.take_options(optimizer, self._factory(player, "optimizer"))
            elif player not in saved:
                for group in optimizer.param_groups:
                    group["lr"] = group.get("initial_lr", group["lr"])
            if make_schedule is None:
                continue
            config = next(configs)
            if player in saved:
                config.scheduler.load_state_dict(saved[player])
                continue
            for group in optimizer.param_groups:
                group.pop("initial_lr", None)
            config.scheduler = make_schedule(optimizer)
            if not isinstance(config.scheduler, ReduceLROnPlateau):
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", ".*lr_scheduler.step.*")  # before the first optimizer.step
                    for _ in range(self._intervals_done()):
                        config.scheduler.step()

    def _warn_of_idle_schedules(self) -> None:
        """Say before training for how many of its last epochs a schedule leaves no learning rate."""
        epochs = self.trainer.max_epochs
        if epochs is None or epochs < 0 or self.trainer.num_training_batches == float("inf"):
            return
        first, last = self._intervals_done(), self._intervals(epochs)
        if not first < last <= 200_000:  # one by one; a longer plan would keep the training waiting
            return
        idle: dict[int, list[str]] = {}
        for player in self.players:
            make_schedule = self._factory(player, "schedule")
            if make_schedule is not None:
                make = self._factory(player, "optimizer")
                idle.setdefault(optimization.idle_intervals(make, make_schedule, first, last), []).append(player)
        unit = "epochs" if self.schedule_interval == "epoch" else "rounds"
        for count, players in idle.items():
            if count:
                rank_zero_warn(
                    f"The schedule of {' and '.join(players)} leaves a learning rate of 0 in the last {count} of "
                    f"{last - first} {unit}, where nothing is learned. Give a longer schedule, such as a larger "
                    "model.schedule.decay, or a lower trainer.max_epochs."
                )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Lay out images as the networks want them."""
        if not self.channels_last:
            return batch
        return {
            key: value.contiguous(memory_format=torch.channels_last) if _is_image(value) else value
            for key, value in batch.items()
        }

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Take up the random states and pools of a checkpoint at the very place where they were saved."""
        if self._saved_process_state is not None:
            state, self._saved_process_state = self._saved_process_state, None
            serialization.set_random_state(state["random"])
            for name, pool in self._pools().items():
                pool.load_state_dict(state["pools"][name])

    def _pools(self) -> dict[str, ImagePool]:
        return {name: value for name, value in vars(self).items() if isinstance(value, ImagePool)}

    # --- evaluation --------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[Callback]:
        """The zoo's evaluation, unless the Trainer was given one with options of its own."""
        given = any(isinstance(callback, Evaluation) for callback in self.trainer.callbacks)
        return [] if given else [Evaluation()]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Nothing: the callback :class:`Evaluation` does the same for all methods."""

    test_step = validation_step

    def on_predict_start(self) -> None:
        """Begin to count."""
        self._places = Places(self.trainer.global_rank, self.trainer.world_size)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Translations of the batch by direction: (N, C, H, W) each, in [-1, 1], or (N, D).

        A method that needs guides takes the images of the other domain that have the same numbers in the data set. One
        that draws draws for each image, by the seed that the process began with.
        """
        outputs = {}
        indices = self._places.next(batch)
        for direction in self.directions:
            source, target = direction.split("2")
            guide = partners(batch, target, indices[source], self.trainer) if self.guided else None
            if source not in batch or (self.guided and guide is None):
                continue
            seed = torch.initial_seed() % 2**63  # it may be any of 64 bits
            translated = self.translate(batch[source], direction, guide=guide, seed=seed, indices=indices[source])
            outputs[direction] = clamped(translated)
        return outputs

    # --- checkpoints -------------------------------------------------------------------------------------------

    def save_hyperparameters(self, *args: Any, **kwargs: Any) -> None:
        """Keep the arguments of ``__init__`` as plain values; what cannot be stored is refused here.

        Raises:
            ValueError: an argument is a lambda, a network that was made already, or the like, or a negative weight.
        """
        kwargs.setdefault("frame", inspect.currentframe().f_back)
        super().save_hyperparameters(*args, logger=False, **kwargs)
        given = {k: serialization.to_plain(v, k) for k, v in self.hparams.items() if not k.startswith("_")}
        at_least(0, self, **{k: v for k, v in given.items() if re.search("_weight(_[ab])?$", k) and v is not None})
        self._hparams.clear()
        self._hparams.update(serialization.complete_arguments(type(self), given))
        self._hparams["_class_path"] = serialization.class_path(type(self))
        self._hparams["_instantiator"] = serialization.INSTANTIATOR
        self._hparams_initial = self._hparams.copy()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the ``crossdomain`` entry; see :mod:`crossdomain.serialization`."""
        self._equalize_buffers()  # all processes go on with what is saved
        progress.count_what_is_done(self.trainer, checkpoint["loops"])
        if self.rounds % self.accumulate and not progress.epoch_finished(self.trainer):
            given = {name: parameter.grad for name, parameter in self.named_parameters()}
            checkpoint["gradients"] = {name: grad for name, grad in given.items() if grad is not None}
        entry = serialization.header(self)
        pools = {name: pool.state_dict() for name, pool in self._pools().items()}
        mine = {"random": serialization.random_state(), "pools": pools}
        entry["processes"] = [mine]
        if self.trainer.world_size > 1:
            entry["processes"] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(entry["processes"], mine)
        checkpoint["crossdomain"] = entry

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters, the data's description, and what ``on_train_batch_start`` restores."""
        entry = checkpoint.get("crossdomain")
        if entry is None:
            raise ValueError("The checkpoint has no entry 'crossdomain': it was not written by a method of the zoo.")
        if entry["method"] != type(self).__name__:
            raise ValueError(f"The checkpoint holds a {entry['method']}, but this is a {type(self).__name__}.")
        if entry["channels"] != list(self.channels.values()):
            raise ValueError(
                f"The checkpoint was trained on {entry['channels']} channels in domains (a, b), "
                f"but this {type(self).__name__} has {list(self.channels.values())}."
            )
        self.rounds, self.images_seen, self.prepared = entry["rounds"], entry["images_seen"], True
        # Older checkpoints say nothing of palettes and attributes; tested on data that has them, they take the data's.
        self.data_spec = {key: entry.get(key, value) for key, value in self.data_spec.items()}
        if self._trainer is None or self.trainer.state.fn != "fit":
            return
        self._saved_gradients = checkpoint.get("gradients", {})
        if "loops" in checkpoint:
            progress.begin_next_epoch(checkpoint["loops"])
        self._compare_options(checkpoint)
        if processes := entry.get("processes"):
            if len(processes) == self.trainer.world_size:
                self._saved_process_state = processes[self.global_rank]
            else:
                rank_zero_warn(
                    f"The checkpoint is of {len(processes)} process(es), this run has {self.trainer.world_size}: "
                    "image pools start empty and random states anew, so the run goes on, but not exactly."
                )

    def _compare_options(self, checkpoint: dict[str, Any]) -> None:
        """Find out which optimizers and schedules are not those of the checkpoint; this method's own are taken then."""
        before, now = checkpoint.get("hyper_parameters", {}), self.hparams

        def chosen(options: Mapping[str, Any], player: str, kind: str) -> Any:
            return options.get(f"{player}_{kind}") or options.get(kind)

        def differs(player: str, kind: str) -> bool:
            return chosen(before, player, kind) != chosen(now, player, kind)

        self._with_new_options = [player for player in self.players if differs(player, "optimizer")]
        anew = {player for player in self.players if differs(player, "schedule")} | set(self._with_new_options)
        if before.get("schedule_interval", "epoch") != now.get("schedule_interval", "epoch"):
            anew |= self.players.keys()
        if not anew:
            return
        scheduled = [player for player in self.players if chosen(before, player, "schedule") is not None]
        stored = dict(zip(scheduled, checkpoint["lr_schedulers"], strict=True))
        self._saved_schedules = {player: state for player, state in stored.items() if player not in anew}
        checkpoint["lr_schedulers"] = []
        for player, state in zip(self.players, checkpoint["optimizer_states"], strict=True):
            if player in self._with_new_options and not optimization.takes_state(
                self._factory(player, "optimizer"), state
            ):
                state["state"] = {}
                rank_zero_warn(f"The optimizer of {player} is of another kind than the checkpoint's: it starts afresh.")


def _cropped(images: Tensor, size: torch.Size) -> Tensor:
    """The top left part of images (N, C, H, W) that has ``size``; vectors as they are."""
    return images[:, :, : size[0], : size[1]] if images.ndim == 4 else images


def _broadcast(*tensors: Tensor) -> None:
    """Give the first process's values to all others."""
    for tensor in tensors:
        torch.distributed.broadcast(tensor.detach(), src=0)


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4


def _on_device(loader: Iterable[Batch], module: LightningModule) -> Iterator[Batch]:
    for batch in loader:
        yield module.transfer_batch_to_device(batch, module.device, 0)
