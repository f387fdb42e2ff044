"""How long `gankit list` takes, beside the floor of starting Python.

Both take turns; medians of ten.

    python benchmarks/list_latency.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import torch": [sys.executable, "-c", "import torch"],
    "gankit list": [sys.executable, "-m", "gankit", "list"],
}


def main() -> None:
    """Measure and print."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for block in range(11):  # the first one warms the disk's cache
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if block:
                seconds[name].append(time.perf_counter() - start)
    for name, values in seconds.items():
        print(f"{name:15} {statistics.median(values):.3f} s")


if __name__ == "__main__":
    main()
