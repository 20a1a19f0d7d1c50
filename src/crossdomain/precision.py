"""The precision to train in, which is the machine's to choose: bfloat16 where it is multiplied in hardware."""

from __future__ import annotations

import platform
from typing import Literal, NamedTuple

import torch

Precision = Literal["bf16-mixed", "32-true"]
BF16_CAPABILITY = (8, 0)  # CUDA devices from Ampere on have bfloat16 units; older ones emulate it


class Choice(NamedTuple):
    """A precision of Lightning's Trainer, and the reason for it in words."""

    precision: Precision
    reason: str


def native_precision(device: str) -> Choice:
    """``bf16-mixed`` where the hardware multiplies bfloat16 natively, ``32-true`` elsewhere.

    Convolutions in bfloat16 are about three times as fast on a CPU with AMX, and 10 to 40 times as slow on one that has
    to emulate it, so no recipe can name one precision for all machines.

    Args:
        device: kind of the device, ``cpu``, ``cuda``, ``mps``, ...; of several CUDA devices the oldest decides.
    """
    if device == "cpu":
        return _on_cpu()
    if device == "cuda":
        oldest = min(torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count()))
        name, known = f"compute capability {oldest[0]}.{oldest[1]}", oldest >= BF16_CAPABILITY
        return _choice(known, f"this GPU, of {name},")
    return Choice("32-true", f"bfloat16 on {device} was not tested")


def device_of(accelerator: object) -> str:
    """Kind of the devices that a Trainer with this ``accelerator`` takes, such as ``cpu`` for ``auto``."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    return accelerator if isinstance(accelerator, str) and accelerator != "auto" else "cpu"


def _on_cpu() -> Choice:
    has = {"AMX": torch.cpu._is_amx_tile_supported(), "AVX512-BF16": torch.cpu._is_avx512_bf16_supported()}
    has["Arm"] = platform.machine().lower() in ("aarch64", "arm64")  # there the question below settles it alone
    # oneDNN says yes to all processors with AVX512, which without these instructions emulate bfloat16.
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported() and any(has.values())
    units = [name for name, there in has.items() if there]
    return _choice(native, f"this CPU, with {' and '.join(units)}," if native else "this CPU")


def _choice(native: bool, what: str) -> Choice:
    if native:
        return Choice("bf16-mixed", f"{what} multiplies bfloat16 natively")
    return Choice("32-true", f"{what} does not multiply bfloat16 natively")
