"""Taking up a checkpoint: whether it belongs to these parts, and loading it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gankit.compute.processes import Processes
from gankit.contracts.kinds import Origin
from gankit.errors import RunError, listed
from gankit.game.game import Game
from gankit.game.places import only_watches
from gankit.plugins import versions
from gankit.plugins.versions import core_version
from gankit.runs.checkpoint import Checkpoint, all_in, latest, path_of, read
from gankit.runs.folder import SAVED
from gankit.runs.pack import Pack

BEST = "gankit.checkpoints"  # the state that knows which checkpoint is the best


def choose(folder: Path, which: str | int) -> tuple[Checkpoint, tuple[str, ...]]:
    """Return ``latest``, ``best`` or the checkpoint of a step; and which are damaged.

    Raises:
        RunError: there is no such checkpoint, or it is damaged.
    """
    saved, damaged = latest(folder)
    if which == "latest":
        return saved, damaged
    if which == "best":
        best = saved.state()["hooks"].get(BEST, {}).get("step")
        if best is None:
            raise RunError(
                "this run has kept no best checkpoint; train with train.best set to "
                "the name of a metric"
            )
        which = best
    if not str(which).isdigit():
        raise RunError(f"no checkpoint {which!r}; say 'latest', 'best' or a step")
    path = path_of(folder, int(which))
    if path not in all_in(folder):
        there = listed(int(p.name) for p in all_in(folder))
        raise RunError(f"there is no checkpoint of step {which}; there are {there}")
    return read(path), ()


def reopen(folder: Path) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """Find where a run goes on: at its start, where it was killed before it saved."""
    return latest(folder) if all_in(folder) else (None, ())


def last_good(folder: Path | None) -> Checkpoint | None:
    """Return the newest whole checkpoint of a run's folder, if there is any."""
    try:
        return latest(folder / SAVED)[0] if folder is not None else None
    except RunError:
        return None


def notes_of(
    saved: Checkpoint | None, damaged: Sequence[str], parts: Mapping[str, Origin]
) -> tuple[str, ...]:
    """Say what is to be known of the checkpoint that a run goes on from."""
    if saved is None:
        return ()
    return passed_over(damaged, saved) + tuple(
        f"{line}: the run goes on, but not to the same bits"
        for line in (*changed_versions(saved, parts), *_other_watchers(saved, parts))
    )


def passed_over(damaged: Sequence[str], saved: Checkpoint | Pack) -> tuple[str, ...]:
    """Say which newer checkpoints than the one in use are damaged."""
    return tuple(f"{line}; going on from {saved.path}" for line in damaged)


def restore(
    saved: Checkpoint, game: Game, parts: Mapping[str, Origin]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load a checkpoint into a game of these parts.

    Returns:
        the states of hooks, and what the user has been told.

    Raises:
        RunError: it belongs to other parts; nothing has been changed then.
    """
    networks, stateful = game.networks(), game.stateful()
    weights, whole = saved.weights(game.device), saved.state()
    state, kept = whole["game"], dict(whole["hooks"])
    other = _other_versions(saved, parts)
    changed = _changed_parts(saved, parts)
    other += [line for place, line in changed.items() if not only_watches(place)]
    kept = {name: state for name, state in kept.items() if name not in changed}
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
        lines = [f"the checkpoint {str(saved.path)!r} is of another run:", *other]
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
                f"the checkpoint {str(saved.path)!r} cannot be taken up: the state of "
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


def fingerprint(networks: dict[str, nn.Module]) -> str:
    """Return a digest of all weights and buffers."""
    digest = hashlib.sha256()
    for network in networks.values():
        for tensor in network.state_dict().values():
            plain = tensor.detach().cpu().contiguous().view(-1)
            digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def disagreement(networks: dict[str, nn.Module], processes: Processes) -> str:
    """Say which process has other weights than the first, or ""."""
    if processes.size == 1:
        return ""
    said = processes.gather(fingerprint(networks))
    other = next((rank for rank, own in enumerate(said) if own != said[0]), None)
    if other is None:
        return ""
    return (
        f"process {other} has other weights than the first; a hook that changes "
        "the game has to change it in every process"
    )


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


def changed_versions(saved: Checkpoint, parts: Mapping[str, Origin]) -> tuple[str, ...]:
    """Say which versions are others than the checkpoint's, so that bits may be too."""
    there = saved.versions | _versions(saved.parts)
    here = {"gankit": core_version(), "torch": torch.__version__} | _versions(parts)
    return versions.changed(there, here)


def _other_versions(saved: Checkpoint, parts: Mapping[str, Origin]) -> list[str]:
    """Refuse what says, by its version, that it is not compatible."""
    there = {"gankit": saved.versions["gankit"]} | _versions(saved.parts)
    return versions.incompatible(there, {"gankit": core_version()} | _versions(parts))


def _changed_parts(saved: Checkpoint, parts: Mapping[str, Origin]) -> dict[str, str]:
    """Say at which places the checkpoint has another part."""
    return {
        key: f"{key}: the checkpoint has {saved.parts.get(key, 'none')}, "
        f"this run {parts.get(key, 'none')}"
        for key in {**saved.parts, **parts}
        if _name(saved.parts.get(key)) != _name(parts.get(key))
    }


def _other_watchers(saved: Checkpoint, parts: Mapping[str, Origin]) -> list[str]:
    changed = _changed_parts(saved, parts).items()
    return [line for place, line in changed if only_watches(place)]


def _versions(parts: Mapping[str, Origin]) -> dict[str, str]:
    return {origin.plugin: origin.version for origin in parts.values()}


def _name(origin: Origin | None) -> str:
    return origin.name if origin is not None else ""
