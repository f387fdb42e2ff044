"""Every combination of parts either trains or is refused with the remedy."""

from __future__ import annotations

import json
import pickle
import re
import struct
import tomllib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve, field, fields, frozen
from PIL import Image, ImageDraw
from torchvision.datasets import cifar

from gankit.data.facts import Facts
from gankit.errors import MisfitError
from gankit.game.noise import Noise
from gankit.game.settings import PLAYERS, Optimizer, Train
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Entry
from gankit.recipe.building import assemble
from gankit.recipe.recipe import Recipe, Use
from gankit.recipe.values import structure_options
from gankit.runs.preparation import prepare

PACKAGES = (Path(__file__).parents[1] / "plugins").glob("*/pyproject.toml")
OURS = {tomllib.loads(p.read_text("utf-8"))["project"]["name"] for p in PACKAGES}

ITEMS = 12
# options that make a part small; one that is not here is taken as it is
TINY: dict[tuple[str, str], dict[str, Any]] = {
    ("generator", "mlp"): {"hidden": [8], "output": "linear"},
    ("generator", "dcgan"): {"width": 2},
    ("discriminator", "mlp"): {"hidden": [8]},
    ("discriminator", "maxout"): {"sample_hidden": 8, "hidden": [8]},
    ("discriminator", "dcgan"): {"width": 2},
    ("conditioner", "char-cnn-rnn"): {
        "size": 8,
        "channels": [4, 4, 4],
        "length": 48,
        "fit_steps": 2,
        "fit_batch": 4,
    },
    ("dataset", "mnist"): {"size": 16, "download": False},
    ("dataset", "fashion-mnist"): {"size": 16, "download": False},
    ("dataset", "stacked-mnist"): {"size": 16, "items": 64, "download": False},
    ("dataset", "cifar10"): {"size": 16, "download": False},
    ("dataset", "image-folder"): {"size": 16},
    ("dataset", "captioned-folder"): {"size": 16},
    ("dataset", "gaussians"): {"samples": ITEMS},
    ("dataset", "shapes"): {"items": ITEMS, "size": 16},
}
# what a part cannot do without, and what its refusal has to say
NEEDS: dict[tuple[str, str], tuple[Callable[[Facts, str], bool], str]] = {
    ("generator", "dcgan"): (lambda facts, _: _images(facts), "generator 'dcgan'"),
    ("discriminator", "dcgan"): (
        lambda facts, _: _images(facts),
        "discriminator 'dcgan'",
    ),
    ("conditioner", "label"): (
        lambda facts, _: "label" in facts.annotations,
        "no annotation",
    ),
    ("conditioner", "char-cnn-rnn"): (
        lambda facts, _: "captions" in facts.annotations and _images(facts),
        "no annotation",
    ),
    ("loss", "matching-aware"): (lambda _, conditioner: conditioner != "none", "no c"),
    ("augmentation", "diffaugment"): (lambda facts, _: _images(facts), "diffaugment"),
}
REMEDY = re.compile(r"\b(choose|set|take|use|drop|leave|give|have|lower|add)\b")


def _images(facts: Facts) -> bool:
    return len(facts.sample_shape) == 3


@frozen
class Combination:
    """One name for each place of a recipe."""

    dataset: str
    conditioner: str
    generator: str
    discriminator: str
    loss: str
    penalty: str = "none"
    augmentation: str = "none"

    def __str__(self) -> str:
        names = (self.dataset, self.conditioner, self.generator, self.discriminator)
        more = (name for name in (self.penalty, self.augmentation) if name != "none")
        return "-".join([*names, self.loss, *more])


ENTRIES = [e for e in discover().entries() if e.plugin.name in OURS]


def _known(kind: str) -> list[str]:
    return [entry.part.name for entry in ENTRIES if entry.part.kind == kind]


