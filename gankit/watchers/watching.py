"""Who watches a run, while its steps are played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gankit.errors import GankitError, RunError, told
from gankit.game.places import only_watches, places
from gankit.plugins.watching import implemented, keeps
from gankit.runs.run import Run
from gankit.runs.stopping import stopped_by_signals
from gankit.watchers.recording import recorders


@contextmanager
def watched(run: Run, watchers: Mapping[str, object] | None) -> Iterator[None]:
    """Record a run, and let its parts and objects with hooks watch it too."""
    every = dict([*recorders(run), *(watchers or {}).items()])
    names = list(every)
    try:
        names += _seated(run)
        for name, thing in every.items():
            run.hooks.add(name, thing)
        with stopped_by_signals(run):
            try:
                yield
            except BaseException as error:
                run.fail(error)
                raise
            run.leave()
        run.processes.gather(None)  # nobody leaves while the first still saves
    finally:
        for name in names:
            run.hooks.remove(name)


def _seated(run: Run) -> Iterator[str]:
    """Let the parts of a run watch it, and keep what nobody else would save of them."""
    game, assembly = run.game, run.assembly
    saved = [*game.networks().values(), *game.stateful().values()]
    every = {id(part): (place, part) for place, part in places(assembly).items()}
    # the last one added is called first
    for place, part in reversed(every.values()):
        watches = bool(implemented(part))
        origin = assembly.provenance.parts.get(place)
        name = origin.name if origin else type(part).__name__
        mine = (watches or only_watches(place)) and keeps(part)
        if mine and not any(part is thing for thing in saved):
            _keep(run, place, name, part)
        if watches:
            yield run.hooks.add_part(place, name, part)


def _keep(run: Run, place: str, name: str, part: Any) -> None:
    try:
        part.state_dict()
    except Exception as error:  # a stranger's code may raise anything
        raise RunError(
            f"{place} {name!r} cannot say its state: {told(error)}; its author has to "
            "mend its state_dict"
        ) from error
    try:
        run.keep(place, part)
    except GankitError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise RunError(
            f"{place} {name!r} cannot take up its state in the checkpoint: "
            f"{told(error)}; resume with the version that saved it"
        ) from error
