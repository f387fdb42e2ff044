"""Who watches a run, while its steps are played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gankit.runs.run import Run
from gankit.runs.stopping import stopped_by_signals
from gankit.watchers.recording import recorders


@contextmanager
def watched(run: Run, watchers: Mapping[str, object] | None) -> Iterator[None]:
    """Record a run, and let objects with hook implementations watch it too."""
    every = dict([*recorders(run), *(watchers or {}).items()])
    try:
        for name, thing in every.items():
            run.hooks.add(name, thing)
        with stopped_by_signals(run):
            try:
                yield
            finally:
                run.leave()
        run.processes.gather(None)  # nobody leaves while the first still saves
    finally:
        for name in every:
            run.hooks.remove(name)
