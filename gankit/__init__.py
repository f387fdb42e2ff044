"""A plugin-based framework for generative adversarial networks.

Importing gankit does not import torch: what needs torch is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gankit.commands import Command
from gankit.hookspecs import hookimpl
from gankit.options import Count, Fraction, NonNegative, Positive, Whole
from gankit.parts import UNBOUNDED, Facts, Item, Kind, Part, Shapes

if TYPE_CHECKING:
    from gankit.api import load, resume, train
    from gankit.assembly import Assembly, assemble
    from gankit.recipe import Recipe, read_recipe
    from gankit.sampling import Sampler
    from gankit.step import Step
    from gankit.trainer import Report, Run

__version__ = "0.1.0"

__all__ = [
    "UNBOUNDED",
    "Assembly",
    "Command",
    "Count",
    "Facts",
    "Fraction",
    "Item",
    "Kind",
    "NonNegative",
    "Part",
    "Positive",
    "Recipe",
    "Report",
    "Run",
    "Sampler",
    "Shapes",
    "Step",
    "Whole",
    "assemble",
    "hookimpl",
    "load",
    "read_recipe",
    "resume",
    "train",
]

_LAZY = {
    "Assembly": "gankit.assembly",
    "Recipe": "gankit.recipe",
    "Report": "gankit.trainer",
    "Run": "gankit.trainer",
    "Sampler": "gankit.sampling",
    "Step": "gankit.step",
    "assemble": "gankit.assembly",
    "load": "gankit.api",
    "read_recipe": "gankit.recipe",
    "resume": "gankit.api",
    "train": "gankit.api",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gankit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