PRODUCT = [
    Combination(*names)
    for names in product(
        _known("dataset"),
        ["none", *_known("conditioner")],
        _known("generator"),
        _known("discriminator"),
        _known("loss"),
    )
]
# what is added to the game is tried in one game for each network, or data set, it sees
ADDED = [
    Combination("shapes", "label", "mlp", discriminator, "hinge", penalty)
    for discriminator, penalty in product(_known("discriminator"), _known("penalty"))
] + [
    Combination(dataset, "none", "mlp", "mlp", "hinge", "none", augmentation)
    for dataset, augmentation in product(_known("dataset"), _known("augmentation"))
]


@frozen
class Outcome:
    """What became of a combination: problems, or what was measured in two steps."""

    problems: tuple[str, ...] = ()
    finite: bool = False
    moved: dict[str, bool] = field(factory=dict)


class Arena:
    """Plays combinations, each once; data sets are read once."""

    def __init__(self, root: Path) -> None:
        self.registry = discover()
        self._root = root
        self._known: dict[Combination, Outcome] = {}
        self._datasets: dict[str, Use] = {}

    def facts(self, dataset: str) -> Facts:
        """Say what a data set knows."""
        return self._dataset(dataset).build().facts  # type: ignore[no-any-return]

    def outcome(self, combination: Combination) -> Outcome:
        """Play a combination for two steps, unless it is refused."""
        if combination not in self._known:
            self._known[combination] = self._play(self._recipe(combination))
        return self._known[combination]

    def _recipe(self, names: Combination) -> Recipe:
        adam = Optimizer(use="Adam", options={"lr": 1e-2})
        return Recipe(
            name=str(names),
            dataset=self._dataset(names.dataset),
            conditioner=self._maybe("conditioner", names.conditioner),
            generator=self._use("generator", names.generator),
            discriminator=self._use("discriminator", names.discriminator),
            loss=self._use("loss", names.loss),
            penalties=self._list("penalty", names.penalty),
            augmentations=self._list("augmentation", names.augmentation),
            noise=Noise(size=4),
            train=Train(steps=2, batch_size=4, device="cpu", samples=2),
            optimizers=dict.fromkeys(PLAYERS, adam),
            registry=self.registry,
        )

    def _play(self, recipe: Recipe) -> Outcome:
        try:
            run = prepare(assemble(recipe), self.registry.hooks)
        except MisfitError as error:
            return Outcome(problems=error.problems)
        networks = {p: getattr(run.game, p).network for p in PLAYERS}
        before = {p: _weights(network) for p, network in networks.items()}
        measured = [run.game.play(step) for step in range(2)]
        values = torch.stack([v for report in measured for v in report.values()])
        return Outcome(
            finite=bool(values.isfinite().all()),
            moved={
                p: bool((_weights(n) != before[p]).any()) for p, n in networks.items()
            },
        )

    def _use(self, kind: str, name: str) -> Use:
        entry = self.registry.find(kind, name)
        options = dict(TINY.get((kind, name), {}))
        if any(option.name == "root" for option in entry.options):
            options["root"] = str(self._root / name)
        problems: list[str] = []
        values = structure_options(options, entry.options, f"{kind} {name}", problems)
        assert problems == [], "give the new part tiny options in TINY"
        return Use(entry, values)

    def _maybe(self, kind: str, name: str) -> Use | None:
        return None if name == "none" else self._use(kind, name)

    def _list(self, kind: str, name: str) -> tuple[Use, ...]:
        return () if name == "none" else (self._use(kind, name),)

    def _dataset(self, name: str) -> Use:
        if name not in self._datasets:
            use = self._use("dataset", name)
            built = use.build()
            part = evolve(use.entry.part, factory=lambda: built)
            self._datasets[name] = Use(evolve(use.entry, part=part), {})
        return self._datasets[name]


