"""What goes wrong in a game and is to be told of: values, and choices not kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gankit.errors import DivergedError
from gankit.game.game import Game
from gankit.game.guard import PATIENCE

if TYPE_CHECKING:
    from gankit.runs.run import Run

ADVICE = (
    "a lower optimizer.lr, optimizer.clip=1.0 or train.precision=fp32 usually helps"
)


def troubles(game: Game) -> Iterator[tuple[str, str]]:
    """Say what is wrong now: the kind of it, and all that is to be said."""
    guard = game.guard
    if guard.trouble:
        yield (
            "not finite",
            f"{guard.trouble} in step {guard.at:,}; the update was left out, and after "
            f"{PATIENCE} in a row the run goes back to its last good checkpoint; "
            f"{ADVICE}",
        )
    if game.compiling.failure:
        yield "not compiled", f"{game.compiling.failure}; the networks run uncompiled"
    unseen = guard.unseen
    if unseen is not None and unseen.captured and unseen.captured.failure:
        yield "not captured", f"{unseen.captured.failure}; nothing is recorded any more"


def tell_troubles(run: Run, *, wait: bool) -> None:
    """Tell a run's user of what goes wrong; a run that has diverged goes no further.

    Args:
        run: whose game it is.
        wait: for what is not known yet, because nobody has waited for the device.

    Raises:
        DivergedError: values were not finite for too long.
    """
    guard = run.game.guard
    if wait:
        guard.look()
    for kind, text in troubles(run.game):
        run.warn(kind, text)
    if guard.failed:
        raise DivergedError(f"{guard.trouble}; {ADVICE}")
