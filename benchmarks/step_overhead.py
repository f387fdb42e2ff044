"""What gankit's step costs over the same game written out by hand.

Two loops train the same networks with the same loss on the same data in memory:
gankit's `Game.play`, and the thirty lines of plain torch that one would write without
it. They take turns, block by block, so that a noisy machine disturbs both; the ratio of
the median seconds of a step is printed.

    python benchmarks/step_overhead.py [--steps 20] [--blocks 10] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gankit.recipe.building import assemble
from gankit.recipe.recipe import read_recipe
from gankit.runs.preparation import prepare
from gankit.runs.run import Run

OVERRIDES = {
    "dataset.use": "shapes",
    "dataset.items": 2048,
    "conditioner": "none",
    "train.steps": 10**6,
    "train.batch_size": 64,
}


def by_hand(run: Run) -> Callable[[], None]:
    """Return one step of the same game in plain torch."""
    device = run.game.device
    generator: nn.Module = deepcopy(run.game.generator.network)
    discriminator: nn.Module = deepcopy(run.game.discriminator.network)
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    moves = {
        net: torch.optim.Adam(net.parameters(), **adam)
        for net in (generator, discriminator)
    }
    data = run.data.store
    assert data is not None, "the benchmark's data fits"
    size = run.game.feed.batch_size

    def noise() -> Tensor:
        return torch.rand(size, 100, device=device) * 2 - 1

    def step() -> None:
        rows = torch.randint(len(data), (size,), device=device)
        real = data[rows].float() / 127.5 - 1
        with torch.no_grad():
            fake = generator(noise(), None)
        loss = softplus(-discriminator(real, None)).mean()
        loss = loss + softplus(discriminator(fake, None)).mean()
        loss.backward()
        moves[discriminator].step()
        moves[discriminator].zero_grad()
        discriminator.requires_grad_(False)
        softplus(-discriminator(generator(noise(), None), None)).mean().backward()
        moves[generator].step()
        moves[generator].zero_grad()
        discriminator.requires_grad_(True)

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps in a block")
    parser.add_argument("--blocks", type=int, default=10, help="blocks of each loop")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    recipe = read_recipe("dcgan", OVERRIDES | {"train.device": arguments.device})
    run = prepare(assemble(recipe), recipe.registry.plugins)
    floor = by_hand(run)
    taken = iter(range(10**6))

    def ours() -> None:
        run.game.play(next(taken))

    seconds: dict[str, list[float]] = {"gankit": [], "by hand": []}
    for block in range(arguments.blocks + 1):  # the first one warms up
        for name, step in (("gankit", ours), ("by hand", floor)):
            start = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            if run.game.device.type == "cuda":
                torch.cuda.synchronize()
            if block:
                taken_now = time.perf_counter() - start
                seconds[name].append(taken_now / arguments.steps)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:8} {1000 * value:8.2f} ms a step")
    print(f"ratio    {medians['gankit'] / medians['by hand']:8.3f}")


if __name__ == "__main__":
    main()
