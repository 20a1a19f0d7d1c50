"""Shared fixtures."""

import bz2
import logging
import struct
import threading
import warnings

import numpy as np
import pytest
import scipy.io
import torch
from helpers.local_server import Web
from lightning.pytorch import LightningDataModule, Trainer
from torchvision import datasets
from torchvision.io import write_jpeg

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
        sampler = DrawSampler(self.dataset.lengths(), training=training)
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


@pytest.fixture
def small_data(tmp_path, monkeypatch):
    """A root with twenty digits of each dataset, in the files that torchvision reads, and eight images a folder."""
    rng = np.random.default_rng(0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
        header = struct.pack(">IIII", 2051, 20, 28, 28)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 20) + bytes(range(10)) * 2)
    (tmp_path / "USPS").mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        rows = [
            f"{1 + i % 10} " + " ".join(f"{k}:{v:.3f}" for k, v in enumerate(rng.uniform(-1, 1, 256), 1))
            for i in range(20)
        ]
        (tmp_path / "USPS" / name).write_bytes(bz2.compress("\n".join(rows).encode()))
    (tmp_path / "SVHN").mkdir()
    for split in ("train", "test"):
        pixels = rng.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        labels = np.arange(1, 21).reshape(-1, 1) % 10
        labels[labels == 0] = 10
        scipy.io.savemat(tmp_path / "SVHN" / f"{split}_32x32.mat", {"X": pixels, "y": labels.astype(np.uint8)})
    splits = ("facades/train", "facades/val", "facades/test", "maps/train", "maps/val")
    for folder in (*splits, "cityscapes/train", "cityscapes/val"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(8):
            pair = torch.from_numpy(rng.integers(0, 256, (3, 64, 128), dtype=np.uint8))
            write_jpeg(pair, str(tmp_path / folder / f"{i + 1}.jpg"))
    for folder in ("trainA", "trainB", "testA", "testB", "train/A", "train/B", "test/A", "test/B"):
        (tmp_path / "own" / folder).mkdir(parents=True)
        for i in range(8):
            image = torch.from_numpy(rng.integers(0, 256, (3, 64, 64), dtype=np.uint8))
            write_jpeg(image, str(tmp_path / "own" / folder / f"{i + 1}.jpg"))
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    return tmp_path


@pytest.fixture
def web():
    """A server on this machine, see :mod:`local_server`."""
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
