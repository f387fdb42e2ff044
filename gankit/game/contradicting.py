"""Settings that, each right by itself, cannot be together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gankit.game.scheduled import augmentation_place, taken_by_call
from gankit.game.settings import Train

if TYPE_CHECKING:
    from gankit.contracts import Augmentation, Loss


def contradictions(train: Train | None) -> list[str]:
    """Say which settings, each right by itself, cannot be together."""
    problems = []
    if train and (train.steps is None) == (train.epochs is None):
        problems.append("train: set either steps or epochs")
    if train and train.order == "simultaneous" and train.discriminator_updates > 1:
        problems.append(
            "train.discriminator_updates: in simultaneous order each player moves "
            "once; set it to 1, or train.order to 'alternating'"
        )
    if train and train.accumulate > 1:
        problems += _in_vain(train)
    elif train and train.reduce == "exact":
        problems += _inexact(train)
    return problems


def _in_vain(train: Train) -> list[str]:
    """Say why pieces of a batch would save no memory, or cannot be cut."""
    if train.reduce == "exact":
        return [
            "train.accumulate: with train.reduce 'exact' a batch is taken shard by "
            "shard already; leave it at 1, and raise train.shards to save memory"
        ]
    if train.fakes == "shared":
        return [
            "train.accumulate: with train.fakes 'shared' what all pieces need is kept "
            "until the generator moves; set train.fakes to 'fresh'"
        ]
    if train.batch_size % train.accumulate:
        return [
            f"train.accumulate: a batch of {train.batch_size} cannot be cut into "
            f"{train.accumulate} equal pieces; set train.batch_size to a multiple of "
            f"{train.accumulate}"
        ]
    return []


def _inexact(train: Train) -> list[str]:
    if train.shards & (train.shards - 1):
        return [
            f"train.shards: {train.shards} is no power of two, which train.reduce "
            "'exact' needs; set it to 2, 4 or 8"
        ]
    if train.batch_size % train.shards:
        return [
            f"train.batch_size: {train.batch_size} cannot be cut into {train.shards} "
            f"equal shards; set it to a multiple of {train.shards}"
        ]
    return []


def misread_signs(augmentations: Sequence[Augmentation], loss: Loss) -> list[str]:
    """Say which augmentation follows signs of logits that tell nothing."""
    problems = []
    for i, part in enumerate(augmentations):
        if getattr(part, "needs_signs", False) and getattr(loss, "relative", False):
            fixed = [augmentation_place(i, option) for option in taken_by_call(part)]
            ways = ", ".join(["leave it out", *(f"set {name}" for name in fixed)])
            problems.append(
                f"augmentations.{i}: {type(part).__name__} follows the signs of logits,"
                f" which tell nothing where the loss is {type(loss).__name__}, to which"
                f" only their differences matter; {ways}, or choose another loss"
            )
    return problems
