"""The members of each kind's contract: those that it must have, and those it may have.

Each is declared here once, and described in :mod:`gankit.contracts`. What looks like
one of them but for a letter is an error when the part is tried, because it would never
be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STATE = ("state_dict", "load_state_dict")

REQUIRED: dict[str, tuple[str, ...]] = {
    "dataset": ("facts", "__len__", "__getitem__"),
    "generator": ("output_range",),
    "discriminator": (),
    "loss": ("discriminator", "generator"),
    "penalty": ("weight", "every", "__call__"),
    "conditioner": ("reads", "size", "tokens", "parse", "__call__"),
    "augmentation": ("__call__",),
    "noise": ("size", "__call__"),
}
OPTIONAL: dict[str, tuple[str, ...]] = {
    "dataset": ("transform", "annotations", "all_samples", "skipped", "splits"),
    "generator": ("observe", "capturable"),
    "discriminator": ("logits_shape", "lipschitz", "capturable"),
    "loss": (
        "needs",
        "needs_condition",
        "needs_mismatch",
        "needs_lipschitz",
        "relative",
        "learns_with",
        "capturable",
        *STATE,
    ),
    "penalty": ("lipschitz", "player", "learns_with", "capturable", *STATE),
    "conditioner": ("fit", "notes", "capturable"),
    "augmentation": ("needs_signs", "learns_with", "capturable", *STATE),
    "noise": ("truncated", "learns_with", "capturable", *STATE),
}


def missing(kind: str, part: Any) -> list[str]:
    """Name the required members that a part lacks, and a half of a pair."""
    lacking = [name for name in REQUIRED[kind] if not hasattr(part, name)]
    pair = [name for name in STATE if hasattr(part, name)]
    return lacking + [name for name in STATE if len(pair) == 1 and name not in pair]


def misspelled(kind: str, part: Any) -> Iterator[tuple[str, str]]:
    """Give members that are nearly one of the contract's, and that one."""
    known = (*REQUIRED[kind], *OPTIONAL[kind])
    for name in _own(part):
        for meant in known:
            if name not in known and not hasattr(part, meant) and _near(name, meant):
                yield name, meant


def _own(part: Any) -> set[str]:
    """Name what the author of a part has given it, and no library's members."""
    inherited = ("torch.", "builtins", "attr", "typing", "abc")
    classes = [c for c in type(part).__mro__ if not c.__module__.startswith(inherited)]
    held = {name for cls in classes for name in vars(cls)}
    if not hasattr(part, "_modules"):  # a module's own are its state, and torch's
        held |= vars(part).keys() if hasattr(part, "__dict__") else set()
    return {name for name in held if not name.startswith("_")}


def _near(name: str, meant: str) -> bool:
    """Tell whether one letter is lacking, too many, another, or two are swapped."""
    if name[0] != meant[0] or abs(len(name) - len(meant)) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b),
        min(len(name), len(meant)),
    )
    left, right = name[start:], meant[start:]
    return (
        left[1:] == right  # one too many
        or left == right[1:]  # one lacking
        or left[1:] == right[1:]  # another
        or (left[:2] == right[1::-1] and left[2:] == right[2:])  # swapped
    )
