"""Method: a game between domains, which translates, and is rebuilt from a checkpoint."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain import progress, schedules, serialization
from crossdomain.capabilities import Guide, Likelihood
from crossdomain.checks import at_least
from crossdomain.companion import Helper
from crossdomain.domains import LETTERS, Batch, DataSpec, Described, Direction, Places, clamped, domains_in, partners
from crossdomain.evaluation import Evaluation, dataset_of
from crossdomain.game import Game, Terms
from crossdomain.misfits import MisfitError
from crossdomain.noise import Noise
from crossdomain.options import GameOptions, TrainingOptions
from crossdomain.players import frozen

__all__ = ["Batch", "GameOptions", "Method", "MisfitError", "NetworkFactory", "Terms", "TrainingOptions", "frozen"]

NetworkFactory = Callable[[int, int], nn.Module]
"""Makes a network from the number of channels in and out."""

_BEFORE = {"guided": "guide = 'required'", "accepts_guide": "guide = 'optional'"}  # words of version 0.1


class Method(Game):
    """A way to model one domain, or to move images between several: a :class:`Game` of networks.

    A subclass makes its networks in ``__init__``, calls ``save_hyperparameters()``, sets ``players`` (and
    ``directions``), and defines ``generate``, one ``<player>_loss`` for each player, and ``_translate`` where it has
    directions.

    Args:
        channels: channels of domain a, b, ..., or the length of their vectors; None is as many as domain a has, and so
            is what is left out of the domains that the class's ``directions`` name.
        options: those of :class:`Game`.

    Attributes:
        channels: channels of each domain that the method knows, by letter. Data may have more domains where the method
            has no directions.
        any_domain: whether its networks read the images of every domain alike, however many the data has and whatever
            their letters, if only they have as many channels; a method without directions alone.
        directions: the ways ``translate`` knows, such as ``a2b``.
        densities: the domains that ``log_prob`` knows.
        likelihood: what ``log_prob`` is: ``density``, ``mass`` (of stored values) or ``bound`` (from below).
        supervised: whether training reads the truth; a batch without it is then refused.
        multimodal: whether ``translate`` has many outputs for one input.
        guide: whether ``translate`` takes an image of the target domain as example: ``none``, ``optional``,
            ``required``.
        spec: what the data is like; what is known of it before there is any.
    """

    any_domain: bool = False
    directions: tuple[Direction, ...] = ()
    densities: tuple[str, ...] = ()
    likelihood: Likelihood = "density"
    supervised: bool = False
    multimodal: bool = False
    guide: Guide = "none"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for word, today in _BEFORE.items():
            if word in vars(cls):
                raise TypeError(f"{cls.__name__} sets {word}, which has no effect any more.\nSet {today}.")

    def __init__(self, *channels: int | None, **options: Unpack[GameOptions]) -> None:
        super().__init__(**options)
        if not channels or channels[0] is None:
            raise ValueError(f"{type(self).__name__} needs the channels of domain a.")
        named = {letter for direction in self.directions for letter in direction if letter in LETTERS}
        missing = max((LETTERS.index(letter) + 1 for letter in named), default=0) - len(channels)
        known = [channels[0] if number is None else number for number in (*channels, *[None] * missing)]
        self.channels = dict(zip(LETTERS, known, strict=False))
        at_least(1, self, **{f"channels_{letter}": number for letter, number in self.channels.items()})
        self.spec = DataSpec(tuple(self.channels), tuple(known))
        self._places = Places()
        self._saved_process_state: dict[str, Any] | None = None

    def after_init(self) -> None:
        """Check what a method says of itself, when it has been made."""
        super().after_init()
        self.directions = tuple(map(Direction, self.directions))
        for word, today in _BEFORE.items():
            if word in vars(self):
                raise TypeError(f"{type(self).__name__} sets {word}, which has no effect any more.\nSet {today}.")

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
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
        """Move images to another domain, noise-free and unclamped.

        Args:
            images: (N, C, H, W) in [-1, 1], or vectors (N, D), of the domain where ``direction`` starts. Sides that are
                no multiple of ``total_stride`` are padded, and the output cropped back.
            direction: one of ``directions``, such as ``a2b``, or the same by the domains' names, ``photo2labels``.
            guide: images of the target domain, one for each input, where the method's ``guide`` says so.
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
        name, way = type(self).__name__, self.direction(direction)
        self.check_channels(images, way.source)
        if self.guide == "required" and guide is None:
            raise ValueError(f"{name} needs a guide of the target domain.")
        if guide is not None:
            if self.guide == "none":
                raise ValueError(f"{name} takes no guide.")
            self.check_channels(guide, way.target)
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
        with self.misfits_named(images):
            images = self._padded(images)
            guide = None if guide is None else self._padded(guide)
            outputs = [_cropped(self._translate(images, way, guide, noise), size) for _ in range(samples)]
        return outputs[0] if samples == 1 else torch.stack(outputs, 1)

    def direction(self, text: str) -> Direction:
        """The one of ``directions`` that ``text`` means, by letters or by the names of domains.

        Raises:
            ValueError: it means none; names those that there are.
        """
        try:
            found = self.spec.direction(text)
        except ValueError:
            found = None
        if found not in self.directions:
            known, names = ", ".join(self.directions) or "none", self.spec.names
            if any(letter != name for letter, name in names.items()) and self.directions:
                known += f" ({', '.join(f'{names[way.source]}2{names[way.target]}' for way in self.directions)})"
            raise ValueError(f"{type(self).__name__} has no direction {str(text)!r}; its directions: {known}.")
        return found

    def forward(self, images: Tensor, direction: str = "a2b") -> Tensor:
        """The same as ``translate(images, direction)``."""
        return self.translate(images, direction)

    def _padded(self, images: Tensor) -> Tensor:
        """Repeat the right and bottom edges until the networks can take the size."""
        if images.ndim != 4:
            return images
        below, beside = (-side % self.total_stride for side in images.shape[2:])
        return F.pad(images, (0, beside, 0, below), mode="replicate") if below or beside else images

    # --- checks ------------------------------------------------------------------------------------------------

    def require_equal_channels(self, why: str, advice: str = "Give all domains the same channels.") -> None:
        """Refuse domains of different channels, which ``why`` says what speaks against."""
        if len(set(self.channels.values())) > 1:
            numbers = " and ".join(map(str, self.channels.values()))
            raise ValueError(f"The domains have {numbers} channels, but {why}.\n{advice}")

    def check_channels(self, images: Tensor, domain: str) -> None:
        """Refuse what is no batch of images, or vectors, of ``domain``."""
        if domain not in (tuple(LETTERS) if self.any_domain else self.channels):
            known = "a letter" if self.any_domain else " or ".join(map(repr, self.channels))
            raise ValueError(f"domain is {domain!r}, but has to be {known}.")
        name, channels = type(self).__name__, self.channels["a" if self.any_domain else domain]
        if not isinstance(images, Tensor) or not images.is_floating_point():
            kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise ValueError(f"Images of domain {domain} are {kind}, but {name} takes a tensor of floats in [-1, 1].")
        axes: tuple[int, ...]
        taken, axes = f"(N, {channels}, H, W)", (2, 4)
        if self.spec.levels is None:
            taken, axes = f"vectors (N, {channels})", (2,)
        if images.ndim not in axes or images.shape[1] != channels or images.numel() == 0:
            raise ValueError(f"Images of domain {domain} have shape {tuple(images.shape)}, but {name} takes {taken}.")

    def check_images(self, images: Tensor, domain: str) -> None:
        """Refuse also images of a size that the networks cannot take as it is."""
        self.check_channels(images, domain)
        if images.ndim == 4 and any(side % self.total_stride for side in images.shape[2:]):
            raise ValueError(
                f"Images of {images.shape[2]}x{images.shape[3]} px do not fit {type(self).__name__}: "
                f"its networks need sides that are multiples of {self.total_stride}."
            )

    # --- training and evaluation -------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Take note of the data, and check that the networks fit it; before training, load its helpers."""
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, Described):
            spec = DataSpec.from_plain(data.spec())
            self._check_data(spec)
            self.spec = spec
        if stage == "fit":
            for helper in (value for value in vars(self).values() if isinstance(value, Helper)):
                helper.check(self.device)

    def _reads(self, spec: DataSpec) -> bool:
        """Whether data of such channels is what the networks were made for."""
        found = dict(zip(spec.letters, spec.channels, strict=True))
        mine = dict.fromkeys(found, self.channels["a"]) if self.any_domain else self.channels
        return all(found.get(domain) == number for domain, number in mine.items())

    def _check_data(self, spec: DataSpec) -> None:
        name, mine, found = type(self).__name__, list(self.channels.values()), spec.letters
        if self.directions and len(found) > len(self.channels):
            raise ValueError(
                f"The data has {len(found)} domains ({', '.join(spec.domains)}), but this {name} translates between "
                f"{len(mine)}.\nChoose {len(mine)} of them, or a method of more."
            )
        if not self._reads(spec):
            made_for = f"{mine[0]} in all domains" if self.any_domain else f"{mine} in ({', '.join(self.channels)})"
            raise ValueError(
                f"The data has {list(spec.channels)} channels in domains ({', '.join(found)}), "
                f"but this {name} was made for {made_for}."
            )
        size, stride = spec.image_size, self.total_stride
        if size is not None and size % stride:
            near = " or ".join(str(s) for s in (size // stride * stride, (size // stride + 1) * stride) if s)
            raise ValueError(
                f"data.image_size is {size}, but the networks of {name} need a multiple of {stride}.\nNearest: {near}."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One round: every player moves as often as ``turns`` says."""
        if not domains_in(batch):
            raise ValueError(
                f"The training batch has no images, but {', '.join(map(repr, batch)) or 'nothing'}.\n"
                "Expected images of each domain by its letter: a, b, ..."
            )
        if self.supervised and not any(f"truth_{direction}" in batch for direction in self.directions):
            raise ValueError(
                f"{type(self).__name__} learns from pairs, but the training batch has no truth.\n"
                "Use paired data, or an unpaired method such as CycleGAN."
            )
        super().training_step(batch, batch_idx)

    def configure_callbacks(self) -> list[Callback]:
        """The zoo's evaluation, unless the Trainer was given one with options of its own."""
        given = any(isinstance(callback, Evaluation) for callback in getattr(self.trainer, "callbacks", ()))
        return [] if given else [Evaluation()]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Nothing: the callback :class:`Evaluation` does the same for all methods."""

    test_step = validation_step

    def on_predict_start(self) -> None:
        """Begin to count."""
        self._places = Places(self.trainer.global_rank, self.trainer.world_size)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Translations of the batch by direction: (N, C, H, W) each, in [-1, 1], or (N, D).

        A method that needs guides takes the images of the target domain that have the same numbers in the data set. One
        that draws draws for each image, by the seed that the process began with.
        """
        outputs: dict[str, Tensor] = {}
        indices = self._places.next(batch)
        required = self.guide == "required"
        for direction in self.directions:
            source = direction.source
            if source not in batch:
                continue
            guide = partners(batch, direction, indices[source], dataset_of(self.trainer)) if required else None
            if required and guide is None:
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
        kwargs.setdefault("frame", sys._getframe(1))
        super().save_hyperparameters(*args, logger=False, **kwargs)
        known = serialization.parameters(type(self))  # the command hands on all that data may be asked for
        found = {k: v for k, v in self.hparams.items() if k in known or not k.startswith(("_", "channels"))}
        given = {k: serialization.to_plain(v, k) for k, v in found.items()}
        at_least(0, self, **{k: v for k, v in given.items() if re.search("_weight(_[a-z])?$", k) and v is not None})
        self._hparams.clear()
        self._hparams.update(serialization.complete_arguments(type(self), given))
        self._hparams["_class_path"] = serialization.class_path(type(self))
        self._hparams["_instantiator"] = serialization.INSTANTIATOR
        self._hparams_initial = copy(self._hparams)

    def state_beside(self) -> dict[str, Tensor]:
        """What else a checkpoint is to hold so that a training goes on as it would have: tensors by name."""
        return {}

    def take_state_beside(self, state: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state_beside` gave."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the ``crossdomain`` entry; see :mod:`crossdomain.serialization`."""
        self.equalize_buffers()  # all processes go on with what is saved
        progress.count_what_is_done(self.trainer, checkpoint["loops"])
        if self.rounds % self.accumulate and not progress.epoch_finished(self.trainer):
            given = {name: parameter.grad for name, parameter in self.named_parameters()}
            checkpoint["gradients"] = {name: grad for name, grad in given.items() if grad is not None}
        entry = serialization.header(self)
        pools = {name: pool.state_dict() for name, pool in self.pools().items()}
        mine = {"random": serialization.random_state(), "pools": pools, "beside": self.state_beside()}
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
        # Older checkpoints say nothing of palettes and attributes; tested on data that has them, they take the data's.
        spec = DataSpec.from_plain({**self.spec.to_plain(), **entry})
        if not self._reads(spec):
            raise ValueError(
                f"The checkpoint was trained on {entry['channels']} channels in domains ({', '.join(spec.letters)}), "
                f"but this {type(self).__name__} has {list(self.channels.values())}."
            )
        self.rounds, self.images_seen, self.prepared = entry["rounds"], entry["images_seen"], True
        if not (self.any_domain and isinstance(getattr(self._trainer, "datamodule", None), Described)):
            self.spec = spec  # what reads any domain is measured on those of the data that there is
        if self._trainer is None or self.trainer.state.fn != "fit":
            return
        self._saved_gradients = checkpoint.get("gradients", {})
        if "loops" in checkpoint:
            progress.begin_next_epoch(checkpoint["loops"])
        self._resumption = schedules.compare_options(self, checkpoint)
        if processes := entry.get("processes"):
            if len(processes) == self.trainer.world_size:
                self._saved_process_state = processes[self.global_rank]
            else:
                rank_zero_warn(
                    f"The checkpoint is of {len(processes)} process(es), this run has {self.trainer.world_size}: "
                    "image pools start empty and random states anew, so the run goes on, but not exactly."
                )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Take up the random states and pools of a checkpoint at the very place where they were saved."""
        if self._saved_process_state is not None:
            state, self._saved_process_state = self._saved_process_state, None
            serialization.set_random_state(state["random"])
            for name, pool in self.pools().items():
                pool.load_state_dict(state["pools"][name])
            self.take_state_beside(state.get("beside", {}))


def _cropped(images: Tensor, size: torch.Size) -> Tensor:
    """The top left part of images (N, C, H, W) that has ``size``; vectors as they are."""
    return images[:, :, : size[0], : size[1]] if images.ndim == 4 else images
