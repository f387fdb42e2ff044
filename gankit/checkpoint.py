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
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gankit.errors import RunError
from gankit.parts import Facts
from gankit.plugins import core_version
from gankit.runs import cannot_write

WEIGHTS, STATE, MANIFEST = "weights.safetensors", "state.pt", "manifest.json"


@frozen
class Checkpoint:
    """A whole checkpoint on disk, its digests checked."""

    path: Path
    step: int
    facts: Facts
    conditions: tuple[str, ...]
    parts: dict[str, str]

    def weights(self, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """Read the weights: name of the network → its state.

        Raises:
            RunError: they are not what gankit writes.
        """
        nested: dict[str, dict[str, Tensor]] = {}
        try:
            tensors = load_file(self.path / WEIGHTS, str(device))
        except (OSError, SafetensorError) as error:
            raise self._unfit(WEIGHTS, error) from error
        for name, tensor in tensors.items():
            network, _, rest = name.partition("/")
            nested.setdefault(network, {})[rest] = tensor
        return nested

    def state(self, device: torch.device) -> dict[str, Any]:
        """Read everything else.

        Raises:
            RunError: it is not what gankit writes, as when it holds code to run.
        """
        path = self.path / STATE
        try:
            return dict(torch.load(path, map_location=device, weights_only=True))
        except Exception as error:  # what a file made up by a stranger may raise
            raise self._unfit(STATE, error) from error

    def _unfit(self, file: str, error: Exception) -> RunError:
        reason = str(error).partition("\n")[0]
        return RunError(
            f"{str(self.path / file)!r} is not what gankit writes: {reason}; "
            "do not use this checkpoint unless you know where it is from"
        )


def save(
    folder: Path,
    *,
    step: int,
    networks: dict[str, nn.Module],
    stateful: dict[str, Any],
    facts: Facts,
    conditions: tuple[str, ...],
    parts: dict[str, str],
) -> Path:
    """Write one checkpoint under ``folder``; it is there whole or not at all.

    Raises:
        RunError: it cannot be written; older ones are untouched.
    """
    final = folder / f"{step:08d}"
    aside = folder / f".{final.name}.partial"
    weights = {
        f"{name}/{key}": tensor.detach().cpu().clone().contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(weights, aside / WEIGHTS)
        torch.save({k: v.state_dict() for k, v in stateful.items()}, aside / STATE)
        manifest = {
            "step": step,
            "gankit": core_version(),
            "torch": torch.__version__,
            "parts": parts,
            "facts": asdict(facts),
            "conditions": list(conditions),
            "files": {name: _digest(aside / name) for name in (WEIGHTS, STATE)},
        }
        manifest["digest"] = _digest_of(manifest)
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        for path in (*aside.iterdir(), aside):
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        _sync(folder)
    # safetensors and torch have errors of their own for a disk that is full
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise cannot_write(final, error) from error
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
        for name in (WEIGHTS, STATE):
            if _digest(path / name) != manifest["files"][name]:
                raise ValueError(f"{name} is not what was written")
        facts = manifest["facts"]
        classes = facts["classes"]
        return Checkpoint(
            path=path,
            step=int(manifest["step"]),
            facts=Facts(
                sample_shape=tuple(facts["sample_shape"]),
                sample_range=tuple(facts["sample_range"])
                if facts["sample_range"]
                else None,
                classes=tuple(classes) if classes is not None else None,
                captioned=facts["captioned"],
            ),
            conditions=tuple(manifest["conditions"]),
            parts=manifest["parts"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the checkpoint {str(path)!r} is damaged: {error}") from error


def restore(
    found: Checkpoint,
    *,
    networks: dict[str, nn.Module],
    stateful: dict[str, Any],
    device: torch.device,
    parts: dict[str, str],
) -> None:
    """Load a checkpoint into what a run is made of.

    Raises:
        RunError: it belongs to other parts; nothing has been changed then.
    """
    weights, state = found.weights(device), found.state(device)
    other = [
        f"{key}: the checkpoint has {found.parts.get(key, 'none')}, "
        f"this run {parts.get(key, 'none')}"
        for key in {**found.parts, **parts}
        if _without_version(found.parts.get(key)) != _without_version(parts.get(key))
    ]
    other += _mismatches(weights, networks)
    other += [
        f"{name} is in only one of the two"
        for name in sorted(set(state) ^ set(stateful))
    ]
    other += [
        f"{name}: the checkpoint has {' '.join(there)}, this run {' '.join(here)}"
        for name in sorted(set(state) & set(stateful))
        if (there := _settings(state[name]))
        != (here := _settings(stateful[name].state_dict()))
    ]
    if other:
        lines = [f"the checkpoint {str(found.path)!r} is of another run:", *other]
        raise RunError("\n  - ".join(lines))
    for name, network in networks.items():
        network.load_state_dict(weights.get(name, {}))
    for name, thing in stateful.items():
        try:
            thing.load_state_dict(state[name])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"the checkpoint {str(found.path)!r} cannot be taken up: the state of "
                f"{name} is of another kind ({error}); resume with the recipe as it was"
            ) from error


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load one network's weights.

    Raises:
        RunError: they are of another network.
    """
    other = _mismatches({"network": weights}, {"network": network})
    if other:
        lines = [f"the checkpoint {str(path)!r} is of another network:", *other]
        raise RunError("\n  - ".join(lines))
    network.load_state_dict(weights)


def _mismatches(
    weights: dict[str, dict[str, Tensor]], networks: dict[str, nn.Module]
) -> list[str]:
    problems = []
    for name in sorted({*weights, *networks}):
        there = {k: tuple(t.shape) for k, t in weights.get(name, {}).items()}
        module = networks.get(name)
        here = (
            {k: tuple(t.shape) for k, t in module.state_dict().items()}
            if module
            else {}
        )
        differing = [k for k in {**there, **here} if there.get(k) != here.get(k)]
        if differing:
            key = differing[0]
            problems.append(
                f"{name}: {len(differing)} tensors differ, as {key}: the checkpoint "
                f"has {there.get(key, 'none')}, this run {here.get(key, 'none')}"
            )
    return problems


def _settings(state: Any) -> list[str]:
    """Name the options of an optimiser: another one cannot go on from its state."""
    groups = state.get("param_groups") if isinstance(state, dict) else None
    return sorted(groups[0]) if groups else []


def _without_version(part: str | None) -> str | None:
    return part.partition(" ")[0] if part else None


def _digest(path: Path) -> str:
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
