"""The formats: each writes a file, and returns what runs it.

Args of a writer: the module with named inputs, examples of these, texts about it, and
the file. It returns what makes samples of inputs by the file, and its name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gankit.errors import UsageError
from gankit_export.inputs import Inputs

_LARGEST = 3 << 29  # bytes; torch writes more than that beside the file

Run = Callable[[dict[str, Tensor]], Tensor]


def traced(module: Inputs, inputs: dict[str, Tensor]) -> torch.export.ExportedProgram:
    """Trace a module for batches of any size.

    Raises:
        UsageError: it cannot be traced.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own workings
            return torch.export.export(
                module, (), kwargs=dict(inputs), dynamic_shapes=_any_batch(inputs)
            )
    except Exception as error:  # whatever its author's code may raise when traced
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        name = type(module.network).__name__
        raise UsageError(
            f"the generator {name} cannot be traced for batches of any size: {reason}; "
            "its forward has to be tensor operations alone, whatever the batch; a "
            ".safetensors file holds its weights"
        ) from error


def _any_batch(inputs: dict[str, Tensor]) -> dict[str, Any]:
    batch = torch.export.Dim("batch", min=1)
    return {name: {0: batch} for name in inputs}


def write_onnx(
    module: Inputs, inputs: dict[str, Tensor], texts: dict[str, str], file: Path
) -> tuple[Run, str]:
    """Write ONNX, and run it in onnxruntime on the CPU."""
    onnxruntime: Any = import_module("onnxruntime")  # which has no types
    size = sum(tensor.nbytes for tensor in module.state_dict().values())
    if size > _LARGEST:
        raise UsageError(
            f"the generator has {size / 2**30:.1f} GiB of weights, and one file of "
            f"ONNX holds {_LARGEST / 2**30:g}; a .pt2 file can hold it"
        )
    program = traced(module, inputs)
    try:
        # it prints what it does, and warns of its own workings
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: Any = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                output_names=["samples"],
                dynamic_shapes=_any_batch(inputs),
            )
            made.model.metadata_props.update(texts)
    except Exception as error:  # of an operation that ONNX has not
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UsageError(
            f"the generator cannot be written as ONNX: {reason}; .pt2 can hold any "
            "operation of torch"
        ) from error
    made.save(file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(given: dict[str, Tensor]) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in given.items()}
        return torch.from_numpy(session.run(["samples"], arrays)[0])

    return run, f"onnxruntime {onnxruntime.__version__}"


def write_program(
    module: Inputs, inputs: dict[str, Tensor], texts: dict[str, str], file: Path
) -> tuple[Run, str]:
    """Write a program of torch.export, and load it again."""
    program = traced(module, inputs)
    extra = {f"{key}.json": text for key, text in texts.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, file, extra_files=extra)
        again = torch.export.load(file).module()
    return lambda given: again(**given), f"torch {torch.__version__}"


def write_weights(
    module: Inputs, inputs: dict[str, Tensor], texts: dict[str, str], file: Path
) -> tuple[Run, str]:
    """Write the weights alone, and load them into another such network."""
    there = module.network.state_dict()
    state = {k: t.detach().clone().contiguous() for k, t in there.items()}
    save_file(state, file, {"format": "pt"} | texts)
    again = deepcopy(module)
    with torch.no_grad():
        for tensor in again.network.state_dict().values():
            tensor.zero_()
    again.network.load_state_dict(load_file(file))
    return lambda given: again(**given), f"torch {torch.__version__}"


WRITERS = {
    ".onnx": write_onnx,
    ".pt2": write_program,
    ".safetensors": write_weights,
}
