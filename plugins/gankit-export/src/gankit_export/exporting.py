"""A generator, traced, written, read again and compared with the original."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import SafetensorError
from torch import Tensor, nn

from gankit import Sampler
from gankit.errors import RunError, UsageError
from gankit_export import formats
from gankit_export.inputs import Inputs
from gankit_export.telling import example_inputs, told_of

LIMIT = 1e-4  # largest difference to the original that is borne
_TRACED, _TRIED = 2, (1, 5)  # batches: of the trace, and of the comparison
_NEEDED = ("onnx", "onnxruntime", "onnxscript")


@frozen
class Exported:
    """What was written.

    Attributes:
        file: where.
        bytes: its size.
        told: what it says of itself: inputs, output, classes, conditions.
        difference: the largest between its samples and the original's.
        checked_in: what has run it.
    """

    file: Path
    bytes: int
    told: dict[str, Any]
    difference: float
    checked_in: str


def check(path: str | Path) -> None:
    """Refuse a file of a format that there is not, or for which a package is missing.

    Raises:
        UsageError: the file cannot be written here.
    """
    suffix = Path(path).suffix
    if suffix not in formats.WRITERS:
        raise UsageError(
            f"{str(path)!r}: there is no format {suffix!r}; name the file .onnx, .pt2 "
            "or .safetensors"
        )
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"{str(path)!r}: there is no such folder; make it first")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if suffix == ".onnx" and missing:
        raise UsageError(
            f"ONNX needs {', '.join(missing)}, which is not installed: "
            "pip install 'gankit-export[onnx]'"
        )


def export(sampler: Sampler, path: str | Path) -> Exported:
    """Write the generator of a sampler into a file that other programs use.

    It takes ``noise`` (B, n) and, where the run is conditioned, ``condition`` (B, c),
    of any B; and ``uniform`` (B, k) where it is sampled with dropout: the numbers, at
    random on [0, 1), by which that decides. It gives ``samples`` (B, *sample) in the
    generator's own range. The file is there only after it has been read again, and its
    samples, of batches of 1 and 5, are the original's.

    Args:
        sampler: what `gankit.load` gives, on the CPU.
        path: ``.onnx``, ``.pt2`` (torch.export) or ``.safetensors`` (weights alone); a
            file that exists is replaced.

    Raises:
        UsageError: there is no such format, a package is missing, the generator cannot
            be traced, or what was written differs by more than 1e-4.
        RunError: the file cannot be written.
    """
    path = Path(path)
    check(path)
    original = Inputs(sampler.module)
    inputs = _inputs(sampler, original)
    told = told_of(sampler, inputs(_TRACED))
    texts = {key: json.dumps(value) for key, value in told.items()}
    aside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        run, checked_in = formats.WRITERS[path.suffix](
            original, inputs(_TRACED), texts, aside
        )
        difference = max(_difference(original, run, inputs(count)) for count in _TRIED)
        if not difference <= LIMIT:  # nor NaN
            raise UsageError(
                f"what was written for {str(path)!r} draws other samples: the largest "
                f"difference is {difference:.2g}, and {LIMIT:g} is the most; it is not "
                "kept"
            )
        aside.replace(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write {str(path)!r}: {error}") from error
    finally:
        aside.unlink(missing_ok=True)
    return Exported(path, path.stat().st_size, told, difference, checked_in)


@torch.no_grad()
def _inputs(sampler: Sampler, original: Inputs) -> Callable[[int], dict[str, Tensor]]:
    """Return what makes inputs of a batch, after a pass that counts draws.

    Raises:
        UsageError: the generator draws what it is not given.
    """
    some = example_inputs(sampler, _TRACED, 0)
    original(**some)
    size = original.supply.size
    some = example_inputs(sampler, _TRACED, size)
    made = []
    for seed in (0, 1):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            made.append(original(**some))
    if not torch.equal(*made):
        raise UsageError(
            f"the generator {type(sampler.generator).__name__} draws random numbers by "
            "itself, and not by torch's modules for dropout, so that a file could not "
            "be compared with it; its author has to take them from the noise"
        )
    return lambda count: example_inputs(sampler, count, size)


@torch.no_grad()
def _difference(
    original: nn.Module,
    run: Callable[[dict[str, Tensor]], Tensor],
    inputs: dict[str, Tensor],
) -> float:
    return float((run(inputs) - original(**inputs)).abs().max())
