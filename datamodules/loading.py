"""Sampling and loading: every draw is a pure function of (seed, epoch, position), and loaders can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, get_worker_info

ABSENT = -1


class Draw(NamedTuple):
    """Which images make one position of an epoch; an index is ``ABSENT`` where a domain has no image there."""

    epoch: int
    position: int
    index_a: int
    index_b: int


class DrawSampler(DistributedSampler):
    """Draws positions of an epoch, for one rank.

    In training both domains are shuffled independently, the shorter one is repeated, positions that do not divide
    by the number of ranks are dropped, and every epoch has its own order. In evaluation positions come in order,
    the shorter domain ends earlier, and nothing is padded or dropped. Being a DistributedSampler, Lightning leaves
    it in place and tells it the epoch.

    Args:
        length_a: images in domain a.
        length_b: images in domain b.
        training: see above.
        paired: position i holds image i of both domains, in training also.
        seed: decides the order, together with the epoch.
        rank: which process this is.
        world_size: how many processes share the epoch.
    """

    def __init__(
        self,
        length_a: int,
        length_b: int,
        training: bool,
        paired: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = (length_a, length_b)
        self.total = max(length_a, length_b)
        super().__init__(
            range(self.total),
            num_replicas=world_size,
            rank=rank,
            shuffle=training,
            seed=seed,
            drop_last=training,
        )
        self.training = training
        self.paired = paired
        self.first = 0

    def __len__(self) -> int:
        """Positions of this rank in one epoch."""
        if self.training:
            return self.total // self.num_replicas
        return len(range(self.rank, self.total, self.num_replicas))

    def _order(self, length: int, generator: torch.Generator) -> Tensor:
        if not self.training:
            order = torch.full((self.total,), ABSENT)
            order[:length] = torch.arange(length)
            return order
        if length == 0:
            return torch.full((self.total,), ABSENT)
        rounds = -(-self.total // length)
        return torch.cat([torch.randperm(length, generator=generator) for _ in range(rounds)])[: self.total]

    def __iter__(self) -> Iterator[Draw]:
        """This rank's draws of the current epoch, from position ``first`` on; ``first`` is then 0 again."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order_a = self._order(self.lengths[0], generator)
        order_b = order_a if self.paired else self._order(self.lengths[1], generator)
        mine = range(self.rank, self.total, self.num_replicas)[: len(self)]
        first, self.first = self.first, 0
        epoch = self.epoch
        for position in mine[first:]:
            yield Draw(epoch, position, int(order_a[position]), int(order_b[position]))


class _Reporting(Dataset):
    """Hands out what a dataset raises in a loading process, of which DataLoader would make the text of a traceback."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, draws: list[Draw]) -> dict | Exception:
        try:
            return self.dataset.__getitems__(draws)
        except (ValueError, OSError) as error:
            if get_worker_info() is None:
                raise
            return error


class DrawLoader(DataLoader):
    """A DataLoader over draws; what its dataset raises is raised as it is, also from a loading process."""

    def __init__(self, dataset: Dataset, sampler: DrawSampler, **options: Any) -> None:
        super().__init__(_Reporting(dataset), sampler=sampler, **options)

    def __iter__(self) -> Iterator[dict]:
        """Batches."""
        for batch in super().__iter__():
            if isinstance(batch, Exception):
                raise batch
            yield batch


class ResumableLoader(DrawLoader):
    """A DataLoader over draws whose place in the epoch can be saved and found again; takes DataLoader's arguments."""

    def __init__(self, dataset: Dataset, sampler: DrawSampler, **options: Any) -> None:
        super().__init__(dataset, sampler=sampler, **options)
        self._delivered = 0
        self._start = 0

    def __iter__(self) -> Iterator[dict]:
        """Batches of the current epoch, from the place that was loaded on."""
        self._delivered, self._start = self._start, 0
        self.sampler.first = self._delivered * self.batch_size
        for batch in super().__iter__():
            self._delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return {"epoch": self.sampler.epoch, "batches": self._delivered}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration begin with the batch after those of ``state``; a finished epoch starts afresh."""
        self.sampler.set_epoch(state["epoch"])
        self._start = state["batches"] % len(self)


def make_loader(dataset: Dataset, sampler: DrawSampler, **options: Any) -> DataLoader:
    """A loader of the whole batches that ``dataset`` hands out; resumable in training."""
    # A generator of its own keeps the loader from drawing the workers' seed from the global one.
    generator = torch.Generator().manual_seed(sampler.seed)
    make = ResumableLoader if sampler.training else DrawLoader
    return make(
        dataset, sampler=sampler, collate_fn=_as_it_is, generator=generator, drop_last=sampler.training, **options
    )


def _as_it_is(batch: dict) -> dict:
    return batch


class DomainImages(Dataset):
    """Images of both domains held in memory, handed out as batches.

    Args:
        a: fields of domain a, all of one length: ``a`` and others of the batch, such as ``label_a`` or ``truth_b``.
            uint8 tensors are images and become float32 in [-1, 1]; other tensors and lists are passed on.
        b: likewise of domain b.

    Attributes:
        paired: image i of a and image i of b belong together in training.
    """

    paired = False

    def __init__(self, a: Mapping[str, Tensor | Sequence], b: Mapping[str, Tensor | Sequence]) -> None:
        self.fields = (dict(a), dict(b))

    def lengths(self) -> tuple[int, int]:
        """How many images the domains hold."""
        return tuple(len(next(iter(fields.values()), ())) for fields in self.fields)

    def __len__(self) -> int:
        return max(self.lengths())

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor | list]:
        """The batch of these draws; a domain that is absent from all of them has no fields in it."""
        batch: dict[str, Tensor | list] = {}
        for fields, indices in zip(self.fields, zip(*[d[2:] for d in draws], strict=True), strict=True):
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
