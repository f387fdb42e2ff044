"""The loop around the game: schedule, hooks, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from attrs import define, field, frozen
from torch import Tensor

from gankit import checkpoint
from gankit.assembly import Assembly
from gankit.batches import Feed
from gankit.checkpoint import Checkpoint
from gankit.data import Data, Progress, read_data
from gankit.device import Precision, resolve_device
from gankit.errors import DataError, GankitError, UsageError
from gankit.game import Game
from gankit.parts import Conditioner
from gankit.plugins import Plugins
from gankit.randomness import generator, seed_global
from gankit.sampling import Sampler

_OBSERVED = 10_000  # real samples that a generator is shown before training


@frozen(eq=False)
class Report:
    """What one step measured; reading the values waits for the device."""

    step: int  # steps done, from 1
    measurements: dict[str, Tensor]

    def values(self) -> dict[str, float]:
        """Return the measurements as numbers."""
        return {name: float(value) for name, value in self.measurements.items()}

    def as_json(self) -> dict[str, float | None]:
        """Return the step and its numbers; None for what is not finite, as in JSON."""
        finite = {k: v if math.isfinite(v) else None for k, v in self.values().items()}
        return {"step": self.step, **finite}


@define(eq=False)
class Run:
    """A run in progress; every hook of its lifecycle is given it.

    Attributes:
        folder: the run folder; None for a run that writes nothing.
        step: steps done.
        steps: steps to do, all in all.
        stopping: why the run stops early, or "".
        notes: what the user is to be told before the first step.
    """

    assembly: Assembly
    game: Game
    data: Data
    sampler: Sampler
    plugins: Plugins
    folder: Path | None
    steps: int
    step: int = 0
    stopping: str = ""
    notes: tuple[str, ...] = ()
    started: float = field(factory=time.monotonic)

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return self.assembly.recipe.name if self.assembly.recipe else "run"

    @property
    def parts(self) -> dict[str, str]:
        """Which part stands where, with plugin and version."""
        if self.assembly.recipe is None:
            return {}
        return {
            key: f"{use.entry.name} {use.entry.plugin.source}"
            for key, use in self.assembly.recipe.uses.items()
        }

    def stop(self, reason: str) -> None:
        """Finish the step that is being played, then stop."""
        self.stopping = reason

    def due(self, every: int) -> bool:
        """Tell whether something that happens every so many steps, or last, is due."""
        return self.step == self.steps or bool(every and self.step % every == 0)

    def save(self) -> Path:
        """Write a checkpoint now.

        Raises:
            RunError: it cannot be written.
        """
        assert self.folder is not None, "a run without a folder has no checkpoints"
        return checkpoint.save(
            self.folder / "checkpoints",
            step=self.step,
            networks=self.game.networks(),
            stateful=self.game.stateful(),
            facts=self.data.facts,
            conditions=self.sampler.conditions,
            parts=self.parts,
        )

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it belongs to other parts.
        """
        checkpoint.restore(
            found,
            networks=self.game.networks(),
            stateful=self.game.stateful(),
            device=self.game.device,
            parts=self.parts,
        )
        for player in (self.game.generator, self.game.discriminator):
            player.apply_options()
        self.step = found.step

    def train(self) -> None:
        """Play until the steps are done, or until asked to stop."""
        try:
            self.plugins.call("gankit_before_run", run=self)
            while self.step < self.steps and not self.stopping:
                measurements = self.game.play(self.step)
                self.step += 1
                report = Report(self.step, measurements)
                self.plugins.call("gankit_after_step", run=self, report=report)
            self.plugins.call("gankit_after_run", run=self)
        except BaseException as error:
            self.plugins.call("gankit_on_error", run=self, error=error)
            raise
        finally:
            self.game.feed.close()


