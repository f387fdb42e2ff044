"""The features `classifier`: what is fitted, to what, and what of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gankit import Classes, Facts, Item, cache
from gankit.data.items import Data
from gankit.data.reading import read_data
from gankit.errors import DataError, UsageError
from gankit_datasets.gaussians import Gaussians
from gankit_datasets.shapes import DrawnShapes
from gankit_metrics.features import (
    ClassifyingFeatures,
    FittedFeatures,
    training,
)
from gankit_metrics.features.classifier import Classifier
from gankit_metrics.features.networks import as_seen, shape_seen, shifted

CPU = torch.device("cpu")


class Pictures:
    """Pictures and labels as they are given."""

    def __init__(
        self, pictures: Tensor, labels: Tensor, names: tuple[str, ...]
    ) -> None:
        self.pictures, self.labels = pictures, labels
        self.facts = Facts(tuple(pictures.shape[1:]), label=Classes(names))

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Item:
        return Item(self.pictures[index], label=int(self.labels[index]))


def drawings(seed: int = 0, items: int = 160) -> Data:
    """Draw circles of four colours, which are the classes."""
    scenes = DrawnShapes(
        size=16,
        items=items,
        colours=("red", "blue", "yellow", "white"),
        shapes=("circle",),
        seed=seed,
    )
    return read_data(scenes, device=CPU, output_range=(0, 1))


def small(**options: float) -> Classifier:
    """Return a classifier that is fitted in a second."""
    return Classifier(
        **{"size": 16, "width": 8, "steps": 60, "batch": 32, "lr": 0.01} | options
    )


def prepared(
    features: Classifier, data: Data, seed: int = 0, heldout: Data | None = None
) -> list[str]:
    """Prepare features and return what was reported."""
    told: list[str] = []
    features.prepare(
        data,
        device=CPU,
        seed=seed,
        progress=lambda done, total, text: told.append(f"{done}/{total} {text}"),
        heldout=heldout,
    )
    return told


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Start every test with an empty cache of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))
    return tmp_path / "classifier"


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give what makes another fit an error."""

    def forbid() -> None:
        monkeypatch.setattr(
            "gankit_metrics.features.classifier.fit",
            lambda *_, **__: pytest.fail("fitted again"),
        )

    return forbid


def test_it_tells_the_classes_of_drawings_apart() -> None:
    """Far better than by chance, a quarter; also items that it was not fitted to."""
    data, features = drawings(), small()
    told = prepared(features, data)
    assert isinstance(features, FittedFeatures)
    assert isinstance(features, ClassifyingFeatures)
    assert features.notes["accuracy"] >= 0.8
    assert told[0] == "0/60 fitting the classifier"
    assert told[-1].startswith("60/60 classifier: loss 0.")

    others = drawings(seed=1)
    positions = torch.arange(64)
    pictures, labels = others.samples(positions), others.annotations["label"][:64]
    seen = features(pictures)
    assert (seen.shape, seen.dtype) == ((64, 16), torch.float32)
    probabilities = features.probabilities(pictures)
    assert torch.equal(probabilities, features.classify(seen))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(64))
    assert (probabilities.argmax(1) == labels).float().mean() >= 0.8


def test_accuracy_is_of_what_is_held_out() -> None:
    """Doctored: held-out labels that are all wrong are found not once in twenty."""
    data, features = drawings(), small()
    right = [data.dataset[i] for i in range(len(data))]
    wrong = Pictures(
        torch.stack([item.sample for item in right]),
        (data.annotations["label"] + 1) % 4,
        ("a", "b", "c", "d"),
    )
    heldout = read_data(wrong, device=CPU, output_range=(0, 1))
    prepared(features, data, heldout=heldout)
    assert features.notes["accuracy"] < 0.05


