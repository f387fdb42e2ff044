"""Real samples as extractors are given them, and their features, kept once for all."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from gankit import Processes, cache
from gankit.contracts import ReadData
from gankit.errors import DataError, UsageError
from gankit_metrics.features import Features
from gankit_metrics.features.pictures import check_range


def real_samples(
    data: ReadData, positions: Tensor, rng: torch.Generator | None = None
) -> Tensor:
    """Return samples of a data set as extractors are given them, on its device.

    Pictures are in [0, 1]: pixels because the data was read so, floats by the range
    that the data set states. Samples without such a range are left as they are.

    Args:
        data: a data set, read with ``output_range=(0, 1)``.
        positions: which of its items, (B,).
        rng: for the randomness of its ``transform``.

    Raises:
        DataError: pixels were read to another range.
    """
    samples = data.samples(positions, rng)
    if data.facts.sample_range is not None:
        low, high = data.facts.sample_range
        scaled = len(data.facts.sample_shape) == 3 and isfinite(high - low)
        return (samples - low) / (high - low) if scaled else samples
    try:
        check_range(samples, "of data")
    except UsageError as error:
        raise DataError(
            "the pixels of the data set are not in [0, 1]; read it with "
            "gankit.read_data(..., output_range=(0, 1))"
        ) from error
    return samples


def real_features(
    features: Features,
    embed: Callable[[], Tensor],
    *,
    data: Callable[[], str],
    split: str,
    count: int,
    processes: Processes,
) -> Tensor:
    """Embed real samples, or read the same features from the cache: (count, d).

    They are kept in the folder ``features`` of gankit's cache. The first process alone
    looks there, and writes.

    Args:
        features: what embeds them.
        embed: called for their features if the cache has none.
        data: called for the data's fingerprint.
        split: of the data.
        count: N, the first ones in the order in which samples are chosen.
        processes: all of which embed.
    """

    def look_up() -> tuple[Path, Tensor | None]:
        facts = {
            "version": version("gankit-metrics"),
            "features": [features.name, features.digest],
            "data": data(),
            "split": split,
            "count": count,
        }
        path = cache.path_of("features", facts)
        return path, (cache.read(path) or {}).get("features")

    path, found = processes.once(look_up)
    if found is None:
        found = embed()
        if processes.leads:
            cache.write(path, {"features": found})
    return found
