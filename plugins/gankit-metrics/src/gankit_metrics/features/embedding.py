"""Embedding sets of samples: in batches, in bounded memory, real ones once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from math import isfinite

import torch
from torch import Tensor

from gankit.contracts import ReadData
from gankit.errors import DataError, UsageError
from gankit_metrics.features import Features, Progress, cache
from gankit_metrics.features.pictures import check_range

_CHUNK = 64  # samples that an extractor looks at together


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


def embed(
    look: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    count: int,
    *,
    device: torch.device,
    progress: Progress = lambda done, total, text: None,
    text: str = "looking at samples",
) -> Tensor:
    """Look at the first ``count`` samples: float32 (count, d), on the CPU.

    No more than a batch is held beside the result, and no more than 64 samples of it
    are looked at together.

    Args:
        look: from samples (B, ...) on the device to (B, d): features, or their
            ``probabilities``.
        batches: samples, (B, ...) for any B; no batch is asked for in vain.
        count: N.
        device: where ``look`` looks.
        progress: told how many samples have been looked at.
        text: what progress says.

    Raises:
        UsageError: there are fewer samples, or features that are not finite.
    """
    rows, done = torch.empty(0, 0), 0
    for samples in _pieces(batches, count):
        with torch.inference_mode():
            seen = look(samples.to(device)).cpu()
        if not bool(seen.isfinite().all()):
            raise UsageError(
                f"{text}: of the samples from {done} to {done + len(seen) - 1} some "
                "gave numbers that are not finite; look at the samples themselves"
            )
        if not done:
            rows = torch.empty(count, *seen.shape[1:])
        rows[done : done + len(seen)] = seen
        done += len(seen)
        progress(done, count, text)
    if done < count:
        raise UsageError(
            f"{text}: {count} samples were asked for, but there are {done}; ask for "
            "fewer, or give more"
        )
    return rows


def _pieces(batches: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """Cut batches up, and stop after ``count`` samples."""
    left = count
    for batch in batches:
        yield from torch.split(batch[:left], _CHUNK)
        left -= len(batch[:left])
        if not left:
            return


def real_features(
    features: Features,
    batches: Callable[[], Iterable[Tensor]],
    count: int,
    *,
    data: str,
    split: str,
    seed: int,
    device: torch.device,
    progress: Progress = lambda done, total, text: None,
) -> Tensor:
    """Embed real samples, or read the same features from the cache: (count, d).

    They are kept in the folder ``features`` of gankit's cache.

    Args:
        features: what embeds them.
        batches: called for the samples if the cache has no features of them.
        count: N.
        data: the data's fingerprint; also of which items, if not of the first ones.
        split: of the data.
        seed: what the randomness of the data's ``transform`` and of ``batches`` follows
            from.
        device: where ``features`` are.
        progress: told how many samples have been looked at.

    Raises:
        UsageError: as `embed`.
    """
    kept = cache.path_of(
        "features",
        {
            "version": version("gankit-metrics"),
            "features": [features.name, features.digest],
            "data": data,
            "split": split,
            "count": count,
            "seed": seed,
        },
    )
    found = (cache.read(kept) or {}).get("features")
    if found is not None:
        progress(count, count, f"features were computed before: {kept}")
        return found
    text = f"features {features.name!r} of the {split} data"
    rows = embed(
        features, batches(), count, device=device, progress=progress, text=text
    )
    cache.write(kept, {"features": rows})
    return rows
