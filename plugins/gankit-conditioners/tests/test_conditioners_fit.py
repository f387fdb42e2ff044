"""Fitting the text encoder, and the cache of fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from gankit import Classes, Facts, Item, Texts
from gankit.data.items import Data
from gankit.data.reading import read_data
from gankit_conditioners.char_cnn_rnn import CharCNNRNN

CPU = torch.device("cpu")
COLOURS = ("red", "green", "blue", "yellow", "cyan", "purple", "white", "black")
PIXELS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]
PIXELS += [[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]]


class Swatches:
    """One plain image of each of eight colours, named in two ways."""

    facts = Facts((3, 8, 8), captions=Texts())

    def __init__(self, colours: tuple[str, ...] = COLOURS) -> None:
        self.captions = [(f"a {c} swatch", f"it is all {c}") for c in colours]
        self.looks = 0
        self.broken: dict[int, str] = {}
        self.looked_at: set[int] = set()

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def annotations(self) -> dict[str, list[tuple[str, ...]]]:
        """Give the captions."""
        return {"captions": self.captions}

    def samples(self, indices: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Draw the images with a little noise."""
        self.looks += 1
        self.looked_at |= {*indices.tolist()}
        pixels = torch.tensor(PIXELS)[indices][:, :, None, None].expand(-1, -1, 8, 8)
        noise = torch.randn(pixels.shape, generator=rng) if rng else 0.0
        return pixels * 2 - 1 + 0.05 * noise

    def fingerprint(self) -> str:
        """Tell one set of swatches from another."""
        return repr(self.captions)


def build(steps: int = 3, **options: object) -> CharCNNRNN:
    """Build a conditioner that is fitted in a moment."""
    sizes = {"size": 16, "channels": (8, 8, 8), "length": 48, "fit_batch": 8}
    return CharCNNRNN(
        Swatches.facts,
        **sizes | {"fit_steps": steps, "fit_lr": 2e-3} | options,  # type: ignore[arg-type]
    )


def fit(
    conditioner: CharCNNRNN, data: Swatches | Data | None = None, seed: int = 0
) -> list[tuple[int, int, str]]:
    """Fit and return what was reported."""
    reports: list[tuple[int, int, str]] = []
    conditioner.fit(
        data or Swatches(),
        device=CPU,
        seed=seed,
        progress=lambda *report: reports.append(report),
    )
    return reports


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep fits of a test in a folder of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(folder: Path) -> list[Path]:
    """List the fits in a cache folder."""
    return sorted(folder.rglob("*.safetensors"))


def assert_same(one: nn.Module, other: nn.Module) -> None:
    """Check that two modules hold the same bits."""
    theirs = other.state_dict()
    assert theirs.keys() == one.state_dict().keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_separable_captions_are_told_apart() -> None:
    """Every image finds its caption, and both names of a colour point the same way."""
    conditioner = build(200, channels=(32, 32, 32), fit_lr=1e-3)
    *_, (done, total, text) = fit(conditioner)
    assert done == total == 200
    assert "first 100%" in text
    tokens = conditioner.tokens(Swatches().captions)
    first, second = F.normalize(tokens - tokens.mean(dim=0), dim=2).unbind(1)
    assert (first @ second.T).argmax(dim=1).tolist() == list(range(8))


class PairedSwatches(Swatches):
    """Two colours are of one class."""

    facts = Facts((3, 8, 8), captions=Texts(), label=Classes(tuple("abcd")))

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    @property
    def annotations(self) -> dict[str, Any]:
        """Give captions and classes."""
        return {"captions": self.captions, "label": torch.arange(8) // 2}

    def samples(self, indices: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Draw the images, and remember which."""
        self.batches.append(indices)
        return super().samples(indices, rng)


def test_contrastive_batches_set_items_of_one_class_against_each_other() -> None:
    """Structured ones hold as many classes as items."""
    for loss, apart in (("structured", True), ("contrastive", False)):
        data = PairedSwatches()
        fit(build(20, fit_loss=loss, fit_batch=4), data)
        kinds = [len((items // 2).unique()) for items in data.batches]
        assert all(count == 4 for count in kinds) == apart


def test_vectors_of_the_data_have_unit_size() -> None:
    """The root mean square of all numbers of all captions is 1 after the fit."""
    conditioner = build()
    fit(conditioner)
    tokens = conditioner.tokens(Swatches().captions)
    assert tokens.square().mean().sqrt().item() == pytest.approx(1, rel=1e-5)
    assert conditioner.scale != 1


def test_the_first_loss_is_near_that_of_equal_scores() -> None:
    """Weights start small: the first batch costs about 2, and is ranked by chance."""
    (_, _, text) = fit(build(steps=1))[-1]
    loss = re.search(r"loss ([\d.]+)", text)
    assert loss is not None
    assert 1.5 < float(loss[1]) < 3
    assert "chance 12.5%" in text


def test_the_encoder_is_frozen_after_the_fit() -> None:
    """Nothing learns with the discriminator, and the state tells of the fit."""
    conditioner = build()
    assert not conditioner.fitted
    fit(conditioner)
    assert conditioner.fitted
    assert not [p for p in conditioner.parameters() if p.requires_grad]


def test_a_fit_follows_from_its_seed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other global randomness gives the same bits, another seed gives others."""
    fitted = []
    for place, seed in (("a", 5), ("b", 5), ("c", 6)):
        monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / place))
        torch.manual_seed(ord(place))
        fitted.append(build())
        fit(fitted[-1], seed=seed)
    assert_same(fitted[0], fitted[1])
    assert not torch.equal(fitted[0].scale, fitted[2].scale)


