"""Where a run computes, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from attrs import frozen
from torch import Tensor

from gankit.compute.processes import ALONE, Processes
from gankit.errors import DeviceError, listed, nearest

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str, processes: Processes = ALONE) -> torch.device:
    """Return the device of that name; ``auto`` is the fastest kind there is.

    Of several processes on one machine each gets a GPU of its own.

    Raises:
        DeviceError: this machine has no such device, or not one for each process.
    """
    there = available_devices()
    if processes.size > 1 and name != "cpu":
        return _one_of_many(name, there, processes)
    if name == "auto":
        return torch.device(next(d for d in ("cuda:0", "mps", "cpu") if d in there))
    wanted = "cuda:0" if name == "cuda" else name
    if wanted in there:
        return torch.device(wanted)
    raise DeviceError(
        f"there is no device {name!r} here{nearest(name, there)}; "
        f"this machine has {listed(there)}; choose one of these, or 'auto'"
    )


def _one_of_many(name: str, there: list[str], processes: Processes) -> torch.device:
    gpus = [device for device in there if device.startswith("cuda")]
    if name == "auto" and not gpus:
        return torch.device("cpu")
    if name not in ("auto", "cuda"):
        raise DeviceError(
            f"{processes.size} processes cannot share the device {name!r}; choose "
            "'auto', 'cuda' or 'cpu'"
        )
    if processes.local_size > len(gpus):
        raise DeviceError(
            f"{processes.local_size} processes need as many GPUs, and this machine has "
            f"{len(gpus)}; start fewer, or choose the device 'cpu'"
        )
    return torch.device(gpus[processes.local_rank])


@contextmanager
def explained() -> Iterator[None]:
    """Say what to do where torch only says what happened."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in said:
            advice = (
                f"the memory ran out: {said}; lower train.batch_size or the networks' "
                "widths, or set train.data to 'streamed'"
            )
        elif "deterministic implementation" in said:
            advice = (
                f"train.reduce 'exact' cannot be had with these parts here: {said}; "
                "choose other parts, or set train.reduce to 'fast'"
            )
        else:
            raise
        told = DeviceError(advice)
        for note in getattr(error, "__notes__", ()):
            told.add_note(note)
        raise told from error


def available_devices() -> list[str]:
    """List the devices that a recipe may name on this machine."""
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, to which the host does not wait to give it."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@frozen
class Precision:
    """The precision of the networks' passes; weights and losses stay float32."""

    name: str
    device: torch.device

    def __attrs_post_init__(self) -> None:
        if self.name in ("fp16", "tf32") and self.device.type == "cpu":
            raise DeviceError(
                f"train.precision {self.name!r} needs a GPU, and this run is on the "
                "CPU; set train.precision to 'fp32' or 'bf16'"
            )
        if self.name == "tf32" and self.device.type != "cuda":
            raise DeviceError(
                f"train.precision 'tf32' is NVIDIA's, and this run is on {self.device}"
                "; set train.precision to 'fp32', 'bf16' or 'fp16'"
            )
        if (
            self.name == "bf16"
            and self.device.type == "cuda"
            and not torch.cuda.is_bf16_supported()
        ):
            raise DeviceError(
                f"{torch.cuda.get_device_name(self.device)} has no bf16; "
                "set train.precision to 'fp16' or 'fp32'"
            )

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a network's pass runs."""
        if self.name not in _DTYPES:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.name])

    def casting_once(self) -> AbstractContextManager[object]:
        """Return the context in which passes share what weights are cast to.

        Autocast forgets it where its outermost context ends.
        """
        if self.name not in _DTYPES:
            return nullcontext()
        return torch.autocast(self.device.type, enabled=False)

    def scaler(self) -> torch.amp.GradScaler:
        """Return a gradient scaler, which does nothing but in fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "fp16")


def full_precision(values: Tensor) -> Tensor:
    """Return values in float32 where autocast made less of them; others as they are.

    A generator squashes what this returns. In bf16 tanh(x) is exactly 1 for every x
    above 3.5: no gradient leads back from there, and a generator of pictures on a white
    or a black ground can be lost on it for good. In float32 that begins at 9.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
