"""The page of a run: all sections, whatever of them can be had."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tomli_w
import torch
from attrs import frozen

import gankit
from gankit import Sampler
from gankit.contracts import ReadData
from gankit.errors import GankitError
from gankit_report import drawn
from gankit_report.content import Section
from gankit_report.grouping import versions_of
from gankit_report.record import Record
from gankit_report.templating import write
from gankit_report.told import TRAINING, facts, filmstrip, measured

Tell = Callable[[str], None]


@frozen(kw_only=True)
class Wishes:
    """What a report is to be made with.

    Attributes:
        checkpoint: ``latest``, ``best`` or a step.
        device: where samples are drawn.
        seed: of their noise.
        items: of the data that are looked through for neighbours; 0 for none.
        overrides: of the recipe, where its data lies elsewhere here.
        plugins: local plugin files.
        disable: plugins to leave out.
    """

    checkpoint: str = "latest"
    device: str = "auto"
    seed: int = 0
    items: int = 20_000
    overrides: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


def render(record: Record, wishes: Wishes, tell: Tell = lambda text: None) -> str:
    """Make the page of a run.

    What cannot be had, as samples without a checkpoint or neighbours without the data,
    is a line that says why.

    Args:
        record: of the run.
        wishes: what it is to be made with.
        tell: told what takes long.

    Raises:
        RunError: the scores are not what ``gankit evaluate`` writes.
    """
    drawing = _drawn(record, wishes, tell)
    sections = {"curves": measured(record), **drawing}
    order = ("samples", "training", "curves", "noises", "conditions", "neighbours")
    titles = [(sections[name].anchor, sections[name].title) for name in order]
    titles[2:2] = [("scores", "Scores")]
    return write(
        "report.html",
        record=record,
        facts=facts(record),
        contents=[*titles, ("recipe", "Recipe")],
        parts=versions_of(record.table),
        recipe=tomli_w.dumps(record.table),
        **sections,
    )


def _sampler(record: Record, wishes: Wishes, tell: Tell) -> tuple[Sampler | None, str]:
    """Load what the run has learnt, or say why that cannot be."""
    if not any((record.folder / "checkpoints").glob("*")):
        every = record.train.get("checkpoint_every")
        due = f" The first is due at step {every:,}." if every else ""
        return None, f"There is no checkpoint yet.{due}"
    tell("loading the generator")
    try:
        loaded = gankit.load(
            record.folder,
            checkpoint=wishes.checkpoint,
            device=wishes.device,
            plugins=wishes.plugins,
            disable=wishes.disable,
        )
    except GankitError as error:
        return None, f"The generator cannot be loaded here: {error}"
    return loaded, ""


def _data(record: Record, wishes: Wishes, tell: Tell) -> tuple[ReadData | None, str]:
    """Read the data of the run, or say why that cannot be."""
    if not wishes.items:
        return None, "The data was not to be read (--items 0)."
    tell("reading the data")
    try:
        recipe = gankit.read_recipe(
            record.folder / "recipe.toml",
            wishes.overrides,
            plugins=wishes.plugins,
            disable=wishes.disable,
        )
        dataset = gankit.assemble_dataset(recipe)
        device = torch.device("cpu")
        data = gankit.read_data(dataset, device=device, output_range=(0.0, 1.0))
        return data, ""
    except GankitError as error:
        return None, f"The data cannot be read here: {error}"


def _drawn(record: Record, wishes: Wishes, tell: Tell) -> dict[str, Section]:
    """Make the sections for which a generator is needed, or the data too."""
    sampler, unloaded = _sampler(record, wishes, tell)
    if sampler is None:
        return {
            "training": filmstrip(record, None),
            "samples": Section("samples", drawn.SAMPLES, (unloaded,)),
            "noises": Section("noises", drawn.NOISES, (unloaded,)),
            "conditions": Section("conditions", drawn.CONDITIONS, (unloaded,)),
            "neighbours": Section("neighbours", drawn.NEIGHBOURS, (unloaded,)),
        }
    data, unread = _data(record, wishes, tell)
    tell("drawing samples")
    seed = wishes.seed
    own: dict[str, Any] = {
        "n": int(record.train["samples"]),
        "seed": int(record.train["seed"]),
    }
    made: dict[str, tuple[str, Callable[[], Section]]] = {
        "training": (TRAINING, lambda: filmstrip(record, sampler.sample(**own))),
        "samples": (drawn.SAMPLES, partial(drawn.current, sampler, data, seed)),
        "noises": (drawn.NOISES, partial(drawn.noise_walks, sampler, seed)),
        "conditions": (drawn.CONDITIONS, partial(drawn.condition_walks, sampler, seed)),
    }
    if data is not None:
        nearest = partial(
            drawn.neighbours,
            sampler,
            data,
            searched=wishes.items,
            seed=seed,
            progress=_tenths(tell),
        )
        made["neighbours"] = (drawn.NEIGHBOURS, nearest)
    without = Section("neighbours", drawn.NEIGHBOURS, (unread,))
    sections = {name: _tried(name, *how) for name, how in made.items()}
    return {"neighbours": without, **sections}


def _tried(anchor: str, title: str, make: Callable[[], Section]) -> Section:
    """Make a section, or say why that cannot be."""
    try:
        return make()
    except Exception as error:  # parts and data are strangers', who may raise anything
        text = " ".join(str(error).split())
        return Section(anchor, title, (f"It cannot be drawn: {text}",))


def _tenths(tell: Tell) -> Callable[[int, int], None]:
    """Tell of every tenth of the items."""
    told: set[int] = set()

    def progress(done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth not in told:
            told.add(tenth)
            tell(f"looking through the training items: {done:,} of {total:,}")

    return progress
