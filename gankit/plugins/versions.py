"""Versions: of the core, what a plugin asks of it, and which go on with which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from gankit.errors import PluginError


@cache
def core_version() -> str:
    """Return the version of the core, as installed or as in the source."""
    try:
        return version("gankit")
    except PackageNotFoundError:
        from gankit import __version__

        return __version__


def check_core_version(requirements: Sequence[str]) -> None:
    """Check a distribution's requirements against the core that runs.

    Raises:
        PluginError: it asks for another version of gankit.
    """
    # imported here, because only plugins that pin gankit need it
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in requirements:
        if not text.lower().startswith("gankit"):
            continue
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != "gankit":
            continue
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": ""}):
            continue  # for another Python or system, or of an extra
        if not requirement.specifier.contains(core_version(), prereleases=True):
            raise PluginError(
                f"it needs gankit{requirement.specifier} and this is gankit "
                f"{core_version()}; install a version of the plugin made for this core"
            )


def changed(there: Mapping[str, str], here: Mapping[str, str]) -> tuple[str, ...]:
    """Say which versions, by name, are others now, so that bits may be too."""
    return tuple(
        f"{name} was {there[name]}, and is {here[name]}"
        for name in there
        if name in here and there[name] != here[name] and _shared(here[name])
    )


def incompatible(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Say which versions, by name, are by their numbers not compatible."""
    return [
        f"{name}: the checkpoint is of version {there[name]}, and {here[name]} is "
        "installed; install a version that begins alike"
        for name in there
        if name in here and _shared(there[name]) != _shared(here[name])
    ]


def _shared(text: str) -> tuple[int, ...] | None:
    """Return the numbers that compatible versions share: 0.N, or N."""
    from packaging.version import InvalidVersion, Version

    try:
        release = Version(text).release
    except InvalidVersion:
        return None  # a local plugin file has a path instead
    return release[:2] if release[0] == 0 else release[:1]