def prepare(
    assembly: Assembly,
    plugins: Plugins,
    *,
    folder: Path | None = None,
    resumed: Checkpoint | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Run:
    """Place the networks, read the data, fit the conditioner, and set up the game.

    Args:
        assembly: the parts.
        plugins: whose hooks are called.
        folder: the run folder, or None to write nothing.
        resumed: a checkpoint to go on from; its conditioner is not fitted again.
        progress: told what is done of what takes long.

    Raises:
        DeviceError: the device or precision is not there.
        DataError: the data cannot be read.
    """
    train = assembly.train
    device = resolve_device(train.device)
    precision = Precision(train.precision, device)
    data = read_data(
        assembly.dataset,
        device=device,
        mode=train.data,
        output_range=getattr(assembly.generator, "output_range", (-1.0, 1.0)),
        progress=progress,
    )
    if len(data) < train.batch_size:
        raise UsageError(
            f"train.batch_size: {train.batch_size} is more than the {len(data)} "
            f"items that can be read; set it to {len(data)} or less"
        )
    for network in (assembly.generator, assembly.discriminator, assembly.conditioner):
        if isinstance(network, torch.nn.Module):
            network.to(device).train()
    _introduce(assembly, data, resumed, progress)
    files = plugins.files
    feed = Feed(
        data,
        batch_size=train.batch_size,
        seed=train.seed,
        workers=train.workers,
        plugin_files=files,
    )
    game = Game(assembly, feed, device, precision)
    average = game.average.network if game.average else assembly.generator
    sampler = Sampler(
        average,
        assembly.conditioner,
        game.draw_noise,
        data.facts,
        _sample_conditions(assembly.conditioner, data, train.samples),
        device,
    )
    passes = (train.epochs or 0) * len(data)
    steps = train.steps or math.ceil(passes / (game.batches * train.batch_size))
    run = Run(
        assembly=assembly,
        game=game,
        data=data,
        sampler=sampler,
        plugins=plugins,
        folder=folder,
        steps=steps,
    )
    if resumed is not None:
        run.restore(resumed)
    return run


def _introduce(
    assembly: Assembly, data: Data, resumed: Checkpoint | None, progress: Progress
) -> None:
    """Show the data to the parts that learn from it before the game begins."""
    seed = assembly.train.seed
    mismatch = getattr(assembly.loss, "needs_mismatch", False)
    labels = data.labels
    if mismatch and labels is not None and bool((labels == labels[0]).all()):
        raise DataError(
            f"the loss {type(assembly.loss).__name__} needs conditions of another "
            "class, and all items that can be read are of one; mend the others, or "
            "choose another loss"
        )
    if assembly.conditioner is not None:
        try:
            _condition(assembly.conditioner, data, seed, resumed, progress)
        except GankitError:
            raise
        except ValueError as error:
            name = type(assembly.conditioner).__name__
            raise UsageError(f"the conditioner {name}: {error}") from error
    observe = getattr(assembly.generator, "observe", None)
    if observe is not None and resumed is None:
        positions = torch.arange(min(len(data), _OBSERVED))
        observe(data.samples(positions, generator(data.device, seed, "observe")))
    seed_global(seed, "global")


def _condition(
    conditioner: Conditioner,
    data: Data,
    seed: int,
    resumed: Checkpoint | None,
    progress: Progress,
) -> None:
    """Fit the conditioner, unless that was done before, and turn the data to tokens."""
    module = conditioner if isinstance(conditioner, torch.nn.Module) else None
    if resumed is not None and module is not None:
        weights = resumed.weights(data.device).get("conditioner", {})
        checkpoint.load_weights(module, weights, resumed.path)
    elif hasattr(conditioner, "fit"):
        conditioner.fit(data, device=data.device, seed=seed, progress=progress)
    tokens = conditioner.tokens(data.raw_for(conditioner.reads))
    data.tokens = tokens.to(data.device)


def _sample_conditions(
    conditioner: Conditioner | None, data: Data, count: int
) -> tuple[str, ...]:
    """Choose the texts of the run's own grids: every class, or spread captions."""
    if conditioner is None:
        return ()
    if conditioner.reads == "label":
        assert data.facts.classes is not None, "the assembly refuses such a conditioner"
        return data.facts.classes
    assert data.captions is not None, "the assembly refuses such a conditioner"
    first = (texts[0] for texts in data.captions if texts)
    told = [text for text in first if _understands(conditioner, text)]
    if not told:
        raise UsageError(
            f"the conditioner {type(conditioner).__name__} can read no caption of the "
            "data set; give it others, or choose another conditioner"
        )
    spread = torch.linspace(0, len(told) - 1, count).long().tolist()
    return tuple(told[i] for i in spread)


def _understands(conditioner: Conditioner, text: str) -> bool:
    try:
        conditioner.parse(text)
    except ValueError:
        return False
    return True


def observers(things: Iterable[tuple[str, object]], plugins: Plugins) -> None:
    """Let objects with hook implementations watch a run, as plugins do."""
    for name, thing in things:
        plugins.manager.register(thing, name)
