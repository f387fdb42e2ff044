"""Finds plugins, loads each in isolation, says which failed and why.

The loop over entry points is ours, because pluggy's own drops one of two entry points
of the same name silently and lets one broken import stop everything.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from attrs import field, frozen

from gankit import hookspecs
from gankit.errors import GankitError, HookError, PluginError, listed

GROUP = "gankit"
DISABLE = "GANKIT_DISABLE_PLUGINS"


@frozen
class Plugin:
    """A plugin that loaded; ``source`` is its distribution's version, or its file."""

    name: str
    source: str
    module: Any = field(repr=False)


@frozen
class Failure:
    """A plugin that did not load: at which stage, and with which error."""

    plugin: str
    source: str
    stage: str  # "version", "import", "hooks", "parts" or "commands"
    error: BaseException

    @property
    def reason(self) -> str:
        """The error in one line."""
        text = " ".join(str(self.error).split())
        return f"{type(self.error).__name__}: {text}" if text else repr(self.error)

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} failed at {self.stage}: {self.reason}"


@frozen
class Plugins:
    """What discovery found; ``manager`` holds the hooks of every plugin that loaded."""

    manager: pluggy.PluginManager
    loaded: tuple[Plugin, ...]
    failures: tuple[Failure, ...]
    disabled: tuple[str, ...]
    files: tuple[Path, ...]
    off: frozenset[str] = frozenset()  # every name that was asked to be left out

    def call(self, hook: str, **context: object) -> None:
        """Call a hook of every plugin; an error says which plugin raised it.

        Raises:
            HookError: an implementation raised anything but one of gankit's errors.
        """
        caller = getattr(self.manager.hook, hook)
        try:
            caller(**context)
        except GankitError:
            raise  # it says all there is to say, as that a disk is full
        except Exception as error:
            name = _raised_in(error, caller)
            if name is None:
                raise
            raise HookError(name, hook, error) from error

    def call_each(self, hook: str, **context: object) -> list[str]:
        """Call a hook of every plugin, whatever any of them raises; return what."""
        said = []
        every = self.manager.get_plugins()
        implementations = getattr(self.manager.hook, hook).get_hookimpls()
        # in pluggy's own order: the last one is called first
        for plugin in dict.fromkeys(impl.plugin for impl in reversed(implementations)):
            caller = self.manager.subset_hook_caller(hook, every - {plugin})
            try:
                caller(**context)
            except Exception as error:
                name = self.manager.get_name(plugin) or ""
                said.append(str(HookError(name, hook, error)))
        return said


def discover(files: Iterable[str | Path] = (), disable: Iterable[str] = ()) -> Plugins:
    """Load the installed plugins and the given local plugin files.

    Args:
        files: paths of local plugin files; unlike an installed plugin, one that fails
            raises, because it was asked for by name.
        disable: names of plugins to leave out, besides those that the environment
            variable ``GANKIT_DISABLE_PLUGINS`` lists, separated by commas.

    Raises:
        PluginError: a local file cannot be used.
    """
    off = {
        *disable,
        *filter(None, map(str.strip, os.environ.get(DISABLE, "").split(","))),
    }
    manager = pluggy.PluginManager("gankit")
    manager.add_hookspecs(hookspecs)
    loaded: list[Plugin] = []
    failures: list[Failure] = []
    skipped: list[str] = []
    for name, source, entry in _entries():
        if name in off:
            skipped.append(name)
            continue
        outcome = _load(manager, name, source, entry)
        (loaded if isinstance(outcome, Plugin) else failures).append(outcome)  # type: ignore[arg-type] # split by the line's own test
    paths = tuple(dict.fromkeys(Path(file).resolve() for file in files))
    for path in paths:
        if path.stem not in off:
            loaded.append(_load_file(manager, path))
    return Plugins(
        manager, tuple(loaded), tuple(failures), tuple(skipped), paths, frozenset(off)
    )


def resolve(target: str) -> Any:
    """Import ``"module:attribute"``.

    Raises:
        PluginError: there is no such module or attribute, or importing it failed.
    """
    module, _, path = target.partition(":")
    try:
        found = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except Exception as error:
        raise PluginError(f"cannot import {target!r}: {error}") from error
    return found


