"""Shared fixtures."""

import logging
import warnings

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer

from crossdomain.datamodules import DomainImages, DrawSampler, make_loader

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        yield


class Tensors(LightningDataModule):
    """Any fields as a datamodule: the same in train, val and test, in batches of ``batch_size``."""

    def __init__(self, a, b=None, batch_size=4):
        super().__init__()
        self.dataset = DomainImages(a, b or {})
        self.batch_size = batch_size

    def _loader(self, training):
        sampler = DrawSampler(*self.dataset.lengths(), training=training)
        return make_loader(self.dataset, sampler, batch_size=self.batch_size)

    def train_dataloader(self):
        return self._loader(True)

    def val_dataloader(self):
        return self._loader(False)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader


@pytest.fixture
def tensors():
    return Tensors


@pytest.fixture
def trainer(tmp_path):
    """Makes a quiet Trainer on the CPU."""

    def make(**options):
        defaults = {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "default_root_dir": tmp_path,
        }
        return Trainer(**{**defaults, **options})

    return make


@pytest.fixture
def snapshot():
    """Copies of all parameters of a module, by name."""

    def take(module):
        return {name: p.detach().clone() for name, p in module.named_parameters()}

    return take
