"""Memory: how much is free, what a CPU's allocator keeps, how weights lie in it."""

from __future__ import annotations

import ctypes
import os
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

# of mallopt in glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_KEPT = 1 << 30  # bytes that are free at the top of the heap and not given back


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024  # told in kB
    # elsewhere only the size of the memory is told the same way: count on half of it
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def keep_freed() -> None:
    """Let the C allocator keep what is freed, for what is allocated next.

    A step frees and takes again the same large tensors. By itself glibc gives each back
    to the system and faults its pages in anew, 58,000 of them in a step of a DCGAN at
    64 x 64. Where somebody has set the allocator (``MALLOC_…``, ``GLIBC_TUNABLES``), or
    it may be another one, nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    own = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    if any(name.startswith(own) for name in os.environ):
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, _KEPT)


_HALF = ("bf16", "fp16")

# by their names in a recipe
_FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def suits_channels_last(device: torch.device, precision: str) -> bool:
    """Tell whether convolutions are faster where the channels of a place lie together.

    They are on a CPU (oneDNN), and in half precision on a GPU (tensor cores).
    """
    return device.type == "cpu" or (device.type == "cuda" and precision in _HALF)


def lay_out(networks: Iterable[nn.Module], memory_format: str) -> None:
    """Lay the weights of two-dimensional convolutions out in memory, for good.

    Args:
        networks: whose weights.
        memory_format: ``contiguous`` or ``channels-last``.
    """
    for network in networks:
        tensors = [*network.parameters(), *network.buffers()]
        shared = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors)
        for tensor in tensors:
            # what several share would not be shared any more
            if tensor.ndim == 4 and shared[tensor.untyped_storage().data_ptr()] == 1:
                tensor.data = tensor.data.contiguous(
                    memory_format=_FORMATS[memory_format]
                )


def is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor holds real numbers in memory that a CPU reads."""
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return dense and not tensor.is_complex()


def flat(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor in a row, in the order in which they lie."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    if tensor.ndim == 4:  # with its channels last, as a rule
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(-1)


def laid_out_as(weight: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor with the strides of a weight of its shape.

    A fused optimiser walks through both as they lie in memory, and looks at no strides.
    """
    if tensor.layout is not torch.strided or tensor.shape != weight.shape:
        return tensor
    if tensor.stride() == weight.stride():
        return tensor
    return torch.empty_like(weight).copy_(tensor)
