"""A plugin-based framework for generative adversarial networks.

What is public is named here, in ``gankit.contracts``, ``gankit.errors``,
``gankit.cache`` and, for tests of plugins, in ``gankit.testing``.
Importing gankit does not import torch: what needs torch is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gankit.contracts import UNBOUNDED, Shapes
from gankit.contracts.kinds import Command, Kind, OfKind, Part
from gankit.errors import BrokenItem, DataError
from gankit.hookspecs import hookimpl

if TYPE_CHECKING:
    from gankit.api import resume, resuming, starting, train
    from gankit.cli import Context, plugin_options
    from gankit.compute.device import full_precision
    from gankit.compute.joining import joined
    from gankit.compute.processes import Processes
    from gankit.contracts.limits import (
        Count,
        Fraction,
        NonNegative,
        Positive,
        Range,
        Whole,
    )
    from gankit.data.annotations import Classes, Picture, Tags, Texts, Vector
    from gankit.data.facts import Facts, Item
    from gankit.data.reading import read_data
    from gankit.game.assembly import Assembly
    from gankit.game.noise import Noise
    from gankit.game.players import Player
    from gankit.game.settings import Optimizer, Train
    from gankit.game.step import Step
    from gankit.game.update import Update
    from gankit.loading import load, load_judge
    from gankit.packing import pack, unpack
    from gankit.recipe.building import assemble, assemble_dataset
    from gankit.recipe.recipe import Recipe, read_recipe
    from gankit.runs.judging import Judge
    from gankit.runs.pictures import Samples
    from gankit.runs.report import Report, RunWarning
    from gankit.runs.run import Run
    from gankit.runs.sampling import Sampler
    from gankit.runs.styling import invert

__version__ = "0.1.0"

__all__ = [
    "UNBOUNDED",
    "Assembly",
    "BrokenItem",
    "Classes",
    "Command",
    "Context",
    "Count",
    "DataError",
    "Facts",
    "Fraction",
    "Item",
    "Judge",
    "Kind",
    "Noise",
    "NonNegative",
    "OfKind",
    "Optimizer",
    "Part",
    "Picture",
    "Player",
    "Positive",
    "Processes",
    "Range",
    "Recipe",
    "Report",
    "Run",
    "RunWarning",
    "Sampler",
    "Samples",
    "Shapes",
    "Step",
    "Tags",
    "Texts",
    "Train",
    "Update",
    "Vector",
    "Whole",
    "assemble",
    "assemble_dataset",
    "full_precision",
    "hookimpl",
    "invert",
    "joined",
    "load",
    "load_judge",
    "pack",
    "plugin_options",
    "read_data",
    "read_recipe",
    "resume",
    "resuming",
    "starting",
    "train",
    "unpack",
]

_LAZY = {
    "Count": "gankit.contracts.limits",
    "Fraction": "gankit.contracts.limits",
    "NonNegative": "gankit.contracts.limits",
    "Positive": "gankit.contracts.limits",
    "Range": "gankit.contracts.limits",
    "Whole": "gankit.contracts.limits",
    "Context": "gankit.cli",
    "Classes": "gankit.data.annotations",
    "Picture": "gankit.data.annotations",
    "Tags": "gankit.data.annotations",
    "Texts": "gankit.data.annotations",
    "Vector": "gankit.data.annotations",
    "Facts": "gankit.data.facts",
    "Item": "gankit.data.facts",
    "Assembly": "gankit.game.assembly",
    "Judge": "gankit.runs.judging",
    "Noise": "gankit.game.noise",
    "Optimizer": "gankit.game.settings",
    "Player": "gankit.game.players",
    "Processes": "gankit.compute.processes",
    "Recipe": "gankit.recipe.recipe",
    "Report": "gankit.runs.report",
    "Run": "gankit.runs.run",
    "RunWarning": "gankit.runs.report",
    "Sampler": "gankit.runs.sampling",
    "Samples": "gankit.runs.pictures",
    "Step": "gankit.game.step",
    "Train": "gankit.game.settings",
    "Update": "gankit.game.update",
    "assemble": "gankit.recipe.building",
    "assemble_dataset": "gankit.recipe.building",
    "full_precision": "gankit.compute.device",
    "invert": "gankit.runs.styling",
    "joined": "gankit.compute.joining",
    "load": "gankit.loading",
    "load_judge": "gankit.loading",
    "pack": "gankit.packing",
    "plugin_options": "gankit.cli",
    "read_data": "gankit.data.reading",
    "read_recipe": "gankit.recipe.recipe",
    "resume": "gankit.api",
    "resuming": "gankit.api",
    "starting": "gankit.api",
    "train": "gankit.api",
    "unpack": "gankit.packing",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gankit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
