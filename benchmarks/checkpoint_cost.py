"""What saving costs a run: seconds of a checkpoint beside seconds of its steps.

Trains the recipe `dcgan` at full width on drawn scenes of 32 px and saves, by the same
call as a run does, between blocks of steps, so that a noisy machine disturbs both.
Printed are the medians, and the share of the time that saving takes at the default
cadence, ``train.checkpoint_every``.

    python benchmarks/checkpoint_cost.py [--steps 5] [--blocks 10] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from gankit.recipe.building import assemble
from gankit.recipe.recipe import read_recipe
from gankit.runs.preparation import prepare

OVERRIDES = {
    "dataset.use": "shapes",
    "dataset.items": 2048,
    "train.steps": 10**6,
    "train.ema": 10_000,  # one network more to save
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="steps in a block")
    parser.add_argument(
        "--blocks", type=int, default=10, help="blocks, each then saved"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    arguments = parser.parse_args()
    recipe = read_recipe("dcgan", OVERRIDES | {"train.device": arguments.device})
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        run = prepare(
            assemble(recipe), recipe.registry.hooks, folder=lambda: Path(folder)
        )
        steps: list[float] = []
        saves: list[float] = []
        for block in range(arguments.blocks + 1):  # the first one warms up
            start = time.perf_counter()
            for _ in range(arguments.steps):
                run.game.play(run.step)
                run.step += 1
            if run.game.device.type == "cuda":
                torch.cuda.synchronize()
            between = time.perf_counter()
            path = run.write()
            end = time.perf_counter()
            if block:
                steps.append((between - start) / arguments.steps)
                saves.append(end - between)
        size = sum(file.stat().st_size for file in path.iterdir())
    step, save = statistics.median(steps), statistics.median(saves)
    every = recipe.train.checkpoint_every
    print(f"a step        {1000 * step:10.1f} ms")
    print(f"a checkpoint  {1000 * save:10.1f} ms, {size / 2**20:.1f} MiB")
    print(f"share of time {100 * save / (save + every * step):10.3f} %, every {every}")
    print(f"3 % would be  {save / 0.03 / step:10.0f} steps apart")


if __name__ == "__main__":
    main()
