"""How numbers are computed in a run: exactly, in TF32, by how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from gankit.compute.threads import computing


@contextmanager
def arithmetic(
    device: torch.device, precision: str, *, exact: bool, threads: int | None = None
) -> Iterator[tuple[str, ...]]:
    """Compute as a run is to; give what is to be told, and leave all as it was.

    Args:
        device: where.
        precision: by its name in a recipe.
        exact: the same bits again.
        threads: that a run has had on a CPU, which it keeps where it goes on.
    """
    how: AbstractContextManager[tuple[str, ...]] = nullcontext(())
    if exact:
        how = exact_arithmetic(device)
    elif device.type == "cpu":
        how = computing(threads)
    with products_in(precision), how as notes:
        yield notes


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[tuple[str, ...]]:
    """Compute the same bits again: one thread on a CPU, fixed algorithms on a GPU.

    How a CPU cuts a sum depends on how many threads share it. There is nothing to tell.
    """
    threads = torch.get_num_threads()
    before = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    if device.type == "cuda":
        # read when cuBLAS is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield ()
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(before)


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Let matrix products of float32 be computed in TF32, if that is the precision.

    For anything else they are left as the process has them, and so are convolutions:
    torch lets cuDNN compute those in TF32 unless somebody forbids it.
    """
    before = torch.get_float32_matmul_precision()
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if precision == "tf32":
            torch.set_float32_matmul_precision(before)