def test_a_tenth_is_left_out_of_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a held-out set: what is judged is not what was fitted to."""
    fitted: list[Tensor] = []
    judged: list[Tensor] = []

    def note_fit(network, data, places, **_):
        fitted.append(places)
        network.eval()

    def note_accuracy(network, data, places, **_):
        judged.append(places)
        return torch.tensor(1.0)

    monkeypatch.setattr("gankit_metrics.features.classifier.fit", note_fit)
    monkeypatch.setattr("gankit_metrics.features.classifier.accuracy_of", note_accuracy)
    prepared(small(), drawings())
    assert len(judged[0]) == 16
    both = torch.cat([fitted[0], judged[0]])
    assert torch.equal(both.sort().values, torch.arange(160))


def test_a_fit_is_a_function_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, whatever torch's generators are at, which are left as they were."""
    data = drawings()
    monkeypatch.setattr("gankit.cache.write", lambda *_: None)
    digests = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(digests))
        before = torch.get_rng_state()
        features = small(steps=5)
        prepared(features, data, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        digests.append(features.digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_same_fit_is_not_done_twice(no_fit: Callable[[], None]) -> None:
    """It is read from the cache, its accuracy too."""
    data, first, second = drawings(), small(steps=5), small(steps=5)
    unfitted = first.digest
    prepared(first, data)
    no_fit()
    told = prepared(second, data)
    assert "fitted before" in told[-1]
    assert second.notes == first.notes
    assert second.digest == first.digest != unfitted
    pictures = data.samples(torch.arange(4))
    assert torch.equal(first(pictures), second(pictures))


@pytest.mark.parametrize("what", ["option", "seed", "data", "held out"])
def test_another_fit_is_done_anew(no_fit: Callable[[], None], what: str) -> None:
    """The cache knows all that a fit follows from."""
    data = drawings()
    prepared(small(steps=5), data)
    no_fit()
    with pytest.raises(pytest.fail.Exception, match="fitted again"):
        prepared(
            small(steps=6 if what == "option" else 5),
            drawings(items=161) if what == "data" else data,
            seed=int(what == "seed"),
            heldout=drawings(seed=1) if what == "held out" else None,
        )


def test_a_damaged_file_is_fitted_anew(own_cache: Path) -> None:
    """One bit of a weight is enough."""
    data, first, second = drawings(), small(steps=5), small(steps=5)
    prepared(first, data)
    (kept,) = own_cache.iterdir()
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert "loss" in prepared(second, data)[-1]
    assert second.digest == first.digest


def test_a_file_of_another_network_is_fitted_anew(own_cache: Path) -> None:
    """As one that was written before the network was changed."""
    data, first, second = drawings(), small(steps=5), small(steps=5)
    prepared(first, data)
    (kept,) = own_cache.iterdir()
    cache.write(kept, {"weight": torch.zeros(3), "accuracy": torch.zeros(())})
    assert "loss" in prepared(second, data)[-1]
    assert second.digest == first.digest


def test_vectors_are_told_apart_by_a_perceptron() -> None:
    """The eight modes of a ring, a hundred standard deviations apart."""
    data = read_data(Gaussians(samples=2000), device=CPU, output_range=(0, 1))
    features = small(steps=200)
    prepared(features, data)
    assert features.notes["accuracy"] == 1.0
    assert features(data.samples(torch.arange(3))).shape == (3, 16)


@pytest.mark.parametrize("shape", [(3, 17, 23), (1, 40, 70), (4, 16, 16)])
def test_pictures_of_any_size_and_number_of_channels(shape: tuple[int, ...]) -> None:
    """Plain dark ones are told from plain light ones; the large ones seen smaller."""
    levels = torch.tensor([40, 200], dtype=torch.uint8).repeat(20)
    pictures = levels.view(-1, 1, 1, 1).expand(-1, *shape).contiguous()
    dark_or_light = Pictures(pictures, levels.long() // 200, ("dark", "light"))
    data = read_data(dark_or_light, device=CPU, output_range=(0, 1))
    features = small(steps=30)
    prepared(features, data)
    assert features.notes["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("shape", "seen"),
    [((3, 28, 28), (3, 28, 28)), ((1, 20, 70), (1, 20, 32)), ((5,), (5,))],
)
def test_the_network_sees_no_side_above_the_option(
    shape: tuple[int, ...], seen: tuple[int, ...]
) -> None:
    """By hand for 32 pixels: the longer side alone, and never a vector."""
    assert as_seen(torch.rand(2, *shape), 32).shape == (2, *seen)
    assert shape_seen(shape, 32) == seen


def test_features_do_not_depend_on_the_batch_and_move_with_noise() -> None:
    """The more of it, the further."""
    data, features = drawings(), small(steps=30)
    prepared(features, data)
    pictures = data.samples(torch.arange(16))
    seen = features(pictures)
    alone = torch.cat([features(picture[None]) for picture in pictures])
    torch.testing.assert_close(alone, seen, rtol=1e-5, atol=1e-5)
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    noisy = [(pictures + sigma * noise).clamp(0, 1) for sigma in (0.01, 0.1, 0.5)]
    moved = [(features(n) - seen).norm(dim=1).mean() for n in noisy]
    assert 0 < moved[0] < moved[1] < moved[2]


def test_a_shift_moves_a_picture_by_two_pixels_of_28_at_most() -> None:
    """By hand: one light pixel at (14, 14) is found everywhere within two of it."""
    pictures = torch.zeros(400, 1, 28, 28)
    pictures[:, :, 14, 14] = 1
    found = shifted(pictures, torch.Generator().manual_seed(0)).nonzero()
    assert torch.equal(found[:, 0], torch.arange(400))
    places = {tuple(place) for place in found[:, 2:].tolist()}
    assert places == {(y, x) for y in range(12, 17) for x in range(12, 17)}


def test_what_moves_in_repeats_the_border() -> None:
    """By hand: in a picture of equal rows each is a shifted line with its ends held."""
    line = torch.arange(28.0)
    pictures = line.expand(50, 2, 28, 28)
    moved = shifted(pictures, torch.Generator().manual_seed(0))
    for picture in moved:
        by = picture[0, 0, 14] - 14
        assert torch.equal(picture, (line + by).clamp(0, 27).expand(2, 28, 28))


def test_data_without_labels_are_refused() -> None:
    """With what they have instead."""
    data = drawings()
    data.facts = Facts((3, 16, 16), label=Classes(("one",)))
    with pytest.raises(DataError, match=r"it has label \(Classes\); choose"):
        prepared(small(), data)
    data.facts = Facts((3, 16, 16))
    with pytest.raises(DataError, match="it has none; choose"):
        prepared(small(), data)


def test_too_few_items_are_refused() -> None:
    """A tenth of 19 is one, which says nothing."""
    with pytest.raises(DataError, match="at least 20 items, but the data set has 19"):
        prepared(small(), drawings(items=19))


def test_pictures_that_are_too_small_are_refused() -> None:
    """Three halvings leave nothing of them."""
    tiny = Pictures(torch.zeros(20, 1, 8, 20).byte(), torch.arange(20) % 2, ("a", "b"))
    with pytest.raises(DataError, match="those of the data set are 8 x 20; choose"):
        prepared(small(), read_data(tiny, device=CPU, output_range=(0, 1)))


def test_a_held_out_set_of_another_shape_is_refused() -> None:
    """It is no split of the same data."""
    other = read_data(DrawnShapes(size=20, items=30), device=CPU, output_range=(0, 1))
    with pytest.raises(DataError, match=r"shape \(3, 20, 20\).*\(3, 16, 16\)"):
        prepared(small(), drawings(), heldout=other)


def test_data_read_to_another_range_are_refused() -> None:
    """With the call that reads them to the right one."""
    scenes = DrawnShapes(size=16, items=20)
    with pytest.raises(DataError, match=r"output_range=\(0, 1\)"):
        prepared(small(), read_data(scenes, device=CPU))


def test_a_fit_that_diverges_says_what_to_lower() -> None:
    """A learning rate of 1e30 takes every weight to where nothing is finite."""
    features = Classifier(width=8, steps=20, batch=32, lr=1e30)
    with pytest.raises(UsageError, match="diverged; lower its option lr"):
        prepared(features, drawings())


def test_unfitted_features_say_what_to_do() -> None:
    """Their digest is of the options alone until then."""
    with pytest.raises(UsageError, match=r"prepare\(\) first"):
        small()(torch.zeros(1, 3, 16, 16))
    assert small().digest == small().digest != small(steps=7).digest
    small().to(CPU)


def test_samples_of_another_shape_or_range_are_refused() -> None:
    """With both shapes."""
    features = small(steps=5)
    prepared(features, drawings())
    with pytest.raises(
        UsageError, match=r"\(3, 16, 16\), but were given \(3, 20, 20\)"
    ):
        features(torch.zeros(1, 3, 20, 20))
    with pytest.raises(UsageError, match="from -1 to"):
        features(torch.full((1, 3, 16, 16), -1.0))


def test_every_item_is_played_once_a_pass() -> None:
    """By hand: 10 items in batches of 3 are three batches, and one is left out."""
    places = torch.arange(100, 110)
    orders = training._orders(places, 3, seed=0)
    for _ in range(2):
        drawn = torch.cat([next(orders) for _ in range(3)])
        assert len(set(drawn.tolist())) == 9
        assert set(drawn.tolist()) <= set(places.tolist())
    assert len(next(training._orders(places, 30, seed=0))) == 10
