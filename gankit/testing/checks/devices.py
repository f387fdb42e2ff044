"""Whether a part follows its inputs to another device: torch's ``meta``, with fakes.

Fakes have a shape, a type and a device, and no numbers. To mix devices is an error
among them as on a GPU, which ``meta`` alone would let pass, and they can be
differentiated, which those of a GPU cannot be where there is none.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gankit.errors import told
from gankit.testing.probing import Where, answers
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

_THERE = torch.device("meta")
_APART = ("two different devices", "on the same device")  # in torch's words


class _Stream(torch.Generator):
    """A generator that says it is on the other device; fakes draw no numbers."""

    @property
    def device(self) -> torch.device:  # type: ignore[override] # in torch it is a field
        return _THERE


def any_device(subject: Subject) -> None:
    """On another device it computes there, with no device of its own choice.

    A part that looks at numbers, or does what torch cannot fake, is not found out.
    """
    parts = subject.parts()
    _ = parts.batch  # of data that is read on the CPU
    where = Where(device=_THERE, rng=lambda purpose: _Stream())
    with ExitStack() as stack:
        # what is not moved is taken for a fake on the CPU
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        try:
            given = answers(parts.to(_THERE), where)
        except Exception as error:
            if not any(words in str(error) for words in _APART):
                return
            raise Failed(
                f"on a GPU it mixes devices: {told(error)}; make tensors on the device "
                "of its inputs, as torch.zeros(…, device=samples.device), and keep "
                "those that it holds as buffers"
            ) from None
        elsewhere = [t for t in _of(subject.kind, given) if t.device != _THERE]
    if elsewhere:
        raise Failed(
            f"on a GPU it gives a tensor on the {elsewhere[0].device.type}; make it on "
            "the device of its inputs, or of the rng: device=rng.device"
        )


def _of(kind: str, given: list[Any]) -> list[Tensor]:
    """Return what is to be on the device of the inputs."""
    tensors = [thing for thing in given if isinstance(thing, Tensor)]
    if kind == "dataset":
        return []  # items are read on the CPU, and transform mixes nothing
    return tensors[1:] if kind == "conditioner" else tensors  # tokens are on the CPU
