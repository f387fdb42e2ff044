"""Record a run of this version, which later versions have to load or refuse in words.

    python tests/recorded/record.py VERSION

The folder ``tests/recorded/VERSION`` must not be there: it is recorded once, at a
release, and never changed. It holds the run, and six samples drawn with seed 3.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from safetensors.torch import save_file

import gankit

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from tiny import LABELLED  # noqa: E402 # found by the line above


def record(folder: Path) -> None:
    """Train the smallest recipe that has a condition, an average and a penalty."""
    train = LABELLED["train"] | {"steps": 12, "checkpoint_every": 12}
    gankit.train(LABELLED | {"train": train}, out=folder)
    shutil.rmtree(folder / "samples")
    for events in folder.glob("events.*"):
        events.unlink()
    drawn = gankit.load(folder, device="cpu").sample(6, seed=3)
    save_file({"drawn": drawn.samples}, folder / "drawn.safetensors")


if __name__ == "__main__":
    record(HERE / sys.argv[1])