def check_core_version(requirements: Sequence[str]) -> None:
    """Check a distribution's requirements against the core that runs.

    Raises:
        PluginError: it asks for another version of gankit.
    """
    from packaging.requirements import (
        Requirement,
    )  # only plugins that pin gankit need it

    for text in requirements:
        if not text.startswith("gankit"):
            continue
        requirement = Requirement(text)
        if requirement.name != "gankit" or requirement.marker is not None:
            continue
        if not requirement.specifier.contains(core_version(), prereleases=True):
            raise PluginError(
                f"it needs gankit{requirement.specifier} and this is gankit "
                f"{core_version()}; install a version of the plugin made for this core"
            )


def core_version() -> str:
    """Return the version of the core, as installed or as in the source."""
    try:
        return version("gankit")
    except PackageNotFoundError:
        from gankit import __version__

        return __version__


def _entries() -> Iterable[tuple[str, str, EntryPoint]]:
    """Yield each entry point with its plugin's name and version: its distribution's."""
    found = sorted(
        ((*_owner(entry), entry) for entry in entry_points(group=GROUP)),
        key=lambda owned: (owned[0], owned[2].name),
    )
    several = {a for (a, _, _), (b, _, _) in pairwise(found) if a == b}
    for owner, source, entry in found:
        yield f"{owner}.{entry.name}" if owner in several else owner, source, entry


def _owner(entry: EntryPoint) -> tuple[str, str]:
    """Return the name and version of an entry point's distribution."""
    dist: Any = entry.dist
    try:
        return dist.name or entry.name, dist.version or ""
    except Exception:  # an interrupted installation may lack its metadata
        return entry.name, ""


def _load(
    manager: pluggy.PluginManager, name: str, source: str, entry: EntryPoint
) -> Plugin | Failure:
    stage = "version"
    try:
        check_core_version(entry.dist.requires or [] if entry.dist else [])
        stage = "import"
        module = entry.load()
        stage = "hooks"
        _register(manager, name, module)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        return Failure(name, source, stage, error)
    return Plugin(name, source, module)


def _load_file(manager: pluggy.PluginManager, path: Path) -> Plugin:
    if not path.is_file():
        raise PluginError(
            f"there is no plugin file {str(path)!r}; give the path of a .py file"
        )
    try:
        module = import_file(path)
        _register(manager, path.stem, module)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise PluginError(
            f"the plugin file {str(path)!r} failed: {type(error).__name__}: {error}"
        ) from error
    return Plugin(path.stem, str(path), module)


def import_file(path: Path) -> ModuleType:
    """Import a plugin file as a module named by its stem, once.

    Raises:
        PluginError: the stem is the name of another module, which it would hide.
    """
    present = sys.modules.get(path.stem)
    if present is not None and getattr(present, "__file__", None) == str(path):
        return present
    hidden = None if present else importlib.util.find_spec(path.stem)
    if present is not None or (hidden is not None and hidden.origin != str(path)):
        raise PluginError(
            f"the plugin file {str(path)!r} has the name of the module {path.stem!r}; "
            "rename the file"
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError(
            f"{str(path)!r} is not a Python file; a plugin file ends in .py"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that string factories and pickles find it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _register(manager: pluggy.PluginManager, name: str, module: object) -> None:
    """Register one plugin, or leave the manager as it was."""
    if manager.has_plugin(name):
        raise PluginError(
            f"a plugin named {name!r} is already loaded; rename one of them"
        )
    manager.register(module, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        manager.unregister(module)
        known = listed(hook for hook in vars(hookspecs) if hook.startswith("gankit_"))
        raise PluginError(f"{error}; the hooks are {known}") from error


def _raised_in(error: BaseException, caller: pluggy.HookCaller) -> str | None:
    """Return the plugin whose implementation is in the traceback, if one is.

    The innermost, because one that wraps the others is there whoever raised.
    """
    codes: dict[object, str] = {}
    for implementation in caller.get_hookimpls():
        function: Callable[..., object] = implementation.function
        code = getattr(function, "__code__", None) or getattr(
            getattr(function, "__func__", None), "__code__", None
        )
        codes[code] = implementation.plugin_name
    found, frame = None, error.__traceback__
    while frame is not None:
        found = codes.get(frame.tb_frame.f_code, found)
        frame = frame.tb_next
    return found
