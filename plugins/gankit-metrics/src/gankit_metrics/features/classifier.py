"""Features `classifier`: of a small network trained on the data's own labels.

Networks trained on photographs see little in digits or drawings. One that tells the
data's own classes apart sees what these are made of, and judges by class too: for the
inception score of the data's own classes, and for the GAN-test (Shmelkov et al. 2018,
"How good is my GAN?").
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Self

import torch
from attrs import asdict, frozen
from torch import Tensor

from gankit import Classes, Count, Positive, Range, cache
from gankit.contracts import ReadData
from gankit.errors import DataError, UsageError
from gankit_metrics.features import DIGITS, Progress
from gankit_metrics.features.networks import (
    SMALLEST,
    Network,
    as_seen,
    network_for,
    shape_seen,
)
from gankit_metrics.features.pictures import check_range
from gankit_metrics.features.training import accuracy_of, fit

_HELD_OUT = 10  # every such part of the data, where nothing is held out
_FEWEST = 2 * _HELD_OUT  # items that leave two to be held out

Side = Annotated[int, Range(at_least=SMALLEST)]


@frozen
class Settings:
    """How to fit; see the options of `Classifier`."""

    size: int
    width: int
    side: int
    steps: int
    batch: int
    lr: float


class Classifier:
    """The layer before the logits of a classifier, fitted to the training data.

    Pictures, of any number of channels, pass a convolutional network and are shifted
    while it learns; vectors pass a perceptron. Their ``label`` has to be of the kind
    `gankit.Classes`. A fit is kept in the folder ``classifier`` of gankit's cache.

    Attributes:
        notes: ``accuracy``, the part of held-out items whose class is found: of the
            data set that is given as held out, else of a tenth of the training data
            that is left out of the fit.

    Args:
        size: numbers of a feature.
        width: channels of the first convolution.
        side: pixels a side that the network sees; larger pictures are resized.
        steps: updates while fitting.
        batch: samples of an update.
        lr: highest learning rate of AdamW.
    """

    name = "classifier"

    def __init__(
        self,
        *,
        size: Count = 128,
        width: Count = 16,
        side: Side = 32,
        steps: Count = 2000,
        batch: Count = 128,
        lr: Positive = 3e-3,
    ) -> None:
        self.size = size
        self.notes: Mapping[str, float] = {}
        self._settings = Settings(size, width, side, steps, batch, lr)
        self._network: Network | None = None
        self._shape: tuple[int, ...] = ()
        self.digest = cache.digest_of({}, self.name, self._settings)[:DIGITS]

    def prepare(
        self,
        data: ReadData,
        /,
        *,
        device: torch.device,
        seed: int,
        progress: Progress,
        heldout: ReadData | None = None,
    ) -> None:
        """Fit the network to the labels of the data, or take the same fit again.

        Args:
            data: what is trained on, read with ``output_range=(0, 1)``.
            device: where the network is left.
            seed: of its weights, of the order of items and of their shifts.
            progress: told how many steps have been made.
            heldout: what accuracy is measured on, read likewise; its ``test`` split.

        Raises:
            DataError: there are no labels, too few items, or pictures that are too
                small.
            UsageError: the fit diverged.
        """
        network = self._drawn(data, heldout, seed)
        steps = self._settings.steps
        kept = cache.path_of("classifier", self._facts_of_fit(data, heldout, seed))
        like = network.state_dict() | {"accuracy": torch.zeros(())}
        found = cache.read(kept, like=like)
        if found is None:
            accuracy = self._fit(network, data, heldout, device, seed, progress)
            cache.write(kept, network.state_dict() | {"accuracy": accuracy})
        else:
            accuracy = found.pop("accuracy")
            network.load_state_dict(found)
            progress(steps, steps, f"the classifier was fitted before: {kept}")
        self._take(network.to(device), accuracy)

    def teach(
        self, data: ReadData, /, *, device: torch.device, seed: int, progress: Progress
    ) -> None:
        """Fit the network as `prepare` does, but anew, and keep it nowhere.

        For what is no data set: samples that were generated. All of it is learnt from,
        and the accuracy in ``notes`` is of the same.
        """
        network = self._drawn(data, None, seed)
        self._take(network, self._fit(network, data, data, device, seed, progress))

    def _take(self, network: Network, accuracy: Tensor) -> None:
        self._network = network.eval().requires_grad_(False)
        self.notes = {"accuracy": float(accuracy)}
        facts = self.name, self._settings, self._shape
        self.digest = cache.digest_of(network.state_dict(), *facts)[:DIGITS]

    def _drawn(self, data: ReadData, heldout: ReadData | None, seed: int) -> Network:
        """Draw a network's weights for the data, whatever torch's generators are at."""
        classes = len(_check(data).names)
        self._shape = tuple(data.facts.sample_shape)
        if heldout is not None and heldout.facts.sample_shape != self._shape:
            raise DataError(
                f"held-out samples have the shape {heldout.facts.sample_shape}, but "
                f"those of the training data {self._shape}; give another split of it"
            )
        seen = shape_seen(self._shape, self._settings.side)
        width, size = self._settings.width, self.size
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return network_for(seen, width=width, size=size, classes=classes)

    def _fit(
        self,
        network: Network,
        data: ReadData,
        heldout: ReadData | None,
        device: torch.device,
        seed: int,
        progress: Progress,
    ) -> Tensor:
        """Fit a network and return its accuracy on what was held out."""
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        apart = 0 if heldout is not None else len(data) // _HELD_OUT
        judged = data if heldout is None else heldout
        places = order[:apart] if heldout is None else torch.arange(len(heldout))
        settings = self._settings
        fit(
            network.to(device),
            data,
            order[apart:],
            side=settings.side,
            steps=settings.steps,
            batch=settings.batch,
            lr=settings.lr,
            seed=seed,
            progress=progress,
        )
        return accuracy_of(network, judged, places, side=settings.side)

    def _facts_of_fit(
        self, data: ReadData, heldout: ReadData | None, seed: int
    ) -> dict[str, object]:
        """Return all that a fit follows from."""
        return {
            "version": version("gankit-metrics"),
            "data": data.fingerprint(),
            "heldout": heldout.fingerprint() if heldout is not None else None,
            "settings": asdict(self._settings),
            "seed": seed,
        }

    def to(self, device: torch.device, /) -> Self:
        """Move the network, once it is there."""
        if self._network is not None:
            self._network.to(device)
        return self

    def __call__(self, samples: Tensor, /) -> Tensor:
        """Return features (B, size) of samples of the shape that it was fitted to."""
        network = self._fitted()
        shape = tuple(samples.shape[1:])
        if shape != self._shape:
            raise UsageError(
                f"the features {self.name!r} were fitted to samples of the shape "
                f"{self._shape}, but were given {shape}; give samples of the same data"
            )
        if samples.ndim == 4:
            check_range(samples, self.name)
        with torch.no_grad():
            return network.features(as_seen(samples, self._settings.side))

    def classify(self, features: Tensor, /) -> Tensor:
        """Return the probabilities of the data's classes, (B, K)."""
        with torch.no_grad():
            logits: Tensor = self._fitted().head(features)
            return logits.softmax(1)

    def probabilities(self, samples: Tensor, /) -> Tensor:
        """Return the probabilities of the data's classes, (B, K)."""
        return self.classify(self(samples))

    def _fitted(self) -> Network:
        if self._network is None:
            raise UsageError(
                f"the features {self.name!r} are not fitted yet; give the training "
                "data to their prepare() first"
            )
        return self._network


def _check(data: ReadData) -> Classes:
    """Return the classes of the data's labels; refuse data that cannot be fitted to."""
    label = data.facts.annotations.get("label")
    if not isinstance(label, Classes) or len(label.names) < 2:
        there = [f"{n} ({type(k).__name__})" for n, k in data.facts.annotations.items()]
        raise DataError(
            "the features 'classifier' learn to tell at least two classes apart, but "
            "the data set has no annotation 'label' of Classes that has two; it has "
            f"{', '.join(there) or 'none'}; choose other features, or a data set with "
            "labels"
        )
    if len(data) < _FEWEST:
        raise DataError(
            f"the features 'classifier' are fitted to at least {_FEWEST} items, but "
            f"the data set has {len(data)}; choose other features"
        )
    shape = data.facts.sample_shape
    if len(shape) == 3 and min(shape[1:]) < SMALLEST:
        raise DataError(
            f"the features 'classifier' look at pictures of at least {SMALLEST} pixels "
            f"a side, but those of the data set are {shape[1]} x {shape[2]}; choose "
            "'pixels', or larger pictures"
        )
    return label
