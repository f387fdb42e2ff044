"""The generator of a run as a file that other programs use."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gankit import Command, hookimpl

if TYPE_CHECKING:
    from gankit_export.exporting import Exported, export

__all__ = ["Exported", "export"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # which import torch
        return getattr(import_module("gankit_export.exporting"), name)
    raise AttributeError(f"module 'gankit_export' has no attribute {name!r}")


@hookimpl
def gankit_commands() -> Iterator[Command]:
    """Yield the command of this plugin."""
    yield Command(
        "export",
        "gankit_export.command:export",
        "Write a run's generator for other programs.",
    )
