"""Beginning with weights that are there: of a run, a checkpoint or a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn

from gankit.errors import RunError
from gankit.runs.checkpoint import (
    MANIFEST,
    WEIGHTS,
    by_network,
    digest_of_file,
    latest,
    read,
)
from gankit.runs.folder import RECIPE, SAVED, write_whole
from gankit.runs.pack import is_pack, read_pack
from gankit.runs.tensors import read_tensors

RECORD = "start.json"  # in the run folder
_NAMED = 3  # tensors that a note names


def pinned(source: str) -> str:
    """Name the very weights that a source stands for: a run's latest checkpoint.

    So that a recipe which is written down begins there again, whatever that run does.

    Raises:
        RunError: there is nothing to begin with.
    """
    path = Path(source)
    if path.is_dir() and not (path / MANIFEST).is_file():
        if not (path / RECIPE).is_file() and not (path / SAVED).is_dir():
            raise RunError(
                f"cannot start from {source!r}: it is neither a run folder nor a "
                "checkpoint; give the folder that `gankit train` named, or a "
                ".safetensors file"
            )
        return str(latest(path / SAVED)[0].path)
    if not path.exists():
        raise RunError(
            f"cannot start from {source!r}: there is no such run folder or file"
        )
    return source


def begun_from(folder: Path | None, source: str) -> str:
    """Name what a run in a folder has begun with, if that was of this source; or ""."""
    if folder is None:
        return ""
    try:
        recipe = tomllib.loads((folder / RECIPE).read_text("utf-8"))
        there = str(recipe["train"]["start_from"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    ours = there == source or Path(source) in Path(there).parents
    return there if ours else ""


@define(eq=False)
class Start:
    """Weights to begin with, and what becomes of them.

    Attributes:
        source: the checkpoint or file that they are of.
        weights: by network and name.
        step: steps that they were trained for, where that is known.
        sha256: digest of the file that holds them.
        record: of each part, which tensors were taken, and why others were not.
        notes: the same for the user, a line each.
    """

    source: str
    weights: Mapping[str, Mapping[str, Tensor]]
    sha256: str
    step: int | None = None
    record: dict[str, dict[str, Any]] = field(factory=dict)
    notes: list[str] = field(factory=list)

    def of(self, name: str) -> Mapping[str, Tensor]:
        """Return the weights for a network: an average begins as its generator."""
        instead = {"average": "generator", "generator": "average"}.get(name, name)
        return self.weights.get(name) or self.weights.get(instead, {})

    def check(self, networks: Mapping[str, nn.Module]) -> None:
        """Refuse weights of which no learnt one fits any network.

        Raises:
            RunError: none does; nothing has been changed.
        """
        learnt = {
            name: {key for key, _ in network.named_parameters()}
            for name, network in networks.items()
        }
        if any(
            learnt[name] & _fitting(self.of(name), network).keys()
            for name, network in networks.items()
        ):
            return
        examples = [
            f"{name}: {_first(self.of(name))} there, {_first(network.state_dict())} "
            "here"
            for name, network in networks.items()
            if learnt[name]
        ]
        lines = [
            f"nothing of {self.source!r} fits this run: no tensor has the name and "
            "the shape of a weight here; start from a run of the same networks, with "
            "the same options",
            *examples,
        ]
        raise RunError("\n  - ".join(lines))

    @torch.no_grad()
    def take(self, name: str, network: nn.Module) -> None:
        """Put what fits into a network; note what does, and what does not."""
        there, here = self.of(name), network.state_dict()
        fitting = _fitting(there, network)
        # not copied one by one: a network may refuse what is not meant for it
        network.load_state_dict({**here, **fitting})
        left = {
            key: f"{tuple(there[key].shape)} there, {tuple(tensor.shape)} here"
            if key in there
            else "is not there"
            for key, tensor in here.items()
            if key not in fitting
        }
        unused = sorted(set(there) - set(here))
        if not here:
            return
        self.record[name] = {"taken": list(fitting), "left": left, "unused": unused}
        self.notes.append(f"{name}: {_told(fitting, left, unused)}")

    def take_all(self, networks: Mapping[str, nn.Module]) -> None:
        """Put what fits into all networks of a game, but what was :meth:`fitted`."""
        where = (
            self.source if self.step is None else f"step {self.step:,} of {self.source}"
        )
        self.notes.insert(0, f"started from {where}")
        for name, network in networks.items():
            if name not in self.record:
                self.take(name, network)

    def fitted(self, conditioner: nn.Module) -> Mapping[str, Tensor] | None:
        """Return what a conditioner was fitted to elsewhere; None if not all fits.

        A part of it would mean nothing beside what is fitted anew.
        """
        name = "conditioner"
        there, here = self.of(name), conditioner.state_dict()
        fitting = _fitting(there, conditioner)
        if len(fitting) < len(here):
            why = "is not there" if not there else f"{len(fitting)} of {len(here)} fit"
            self.record[name] = {
                "taken": [],
                "left": dict.fromkeys(here, why),
                "unused": [],
            }
            self.notes.append(f"{name}: took nothing ({why}); it is fitted anew")
            return None
        self.record[name] = {"taken": list(here), "left": {}, "unused": []}
        self.notes.append(
            f"{name}: took all {len(here)} tensors; it is not fitted again"
        )
        return fitting

    def write(self, folder: Path) -> None:
        """Write into a run's folder where it began, and with what.

        Raises:
            RunError: it cannot be written.
        """
        told = {"from": self.source, "sha256": self.sha256, "step": self.step}
        write_whole(
            folder / RECORD, json.dumps(told | {"parts": self.record}, indent=1)
        )


def open_start(source: str) -> Start:
    """Read what a run begins with.

    Raises:
        RunError: it is not there, damaged, or no safetensors file.
    """
    source = pinned(source)
    path = Path(source)
    if path.is_dir():
        saved = read(path)
        digest = digest_of_file(path / WEIGHTS)
        weights = saved.weights(torch.device("cpu"))
        return Start(source, weights, digest, saved.step)
    digest = digest_of_file(path)
    if is_pack(path):
        pack = read_pack(path)
        weights = pack.weights(torch.device("cpu"))
        return Start(source, weights, digest, pack.step)
    weights = by_network(read_tensors(path, torch.device("cpu")))
    if bare := weights.pop("", {}):  # as other programs and `gankit export` write it
        weights["generator"] = bare | weights.get("generator", {})
    return Start(source, weights, digest)


def _fitting(there: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    here = network.state_dict()
    return {
        key: tensor
        for key, tensor in there.items()
        if key in here and here[key].shape == tensor.shape
    }


def _first(tensors: Mapping[str, Tensor]) -> str:
    for key, tensor in tensors.items():
        if tensor.ndim:  # a count says nothing
            return f"{key} {tuple(tensor.shape)}"
    return "nothing"


def _told(
    fitting: Mapping[str, Tensor], left: Mapping[str, str], unused: list[str]
) -> str:
    count = len(fitting) + len(left)
    if not left:
        said = f"took all {count} tensors"
    else:
        some = [f"{key}: {why}" for key, why in list(left.items())[:_NAMED]]
        more = f"; and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        said = f"took {len(fitting)} of {count} tensors, not {'; '.join(some)}{more}"
    if unused:
        more = ", …" if len(unused) > _NAMED else ""
        said += f"; {len(unused)} there have no place here: "
        said += ", ".join(unused[:_NAMED]) + more
    return said
