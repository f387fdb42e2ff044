"""Truths about the style encoder: it finds the noise that pictures were drawn from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gankit import Facts, Noise, Sampler
from gankit_dcgan.style import StyleEncoder, network_of

FACTS = Facts((1, 16, 16))
SMALL = StyleEncoder(steps=150, width=4)


class Painter(nn.Module):
    """Noise (B, 2) to two halves of a picture, each as bright as a number of it."""

    output_range = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Paint."""
        halves = noise.clamp(-3, 3)[:, None, :, None].repeat_interleave(8, 2)
        return (self.gain * halves).expand(-1, 1, 16, 16)


def sampler_of(generator: nn.Module, size: int = 2) -> Sampler:
    """Load nothing: sample from this."""
    return Sampler(generator, None, Noise(size=size), FACTS, (), torch.device("cpu"))


def quiet(done: int, total: int, text: str) -> None:
    """Report to nobody."""


def test_it_finds_the_noise_of_pictures_that_it_has_not_seen(tmp_path: Path) -> None:
    """Halves as bright as the noise: over nine tenths of it, and each number alone."""
    sampler = sampler_of(Painter())
    noise = torch.tensor([[1.5, -1.0], [-1.0, 1.5], [0.0, 0.0]])
    pictures = sampler.generate(noise).samples
    said: list[str] = []
    found = SMALL(
        sampler,
        pictures,
        folder=tmp_path,
        progress=lambda done, total, text: said.append(text),
    )
    assert (found - noise).abs().max() < 0.5
    share = int(said[-1].partition("finds ")[2].partition("%")[0])
    assert share > 90


def test_the_loss_falls_and_a_generator_without_noise_leaves_nothing(
    tmp_path: Path,
) -> None:
    """All pictures alike: the mean is the best guess, 0 % of the noise."""
    deaf = Painter()
    nn.init.zeros_(deaf.gain)
    for generator, low, high in ((Painter(), 80, 100), (deaf, -20, 5)):
        said: list[str] = []
        SMALL(
            sampler_of(generator),
            torch.zeros(1, 1, 16, 16),
            folder=tmp_path,
            progress=lambda done, total, text, said=said: said.append(text),  # type: ignore[misc]
        )
        shares = [int(t.partition("finds ")[2].partition("%")[0]) for t in said]
        assert shares[0] < 60
        assert low <= shares[-1] <= high


def test_what_was_learnt_is_kept_for_these_weights_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing is trained; other weights, or other steps, begin anew."""
    sampler, pictures = sampler_of(Painter()), torch.rand(3, 1, 16, 16)
    first = SMALL(sampler, pictures, folder=tmp_path / "new", progress=quiet)
    calls: list[object] = []
    monkeypatch.setattr(
        StyleEncoder, "_learnt", lambda *given: calls.append(given) or {}
    )
    again = SMALL(sampler, pictures, folder=tmp_path / "new", progress=quiet)
    assert torch.equal(first, again)
    assert not calls
    other = Painter()
    nn.init.constant_(other.gain, 0.2)
    with pytest.raises(KeyError):
        SMALL(sampler_of(other), pictures, folder=tmp_path / "new", progress=quiet)
    with pytest.raises(KeyError):
        StyleEncoder(steps=151, width=4)(
            sampler, pictures, folder=tmp_path / "new", progress=quiet
        )
    assert len(calls) == 2


def test_it_is_the_same_each_time_and_leaves_the_globals_alone(tmp_path: Path) -> None:
    """From its seed; torch's global numbers are drawn on as if nothing had been."""
    few = StyleEncoder(steps=3, width=2, batch_size=4)
    torch.manual_seed(7)
    found = [
        few(
            sampler_of(Painter()),
            torch.ones(1, 1, 16, 16),
            folder=tmp_path / name,
            progress=quiet,
        )
        for name in "ab"
    ]
    assert torch.equal(*found)
    after = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), after)


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    """The encoder is then trained each time."""
    (tmp_path / "file").touch()
    few = StyleEncoder(steps=2, width=2, batch_size=4)
    pictures = torch.ones(1, 1, 16, 16)
    where = tmp_path / "file" / "within"
    assert few(sampler_of(Painter()), pictures, folder=where, progress=quiet).shape == (
        1,
        2,
    )


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 28, 28), (3, 20, 50), (4, 5, 4)])
def test_pictures_of_any_size_are_looked_at(shape: tuple[int, ...]) -> None:
    """Down to 4 places a side at most, or 1."""
    network = network_of(shape, 2, 7)
    assert network(torch.rand(2, *shape)).shape == (2, 7)
    assert network[-1].in_features <= 16 * 2 * 8


def test_samples_that_are_no_pictures_are_refused(tmp_path: Path) -> None:
    """With their shape."""
    points = Sampler(
        Painter(), None, Noise(size=2), Facts((2,)), (), torch.device("cpu")
    )
    with pytest.raises(ValueError, match=r"this run's samples are \(2,\)"):
        SMALL(points, torch.zeros(1, 2), folder=tmp_path, progress=quiet)
