"""Write a run into one file, for a hub or a friend; and show what such a file says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import tomli_w
import torch
from attrs import asdict, evolve
from safetensors.torch import save_file
from torch import Tensor

from gankit.data.facts import written
from gankit.errors import UsageError, listed
from gankit.loading import chosen, load
from gankit.runs.card import card
from gankit.runs.checkpoint import Checkpoint
from gankit.runs.folder import PARTIAL, cannot_write, recipe_file, write_whole
from gankit.runs.pack import (
    CARD,
    FORMAT,
    PICTURE,
    RECIPE,
    STATES,
    SUFFIX,
    TOLD,
    digest_of_tensors,
    folded,
    read_pack,
)
from gankit.runs.portable import portable
from gankit.runs.scored import scores_of

_SHOWN, _MOST = 16, 64  # samples in the picture: without conditions, and with them
_DRAW = ("conditioner", "noise")  # what has a say in samples beside the generator


def pack(
    folder: str | Path,
    path: str | Path,
    *,
    checkpoint: str | int = "latest",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
) -> Path:
    """Write a run into one ``.safetensors`` file: recipe, weights, a picture, a card.

    `gankit.load` and ``gankit sample`` take it where they take a run's folder, and
    ``gankit train --from`` starts from it. It has the weights of all networks, but not
    the state of the optimisers: a run cannot be resumed from it. Of absolute paths in
    the recipe only the last name is kept.

    Args:
        folder: the run folder.
        path: the file to write; one that exists is replaced.
        checkpoint: ``"latest"``, ``"best"`` by the metric ``train.best``, or a step.
        plugins: local plugin files, besides those of the recipe.
        disable: plugins to leave out.

    Raises:
        RunError: there is no run or no whole checkpoint, its scores are damaged, or the
            file cannot be written.
        UsageError: the file is to have another suffix, or a part has a state that it
            cannot hold.
    """
    path, plugins, disable = Path(path), list(plugins), list(disable)
    if path.suffix != SUFFIX:
        raise UsageError(
            f"{str(path)!r}: a packed run is a {SUFFIX} file; name it {path.stem}"
            f"{SUFFIX}"
        )
    recipe_file(Path(folder))  # a file is no run, though it can be sampled
    saved, _, recipe = chosen(folder, checkpoint, plugins, disable)
    assert isinstance(saved, Checkpoint), "a folder holds checkpoints"
    scores = scores_of(Path(folder), saved.step)
    sampler = load(
        folder, checkpoint=saved.step, device="cpu", plugins=plugins, disable=disable
    )
    drawn = BytesIO()
    count = min(len(sampler.conditions) or _SHOWN, _MOST)
    sampler.sample(count).picture().save(drawn, "png")
    held: dict[str, Tensor] = {}
    table = portable(recipe.as_table())
    table.pop("plugins", None)  # files that are not there where this is read
    table["train"].pop("start_from", None)  # nor what it began with
    parts = {
        place: evolve(origin, version=portable(origin.version))
        for place, origin in saved.parts.items()
    }
    table["provenance"]["parts"] = {p: str(origin) for p, origin in parts.items()}
    told = {
        "format": FORMAT,
        "step": saved.step,
        "versions": saved.versions,
        "memory_format": saved.memory_format,
        "parts": {place: asdict(origin) for place, origin in parts.items()},
        "files": [p.name for p in recipe.registry.plugins if _is_file(p.source)],
        "facts": written(saved.facts),
        "states": _states(saved, held),
        "conditions": folded(saved.conditions(), held),
        "held": list(held),
    }
    tensors = {
        f"{network}/{name}": tensor
        for network, state in saved.weights(torch.device("cpu")).items()
        for name, tensor in state.items()
    }
    tensors |= {f"{STATES}/{name}": tensor for name, tensor in held.items()}
    tensors[PICTURE] = torch.from_numpy(
        numpy.frombuffer(drawn.getvalue(), "uint8").copy()
    )
    told["digest"] = digest_of_tensors(tensors)
    texts = {
        "format": "pt",  # as hubs want it: of torch
        TOLD: json.dumps(told),
        RECIPE: tomli_w.dumps(table),
        CARD: card(
            recipe.name,
            table,
            told,
            saved.state()["run"]["measured"],
            path.name,
            scores,
        ),
    }
    _save(path, tensors, texts)
    return path


def unpack(path: str | Path, folder: str | Path) -> tuple[Path, ...]:
    """Write what a packed run says of itself as files, as a hub's page shows them.

    Args:
        path: a file that :func:`pack` wrote.
        folder: gets ``README.md``, ``picture.png`` and ``recipe.toml``, and has none.

    Returns:
        the files.

    Raises:
        RunError: it is no such file, or they cannot be written.
        UsageError: the folder has a file of such a name.
    """
    held, folder = read_pack(Path(path)), Path(folder)
    picture, readme, recipe = (
        folder / n for n in (PICTURE, "README.md", "recipe.toml")
    )
    there = [path for path in (readme, picture, recipe) if path.exists()]
    if there:
        raise UsageError(
            f"{listed(map(str, there))} would be overwritten; name another folder "
            "with -o"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(held.picture())
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_whole(readme, held.card)
    write_whole(recipe, tomli_w.dumps(held.recipe))
    return readme, picture, recipe


def _states(saved: Checkpoint, held: dict[str, Tensor]) -> Any:
    states = saved.state()["game"]
    try:
        return folded({k: states[k] for k in _DRAW if k in states}, held)
    except TypeError as error:
        raise UsageError(f"the state of a part holds a {error}") from error


def _is_file(source: str) -> bool:
    return Path(source).suffix == ".py"


def _save(path: Path, tensors: dict[str, Tensor], texts: dict[str, str]) -> None:
    """Write the file, whole or not at all."""
    aside = path.with_name(f".{path.name}{PARTIAL}")
    try:
        save_file(tensors, aside, texts)
        aside.replace(path)
    except Exception as error:  # safetensors has errors of its own for a full disk
        aside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
