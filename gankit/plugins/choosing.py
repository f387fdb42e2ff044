"""Which of the installed plugins are loaded: all of them, unless somebody has chosen.

Loading a plugin runs its author's code. What is left out here is not even imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from importlib.metadata import EntryPoint

from attrs import frozen

from gankit.errors import PluginError, listed, nearest
from gankit.plugins.registry import LeftOut

LOAD, DISABLE = "GANKIT_LOAD_PLUGINS", "GANKIT_DISABLE_PLUGINS"


@frozen(eq=False)
class Installed:
    """A plugin that is installed, and not imported yet.

    Attributes:
        name: its distribution's, with the entry point's behind it if there are several;
            the entry point's alone if the distribution is unknown.
        distribution: whose entry point it is; empty if its metadata does not say.
        version: of the distribution.
        requires: what the distribution asks for.
        entry: the entry point.
    """

    name: str
    distribution: str
    version: str
    requires: Sequence[str]
    entry: EntryPoint


def disabled(names: Iterable[str]) -> frozenset[str]:
    """Add the names that the environment disables to those that a caller does."""
    return frozenset({*names, *_names_in(os.environ.get(DISABLE, ""))})


def choose(
    installed: Sequence[Installed], off: Collection[str]
) -> tuple[list[Installed], tuple[LeftOut, ...]]:
    """Return the plugins that are to be loaded, and the others with the reason.

    Args:
        installed: all that there are.
        off: names of those that are disabled.

    Raises:
        PluginError: ``GANKIT_LOAD_PLUGINS`` names what is not installed, or an entry
            point that several distributions have.
    """
    named = os.environ.get(LOAD)
    wanted = installed if named is None else _wanted(_names_in(named), installed)
    chosen, without = [], []
    for plugin in installed:
        if _named(plugin, off):
            without.append(LeftOut(plugin.name, plugin.version, "disabled"))
        elif plugin not in wanted:
            without.append(LeftOut(plugin.name, plugin.version, f"not named by {LOAD}"))
        else:
            chosen.append(plugin)
    return chosen, tuple(without)


def _wanted(names: Iterable[str], installed: Sequence[Installed]) -> list[Installed]:
    """Return the plugins that these names stand for: a distribution's come first.

    So that nobody else's entry point is loaded for having the name of a distribution.
    """
    wanted: list[Installed] = []
    for name in names:
        meant = [p for p in installed if _plain(p.distribution) == _plain(name)]
        meant = meant or [p for p in installed if p.distribution and p.name == name]
        if not meant:
            meant = [p for p in installed if p.entry.name == name]
            if len(meant) > 1:
                owners = sorted(p.distribution or "(without a name)" for p in meant)
                raise PluginError(
                    f"{LOAD}: {name!r} is an entry point of each of {listed(owners)}; "
                    "name the distribution that you mean"
                )
        if not meant:
            known = [plugin.name for plugin in installed]
            raise PluginError(
                f"{LOAD}: no plugin is named {name!r}{nearest(name, known)}; "
                f"the plugins that are installed are {listed(known)}"
            )
        wanted += meant
    return wanted


def _named(plugin: Installed, names: Collection[str]) -> bool:
    """Tell whether a plugin, or all of its distribution, is among these names."""
    return plugin.name in names or _plain(plugin.distribution) in map(_plain, names)


def _plain(name: str) -> str:
    """Fold the spellings that are one distribution's, as package indexes do."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names_in(text: str) -> list[str]:
    """Split a list of names at its commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
