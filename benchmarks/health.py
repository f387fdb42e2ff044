"""What run health says of healthy and of sick runs of each recipe.

Every recipe is trained as it is (narrower, where it would take hours on a CPU), and
three times with one fault built in: the generator leaves a mark in each sample that it
cannot take away, so that the discriminator cannot lose; it does not get its noise; it
does not get its condition. One line a run: the warnings with the steps at which they
were given, and the numbers that they rest on.

    python benchmarks/health.py --data DIR [--steps 3500] [--only cgan ...]

DIR holds mnist/MNIST (torchvision's layout) and flickr8k (pictures and captions.jsonl).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

import gankit
from gankit.recipe.building import assemble
from gankit.recipe.recipe import read_recipe

MARK = 4  # pixels a side of the mark
FAULTS = ("none", "marked", "deaf to noise", "deaf to condition")

RECIPES: dict[str, dict[str, Any]] = {
    "mlp-gan": {"dataset.root": "mnist"},
    "cgan": {"dataset.root": "mnist"},
    "dcgan": {
        "dataset.root": "mnist",
        "generator.width": 16,
        "discriminator.width": 16,
        "train.batch_size": 64,
    },
    "quickstart": {},
    "text-to-image": {
        "dataset.root": "flickr8k",
        "conditioner.size": 256,
        "conditioner.channels": [96, 128, 128],
        "conditioner.fit_steps": 250,
        "generator.width": 16,
        "discriminator.width": 12,
        "train.batch_size": 16,
    },
}


class Sick(nn.Module):
    """A generator with something taken from it, or with a mark on its samples."""

    def __init__(self, healthy: nn.Module, fault: str) -> None:
        super().__init__()
        self.healthy, self.fault = healthy, fault
        self.output_range = healthy.output_range
        if fault == "deaf to noise":
            for module in healthy.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0  # it is noise too

    def observe(self, samples: Tensor) -> None:
        """Show it real samples, if it looks at any."""
        if hasattr(self.healthy, "observe"):
            self.healthy.observe(samples)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map noise and condition to samples, with the fault."""
        if self.fault == "deaf to noise":
            noise = torch.full_like(noise, 0.5)
        if self.fault == "deaf to condition" and condition is not None:
            condition = torch.zeros_like(condition)
        samples: Tensor = self.healthy(noise, condition)
        if self.fault != "marked":
            return samples
        low, high = self.output_range
        corner = torch.full_like(samples[..., :MARK, :MARK], low)
        corner[..., ::2, ::2] = corner[..., 1::2, 1::2] = high
        samples = samples.clone()
        samples[..., :MARK, :MARK] = corner
        return samples


def play(name: str, fault: str, data: Path, steps: int, out: Path) -> None:
    """Train one recipe with one fault, and print what was said and seen."""
    overrides = dict(RECIPES[name])
    if root := overrides.get("dataset.root"):
        overrides["dataset.root"] = str(data / root)
    overrides |= {"train.steps": steps, "train.sample_every": 250}
    assembly = assemble(read_recipe(name, overrides))
    if fault != "none":
        assembly = attrs.evolve(assembly, generator=Sick(assembly.generator, fault))
    gankit.train(assembly, out=out)
    text = (out / "metrics.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    said = [f"{x['warning']} @ {x['step']}" for x in lines if "warning" in x]
    seen = [x for x in lines if "warning" not in x]
    print(f"{name}, fault: {fault}: {'; '.join(said) or 'nothing'}")
    ranked, clear = ([x[name] for x in seen] for name in ("AUC", "clearance"))
    norms = [x["gradient/generator"] for x in seen]
    grown = [x for x in seen if x["step"] >= 1000]
    print(
        f"    AUC: median {statistics.median(ranked):.4f}; clearance: median "
        f"{statistics.median(clear):.2f}, highest {max(clear):.2f}, looks in a row "
        f"above 0.7, 0.8, 0.9: {[longest(clear, t) for t in (0.7, 0.8, 0.9)]}"
    )
    print(
        f"    gradient: least {min(norms):.2g}, median {statistics.median(norms):.2g}"
        f", largest {max(norms):.2g}"
    )
    for measure in ("diversity", "condition effect", "noise effect"):
        values = [x[measure] for x in grown if measure in x]
        if values:
            print(f"    {measure}: {' '.join(f'{v:.3f}' for v in values)}", flush=True)


def longest(values: Sequence[float], limit: float) -> int:
    """Return how many values in a row reach a limit, at most."""
    best = here = 0
    for value in values:
        here = here + 1 if value >= limit else 0
        best = max(best, here)
    return best


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--only", nargs="*", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--faults", nargs="*", default=FAULTS, choices=FAULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            for i, fault in enumerate(arguments.faults):
                if name == "mlp-gan" and fault == "deaf to condition":
                    continue  # it has none
                out = Path(folder) / f"{name}-{i}"
                play(name, fault, arguments.data, arguments.steps, out)


if __name__ == "__main__":
    main()