def _weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def _write_idx(folder: Path) -> None:
    """Write the four files of a tiny MNIST, unpacked."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for split in ("train", "t10k"):
        pixels = torch.randint(0, 256, (ITEMS * 784,), generator=rng).tolist()
        head = struct.pack(">4i", 0x803, ITEMS, 28, 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(head + bytes(pixels))
        labels = bytes(i % 10 for i in range(ITEMS))
        head = struct.pack(">2i", 0x801, ITEMS)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(head + labels)


def _write_cifar(folder: Path) -> None:
    """Write the batches of a tiny CIFAR-10, unpacked."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = torch.randint(0, 256, (4, 3072), generator=rng, dtype=torch.uint8)
        batch = {"data": pixels.numpy(), "labels": [0, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = {"label_names": [f"kind {i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))


def _write_pictures(folder: Path) -> list[str]:
    """Draw squares and discs into a folder of each; return their paths in it."""
    names = []
    for i in range(ITEMS):
        shape = ("square", "disc")[i % 2]
        picture = Image.new("RGB", (20, 16), (20 * i, 100, 200))
        draw = ImageDraw.Draw(picture)
        (draw.rectangle if i % 2 == 0 else draw.ellipse)((4, 3, 12, 11), "white")
        names.append(f"{shape}/{i}.png")
        (folder / shape).mkdir(parents=True, exist_ok=True)
        picture.save(folder / names[-1])
    return names


def _write_captions(folder: Path) -> None:
    """Draw pictures, and say what is on them."""
    lines = [
        json.dumps({"image": name, "captions": [f"a {name[:4]}", f"number {i}"]})
        for i, name in enumerate(_write_pictures(folder))
    ]
    (folder / "captions.jsonl").write_text("\n".join(lines), "utf-8")


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Give the arena, with tiny data in the formats of the real ones."""
    root = tmp_path_factory.mktemp("data")
    _write_idx(root / "mnist" / "MNIST" / "raw")
    _write_idx(root / "stacked-mnist" / "MNIST" / "raw")
    _write_idx(root / "fashion-mnist" / "FashionMNIST" / "raw")
    _write_cifar(root / "cifar10" / "cifar-10-batches-py")
    _write_pictures(root / "image-folder")
    _write_captions(root / "captioned-folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANKIT_CACHE", str(root / "cache"))
        # the digests are those of the real files
        patch.setattr(cifar, "check_integrity", lambda path, md5=None: True)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield Arena(root)
        torch.set_num_threads(before)


def _unmet(names: Combination, facts: Facts) -> list[str]:
    """Return what the refusal of a combination has to say, if it is to be refused."""
    places = ("generator", "discriminator", "conditioner", "loss", "augmentation")
    needs = [NEEDS.get((place, getattr(names, place))) for place in places]
    return [n[1] for n in needs if n is not None and not n[0](facts, names.conditioner)]


@pytest.mark.parametrize("names", [*PRODUCT, *ADDED], ids=str)
def test_a_combination_trains_or_is_refused(names: Combination, arena: Arena) -> None:
    """Two finite steps that move both players; or each misfit, with its remedy."""
    outcome = arena.outcome(names)
    unmet = _unmet(names, arena.facts(names.dataset))
    text = "\n".join(outcome.problems)
    assert bool(text) == bool(unmet), text
    if unmet:
        assert all(REMEDY.search(problem) for problem in outcome.problems), text
        assert any(fragment in text for fragment in unmet), text
        return
    assert outcome.finite
    assert outcome.moved == dict.fromkeys(PLAYERS, True)


# hooks, metrics and what they compare by play no game; their own tests call each
PLACES = {place.name for place in fields(Combination)}
PARTS = [entry for entry in ENTRIES if entry.part.kind in PLACES]


@pytest.mark.parametrize("entry", PARTS, ids=lambda e: f"{e.part.kind}-{e.part.name}")
def test_every_part_trains_in_some_combination(entry: Entry, arena: Arena) -> None:
    """None is refused everywhere, which would look like a pass above."""
    kind, name = entry.part.kind, entry.part.name
    candidates = [c for c in [*PRODUCT, *ADDED] if getattr(c, kind) == name]
    assert any(not arena.outcome(c).problems for c in candidates)


def test_the_product_writes_nothing(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal, and a run without a folder, leave no trace where they are called."""
    monkeypatch.chdir(tmp_path)
    for names in (
        PRODUCT[0],
        Combination("gaussians", "none", "dcgan", "mlp", "hinge"),
    ):
        arena._known.pop(names, None)
        arena.outcome(names)
    assert list(tmp_path.iterdir()) == []
