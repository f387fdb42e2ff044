"""Fitted states kept on disk, so that the same fit is never done twice.

The cache is a convenience: whatever is wrong with it, the answer is to fit again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor


def cache_folder() -> Path:
    """Return the folder of ``GANKIT_CACHE``, or gankit's place in the user's cache."""
    if own := os.environ.get("GANKIT_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path("~/.cache").expanduser()) / "gankit"


def path_of(part: str, facts: Mapping[str, Any]) -> Path:
    """Return where a state that follows from ``facts`` alone is kept."""
    text = json.dumps(facts, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return cache_folder() / part / f"{digest}.safetensors"


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Return a digest of a state, wherever it lies."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Read a state of the names, shapes and types of ``like``, or None."""
    try:
        state = load_file(path)
    except (OSError, SafetensorError):
        return None
    kinds = [
        {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        for tensors in (state, like)
    ]
    return state if kinds[0] == kinds[1] else None


def write(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state beside its final name and rename it, if the folder allows."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            save_file(tensors, Path(aside) / path.name)
            (Path(aside) / path.name).replace(path)
