"""In which numbers a network computes: 16 bits where a GPU gains from them, 32 elsewhere."""

from __future__ import annotations

import torch

from train.config import Precision

SMALLEST_SCALE = 1.0
"""A scale of the loss below which gradients that are not finite are no matter of float16's range any more."""


def low_precision(wanted: Precision, device: torch.device) -> torch.dtype | None:
    """Numbers of products and convolutions, or None for 32 bits everywhere.

    Parameters
    ----------
    wanted
        auto: on a GPU bfloat16 where it has it, else float16; on a CPU 32 bits.
    device
        Where the network is.
    """
    if wanted == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]


def gradient_scaler(dtype: torch.dtype | None, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss so that float16 holds its gradients; does nothing with other numbers."""
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
