"""Features of real samples, kept once; and how samples are given to features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gankit import UNBOUNDED, Facts, Item, Processes
from gankit.data.reading import read_data
from gankit.errors import DataError
from gankit_metrics.features.embedding import real_features, real_samples
from gankit_metrics.features.pixels import Pixels

CPU = torch.device("cpu")


class Given:
    """Samples as they are given."""

    def __init__(self, samples: Tensor, limits: tuple[float, float] | None) -> None:
        self.samples = samples
        self.facts = Facts(tuple(samples.shape[1:]), sample_range=limits)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        return Item(self.samples[index])


class Watched:
    """Features by their name and digest alone."""

    name, size, digest = "watched", 1, "01234567"

    def __call__(self, samples: Tensor) -> Tensor:
        """See nothing."""
        return samples.new_zeros(len(samples), 1)

    def to(self, device: torch.device) -> Watched:
        """Stay."""
        return self


@pytest.mark.parametrize(
    ("samples", "limits", "expected"),
    [
        (torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8), None, [0.0, 0.2, 1.0]),
        (torch.tensor([[[[-1.0, 0.0, 1.0]]]]), (-1.0, 1.0), [0.0, 0.5, 1.0]),
        (torch.tensor([[-30.0, 0.0, 7.0]]), UNBOUNDED, [-30.0, 0.0, 7.0]),
    ],
)
def test_real_samples_are_scaled_by_the_range_that_is_known(
    samples: Tensor, limits: tuple[float, float] | None, expected: list[float]
) -> None:
    """Pixels, floats with a range, and numbers without one."""
    given = Given(samples.repeat(2, *[1] * (samples.ndim - 1)), limits)
    data = read_data(given, device=CPU, output_range=(0, 1))
    found = real_samples(data, torch.tensor([1]))
    torch.testing.assert_close(found.flatten(), torch.tensor(expected))


def test_pixels_read_to_another_range_are_refused() -> None:
    """The error names the call that reads them right."""
    data = read_data(Given(torch.zeros(2, 1, 4, 4).byte(), None), device=CPU)
    with pytest.raises(DataError, match=r"output_range=\(0, 1\)"):
        real_samples(data, torch.tensor([0]))


def test_pixels_are_the_numbers_themselves() -> None:
    """Of pictures and of vectors, in their order, in float32."""
    pixels = Pixels()
    pictures = torch.rand(2, 3, 4, 5)
    assert torch.equal(pixels(pictures), pictures.reshape(2, 60))
    assert pixels.size == 60
    rows = pixels.to(CPU)(torch.arange(6).double().view(2, 3))
    assert (rows.dtype, rows.tolist()) == (torch.float32, [[0, 1, 2], [3, 4, 5]])
    assert pixels.digest == Pixels().digest


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Start with an empty cache."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))
    return tmp_path / "features"


def means(features: Watched | None = None, **changed: Any) -> tuple[Tensor, int]:
    """Give the features of real samples, and how many were looked at for it."""
    facts = {"count": 6, "data": "abc", "split": "train"} | changed
    looked = 0

    def embed() -> Tensor:
        nonlocal looked
        looked = facts["count"]
        return torch.arange(float(looked))[:, None]

    told = facts | {"data": lambda: facts["data"]}
    return real_features(
        features or Watched(), embed, processes=Processes(), **told
    ), looked


def test_features_of_real_samples_are_computed_once(own_cache: Path) -> None:
    """The second time nothing is looked at."""
    first, looked = means()
    again, looked_again = means()
    assert (looked, looked_again) == (6, 0)
    assert torch.equal(first, again)
    assert len(list(own_cache.iterdir())) == 1


@pytest.mark.parametrize("changed", [{"count": 7}, {"data": "abd"}, {"split": "test"}])
def test_features_of_others_are_not_taken_for_them(
    own_cache: Path, changed: dict[str, object]
) -> None:
    """Whatever one of them follows from is another."""
    means()
    assert means(**changed)[1] > 0


@pytest.mark.parametrize("member", ["name", "digest"])
def test_features_by_another_extractor_are_not_taken_for_them(
    own_cache: Path, member: str
) -> None:
    """Nor those by the same one with other weights."""
    means()
    other = Watched()
    setattr(other, member, "other")
    assert means(other)[1] == 6


@pytest.mark.parametrize("damage", ["bit", "end", "nothing", "elsewhere"])
def test_damaged_features_are_computed_anew(own_cache: Path, damage: str) -> None:
    """One bit, a file cut short, an empty one, a folder in its place."""
    first, _ = means()
    (kept,) = own_cache.iterdir()
    content = bytearray(kept.read_bytes())
    if damage == "bit":
        content[-1] ^= 1
    kept.write_bytes(content[: {"end": -4, "nothing": 0}.get(damage)])
    if damage == "elsewhere":
        kept.unlink()
        kept.mkdir()
    rows, looked = means()
    assert looked == 6
    assert torch.equal(rows, first)
    if damage != "elsewhere":
        assert means()[1] == 0


def test_nothing_is_left_of_a_write_that_fails(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the features are given all the same."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("gankit.cache.save_file", fail)
    rows, _ = means()
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert list(own_cache.iterdir()) == []
