"""How far a step is from what its arithmetic alone would take.

    python benchmarks/floor.py [--networks official] [--batch 64] [--turns 7]

The operations of a step are counted by torch (multiplications and additions of
convolutions and matrices, forward and backward). The machine's rate is that of one
large matrix product in the same type, measured in turns with gankit's own steps, so
that a noisy machine disturbs both; medians count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from gankit.compute.threads import computing
from gankit.recipe.building import assemble
from gankit.recipe.recipe import read_recipe
from gankit.runs.preparation import prepare
from gankit.runs.run import Run

_SIDE = 4096  # of the matrices
_SHAPES = {"official": ("shapes", 64), "small": ("shapes", 32)}


def _prepared(networks: str, batch: int, precision: str, device: str) -> Run:
    dataset, size = _SHAPES[networks]
    table = {
        "dataset": {"use": dataset, "size": size, "items": 2048},
        "generator": {"use": networks},
        "discriminator": {"use": networks},
        "loss": {"use": "non-saturating"},
        "optimizer": {"use": "Adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "train": {
            "steps": 10**6,
            "batch_size": batch,
            "precision": precision,
            "fakes": "shared",
            "device": device,
        },
    }
    plugin = Path(__file__).with_name("networks.py")
    recipe = read_recipe(table, plugins=[plugin])
    return prepare(assemble(recipe), recipe.registry.hooks)


def _rate(dtype: torch.dtype, device: torch.device) -> float:
    """Return the operations a second of a large matrix product."""
    some = torch.randn(_SIDE, _SIDE, device=device).to(dtype)
    start = time.perf_counter()
    some @ some
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 2 * _SIDE**3 / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", choices=_SHAPES, default="official")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="in a turn")
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    device = torch.device(told.device)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with computing():
            run = _prepared(told.networks, told.batch, precision, told.device)
            with FlopCounterMode(display=False) as counter:
                run.game.play(0)
            operations = counter.get_total_flops()
            seconds, rates, played = [], [], 1
            for turn in range(told.turns + 1):  # the first one warms up
                rate = _rate(dtype, device)
                start = time.perf_counter()
                for _ in range(told.steps):
                    run.game.play(played)
                    played += 1
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if turn:
                    seconds.append((time.perf_counter() - start) / told.steps)
                    rates.append(rate)
        step, rate = statistics.median(seconds), statistics.median(rates)
        print(
            f"{told.networks} {precision}: {operations / 1e9:.0f} GFLOP, matrices "
            f"at {rate / 1e9:.0f} GFLOP/s: floor {1000 * operations / rate:.0f} ms, "
            f"step {1000 * step:.0f} ms, ratio {step * rate / operations:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
