"""The data is shown to the parts that learn from it before the game begins."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch

from gankit.compute.processes import Processes
from gankit.contracts import Conditioner
from gankit.data.annotations import Classes, Texts
from gankit.data.columns import as_read, rows_of
from gankit.data.items import Data, Progress
from gankit.errors import GankitError, UsageError
from gankit.game.assembly import Assembly
from gankit.randomness import generator, seed_global
from gankit.runs.checkpoint import Checkpoint
from gankit.runs.restoring import load_weights
from gankit.runs.start import Start

_OBSERVED = 10_000  # real samples that a generator is shown before training
_TRIED = 1024  # items for which a wrong condition is looked for at once


def introduce(
    assembly: Assembly,
    data: Data,
    resumed: Checkpoint | None,
    start: Start | None,
    processes: Processes,
    progress: Progress,
) -> None:
    """Show the data to the parts that learn from it before the game begins."""
    seed = assembly.train.seed
    if assembly.conditioner is not None:
        data.reads = assembly.conditioner.reads
    if getattr(assembly.loss, "needs_mismatch", False):
        for some in torch.split(torch.arange(len(data)), _TRIED):
            data.strangers(some, generator("cpu", seed, "trial"))  # else an error
    if assembly.conditioner is not None:
        try:
            known = resumed, start
            _condition(assembly.conditioner, data, seed, known, processes, progress)
        except GankitError:
            raise
        except ValueError as error:
            name = type(assembly.conditioner).__name__
            raise UsageError(f"the conditioner {name}: {error}") from error
    observe = getattr(assembly.generator, "observe", None)
    if observe is not None and resumed is None and processes.leads:
        # items that lie together are often of one class
        drawn = torch.randperm(len(data), generator=generator("cpu", seed, "observe"))
        rng = generator(data.device, seed, "observe")
        observe(data.samples(drawn[:_OBSERVED], rng))
    seed_global(seed, "global")


def _condition(
    conditioner: Conditioner,
    data: Data,
    seed: int,
    known: tuple[Checkpoint | None, Start | None],
    processes: Processes,
    progress: Progress,
) -> None:
    """Fit the conditioner, unless that was done before, and turn the data to tokens.

    The first process fits it for all, so that they agree to the bit.
    """
    module = conditioner if isinstance(conditioner, torch.nn.Module) else None
    resumed, start = known
    if resumed is not None and module is not None:
        weights = resumed.weights(data.device).get("conditioner", {})
        load_weights(module, weights, resumed.path)
    elif hasattr(conditioner, "fit"):
        given = None
        if module is not None:
            given = processes.once(lambda: start.fitted(module) if start else None)
        if module is not None and given is not None:
            module.load_state_dict(given)
        elif processes.leads or module is None:
            conditioner.fit(data, device=data.device, seed=seed, progress=progress)
        if module is not None and given is None and processes.size > 1:
            state = module.state_dict()
            learnt = processes.once(lambda: {k: t.cpu() for k, t in state.items()})
            module.load_state_dict(learnt)
    values, how = as_read(data.annotations[data.reads]), {}
    if "progress" in signature(conditioner.tokens).parameters:
        how["progress"] = progress
    data.tokens = conditioner.tokens(values, **how).to(data.device)


def sample_conditions(
    conditioner: Conditioner | None, data: Data, count: int
) -> tuple[Any, ...]:
    """Choose the conditions of the run's own grids: every class, or spread items'.

    Of texts it is the first of an item, if the conditioner understands that.
    """
    if conditioner is None:
        return ()
    kind = data.facts.annotations[conditioner.reads]
    if isinstance(kind, Classes):
        return tuple(range(len(kind.names)))
    values = data.annotations[conditioner.reads]
    if isinstance(kind, Texts):
        first = (texts[0] for texts in values if texts)
        values = [text for text in first if _understands(conditioner, text)]
    if not len(values):
        raise UsageError(
            f"the conditioner {type(conditioner).__name__} can read no "
            f"{conditioner.reads} of the data set; give it others, or choose another "
            "conditioner"
        )
    return tuple(rows_of(values, torch.linspace(0, len(values) - 1, count).long()))


def _understands(conditioner: Conditioner, text: str) -> bool:
    try:
        conditioner.parse(text)
    except ValueError:
        return False
    return True
