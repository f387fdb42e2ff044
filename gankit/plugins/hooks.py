"""Hooks: who watches, and calling them so that an error says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from gankit import hookspecs
from gankit.errors import GankitError, HookError, PluginError, listed
from gankit.plugins.watching import Watching, moments


class Hooks:
    """Plugins and objects with hook implementations, by name.

    Args:
        off: names that are left out, whoever brings them.
    """

    def __init__(self, off: Iterable[str] = ()) -> None:
        self.off = frozenset(off)
        self._manager = pluggy.PluginManager("gankit")
        self._manager.add_hookspecs(hookspecs)
        self._parts: dict[str, tuple[str, str]] = {}  # of each place its part's name

    def names(self) -> set[str]:
        """Name all that are there."""
        return {name for name, _ in self._manager.list_name_plugin()}

    def add(self, name: str, thing: object) -> None:
        """Add a module or an object, or leave everything as it was.

        Raises:
            PluginError: another one has that name, it is there under another name, or
                it implements no hook there is, or asks one for what it is not given.
        """
        if name in self.off:
            return
        if unmarked := _unmarked(thing):
            raise PluginError(
                f"{listed(unmarked)} would never be called; mark it with "
                "@gankit.hookimpl, or call it something else"
            )
        if self._manager.has_plugin(name):
            raise PluginError(
                f"a plugin named {name!r} is already loaded; rename one of them"
            )
        if known_as := self._manager.get_name(thing):
            raise PluginError(
                f"{name!r} is the same object as {known_as!r}, and would be called "
                "twice; leave one of them out"
            )
        try:
            self._manager.register(thing, name)
        except pluggy.PluginValidationError as error:
            self.remove(name)
            told = " ".join(str(error).split())
            raise PluginError(f"{name!r} has a hook that cannot be: {told}") from error
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(thing)
            known = listed(name for name in vars(hookspecs) if _is_hook(name))
            raise PluginError(f"{error}; the hooks are {known}") from error

    def add_part(self, place: str, part: str, thing: object) -> str:
        """Add a part of a run, if it watches it; return under which name.

        Args:
            place: in the recipe, as ``hooks.0``.
            part: its long name, by which an error names it.
            thing: the part; see :mod:`gankit.plugins.watching`.
        """
        name = f"recipe: {place}"  # no plugin's: one may be a file loss.py
        self._parts[name] = (place, part)
        self._manager.register(Watching(thing), name)
        return name

    def check(self, things: Mapping[str, object]) -> None:
        """See whether all of these could be added.

        Raises:
            PluginError: one could not.
        """
        added = []
        try:
            for name, thing in things.items():
                self.add(name, thing)
                added.append(name)
        finally:
            for name in added:
                self.remove(name)

    def remove(self, name: str) -> None:
        """Take one out, if it is there."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        self._parts.pop(name, None)

    def has(self, hook: str) -> bool:
        """Tell whether anybody implements a hook."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def of(self, name: str, hook: str) -> list[Callable[[], Any]]:
        """Return what one of them implements of a hook that takes no argument."""
        return [
            implementation.function
            for implementation in getattr(self._manager.hook, hook).get_hookimpls()
            if implementation.plugin_name == name
        ]

    def called(self, hook: str) -> list[str]:
        """Name those that implement a hook."""
        every = getattr(self._manager.hook, hook).get_hookimpls()
        return [implementation.plugin_name for implementation in every]

    def watching(self) -> set[str]:
        """Name those that implement a hook of a run."""
        return {name for hook in moments() for name in self.called(hook)}

    def call(self, hook: str, **context: object) -> None:
        """Call a hook of all; an error says whose implementation raised it.

        Raises:
            HookError: an implementation raised anything but one of gankit's errors.
        """
        caller = getattr(self._manager.hook, hook)
        try:
            caller(**context)
        except GankitError:
            raise  # it says all there is to say, as that a disk is full
        except Exception as error:
            name = _raised_in(error, caller)
            if name is None:
                raise
            raise self._error(name, hook, error) from error

    def call_each(self, hook: str, **context: object) -> list[str]:
        """Call a hook of each, whatever any of them raises; return what."""
        raised = []
        every = self._manager.get_plugins()
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        # in pluggy's own order: the last one is called first
        for plugin in dict.fromkeys(impl.plugin for impl in reversed(implementations)):
            caller = self._manager.subset_hook_caller(hook, every - {plugin})
            try:
                caller(**context)
            except Exception as error:
                name = self._manager.get_name(plugin) or ""
                raised.append(str(self._error(name, hook, error)))
        return raised

    def _error(self, name: str, hook: str, error: Exception) -> HookError:
        place, part = self._parts.get(name, ("", name))
        return HookError(part, hook, error, place)


def _unmarked(thing: object) -> list[str]:
    """Name what is called as a hook, and is not marked as an implementation."""
    return [
        name
        for name in dir(thing)
        if _is_hook(name)
        and hasattr(hookspecs, name)
        and callable(function := getattr(thing, name))
        and not hasattr(function, "gankit_impl")
        and not hasattr(function, "gankit_spec")
    ]


def _is_hook(name: str) -> bool:
    return name.startswith("gankit_")


def _raised_in(error: BaseException, caller: pluggy.HookCaller) -> str | None:
    """Return the plugin whose implementation is in the traceback, if one is.

    The innermost, because one that wraps the others is there whoever raised.
    """
    codes: dict[object, str] = {}
    objects: dict[object, str] = {}  # of two of one class, which share their code
    for implementation in caller.get_hookimpls():
        function: Any = implementation.function
        code = getattr(function, "__code__", None)
        codes[code] = implementation.plugin_name
        whose = id(getattr(function, "__self__", None))
        objects[code, whose] = implementation.plugin_name
    name, frame = None, error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        first = (frame.tb_frame.f_locals.get(n) for n in code.co_varnames[:1])
        name = objects.get((code, id(next(first, None))), codes.get(code, name))
        frame = frame.tb_next
    return name
