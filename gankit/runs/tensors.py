"""Files of tensors by name, which hold nothing that runs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from gankit.errors import RunError


def read_tensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Read all tensors of a file.

    Raises:
        RunError: it is no safetensors file, or cut off.
    """
    try:
        return load_file(path, str(device))
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error


def read_head(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read what stands at the head of a file: texts by name, and names of tensors.

    Raises:
        RunError: it is no safetensors file, or cut off.
    """
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {}), list(file.keys())
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error


def read_some(path: Path, names: list[str]) -> dict[str, Tensor]:
    """Read a few tensors of a file onto the CPU.

    Raises:
        RunError: it is no safetensors file, cut off, or has no such tensor.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> RunError:
    """Turn an error of a file that should hold tensors into one that says so."""
    if isinstance(error, FileNotFoundError):
        return RunError(f"there is no file {str(path)!r}")
    reason = str(error).partition("\n")[0]
    return RunError(
        f"{str(path)!r} cannot be read: {reason}; it is no whole .safetensors file"
    )
