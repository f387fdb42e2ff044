"""How long `gankit list` takes with a hundred plugins, one of which may be broken.

Packages are written as pip would install them, into a temporary folder. `gankit list`
takes turns with none of them, with all whole, and with the last one broken; medians
of the time by the clock, and of the processor's, which other work delays less. What is
printed of the broken one, on standard error, is counted too.

    python benchmarks/many_plugins.py
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = """
from gankit import Part, hookimpl

@hookimpl
def gankit_parts():
    for number in range({parts}):
        yield Part(
            "loss", f"loss-{index}-{{number}}", f"{module}.losses:Loss{{number}}",
            summary="One of many losses",
        )
"""
METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: 1.0
Summary: One of many plugins
Requires-Dist: attrs
Requires-Dist: gankit<0.2,>=0.1
Requires-Dist: torch

"""
README = "What a plugin does, in a sentence of a usual length, and another.\n" * 60


def install(site: Path, index: int, parts: int) -> Path:
    """Write a package as pip would install it; return its module."""
    name, module = f"many-{index:03d}", f"many_{index:03d}"
    package, info = site / module, site / f"{module}-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir(parents=True)
    code = MODULE.format(parts=parts, index=index, module=module)
    (package / "__init__.py").write_text(code, "utf-8")
    (info / "METADATA").write_text(METADATA.format(name=name) + README, "utf-8")
    (info / "entry_points.txt").write_text(f"[gankit]\n{name} = {module}\n", "utf-8")
    return package / "__init__.py"


def listed(site: Path | None) -> tuple[float, float, str]:
    """List all parts; return its seconds, the processor's, and what was said."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [*filter(None, path), *([str(site)] if site else [])]
    start, used = time.perf_counter(), processor()
    done = subprocess.run(
        [sys.executable, "-m", "gankit", "list"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - start, processor() - used, done.stderr


def processor() -> float:
    """Return the processor's seconds for all programs that have been run and ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=100)
    parser.add_argument("--parts", type=int, default=4, help="of each plugin")
    parser.add_argument("--turns", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole"), Path(folder, "broken")
        for site in (whole, broken):
            modules = [install(site, i, asked.parts) for i in range(asked.plugins)]
        modules[-1].write_text("raise RuntimeError('no chip')\n", "utf-8")
        sites = {
            "none of them": None,
            f"{asked.plugins} plugins": whole,
            f"{asked.plugins - 1} and a broken one": broken,
        }
        seconds: dict[str, list[list[float]]] = {name: [] for name in sites}
        said = ""
        for turn in range(asked.turns + 1):  # the first writes and reads caches
            for name, site in sites.items():
                *took, said = listed(site)
                seconds[name] += [took] if turn else []
    floor = None
    for name, values in seconds.items():
        clock, used = (statistics.median(each) for each in zip(*values, strict=True))
        floor = floor or clock
        told = f"{clock:.3f} s, {clock / floor:.2f} times; processor {used:.3f} s"
        print(f"{name:24} {told}")
    print(f"of the broken one {len(said.splitlines())} line is said: {said.strip()}")


if __name__ == "__main__":
    main()
