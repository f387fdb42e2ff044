"""What a file says of itself, so that it can be used without gankit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gankit import UNBOUNDED, Classes, Noise, Sampler

_HELD = 64  # conditions whose vectors are written down
_PIXELS = (-1.0, 1.0)  # of a generator of pictures that is not bounded


def told_of(sampler: Sampler, inputs: dict[str, Tensor]) -> dict[str, Any]:
    """Say all that somebody needs to use a generator, as JSON can hold it.

    Args:
        sampler: of the generator.
        inputs: an example of each input, by name, (B, n).
    """
    facts, conditioner = sampler.facts, sampler.conditioner
    limits = getattr(sampler.generator, "output_range", UNBOUNDED)
    bounded = limits != UNBOUNDED
    if not bounded and facts.sample_range is None:  # pixels, which are played so
        limits = _PIXELS
    what: dict[str, dict[str, Any]] = {
        "noise": _drawn(sampler.noise),
        "uniform": {"distribution": "uniform", "low": 0.0, "high": 1.0},
    }
    told: dict[str, Any] = {
        "step": sampler.step,
        "output": {
            "shape": ["batch", *facts.sample_shape],
            "range": None if limits == UNBOUNDED else [float(end) for end in limits],
            "bounded": bounded,  # else values may lie outside, and are to be cut off
        },
    }
    if conditioner is not None:
        kind = facts.annotations[conditioner.reads]
        what["condition"] = {"of": conditioner.reads}
        some = sampler.conditions[:_HELD]
        vectors = sampler.vectors(some)
        assert vectors is not None, "there is a conditioner"
        texts = sampler.sample(len(some)).captions or [""] * len(some)
        told["reads"] = conditioner.reads
        told["classes"] = list(kind.names) if isinstance(kind, Classes) else []
        told["conditions"] = [
            # nine digits tell every float32 from its neighbours
            {"text": text, "vector": [float(f"{n:.9g}") for n in vector]}
            for text, vector in zip(texts, vectors.tolist(), strict=True)
        ]
    told["inputs"] = {
        name: {"shape": ["batch", *example.shape[1:]]} | what[name]
        for name, example in inputs.items()
    }
    return told


def _drawn(noise: object) -> dict[str, Any]:
    if not isinstance(noise, Noise):
        return {"distribution": f"as {type(noise).__name__} draws it"}
    if noise.distribution == "normal":
        return {"distribution": "normal", "mean": 0.0, "deviation": 1.0}
    return {"distribution": "uniform", "low": noise.low, "high": noise.high}


def example_inputs(sampler: Sampler, count: int, uniform: int) -> dict[str, Tensor]:
    """Draw inputs of a batch, by name.

    Args:
        sampler: of the generator.
        count: samples in the batch.
        uniform: numbers that the dropouts of a sample need.
    """
    rng = torch.Generator().manual_seed(count)
    inputs = {"noise": sampler.noise(count, rng)}
    if sampler.conditioner is not None:
        own = sampler.conditions
        vectors = sampler.vectors([own[i % len(own)] for i in range(count)])
        assert vectors is not None, "there is a conditioner"
        inputs["condition"] = vectors
    if uniform:
        inputs["uniform"] = torch.rand(count, uniform, generator=rng)
    return inputs
