"""A run in one file that others can sample and start from: reading it.

It is a safetensors file. Its tensors are the weights of a checkpoint under the names
that they have there, the picture's bytes, and what states are made of; texts at its
head hold everything else: the recipe, what the data set knew, the model card.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from gankit.contracts.kinds import Origin
from gankit.data.facts import Facts, read_again
from gankit.errors import RunError, UsageError
from gankit.plugins.registry import Registry
from gankit.plugins.versions import core_version
from gankit.runs.checkpoint import by_network
from gankit.runs.tensors import read_head, read_some, read_tensors

SUFFIX = ".safetensors"
FORMAT = 1  # of a pack; a later one may hold what this gankit does not know
PICTURE = "picture.png"  # its bytes, uint8 (N,)
STATES = "states"  # stands before the names of tensors that are no weights
# texts at the head of the file
TOLD, RECIPE, CARD = "gankit.pack", "gankit.recipe", "gankit.card"
# what strangers' files may raise that are read
_DAMAGES = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@frozen
class Pack:
    """What a file that ``gankit pack`` wrote holds; its weights are read when asked.

    Attributes:
        path: the file.
        recipe: as a table, without the paths of plugin files.
        card: the model card, Markdown.
        told: what the file says of itself.
        step: steps that the weights were trained for.
        facts: what the data set knew.
        parts: where the part of each place in the recipe is from.
        memory_format: of the networks' weights.
    """

    path: Path
    recipe: Mapping[str, Any]
    card: str
    told: Mapping[str, Any]
    step: int
    facts: Facts
    parts: Mapping[str, Origin]
    memory_format: str

    def weights(self, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """Read the weights: name of the network → its state.

        Raises:
            RunError: the file is cut off.
        """
        nested = by_network(read_tensors(self.path, device))
        return {k: v for k, v in nested.items() if k not in ("", STATES)}

    def state(self) -> dict[str, Any]:
        """Read the states of the parts that draw samples and are no networks."""
        return {"game": self._unfolded(self.told["states"])}

    def conditions(self) -> tuple[Any, ...]:
        """Read the conditions of the run's own grids: texts, or values of items."""
        return tuple(self._unfolded(self.told["conditions"]))

    def picture(self) -> bytes:
        """Read the picture: some samples, as a PNG."""
        return read_some(self.path, [PICTURE])[PICTURE].numpy().tobytes()

    def _unfolded(self, told: Any) -> Any:
        names = self.told["held"]
        return unfolded(told, read_some(self.path, [f"{STATES}/{n}" for n in names]))

    def check(self, registry: Registry) -> None:
        """Refuse to go on where a plugin is missing that the recipe's parts are from.

        Raises:
            UsageError: names each, with its parts and what to install.
        """
        there = {plugin.name for plugin in registry.plugins}
        wanted: dict[str, list[str]] = {}
        for place, origin in self.parts.items():
            if origin.plugin not in there:
                wanted.setdefault(origin.plugin, []).append(f"{place} {origin.part!r}")
        if not wanted:
            return
        files = self.told["files"]
        lines = [f"{str(self.path)!r} is made of parts that are not here:"]
        for plugin, parts in wanted.items():
            version = next(o.version for o in self.parts.values() if o.plugin == plugin)
            what, how = (
                (f"the plugin file {plugin!r}", "give it with --plugin")
                if plugin in files
                else (f"{plugin} {version}", f"pip install {plugin}")
            )
            lines.append(f"{what} ({', '.join(parts)}): {how}")
        failed = [str(f) for f in registry.failures if f.plugin in wanted]
        left_out = [o.plugin for o in registry.left_out if o.plugin in wanted]
        lines += failed + [f"the plugin {name!r} is left out" for name in left_out]
        raise UsageError("\n  - ".join(lines))


def is_pack(path: Path) -> bool:
    """Tell whether a file of tensors is a pack.

    Raises:
        RunError: it is no file of tensors.
    """
    return TOLD in read_head(path)[0]


def read_pack(path: Path) -> Pack:
    """Read all of a pack but its tensors.

    Raises:
        RunError: it is no pack, or damaged, or of a later gankit.
    """
    texts, _ = read_head(path)
    if TOLD not in texts:
        raise RunError(
            f"{str(path)!r} holds tensors and no recipe, so that nobody knows how to "
            "build its network; `gankit pack RUN` writes files that can be sampled, "
            "and `gankit train --from` takes the weights of any"
        )
    try:
        told = json.loads(texts[TOLD])
        if told["format"] > FORMAT:
            raise ValueError(
                f"gankit {told['versions']['gankit']} has written it in a format that "
                f"gankit {core_version()} does not know; install that version"
            )
        pack = Pack(
            path=path,
            recipe={
                # a file from a stranger does not say which code runs here
                key: block
                for key, block in tomllib.loads(texts[RECIPE]).items()
                if key != "plugins"
            },
            card=texts[CARD],
            told=told,
            step=int(told["step"]),
            facts=read_again(told["facts"]),
            parts={k: Origin(**origin) for k, origin in told["parts"].items()},
            memory_format=str(told["memory_format"]),
        )
        if told["digest"] != digest_of_tensors(read_tensors(path, torch.device("cpu"))):
            raise ValueError("its tensors are not those that were written")
        [*told["files"], *told["held"]]
        pack.state()
        pack.conditions()
    except _DAMAGES as error:
        raise RunError(f"the pack {str(path)!r} is damaged: {error}") from error
    return pack


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors with their names, in the order of these."""
    digest = sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def folded(state: Any, held: dict[str, Tensor]) -> Any:
    """Write a state as JSON can hold it; its tensors are put into ``held``.

    Raises:
        TypeError: it holds something else than numbers, texts, tensors, lists, tuples
            and dictionaries.
    """
    if isinstance(state, Tensor):
        name = str(len(held))
        held[name] = state.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(state, Mapping):
        pairs = [[folded(k, held), folded(v, held)] for k, v in state.items()]
        return {"table": pairs}
    if type(state) in (list, tuple):
        return {type(state).__name__: [folded(value, held) for value in state]}
    if state is None or type(state) in (bool, int, float, str):
        return state
    raise TypeError(f"{type(state).__name__}, which a pack cannot hold")


def unfolded(told: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Read a state that was folded."""
    if not isinstance(told, dict):
        return told
    ((kind, value),) = told.items()
    if kind == "tensor":
        return tensors[f"{STATES}/{value}"]
    if kind == "table":
        return {unfolded(k, tensors): unfolded(v, tensors) for k, v in value}
    return {"list": list, "tuple": tuple}[kind](unfolded(v, tensors) for v in value)
