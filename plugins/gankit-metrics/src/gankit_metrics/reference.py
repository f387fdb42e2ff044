"""The data beside which samples are measured: read once, embedded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

import gankit
from gankit import Classes, Facts, Processes
from gankit.contracts import Dataset, ReadData
from gankit.errors import DataError, UsageError, listed, nearest
from gankit_metrics.features import Features, Progress
from gankit_metrics.features.classifier import Classifier
from gankit_metrics.features.efficientnet import EfficientNetLite0
from gankit_metrics.features.embedding import real_features
from gankit_metrics.features.pixels import Pixels
from gankit_metrics.shares import in_shares
from gankit_metrics.some import Some, kept

F = TypeVar("F", bound=Features)
Build = Callable[[], Features]

_CHUNK = 256  # samples that are read together
LOOK = 64  # samples that are looked at together
_SPLITS = ("test", "validation", "train")  # the first that is there is compared with


class Reference:
    """The data of a run and what it holds out, and what samples are compared by.

    One may serve many evaluations of the same data.

    Args:
        dataset: what the run was trained on.
        device: where samples are looked at.
        progress: told what is done of what takes long.
        processes: those that share the work; by default this one alone.

    Attributes:
        dataset: the same.
        facts: of its items.
        splits: what builds each split by name; ``train`` is the data set itself.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        device: torch.device,
        progress: Progress = lambda done, total, text: None,
        processes: Processes | None = None,
    ) -> None:
        self.dataset = dataset
        self.device = device
        self.progress = progress
        self.processes = processes or Processes()
        self.facts: Facts = dataset.facts
        self.splits: Mapping[str, Callable[[], Dataset]] = {
            **getattr(dataset, "splits", {}),
            "train": lambda: dataset,
        }
        self._data: dict[str, ReadData] = {}
        self._some: dict[tuple[str, int], Some] = {}
        self._extractors: dict[tuple[str, str], Features] = {}
        self._embedded: WeakKeyDictionary[Some, dict[str, Tensor]] = WeakKeyDictionary()

    def chosen(self, split: str) -> str:
        """Return the split that is asked for, or the first there is.

        Raises:
            DataError: the data holds out no such split.
        """
        if not split:
            return next(name for name in _SPLITS if name in self.splits)
        if split not in self.splits:
            raise DataError(
                f"the data set holds out no {split!r}{nearest(split, self.splits)}; it "
                f"has {listed(self.splits)}; compare with one of these, or hold some "
                "out, as by dataset.hold_out"
            )
        return split

    def data(self, split: str) -> ReadData:
        """Return the data of a split, read; pictures are in [0, 1].

        Raises:
            DataError: the data holds out no such split.
        """
        if self.chosen(split) not in self._data:
            self._data[split] = gankit.read_data(
                self.splits[split](),
                device=self.device,
                output_range=(0.0, 1.0),
                progress=self.progress,
            )
        return self._data[split]

    def some(self, split: str, count: int) -> Some:
        """Return samples of a split, at most so many: the same ones at each call."""
        data = self.data(split)
        key = split, min(len(data), count)
        if key not in self._some:
            places = places_of(len(data), key[1])
            read = []
            for part in torch.split(places, _CHUNK):
                rng = torch.Generator(self.device).manual_seed(int(part[0]))
                read.append(kept(data.samples(part, rng).cpu(), self.facts))
            # in the place of a broken item stands another's picture
            broken = torch.tensor([*data.broken], dtype=torch.long)
            whole = ~torch.isin(places, broken)
            rows = torch.cat(read)[whole]
            self._some[key] = Some(rows, known(data, places[whole]), split)
        return self._some[key]

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the data's classes.

        Raises:
            ValueError: it has none.
        """
        kind = self.facts.annotations.get("label")
        if isinstance(kind, Classes):
            return kind.names
        raise ValueError(
            "it compares classes, and the data set has no labels; choose another metric"
        )

    def extractor(self, build: Build | None, split: str = "train") -> Features:
        """Build and prepare what samples are compared by; the same one only once.

        Args:
            build: what builds it; None for the default: a network that has learnt from
                photographs for pictures, else the numbers themselves.
            split: what it is fitted to, if it is fitted.
        """
        pictures = len(self.facts.sample_shape) == 3
        build = build or (EfficientNetLite0 if pictures else Pixels)
        key = repr(build), split
        if key not in self._extractors:
            self._extractors[key] = self._prepared(build(), split)
        return self._extractors[key]

    def _prepared(self, features: Features, split: str) -> Features:
        """Fit features to a split of the data, if they are fitted, and move them."""
        prepare = getattr(features, "prepare", None)
        if prepare is None:
            features.to(self.device)
            return features
        data = self.data(split)
        tested = split == "train" and "test" in self.splits
        held = self.data("test") if tested else None

        def fitted() -> Features:
            prepare(
                data,
                device=self.device,
                seed=0,
                progress=self.progress,
                heldout=held,
            )
            return features

        return self._made_once(fitted)

    def taught(self, data: ReadData, seed: int) -> Classifier:
        """Teach a fresh classifier what data tells, see `Classifier.teach`."""

        def made() -> Classifier:
            fresh = Classifier()
            fresh.teach(data, device=self.device, seed=seed, progress=self.progress)
            return fresh

        return self._made_once(made)

    def _made_once(self, make: Callable[[], F]) -> F:
        """Let one process fit features for all, who look by the same bits then."""

        def made() -> F:
            features = make()
            features.to(torch.device("cpu"))  # the others have devices of their own
            return features

        features = self.processes.once(made)
        features.to(self.device)
        return features

    def classifier(self, build: Build | None, split: str = "train") -> Any:
        """Return features that classify: by default those that have learnt the labels.

        Raises:
            ValueError: they do not classify, or there are no labels to learn.
        """
        if build is None:
            self.class_names()
            build = Classifier
        features = self.extractor(build, split)
        if hasattr(features, "classify"):
            return features
        raise ValueError(
            f"{features.name} gives no classes; choose features that do, as "
            "features.use=classifier"
        )

    def embedded(self, some: Some, features: Features) -> Tensor:
        """Return the features of samples, float32 (N, d), on the CPU."""
        seen = self._embedded.setdefault(some, {})
        key = identity(features)
        if key not in seen:
            seen[key] = self._seen(some, features).float()
        return seen[key]

    def _seen(self, some: Some, features: Features) -> Tensor:
        """Embed samples, or read the same features of real ones from the cache."""
        if isinstance(features, Pixels):
            return features(some.floats())

        def embed() -> Tensor:
            return self.in_chunks(some, features, f"embedding {some.name} samples")

        if some not in self._some.values():
            return embed()
        data = self.data(some.name)
        return real_features(
            features,
            embed,
            data=data.fingerprint,
            split=some.name,
            count=len(some),
            processes=self.processes,
        )

    def in_chunks(
        self, some: Some, look: Callable[[Tensor], Tensor], text: str
    ) -> Tensor:
        """Look at samples, some at a time, shared out among the processes.

        Args:
            some: the samples.
            look: from floats (B, …) on the device, pictures in [0, 1], to (B, …).
            text: what is done, for who waits.

        Returns:
            what it gives for all of them, on the CPU.

        Raises:
            UsageError: it gives numbers that are not finite.
        """

        def looked(start: int) -> Tensor:
            rows = some.floats(slice(start, start + LOOK)).to(self.device)
            with torch.inference_mode():
                seen = look(rows).cpu()
            if not bool(seen.isfinite().all()):
                raise UsageError(
                    f"{text}: of the samples from {start} to {start + len(seen) - 1} "
                    "some gave numbers that are not finite; look at the samples "
                    "themselves"
                )
            return seen

        starts = range(0, len(some), LOOK)
        seen = in_shares(
            self.processes,
            starts,
            looked,
            lambda done, total: self.progress(done, total, text),
        )
        return torch.cat(seen)


def identity(features: Features) -> str:
    """Return the name of what samples are compared by, with its digest."""
    return f"{features.name}@{features.digest}"


def places_of(length: int, count: int) -> Tensor:
    """Choose items: in an order of its own, and again from the first, (count,)."""
    order = torch.randperm(length, generator=torch.Generator().manual_seed(0))
    return order.repeat(-(-count // length))[:count]


def known(data: ReadData, places: Tensor) -> dict[str, Any]:
    """Return what is known of items, by name."""
    return {name: rows_of(column, places) for name, column in data.annotations.items()}


def rows_of(column: Any, places: Tensor) -> Any:
    """Return the values of items: rows of a tensor, or of a list."""
    if isinstance(column, Tensor):
        return column[places]
    return [column[place] for place in places.tolist()]
