"""What saving costs a run: time that blocks of steps take more with a checkpoint.

Trains the recipe `dcgan` at full width on drawn scenes of 32 px, or the perceptrons of
PyTorch-GAN, in blocks of three kinds that take turns, so that a noisy machine disturbs
all: nothing is saved; a checkpoint is written before the block goes on; it is written
while the game plays on, and waited for at the block's end. Printed are medians of the
differences within a turn, and their share at the default cadence,
``train.checkpoint_every``.

    python benchmarks/checkpoint_cost.py [--recipe dcgan] [--steps 5] [--turns 10]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gankit.compute.threads import computing
from gankit.recipe.building import assemble
from gankit.recipe.recipe import Recipe, read_recipe
from gankit.runs.preparation import prepare
from gankit.runs.run import Run

SCENES = {"dataset.use": "shapes", "dataset.size": 32, "dataset.items": 2048}
# dcgan has a moving average, which is one network more to save
OVERRIDES = {
    "dcgan": {"train.ema": 10_000},
    "layers": {
        "conditioner": "none",
        "generator.use": "layers",
        "discriminator.use": "layers",
        "loss.use": "non-saturating",
        "optimizer.use": "Adam",
        "optimizer.lr": 2e-4,
    },
}


def _recipe(name: str, device: str) -> Recipe:
    overrides = SCENES | OVERRIDES[name]
    overrides |= {"train.steps": 10**6, "train.device": device}
    plugins = [Path(__file__).with_name("networks.py")]
    return read_recipe("dcgan" if name == "dcgan" else {}, overrides, plugins=plugins)


def _block(run: Run, steps: int, save: Callable[[], object]) -> float:
    """Return the seconds of a block of steps, after something that saves or not."""
    start = time.perf_counter()
    save()
    for _ in range(steps):
        run.game.play(run.step)
        run.step += 1
    run.writer.wait()
    if run.game.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=OVERRIDES, default="dcgan")
    parser.add_argument("--steps", type=int, default=5, help="steps in a block")
    parser.add_argument("--turns", type=int, default=10, help="blocks of each kind")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    told = parser.parse_args()
    recipe = _recipe(told.recipe, told.device)
    with tempfile.TemporaryDirectory(dir=told.folder) as folder, computing():
        run = prepare(
            assemble(recipe), recipe.registry.hooks, folder=lambda: Path(folder)
        )
        kinds: dict[str, Callable[[], object]] = {
            "nothing saved": lambda: None,
            "saved at once": run.save,
            "saved meanwhile": run.save_later,
        }
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(told.turns + 1):  # the first one warms up
            for kind, save in kinds.items():
                seconds = _block(run, told.steps, save)
                if turn:
                    taken[kind].append(seconds)
    plain = taken.pop("nothing saved")
    step, every = statistics.median(plain) / told.steps, recipe.train.checkpoint_every
    print(f"a step           {1000 * step:10.1f} ms, {torch.get_num_threads()} threads")
    for kind, seconds in taken.items():
        more = [
            with_it - without for with_it, without in zip(seconds, plain, strict=True)
        ]
        cost = statistics.median(more)
        share = 100 * cost / (cost + every * step)
        print(f"{kind:15}  {1000 * cost:10.1f} ms more, {share:.2f} % of {every} steps")


if __name__ == "__main__":
    main()
