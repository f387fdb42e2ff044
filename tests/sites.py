"""Plugins that are installed for one test only: real entry points in a folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

HEAD = "from gankit import Command, Kind, Part, hookimpl\n"


def yields(*things: str, hook: str = "gankit_parts") -> str:
    """Write a plugin module whose hook yields these expressions, line by line."""
    lines = [f"    yield {thing}" for thing in things] or ["    return ()"]
    return "\n".join([f"{HEAD}\n@hookimpl", f"def {hook}():", *lines, ""])


class Site:
    """A folder of installed distributions, which has to be on ``sys.path``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(
        self,
        name: str,
        code: str = "",
        *,
        version: str = "1.0",
        requires: Iterable[str] = ("gankit",),
        entries: Mapping[str, str] | None = None,
    ) -> Path:
        """Install a distribution with one module; return its metadata folder."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code, "utf-8")
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join([*lines, ""]), "utf-8")
        points = entries if entries is not None else {name: module}
        lines = ["[gankit]", *(f"{key} = {value}" for key, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join([*lines, ""]), "utf-8")
        importlib.invalidate_caches()
        return info


def forget_modules_of(folder: Path) -> None:
    """Unload what was imported from a folder."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
