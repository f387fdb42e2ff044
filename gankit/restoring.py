"""Taking up a checkpoint: whether it belongs to these parts, and loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

from gankit.checkpoint import Checkpoint, all_in, latest, read
from gankit.errors import RunError, listed
from gankit.plugins import core_version

BEST = "gankit.checkpoints"  # the state that knows which checkpoint is the best


def choose(folder: Path, which: str | int) -> tuple[Checkpoint, tuple[str, ...]]:
    """Return ``latest``, ``best`` or the checkpoint of a step; and which are damaged.

    Raises:
        RunError: there is no such checkpoint, or it is damaged.
    """
    found, damaged = latest(folder)
    if which == "latest":
        return found, damaged
    if which == "best":
        best = found.state()["hooks"].get(BEST, {}).get("step")
        if best is None:
            raise RunError(
                "this run has kept no best checkpoint; train with train.best set to "
                "the name of a metric"
            )
        which = best
    if not str(which).isdigit():
        raise RunError(f"no checkpoint {which!r}; say 'latest', 'best' or a step")
    path = folder / f"{int(which):08d}"
    if path not in all_in(folder):
        there = listed(int(p.name) for p in all_in(folder))
        raise RunError(f"there is no checkpoint of step {which}; there are {there}")
    return read(path), ()


def restore(
    found: Checkpoint,
    *,
    networks: dict[str, nn.Module],
    stateful: dict[str, Any],
    device: torch.device,
    parts: dict[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load a checkpoint into what a run is made of.

    Returns:
        the states of hooks, and what the user has been told.

    Raises:
        RunError: it belongs to other parts; nothing has been changed then.
    """
    weights, whole = found.weights(device), found.state()
    state, kept = whole["game"], dict(whole["hooks"])
    other = _other_versions(found, parts)
    other += [
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
        if name.startswith("scaler.") and not state[name]:
            continue  # of another precision, whose scaler has no state
        try:
            thing.load_state_dict(state[name])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"the checkpoint {str(found.path)!r} cannot be taken up: the state of "
                f"{name} is of another kind ({error}); resume with the recipe as it was"
            ) from error
    return kept, whole["run"]


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


def changed_versions(found: Checkpoint, parts: dict[str, str]) -> tuple[str, ...]:
    """Say which versions are others than the checkpoint's, so that bits may be too."""
    there = found.versions | {
        name: version
        for name, _, version in (text.partition(" ") for text in found.parts.values())
    }
    here = {"gankit": core_version(), "torch": torch.__version__} | {
        name: version
        for name, _, version in (text.partition(" ") for text in parts.values())
    }
    return tuple(
        f"{name} was {there[name]}, and is {here[name]}"
        for name in there
        if name in here and there[name] != here[name] and _compatible(here[name])
    )


def _other_versions(found: Checkpoint, parts: dict[str, str]) -> list[str]:
    """Refuse what says, by its version, that it is not compatible."""
    texts = [f"gankit {found.versions['gankit']}", *found.parts.values()]
    now = [f"gankit {core_version()}", *parts.values()]
    here = dict(text.partition(" ")[::2] for text in now)
    return list(
        dict.fromkeys(
            f"{name}: the checkpoint is of version {version}, and {here[name]} is "
            "installed; install a version that begins alike"
            for name, _, version in (text.partition(" ") for text in texts)
            if name in here and _compatible(version) != _compatible(here[name])
        )
    )


def _compatible(version: str) -> tuple[int, ...] | None:
    """Return the numbers that compatible versions share: 0.N, or N."""
    try:
        release = Version(version).release
    except InvalidVersion:
        return None  # a local plugin file has a path instead
    return release[:2] if release[0] == 0 else release[:1]


def _without_version(part: str | None) -> str | None:
    return part.partition(" ")[0] if part else None
