"""Run a program as it is, and tell of every step that one of its optimisers takes.

    python watched.py DESCRIPTOR PROGRAM [ARGUMENTS …]
    python watched.py DESCRIPTOR -m MODULE [ARGUMENTS …]

Lines of JSON go to the open file descriptor: of each optimiser, at its first step, its
options and the shapes of what it moves; and of each step the monotonic clock. torch is
not imported before the program does so itself.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_WATCHED = "torch.optim.optimizer"


class _Finder(MetaPathFinder):
    """Calls a function with one module as soon as it has been imported."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name, self._then = name, then

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find the one module as everybody does, and wrap its loader."""
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Then(spec.loader, self._then)
        return spec


class _Then(Loader):
    def __init__(self, loader: Loader, then: Callable[[ModuleType], None]) -> None:
        self._loader, self._then = loader, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create it as it would be."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute it, then call the function."""
        self._loader.exec_module(module)
        self._then(module)


def _watch(module: ModuleType, tell: Callable[[dict[str, Any]], None]) -> None:
    numbers: dict[int, int] = {}

    def stepped(optimizer: Any, args: Any, kwargs: Any) -> None:
        shapes = [tuple(p.shape) for g in optimizer.param_groups for p in g["params"]]
        if all(shape == (1,) for shape in shapes):
            return  # gankit tries on one weight what torch has a kernel for
        if id(optimizer) not in numbers:
            numbers[id(optimizer)] = len(numbers)
            options = {
                name: value
                for name, value in optimizer.defaults.items()
                if isinstance(value, int | float | tuple | bool)
            }
            tell({"optimizer": len(numbers), "shapes": shapes, "options": options})
        tell({"step": numbers[id(optimizer)], "at": time.monotonic()})

    module.register_optimizer_step_post_hook(stepped)


def main() -> None:
    """Run the program that is named, as ``__main__``."""
    descriptor, program, *arguments = sys.argv[1:]
    sys.argv = [program, *arguments]

    def tell(line: dict[str, Any]) -> None:
        os.write(int(descriptor), json.dumps(line).encode() + b"\n")

    sys.meta_path.insert(0, _Finder(_WATCHED, lambda module: _watch(module, tell)))
    if program == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program).resolve().parent)
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
