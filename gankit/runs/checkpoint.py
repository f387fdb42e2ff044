"""Atomic, safe save and load of everything that a run is made of.

A checkpoint is a folder, written beside its final name and renamed into place: weights
as safetensors, the rest loadable with ``weights_only=True``, and a manifest with a
digest of each file. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from attrs import asdict, frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gankit.contracts.kinds import Origin
from gankit.data.facts import Facts, read_again, written
from gankit.errors import RunError
from gankit.plugins.versions import core_version
from gankit.runs.folder import PARTIAL, cannot_write
from gankit.runs.states import PLAIN, check_states, copied, write_state

WEIGHTS, STATE, MANIFEST = "weights.safetensors", "state.pt", "manifest.json"
CONDITIONS = "conditions.pt"  # of the run's own grids
FILES = (WEIGHTS, STATE, CONDITIONS)
FORMAT = 1  # of a checkpoint; a later one may hold what this gankit does not know

T = TypeVar("T")


@frozen
class Checkpoint:
    """A whole checkpoint on disk, its digests checked."""

    path: Path
    step: int
    facts: Facts
    parts: dict[str, Origin]  # by their place in the recipe
    versions: dict[str, str]  # of gankit and torch
    threads: int  # that have computed, in each process
    memory_format: str  # of the networks' weights
    compiled: tuple[str, ...]  # whose network torch has compiled

    def weights(self, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """Read the weights: name of the network → its state.

        Raises:
            RunError: they are not what gankit writes.
        """
        try:
            return by_network(load_file(self.path / WEIGHTS, str(device)))
        except (OSError, SafetensorError) as error:
            raise self._unfit(WEIGHTS, error) from error

    def state(self) -> dict[str, Any]:
        """Read everything else, onto the CPU: whatever loads it moves it.

        Raises:
            RunError: it is not what gankit writes, as when it holds code to run.
        """
        return self._loaded(STATE, dict)

    def conditions(self) -> tuple[Any, ...]:
        """Read the conditions of the run's own grids: texts, or values of items.

        Raises:
            RunError: they are not what gankit writes.
        """
        return self._loaded(CONDITIONS, tuple)

    def _loaded(self, file: str, kind: Callable[[Any], T]) -> T:
        try:
            path = self.path / file
            return kind(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # what a file made up by a stranger may raise
            raise self._unfit(file, error) from error

    def _unfit(self, file: str, error: Exception) -> RunError:
        reason = str(error).partition("\n")[0]
        return RunError(
            f"{str(self.path / file)!r} is not what gankit writes: {reason}; "
            "do not use this checkpoint unless you know where it is from"
        )


@frozen
class Content:
    """What a checkpoint is made of, copied onto the CPU: nothing of it moves any more.

    Attributes:
        step: steps done.
        weights: of all networks, by network and name.
        state: everything else, of the game, of hooks, and of the run.
        conditions: of the run's own grids, texts or values of items.
        told: what the manifest says.
    """

    step: int
    weights: dict[str, Tensor]
    state: dict[str, dict[str, Any]]
    conditions: tuple[Any, ...]
    told: dict[str, Any]


def content(
    *,
    step: int,
    networks: dict[str, nn.Module],
    states: dict[str, Any],
    kept: dict[str, Any],
    said: dict[str, Any],
    facts: Facts,
    conditions: tuple[Any, ...],
    parts: Mapping[str, Origin],
    memory_format: str,
    compiled: Sequence[str],
) -> Content:
    """Copy what a checkpoint is to hold.

    Args:
        step: steps done.
        networks: the modules whose weights are saved, by name.
        states: everything else that the game is made of.
        kept: the states of hooks.
        said: what the user has been told.
        facts: what the data set knows.
        conditions: of the run's own grids, texts or values of items.
        parts: where the part of each place in the recipe is from.
        memory_format: of the networks' weights, by its name in a recipe.
        compiled: the players whose network torch compiles.
    """
    return Content(
        step=step,
        weights={
            f"{name}/{key}": tensor.detach().cpu().clone().contiguous()
            for name, network in networks.items()
            for key, tensor in network.state_dict().items()
        },
        state={
            "game": copied(states),
            "hooks": copied(dict(sorted(kept.items()))),
            "run": copied(said),
        },
        conditions=copied(conditions),
        told={
            "format": FORMAT,
            "step": step,
            "versions": {"gankit": core_version(), "torch": torch.__version__},
            "threads": torch.get_num_threads(),
            "memory_format": memory_format,
            "compiled": list(compiled),
            "parts": {place: asdict(origin) for place, origin in parts.items()},
            "facts": written(facts),
        },
    )


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step is, or would be."""
    return folder / f"{step:08d}"


def save(folder: Path, held: Content) -> Path:
    """Write one checkpoint under ``folder``; it is there whole or not at all.

    Raises:
        RunError: it cannot be written; older ones are untouched.
        PluginError: a state cannot be held.
    """
    final = path_of(folder, held.step)
    aside = folder / f".{final.name}{PARTIAL}"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(held.weights, aside / WEIGHTS)
        if write_state(held.state, aside / STATE):
            named = {"the run": held.state["run"]}
            for states in (held.state["game"], held.state["hooks"], named):
                check_states(states)
        torch.save(held.conditions, aside / CONDITIONS, pickle_module=PLAIN)
        manifest = held.told | {"files": {n: digest_of_file(aside / n) for n in FILES}}
        manifest["digest"] = _digest_of(manifest)
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        for path in (*aside.iterdir(), aside):
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        _sync(folder)
    # safetensors and torch have errors of their own for a disk that is full
    except (OSError, SafetensorError, RuntimeError) as error:
        raise cannot_write(final, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # not there if all went well
    return final


def latest(folder: Path) -> tuple[Checkpoint, tuple[str, ...]]:
    """Find the newest whole checkpoint; and say which newer ones are damaged.

    Raises:
        RunError: there is none.
    """
    damaged: list[str] = []
    for path in sorted(all_in(folder), reverse=True):
        try:
            return read(path), tuple(damaged)
        except RunError as error:
            damaged.append(str(error))
    raise RunError(
        "\n".join([f"there is no whole checkpoint in {str(folder)!r}", *damaged])
    )


def all_in(folder: Path) -> list[Path]:
    """List the checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit())


def read(path: Path) -> Checkpoint:
    """Check one checkpoint against its manifest.

    Raises:
        RunError: it is damaged.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text("utf-8"))
        if manifest.pop("digest") != _digest_of(manifest):
            raise ValueError(f"{MANIFEST} is not what was written")
        if manifest["format"] > FORMAT:
            raise ValueError(
                f"gankit {manifest['versions']['gankit']} has written it in a format "
                f"that gankit {core_version()} does not know; install that version"
            )
        for name in FILES:
            if digest_of_file(path / name) != manifest["files"][name]:
                raise ValueError(f"{name} is not what was written")
        return Checkpoint(
            path=path,
            step=int(manifest["step"]),
            facts=read_again(manifest["facts"]),
            parts={k: Origin(**origin) for k, origin in manifest["parts"].items()},
            versions=manifest["versions"],
            threads=int(manifest["threads"]),
            memory_format=str(manifest.get("memory_format", "contiguous")),
            compiled=tuple(manifest.get("compiled", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the checkpoint {str(path)!r} is damaged: {error}") from error


def by_network(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Sort tensors by the network that stands before their name, or "" for none."""
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        network, slash, rest = name.partition("/")
        network, rest = (network, rest) if slash else ("", name)
        nested.setdefault(network, {})[rest] = tensor
    return nested


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
