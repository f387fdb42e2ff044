"""The loop around the game: hooks, checkpoints, stopping, going back."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from typing import Any

from attrs import define, field
from torch import Tensor

from gankit.compute.processes import ALONE, Processes
from gankit.data.items import Data
from gankit.errors import DivergedError, UsageError
from gankit.game.assembly import Assembly
from gankit.game.game import Game
from gankit.game.update import Update
from gankit.plugins.hooks import Hooks
from gankit.runs import checkpoint
from gankit.runs.folder import SAVED
from gankit.runs.report import Report, RunWarning
from gankit.runs.restoring import disagreement, last_good, restore
from gankit.runs.sampling import Sampler
from gankit.runs.states import check_states
from gankit.runs.troubles import ADVICE, tell_troubles
from gankit.runs.writing import Writer

_EACH = "gankit_after_update"  # a hook that looks at each
_UNSEEN = 50  # steps that nobody waits for, at most


@define(eq=False)
class Run:
    """A run in progress; every hook of its lifecycle is given it.

    With many processes, each has its own, and calls the hooks of its plugins: what
    changes the game has to change it in all of them, and what writes has to write in
    the first alone, where ``folder`` is not None.

    Attributes:
        assembly: the parts and settings: ``run.assembly.train.batch_size``.
        game: the players, ``generator`` and ``discriminator``, and the ``average``.
        data: the data set, read.
        sampler: draws from the generator.
        folder: the run folder; None in a process that writes nothing.
        hooks: of the plugins and objects that watch.
        plugins: in use, each with its version, or its file.
        step: steps done.
        total: steps to do, all in all.
        processes: those that share the run.
        stopping: why the run stops early, or "".
        memory_format: of the networks' weights.
        notes: what the user is to be told before the first step.
        choices: what was chosen for speed, a line each.
        measured: what hooks have measured last, and at which step: (step, value).
        writer: writes checkpoints and grids while the game plays on.
    """

    assembly: Assembly
    game: Game
    data: Data
    sampler: Sampler
    hooks: Hooks
    folder: Path | None
    total: int
    step: int = 0
    processes: Processes = ALONE
    stopping: str = ""
    plugins: Mapping[str, str] = field(factory=dict)
    memory_format: str = "contiguous"
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    measured: dict[str, tuple[int, float]] = field(factory=dict)
    writer: Writer = field(factory=Writer)
    started: float = field(factory=time.monotonic)
    report: Report | None = None  # of the last step
    _playing: Generator[Report, None, None] | None = None
    _kept: dict[str, Any] = field(factory=dict)
    _pending: dict[str, Any] = field(factory=dict)
    _warned: set[str] = field(factory=set)
    _failed_at: int = 0
    _left: bool = False

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return self.assembly.provenance.name

    def stop(self, reason: str) -> None:
        """Finish the step that is being played, then stop."""
        self.stopping = reason

    def due(self, every: int) -> bool:
        """Tell whether something that happens every so many steps, or last, is due."""
        return self.step == self.total or bool(every and self.step % every == 0)

    def measure(self, name: str, value: float) -> None:
        """Add a hook's own measurement, as a score, to the next line of metrics."""
        self.measured[name] = (self.step, float(value))

    def warn(self, kind: str, text: str) -> None:
        """Tell the user something about this run, once for each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            warning = RunWarning(kind, self.step, text)
            self.hooks.call("gankit_on_warning", run=self, warning=warning)

    def keep(self, name: str, thing: Any) -> None:
        """Save a hook's state with the run's from now on; restore what was saved of it.

        Args:
            name: of the state, as the plugin's own.
            thing: has ``state_dict`` and ``load_state_dict``.

        Raises:
            UsageError: another state has that name, or a checkpoint cannot hold it.
        """
        if self._kept.get(name, thing) is not thing:
            raise UsageError(
                f"two hooks keep a state named {name!r}; name it as your plugin"
            )
        check_states({name: thing.state_dict()})
        self._kept[name] = thing
        if name in self._pending:
            thing.load_state_dict(self._pending.pop(name))

    def save(self) -> Path | None:
        """Write a checkpoint now; every process calls this, and the first writes.

        Raises:
            RunError: it cannot be written.
            DivergedError: the weights are not worth it.
        """
        self.save_later()
        self.writer.wait()
        return self.folder and checkpoint.path_of(self.folder / SAVED, self.step)

    def save_later(self, then: Callable[[Path], object] = lambda folder: None) -> None:
        """Let a checkpoint be written while the game plays on; called as :meth:`save`.

        What cannot be written is raised when the next step is done. ``then`` is called
        in the thread that writes, with the folder of all checkpoints.
        """
        tell_troubles(self, wait=True)
        # first, because after it the weights are the same in every process
        if apart := disagreement(self.game.networks(), self.processes):
            raise DivergedError(apart)
        if problem := self.game.guard.weights():
            raise DivergedError(f"{problem}; {ADVICE}")
        if self.folder is not None:
            self.write(then)

    def write(self, then: Callable[[Path], object] = lambda folder: None) -> None:
        """Let a checkpoint be written, in the process that has a folder."""
        assert self.folder is not None, "a run without a folder has no checkpoints"
        self.writer.wait()  # before more is copied
        into = self.folder / SAVED
        held = checkpoint.content(
            step=self.step,
            networks=self.game.networks(),
            states={k: v.state_dict() for k, v in self.game.stateful().items()},
            # what a hook that is left out today has kept is kept for it
            kept=self._pending | {k: v.state_dict() for k, v in self._kept.items()},
            said={"warned": sorted(self._warned), "measured": dict(self.measured)},
            facts=self.data.facts,
            conditions=self.sampler.conditions,
            parts=self.assembly.provenance.parts,
            memory_format=self.memory_format,
            compiled=self.game.compiling.compiled,
        )
        self.writer.do(lambda: then(checkpoint.save(into, held).parent))

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it belongs to other parts.
        """
        kept, said = restore(saved, self.game, self.assembly.provenance.parts)
        for player in (self.game.generator, self.game.discriminator):
            player.take_up()
        self.step = saved.step
        self._warned, self.measured = set(said["warned"]), said["measured"]
        self._pending = kept
        for name in self._kept.keys() & kept.keys():
            self._kept[name].load_state_dict(kept.pop(name))

    def steps(self) -> Iterator[Report]:
        """Play; give a report of each step until all are done, or a stop is asked for.

        On the way hooks are called, and with them all is recorded and saved. Whoever
        leaves the loop early stops the run, and has it saved; with many processes, all
        of them have to leave it after the same step.

        Raises:
            DivergedError: values are not finite, and going back has not helped.
            UsageError: they are asked for again, or where nothing is recorded any more.
        """
        if self._playing is not None or self._left:
            raise UsageError(
                "the steps of a run are played once, within the `with` that gave it; "
                f"go on with `gankit.resuming({str(self.folder)!r})`"
            )
        self._playing = self._play()
        return self._playing

    def leave(self) -> None:
        """Stop after the last step that was played, as whoever leaves the loop does."""
        if self._playing and getgeneratorstate(self._playing) == GEN_RUNNING:
            self.stop("leaving the run")
            return
        self._left = True
        if self._playing is not None:
            self._playing.close()
        self.writer.wait()

    def fail(self, error: BaseException) -> None:
        """End where the caller's loop has raised, as where a step has."""
        self._left = True
        if self._playing is not None:
            with suppress(BaseException):  # it is the caller's, who raises it again
                self._playing.throw(error)
        self.writer.finish(error)

    def _play(self) -> Generator[Report, None, None]:
        try:
            self.game.feed.begin(self.step * self.game.batches)
            self.hooks.call("gankit_before_run", run=self)
            while self.step < self.total and not self._asked_to_stop():
                told = self._updated if self.hooks.has(_EACH) else None
                try:
                    report = self._observe(self.game.play(self.step, told))
                except DivergedError as error:
                    self._go_back(error)
                    continue
                try:
                    yield report
                except GeneratorExit:
                    self.stop("leaving the loop")
                    break
                self.writer.look()
            tell_troubles(self, wait=True)  # of the last steps, which nobody has shown
            self.writer.wait()
            self.hooks.call("gankit_after_run", run=self)
        except BaseException as error:
            self.writer.finish(error)
            for line in self.hooks.call_each("gankit_on_error", run=self, error=error):
                error.add_note(line)
            raise
        finally:
            self.game.feed.close()

    def _updated(self, update: Update) -> None:
        self.hooks.call(_EACH, run=self, update=update)

    def _observe(self, measurements: Mapping[str, Tensor]) -> Report:
        """Count a step that has been played, and let everybody look at it."""
        self.step += 1
        train = self.assembly.train
        every = (train.log_every, train.sample_every, train.checkpoint_every, _UNSEEN)
        tell_troubles(self, wait=bool(self.stopping) or any(map(self.due, every)))
        self.report = Report(self.step, measurements)
        self.hooks.call("gankit_after_step", run=self, report=self.report)
        return self.report

    def _go_back(self, error: DivergedError) -> None:
        """Return to the last good checkpoint; the same steps again fail no better."""
        failed = self.game.guard.failed or self.step
        self.writer.wait()
        saved = self.processes.once(lambda: last_good(self.folder))
        if saved is None or failed <= self._failed_at:
            how = "again, after going back" if saved else "no checkpoint to go back to"
            final = DivergedError(
                f"the run has diverged at step {failed:,} ({how}): {error}"
            )
            if self.folder is not None:
                final.add_note(f"mend it, and go on with `gankit resume {self.folder}`")
            raise final from error
        self._failed_at = failed
        self.restore(saved)
        self.warn(
            "went back",
            f"from step {failed:,} to the checkpoint of step {self.step:,}: {error}; "
            "if it happens again the run stops",
        )

    def _asked_to_stop(self) -> bool:
        """Agree with the other processes on whether this was the last step."""
        if not self.processes.any(bool(self.stopping)):
            return False
        self.stopping = next(filter(None, self.processes.gather(self.stopping)))
        return True
