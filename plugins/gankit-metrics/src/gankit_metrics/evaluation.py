"""What metrics are given: a run's samples beside real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gankit import Facts, Judge, Sampler, Texts
from gankit.contracts import Dataset, ReadData
from gankit.errors import DataError
from gankit_metrics.features import Features, Progress
from gankit_metrics.reference import Build, Reference, known, places_of, rows_of
from gankit_metrics.shares import in_shares
from gankit_metrics.some import GENERATED, Some, kept

DRAW = 256  # samples that are drawn together


class Evaluation:
    """What metrics are given: samples of a run beside real ones, each drawn once.

    Generated samples are asked for with conditions of real items that are drawn anew.
    The very items that are compared with would give both sides the same share of each
    condition, closer than chance has it, and a distance that is unbiased for chance
    would come out too small, by the order of 1/N.

    Args:
        sampler: of the run.
        reference: its data.
        count: samples of each side, at most.
        seed: of what is generated; real samples are the same for every seed.
        split: what samples are compared with; by default the first there is of test,
            validation and train.
        baselines: whether metrics are to tell, too, what the training data gets.
        judge: loads the run's discriminator; None where there is none to be had.

    Attributes:
        count: samples that are generated.
        split: the name of what samples are compared with.
        baselines: whether they are wanted, and there is something to compare with that
            the run was not trained on.

    Raises:
        DataError: the data holds out no such split, or is not the run's.
    """

    def __init__(
        self,
        sampler: Sampler,
        reference: Reference,
        *,
        count: int,
        seed: int = 0,
        split: str = "",
        baselines: bool = False,
        judge: Callable[[], Judge] | None = None,
    ) -> None:
        self.sampler = sampler
        self.reference = reference
        self.count = count
        self.seed = seed
        self.split = reference.chosen(split)
        if sampler.facts != reference.facts:
            raise DataError(
                "the data is not that of the run: it says of itself "
                f"{reference.facts}, and the run was trained on {sampler.facts}; set "
                "the data set's options to those of the run"
            )
        self.baselines = baselines and self.split != "train"
        self._judge = judge

    @property
    def dataset(self) -> Dataset:
        """What the run was trained on."""
        return self.reference.dataset

    @property
    def facts(self) -> Facts:
        """What is known of its items."""
        return self.reference.facts

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the data's classes; ValueError where it has none."""
        return self.reference.class_names()

    @cached_property
    def judge(self) -> Judge:
        """Asks the run's discriminator; ValueError where it is not to be had."""
        if self._judge is None:
            raise ValueError(
                "it asks the run's discriminator, which is not there; measure a run's "
                "folder, or give the evaluation a judge"
            )
        return self._judge()

    @property
    def progress(self) -> Progress:
        """Told what is done of what takes long."""
        return self.reference.progress

    def data(self, split: str) -> ReadData:
        """Return the data of a split, read; DataError where there is none."""
        return self.reference.data(split)

    def real(self, split: str = "", count: int | None = None) -> Some:
        """Return real samples: the same ones at each call.

        Args:
            split: of which; by default what samples are compared with.
            count: how many, at most; by default as many as are generated.
        """
        wanted = self.count if count is None else count
        return self.reference.some(split or self.split, wanted)

    @cached_property
    def generated(self) -> Some:
        """What the run generates, with conditions of real items drawn at random."""
        return self.generate(self.count)

    def generate(self, count: int, split: str = "", *, each_once: bool = False) -> Some:
        """Generate, with the conditions of a split's items.

        Args:
            count: how many.
            split: whose conditions; by default what samples are compared with.
            each_once: take each item's condition once, in the order of `real`, and
                again where there are fewer items; by default they are drawn at random.
        """
        split = split or self.split
        data = self.data(split)
        if each_once:
            places = places_of(len(data), count)
        else:
            rng = torch.Generator().manual_seed(_stream(self.seed, split, -1))
            places = torch.randint(len(data), (count,), generator=rng)
        asked = self._asked(known(data, places))
        made = in_shares(
            self.reference.processes,
            torch.split(torch.arange(count), DRAW),
            lambda rows: self._drawn(asked, rows, split),
            lambda done, total: self.progress(done, total, "drawing samples"),
        )
        return Some(torch.cat(made), asked, GENERATED)

    def asked_for(self, *names: str) -> None:
        """Make sure that the run is conditioned on one of these annotations.

        Raises:
            ValueError: it is not.
        """
        reads = getattr(self.sampler.conditioner, "reads", "")
        if reads not in names:
            has = f"on its {reads}" if reads else "on nothing"
            raise ValueError(
                f"it measures what a condition changes, and the run is conditioned "
                f"{has}, not on {' or '.join(names)}; choose another metric"
            )

    def new_data(self) -> None:
        """Make sure that samples are compared with what the run was not trained on.

        Raises:
            ValueError: they are not.
        """
        if self.split == "train":
            raise ValueError(
                "it needs data that the run was not trained on, and compares with the "
                "training data; hold some out, as with dataset.hold_out"
            )

    def extractor(self, build: Build | None) -> Features:
        """Return what samples are compared by, see `Reference.extractor`."""
        return self.reference.extractor(build)

    def classifier(self, build: Build | None) -> Any:
        """Return features that classify, see `Reference.classifier`."""
        return self.reference.classifier(build)

    def embedded(self, some: Some, features: Features) -> Tensor:
        """Return the features of samples, float32 (N, d), on the CPU."""
        return self.reference.embedded(some, features)

    def in_chunks(
        self, some: Some, look: Callable[[Tensor], Tensor], text: str
    ) -> Tensor:
        """Look at samples, some at a time, see `Reference.in_chunks`.

        Ask for `generated`, an `extractor`, a `classifier` and the `judge` before, not
        in ``look``: all processes have to, and one may have no samples to look at.
        """
        return self.reference.in_chunks(some, look, text)

    def _asked(self, annotations: dict[str, Any]) -> dict[str, Any]:
        """Ask by one caption of an item, the first, so that it is known by which."""
        kinds = self.facts.annotations
        return {
            name: [texts[:1] for texts in column]
            if isinstance(kinds.get(name), Texts)
            else column
            for name, column in annotations.items()
        }

    def _drawn(self, asked: dict[str, Any], rows: Tensor, split: str) -> Tensor:
        """Generate samples with the conditions of some rows, as they are kept."""
        seed = _stream(self.seed, split, int(rows[0]) // DRAW)
        rng = torch.Generator(self.sampler.device).manual_seed(seed)
        noise = self.sampler.noise(len(rows), rng)
        reads = getattr(self.sampler.conditioner, "reads", None)
        told = () if reads is None else rows_of(asked[reads], rows)
        drawn = self.sampler.generate(noise, list(told), seed=seed)
        return kept(drawn.samples, self.facts)


def _stream(seed: int, split: str, number: int) -> int:
    """Return the seed of one chunk of samples."""
    text = f"{seed}/{split}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
