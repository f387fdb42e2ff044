"""Every error that gankit raises on purpose.

GankitError
├── UsageError            the user's input: exit code 2, also a ValueError
│   ├── RecipeError       a recipe or an override; carries every problem at once
│   ├── PartError         no such part, or several of one short name
│   ├── PluginError       a plugin that cannot be used
│   ├── MisfitError       parts that do not go together; carries every misfit at once
│   ├── DataError         a data set that cannot be read
│   ├── DeviceError       a device or precision that this machine lacks
│   └── RunError          a run folder that cannot be written, read or resumed
├── BrokenItem            one unreadable item of a data set: skipped and counted
├── HookError             a hook of a plugin raised; carries the plugin and the hook
├── DivergedError         values that are not finite, again and again
└── PeerError             another process that shares the work failed first
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class GankitError(Exception):
    """The root of gankit's own errors.

    Attributes:
        told_elsewhere: another process of the same run has failed in the same words.
    """

    told_elsewhere = False


class UsageError(GankitError, ValueError):
    """The user's input is wrong; the message says how to mend it."""


class _ProblemsError(UsageError):
    """A usage error that lists everything that is wrong, not just the first."""

    def __init__(self, headline: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([headline, *(f"  - {p}" for p in self.problems)]))


class RecipeError(_ProblemsError):
    """A recipe, or an override of one, that cannot be followed."""


class MisfitError(_ProblemsError):
    """Parts that exist, but do not go together."""


class PartError(UsageError, LookupError):
    """No part of that name, or more than one."""


class PluginError(UsageError):
    """A plugin that cannot be found, loaded or trusted to be complete."""


class DataError(UsageError):
    """A data set that is missing, unreadable or not what was asked for."""


class DeviceError(UsageError):
    """A device or a precision that this machine does not have."""


class RunError(UsageError):
    """A run folder that cannot be created, written, read or resumed."""


class BrokenItem(GankitError):  # noqa: N818 # it is caught, never shown as an error
    """One item of a data set that cannot be read.

    A data set raises it from ``__getitem__``; the item is skipped and counted, and the
    data set is refused only when most of its items are broken.
    """


class DivergedError(GankitError):
    """A run whose losses, gradients or weights are no longer finite."""


class PeerError(GankitError):
    """Another process that shares the run failed first; the message is its own."""


class HookError(GankitError):
    """A hook of a plugin, or of a part in the recipe, raised; the cause is chained."""

    def __init__(
        self, plugin: str, hook: str, error: BaseException, place: str = ""
    ) -> None:
        self.plugin, self.hook = plugin, hook
        whose = f"{place} {plugin!r}" if place else f"plugin {plugin!r}"
        without = (
            "run without that part"
            if place
            else f"run without that plugin with --disable-plugin {plugin}"
        )
        super().__init__(
            f"the hook {hook} of {whose} raised {type(error).__name__}: {error}; "
            f"{without}, or report it to its author"
        )


def told(error: BaseException) -> str:
    """Return an error of somebody's code in one line: what it is, and where."""
    from traceback import extract_tb  # only where something has gone wrong

    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if not own:
        return said
    where = own[-1]
    return f"{said} (line {where.lineno} of {Path(where.filename).name}, {where.name})"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause that names the known words nearest to ``name``, or ``""``.

    >>> nearest("hinj", ["hinge", "minimax"])
    "; did you mean 'hinge'?"
    """
    matches = get_close_matches(name, list(known), n=3, cutoff=0.5)
    if not matches:
        return ""
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?"


def listed(words: Iterable[object]) -> str:
    """Return words quoted and joined by commas, for the end of an error."""
    return ", ".join(repr(word) for word in words) or "none"