def test_a_fit_leaves_torch_as_it_was() -> None:
    """The global generator and the grad mode are as before."""
    conditioner = build()
    state = torch.get_rng_state()
    with torch.no_grad():
        fit(conditioner)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_steps_are_reported_to_the_last() -> None:
    """Progress never goes back and ends at the total, whatever the number of steps."""
    done = [report[0] for report in fit(build(steps=203, fit_batch=2))]
    assert done == sorted(done)
    assert done[-1] == 203
    assert len(done) < 110


def test_the_learning_rate_falls_at_each_200th_of_the_steps() -> None:
    """With a decay of 0 only the first of 200 steps moves anything."""
    short = build(steps=1, fit_batch=2)
    long = build(steps=200, fit_batch=2, fit_decay=0.0)
    for conditioner in (short, long):
        fit(conditioner)
    assert_same(short.encoder, long.encoder)


def test_losses_of_captions_are_reported() -> None:
    """What is cut is said before the first step."""
    data = Swatches()
    data.captions[0] = ("x" * 49,)
    assert "cut there: 1" in fit(build(), data)[0][2]


def test_the_same_fit_is_read_from_the_cache(folder: Path) -> None:
    """A second conditioner gets the same bits without looking at the data."""
    first, second, data = build(), build(captions=1), Swatches()
    fit(first)
    (path,) = kept(folder)
    assert path.parent.name == "char-cnn-rnn"
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing left aside
    (report,) = fit(second, data)
    assert data.looks == 0
    assert report[0] == report[1]
    assert_same(first, second)


@pytest.mark.parametrize(
    "options",
    [
        {"fit_steps": 4},
        {"fit_batch": 4},
        {"fit_lr": 1e-3},
        {"fit_decay": 0.9},
        {"fit_loss": "contrastive"},
        {"size": 8},
        {"length": 49},
        {"channels": (8, 8, 4)},
    ],
)
def test_other_options_are_another_fit(
    folder: Path, options: dict[str, object]
) -> None:
    """Whatever bears on the fit is in the name of the file."""
    fit(build())
    fit(build(**options))  # type: ignore[arg-type]
    assert len(kept(folder)) == 2


def test_another_seed_or_other_data_are_another_fit(folder: Path) -> None:
    """The cache never answers for what it was not asked."""
    fit(build())
    fit(build(), seed=1)
    fit(build(), Swatches(COLOURS[:7]))
    assert len(kept(folder)) == 3


class Coloured:
    """70 plain pictures of 8 x 8 random pixels, one of which can be another."""

    facts = Facts((3, 8, 8), captions=Texts())

    def __init__(self, changed: int | None = None) -> None:
        rng = torch.Generator().manual_seed(0)
        self.pictures = torch.randint(0, 256, (70, 3, 8, 8), generator=rng).byte()
        if changed is not None:
            self.pictures[changed] = 255 - self.pictures[changed]

    def __len__(self) -> int:
        return 70

    def __getitem__(self, index: int) -> Item:
        """Return a picture with its number for a caption."""
        return Item(self.pictures[index], captions=(f"number {index}",))


def test_any_other_picture_is_another_fit(folder: Path) -> None:
    """Each of 70 pictures bears on the fit, and each of them is in the file's name."""
    for changed in (None, *range(70), None):
        fit(build(steps=1), read_data(Coloured(changed), device=CPU))
    assert len(kept(folder)) == 71


def cut_off(path: Path, state: dict[str, Tensor]) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_shape(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state whose scale is not a scalar."""
    save_file(state | {"scale": torch.ones(2)}, path)


def other_names(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state that lacks the scale."""
    save_file({name: t for name, t in state.items() if name != "scale"}, path)


@pytest.mark.parametrize("damage", [cut_off, other_shape, other_names])
def test_a_damaged_cache_is_passed_over(
    folder: Path, damage: Callable[[Path, dict[str, Tensor]], None]
) -> None:
    """The fit is done again, to the same bits, and the file is mended."""
    first, second, third, data = build(), build(), build(), Swatches()
    fit(first)
    (path,) = kept(folder)
    damage(path, first.state_dict())
    fit(second, data)
    assert data.looks > 0
    assert_same(first, second)
    fit(third, data := Swatches())
    assert data.looks == 0


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be costs the cache, not the fit."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "file" / "cache"))
    conditioner = build()
    fit(conditioner)
    assert conditioner.fitted


def test_one_captioned_item_is_not_enough() -> None:
    """The error says how many there are and how many it takes."""
    data = Swatches()
    data.captions[1:] = [("",)] * 7
    with pytest.raises(ValueError, match=r"1 items .* at least 2"):
        fit(build(), data)


def test_one_caption_for_all_items_is_not_enough() -> None:
    """An encoder that ranks the only caption first has learnt nothing."""
    data = Swatches()
    data.captions = [("a swatch",)] * 8
    with pytest.raises(
        ValueError, match=r"one caption, 'a swatch', .* conditioner=none"
    ):
        fit(build(), data)


def test_a_fit_that_diverges_is_reported(folder: Path) -> None:
    """The error names the learning rate, and nothing is kept."""
    with pytest.raises(ValueError, match=r"diverged .* fit_lr = 1e\+30; lower fit_lr"):
        fit(build(fit_lr=1e30))
    assert not kept(folder)


def test_a_broken_item_is_not_fitted_to_its_neighbours_picture() -> None:
    """Its captions are not true of that; they are embedded all the same."""
    data = Swatches()
    data.broken = {2: "it breaks off"}
    conditioner = build(steps=6)
    fit(conditioner, data)
    assert data.looked_at == {*range(8)} - {2}
    assert conditioner.tokens(data.captions)[2].isfinite().all()
