"""Conditions that are numbers, for gankit."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield a conditioner and data to try it with."""
    yield Part(
        "conditioner",
        "standardised",
        "stranger_vectors.standardised:Standardised",
        summary="Numbers of an item, scaled to mean 0 and variance 1",
    )
    yield Part(
        "dataset",
        "pendulum",
        "stranger_vectors.pendulum:Pendulum",
        summary="Where a pendulum ends, by its angle and its length",
    )
