"""What was computed once, kept on the disk: tensors that follow from facts alone.

For plugins: fitted weights, features of real samples. The cache is a convenience:
whatever is wrong with it, the answer is to compute again::

    path = cache.path_of("my-plugin", {"data": data.fingerprint(), "seed": seed})
    if (state := cache.read(path, like=module.state_dict())) is None:
        ...  # fit
        cache.write(path, module.state_dict())
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def cache_folder() -> Path:
    """Return the folder of ``GANKIT_CACHE``, or gankit's place in the user's cache."""
    if own := os.environ.get("GANKIT_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path("~/.cache").expanduser()) / "gankit"


def path_of(folder: str, facts: Mapping[str, object]) -> Path:
    """Return where tensors that follow from ``facts`` alone are kept.

    Args:
        folder: in the cache's.
        facts: all that decides the tensors, as JSON can hold it: also the version of
            what computes them.
    """
    text = json.dumps(facts, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return cache_folder() / folder / f"{digest}.safetensors"


def digest_of(state: Mapping[str, Tensor], *facts: object) -> str:
    """Return a digest of tensors, wherever they lie, and of facts by their ``repr``."""
    digest = hashlib.sha256(repr(facts).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read(
    path: Path, like: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor] | None:
    """Read what was written there, or None if it is damaged or not there at all.

    Or if it is not of the names, shapes and types of ``like``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = (file.metadata() or {}).get("digest")
    except (OSError, SafetensorError):
        return None
    fits = like is None or _kinds(state) == _kinds(like)
    return state if fits and told == digest_of(state) else None


def write(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors beside their final name and rename the file, if the folder allows.

    A digest is written with them, because a safetensors file whose numbers are damaged
    reads as any other.
    """
    # each of its own, because safetensors refuses names that share their numbers
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in state.items()
    }
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            made = Path(aside) / path.name
            save_file(tensors, made, metadata={"digest": digest_of(tensors)})
            made.replace(path)


def _kinds(state: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
