"""Importing what plugins name: ``"module:attribute"``, and files of their own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gankit.errors import PluginError


def resolve(target: str) -> Any:
    """Import ``"module:attribute"``.

    Raises:
        PluginError: there is no such module or attribute, or importing it failed.
    """
    module, _, path = target.partition(":")
    try:
        thing = importlib.import_module(module)
        for name in path.split("."):
            thing = getattr(thing, name)
    except Exception as error:
        raise PluginError(f"cannot import {target!r}: {error}") from error
    return thing


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
