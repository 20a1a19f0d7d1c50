"""Sampling and loading: every draw is a pure function of (seed, epoch, position), and loaders can be resumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler, get_worker_info

ABSENT = -1


class Draw(NamedTuple):
    """Which images make one position of an epoch.

    Attributes:
        epoch: which one.
        position: the place in it, counted over all processes.
        indices: one for each domain, in the order of their letters; ``ABSENT`` where a domain has no image there.
    """

    epoch: int
    position: int
    indices: tuple[int, ...]


class Drawn(Protocol):
    """What hands out batches of draws."""

    def __len__(self) -> int:
        """Positions of an epoch."""
        ...

    def __getitems__(self, draws: list[Draw]) -> dict[str, Any]:
        """The batch of these draws."""
        ...


class DrawSampler(DistributedSampler):
    """Draws positions of an epoch, for one rank.

    An epoch is as long as the longest domain. In training all domains are shuffled independently, shorter ones are
    repeated, positions that do not divide by the number of ranks are dropped, and every epoch has its own order. In
    evaluation positions come in order, shorter domains end earlier, and nothing is padded or dropped. Being a
    DistributedSampler, Lightning leaves it in place and tells it the epoch.

    Args:
        lengths: images in each domain, one number or more.
        training: see above.
        paired: all indices of a position are the same one, in training also; domains are of one length then.
        seed: decides the order, together with the epoch.
        rank: which process this is.
        world_size: how many processes share the epoch.
        weights: for each domain, how often training draws its images in relation to each other, (length,), or None for
            each as often as all others. Images with weights are drawn with replacement.

    Raises:
        ValueError: paired domains of different lengths, or with weights.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        training: bool,
        paired: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Sequence[Tensor | None] = (),
    ) -> None:
        self.lengths = tuple(lengths)
        self.total = max(self.lengths)
        self.weights = tuple(weights) or (None,) * len(self.lengths)
        if paired and any(each is not None for each in self.weights):
            raise ValueError("Paired domains are drawn together, so no image has a weight of its own.")
        if paired and len(set(self.lengths)) > 1:
            raise ValueError(
                f"Paired domains have {', '.join(map(str, self.lengths))} images.\n"
                "Give all the same number, image i of each belonging together, or draw them unpaired."
            )
        super().__init__(
            range(self.total),  # type: ignore[arg-type]  # which has a length, all that is asked of it
            num_replicas=world_size,
            rank=rank,
            shuffle=training,
            seed=seed,
            drop_last=training,
        )
        self.training = training
        self.paired = paired
        self.first = 0

    def remaining(self, first: int) -> int:
        """Positions of this rank in one epoch whose first ``first`` positions, of all ranks, are done."""
        if self.training:
            return (self.total - first) // self.num_replicas
        return len(range(first + self.rank, self.total, self.num_replicas))

    def __len__(self) -> int:
        """Positions of this rank in one epoch."""
        return self.remaining(0)

    def _order(self, length: int, generator: torch.Generator, weights: Tensor | None = None) -> Tensor:
        if not self.training:
            order = torch.full((self.total,), ABSENT)
            order[:length] = torch.arange(length)
            return order
        if length == 0:
            return torch.full((self.total,), ABSENT)
        if weights is not None:
            return torch.multinomial(weights, self.total, replacement=True, generator=generator)
        rounds = -(-self.total // length)
        return torch.cat([torch.randperm(length, generator=generator) for _ in range(rounds)])[: self.total]

    def __iter__(self) -> Iterator[Draw]:
        """This rank's draws of the current epoch, after the ``first`` positions of all ranks; that is then 0 again."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.paired:
            orders = [self._order(self.total, generator)] * len(self.lengths)
        else:
            each = zip(self.lengths, self.weights, strict=True)
            orders = [self._order(length, generator, weights) for length, weights in each]
        first, self.first = self.first, 0
        epoch = self.epoch
        for position in range(first + self.rank, self.total, self.num_replicas)[: self.remaining(first)]:
            yield Draw(epoch, position, tuple(int(order[position]) for order in orders))


class FixedDraws(DrawSampler, SequentialSampler):  # type: ignore[misc]  # which draws numbers, were it not the second
    """Draws the same positions in the same order in every epoch, for ``overfit_batches``.

    Lightning replaces samplers that shuffle there, and asks for a SequentialSampler to know the others.
    """

    def set_epoch(self, epoch: int) -> None:
        """Nothing: all epochs are alike."""


class _Reporting(Dataset):
    """Hands out what a dataset raises in a loading process, of which DataLoader would make the text of a traceback."""

    def __init__(self, dataset: Drawn) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, draws: list[Draw]) -> dict[str, Any] | Exception:
        try:
            return self.dataset.__getitems__(draws)
        except (ValueError, OSError) as error:
            if get_worker_info() is None:
                raise
            return error


class DrawLoader(DataLoader):
    """A DataLoader over draws; what its dataset raises is raised as it is, also from a loading process.

    Attributes:
        source: the dataset.
    """

    # DataLoader knows less of these.
    sampler: DrawSampler
    batch_size: int

    def __init__(self, dataset: Drawn, sampler: DrawSampler, **options: Any) -> None:
        self.source = dataset
        super().__init__(_Reporting(dataset), sampler=sampler, **options)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # DataLoader's own class of iterators
        """Batches."""
        for batch in super().__iter__():
            if isinstance(batch, Exception):
                raise batch
            yield batch


class ResumableLoader(DrawLoader):
    """A DataLoader over draws whose place in the epoch can be saved and found again; takes DataLoader's arguments.

    The place is counted in positions of the epoch, those of all processes, and not in batches: a run of other batches
    or another number of processes goes on with the very next images.
    """

    def __init__(self, dataset: Drawn, sampler: DrawSampler, **options: Any) -> None:
        super().__init__(dataset, sampler=sampler, **options)
        self._position = 0
        self._start = 0

    @property
    def _stride(self) -> int:
        """Positions that one batch of every process takes together."""
        return self.batch_size * self.sampler.num_replicas

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # as above
        """Batches of the current epoch, from the place that was loaded on."""
        self._position, self._start = self._start, 0
        return self._batches(self._position)

    def _batches(self, first: int) -> Iterator[dict[str, Any]]:
        self.sampler.first = first
        for batch in super().__iter__():
            self._position += self._stride
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, its length, and how many of its positions have been handed out, to all processes together."""
        return {"epoch": self.sampler.epoch, "positions": self._position, "total": self.sampler.total}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration begin with the position after those of ``state``.

        Older states count batches of one process. Where the data has another number of images than before, the epoch
        starts anew, with a warning.
        """
        self.sampler.set_epoch(state["epoch"])
        self._start = state["positions"] if "positions" in state else state["batches"] * self._stride
        total = state.get("total", self.sampler.total)
        if total != self.sampler.total:
            self._start = 0
            warnings.warn(
                f"The checkpoint stopped within an epoch of {total} images, but this data has {self.sampler.total}: "
                "the epoch starts anew.",
                stacklevel=2,
            )

    def batches_done(self, batches: int) -> int:
        """How many of an epoch's ``batches`` are done at the place where it is; it may lie within one of them."""
        left = self.sampler.remaining(self._position) // self.batch_size
        return min(max(self._position // self._stride, batches - left), batches)


def make_loader(dataset: Drawn, sampler: DrawSampler, **options: Any) -> DataLoader:
    """A loader of the whole batches that ``dataset`` hands out; resumable in training."""
    # A generator of its own keeps the loader from drawing the workers' seed from the global one.
    generator = torch.Generator().manual_seed(sampler.seed)
    make = ResumableLoader if sampler.training else DrawLoader
    return make(
        dataset, sampler=sampler, collate_fn=_as_it_is, generator=generator, drop_last=sampler.training, **options
    )


def letters_of(count: int) -> tuple[str, ...]:
    """The letters of ``count`` domains: ``a``, ``b``, ``c``, ..."""
    return tuple(ascii_lowercase[:count])


def fields_of(domain: str, images: Mapping[str, Tensor], **others: Tensor | Sequence) -> dict[str, Tensor | Sequence]:
    """The fields of one domain, as :class:`DomainImages` takes them.

    Args:
        domain: the domain's letter.
        images: under this letter its images; under that of another domain what they should become there, where known.
        others: further fields, ``label`` or ``path``, without the letter.

    Returns:
        ``a``, ``label_a``, ``path_a``, ``truth_a2b``, ``truth_a2c``, ... for domain ``a``.
    """
    truths = {f"truth_{domain}2{other}": values for other, values in images.items() if other != domain}
    return {domain: images[domain], **{f"{name}_{domain}": values for name, values in others.items()}, **truths}


def images_of(dataset: Any, domain: str, indices: Sequence[int]) -> Tensor:
    """Images (N, C, H, W) of one domain of a dataset.

    Args:
        dataset: with the methods of :class:`DomainImages`.
        domain: the domain's letter.
        indices: which images of the split, N numbers.
    """
    letters = letters_of(len(dataset.lengths()))
    chosen = [tuple(index if letter == domain else ABSENT for letter in letters) for index in indices]
    return dataset.__getitems__([Draw(0, position, each) for position, each in enumerate(chosen)])[domain]


def _as_it_is(batch: dict) -> dict:
    return batch


class DomainImages(Dataset):
    """Images of any number of domains held in memory, handed out as batches.

    Args:
        fields: for each domain, in the order of the letters, what batches hold of it, all of one length: for the first
            domain ``a`` and others such as ``label_a`` or ``truth_a2b``; nothing where a domain is absent. uint8
            tensors are images and become float32 in [-1, 1]; other tensors and lists are passed on.

    Attributes:
        paired: images i of all domains belong together in training.

    Raises:
        ValueError: a domain has fields, but no images under its letter.
    """

    paired = False

    def __init__(self, *fields: Mapping[str, Tensor | Sequence]) -> None:
        self.fields = tuple(dict(of_domain) for of_domain in fields)
        for letter, of_domain in zip(letters_of(len(self.fields)), self.fields, strict=True):
            if of_domain and letter not in of_domain:
                raise ValueError(
                    f"The fields of domain {letter} are {', '.join(of_domain)}, without {letter} itself.\n"
                    "Give the fields of each domain in the order of the letters."
                )

    def without_labels(self, letters: Iterable[str]) -> DomainImages:
        """The same images, those of some domains without ``label_a`` and so on."""
        hidden = {f"label_{letter}" for letter in letters}
        return DomainImages(*({k: v for k, v in fields.items() if k not in hidden} for fields in self.fields))

    def weights(self, letter: str, frequencies: Sequence[float]) -> Tensor:
        """How often to draw each image of a labelled domain so that classes come as often as ``frequencies`` say.

        Args:
            letter: the domain's.
            frequencies: of class 0, 1, ..., in relation to each other.

        Returns:
            (N,), which add up to 1.

        Raises:
            ValueError: the domain has no labels, other classes than that, or no image of a class that is asked for.
        """
        labels = next((fields[name] for fields in self.fields if (name := f"label_{letter}") in fields), None)
        if not isinstance(labels, Tensor):
            raise ValueError(f"Domain {letter} has no labels to draw by.\nLeave data.frequencies_{letter} out.")
        wanted = torch.tensor(frequencies, dtype=torch.float64)
        counts = torch.bincount(labels, minlength=len(wanted))
        if len(counts) > len(wanted) or not wanted.sum() > 0 or (wanted < 0).any() or (wanted[counts == 0] > 0).any():
            raise ValueError(
                f"data.frequencies_{letter} is {list(frequencies)}, but domain {letter} has {counts.tolist()} images "
                "of its classes.\nGive a number of at least 0 for each class, and 0 where there is no image."
            )
        return (wanted / wanted.sum() / counts.clamp_min(1))[labels]

    def lengths(self) -> tuple[int, ...]:
        """How many images each domain holds."""
        letters = letters_of(len(self.fields))
        return tuple(len(of_domain.get(letter, ())) for letter, of_domain in zip(letters, self.fields, strict=True))

    def __len__(self) -> int:
        return max(self.lengths())

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor | list]:
        """The batch of these draws; a domain that is absent from all of them has no fields in it."""
        batch: dict[str, Tensor | list] = {}
        for fields, indices in zip(self.fields, zip(*[draw.indices for draw in draws], strict=True), strict=True):
            present = [i for i in indices if i != ABSENT]
            if not present:
                continue
            for name, values in fields.items():
                if not isinstance(values, Tensor):
                    batch[name] = [values[i] for i in present]
                elif values.dtype == torch.uint8:
                    batch[name] = values[present].float().div_(127.5).sub_(1.0)
                else:
                    batch[name] = values[present]
        return batch
