"""Annotations of any name and kind: three plugins of strangers, and what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import gankit
from games import Labels, Linear, Logistic, Numbers, make_assembly, make_run
from gankit import UNBOUNDED, Classes, Facts, Item, Picture, Shapes, Tags, Texts, Vector
from gankit.cli import run as command
from gankit.compute.processes import Processes
from gankit.data.columns import Columns
from gankit.data.facts import read_again, written
from gankit.data.items import Data
from gankit.data.reading import read_data
from gankit.errors import DataError, MisfitError, UsageError
from gankit.watchers.probe import DIVERSITY, EFFECT, NOISE_EFFECT, Probe
from tiny import tree, write

CPU = torch.device("cpu")
WriteFile = Callable[[str, str], Path]

# as three strangers would write them: numbers of a table, tags, and paired pictures
PARTS = '''
import csv
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from gankit import Facts, Item, Part, Picture, Tags, Vector, hookimpl


def pixels(path):
    with Image.open(path) as picture:
        grey = picture.convert("L")
        return torch.tensor(list(grey.tobytes()), dtype=torch.uint8).view(1, 4, 4)


class Table:
    """Pictures, and a table with numbers of each."""

    def __init__(self, *, root: Path):
        with open(root / "poses.csv", newline="") as file:
            head, *self.lines = csv.reader(file)
        self.root = root
        self.facts = Facts((1, 4, 4), pose=Vector(head[1:]))

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        name, *numbers = self.lines[index]
        return Item(pixels(self.root / name), pose=[float(n) for n in numbers])


class Poses(nn.Module):
    """Numbers, standardised."""

    reads = "pose"

    def __init__(self, facts):
        super().__init__()
        self.numbers = facts.declared("pose", Vector)
        self.size = len(self.numbers.names)
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("std", torch.ones(self.size))

    def fit(self, data, /, *, device, seed, progress):
        poses = data.annotations["pose"]
        self.mean, self.std = poses.mean(0).to(device), poses.std(0).to(device)

    def tokens(self, raw):
        return raw  # (N, n)

    def forward(self, tokens):
        return (tokens - self.mean) / self.std

    def parse(self, text):
        return self.numbers.parse(text)


class Tagged:
    """Pictures that are bright, striped, both or neither."""

    facts = Facts((1, 4, 4), traits=Tags(("bright", "striped")))

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return Item(self.draw(index), **self.annotations(index))

    def annotations(self, index):
        wanted = {"bright": index % 2, "striped": index // 2 % 2}
        return {"traits": {name for name, there in wanted.items() if there}}

    def draw(self, index):
        sample = torch.full((1, 4, 4), 200 if index % 2 else 50, dtype=torch.uint8)
        sample[:, :: 2 if index // 2 % 2 else 4] += index
        return sample


class Traits(nn.Module):
    """The sum of learned vectors, one for each tag."""

    reads, size = "traits", 3

    def __init__(self, facts):
        super().__init__()
        self.tags = facts.declared("traits", Tags)
        self.vectors = nn.Linear(len(self.tags.names), self.size)

    def tokens(self, raw):
        return raw  # (N, n)

    def forward(self, tokens):
        return self.vectors(tokens.float())

    def parse(self, text):
        return self.tags.parse(text)


class Pairs:
    """Pictures, each with a sketch of it."""

    facts = Facts((1, 4, 4), sketch=Picture((1, 2, 2)))

    def __init__(self, *, root: Path):
        self.paths = sorted(root.glob("*.png"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        whole = pixels(self.paths[index])
        return Item(whole, sketch=whole[:, ::2, ::2] // 64 * 64)


class Sketch(nn.Module):
    """The pixels of a picture in a row."""

    reads = "sketch"

    def __init__(self, facts):
        super().__init__()
        self.picture = facts.declared("sketch", Picture)
        self.size = self.picture.shape[1] * self.picture.shape[2]

    def tokens(self, raw):
        return raw  # (N, 1, H, W)

    def forward(self, tokens):
        return tokens.flatten(1) / 255

    def parse(self, text):
        return self.picture.parse(text)


@hookimpl
def gankit_parts():
    yield Part("dataset", "table", Table)
    yield Part("conditioner", "poses", Poses)
    yield Part("dataset", "tagged", Tagged)
    yield Part("conditioner", "traits", Traits)
    yield Part("dataset", "pairs", Pairs)
    yield Part("conditioner", "sketch", Sketch)
'''
# the data set, the conditioner, and the condition that is asked for, in two forms
MODELS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "numbers of a table": (
        "table",
        "poses",
        {"pose": "pitch=-1, yaw=0.5"},
        {"pose": (0.5, -1.0)},
    ),
    "tags": ("tagged", "traits", {"traits": "Striped, 0"}, {"traits": {0, 1}}),
    "paired pictures": (
        "pairs",
        "sketch",
        {"sketch": torch.full((1, 2, 2), 64, dtype=torch.uint8)},
        {"sketch": [torch.full((1, 2, 2), 64, dtype=torch.uint8)]},
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write 24 pictures of 4 x 4 pixels, and a table of two numbers of each."""
    root = tmp_path / "files"
    root.mkdir()
    rng = torch.Generator().manual_seed(0)
    lines = ["file,yaw,pitch"]
    for i in range(24):
        pixels = torch.randint(0, 256, (16,), generator=rng).tolist()
        Image.frombytes("L", (4, 4), bytes(pixels)).save(root / f"{i:02}.png")
        lines.append(f"{i:02}.png,{i / 10},{-i}")
    (root / "poses.csv").write_text("\n".join(lines), "utf-8")
    return root


def _recipe(folder: Path, dataset: str, conditioner: str, files: Path) -> str:
    root = {} if dataset == "tagged" else {"root": str(files)}
    table = {
        "dataset": {"use": dataset, **root},
        "conditioner": {"use": conditioner},
        "noise": {"size": 2},
        "generator": {"use": "mlp", "hidden": [8]},
        "discriminator": {"use": "maxout", "sample_hidden": 4, "hidden": [4]},
        "loss": {"use": "hinge"},
        "train": {
            "steps": 6,
            "batch_size": 8,
            "device": "cpu",
            "samples": 4,
            "checkpoint_every": 3,
            "data": "streamed",
            "workers": 0,
            "reduce": "exact",
        },
    }
    return write(folder, table)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_a_stranger_is_trained_resumed_and_sampled(
    model: str, tmp_path: Path, files: Path, plugin_file: WriteFile
) -> None:
    """Stopped in two processes and resumed in one, it ends at the very same bits."""
    dataset, conditioner, text, value = MODELS[model]
    plugin = plugin_file("strangers.py", PARTS)
    recipe = _recipe(tmp_path, dataset, conditioner, files)
    straight = gankit.train(recipe, out=tmp_path / "straight", plugins=[plugin])
    halves = tmp_path / "halves"
    words = ["--plugin", plugin, "--out", halves, "--processes", "2", "train.steps=3"]
    subprocess.run(
        [sys.executable, "-m", "gankit", "train", recipe, *map(str, words)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    gankit.resume(halves, {"train.steps": 6})
    last = Path("checkpoints") / "00000006"
    weights = [tree(run / last) for run in (tmp_path / "straight", halves)]
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0].keys() - {"manifest.json"}:  # which says how many processes
        assert weights[0][name] == weights[1][name]
    sampler = gankit.load(halves)
    assert sampler.facts == straight.data.facts
    own = sampler.sample(8)
    assert torch.equal(own.samples, straight.sampler.sample(8).samples)
    one, same = sampler.sample(8, **text), sampler.sample(8, **value)
    assert torch.equal(one.samples, same.samples)
    assert not torch.equal(one.samples, own.samples)
    assert (halves / "samples" / "00000006.png").exists()


def test_a_condition_is_set_by_its_name_on_the_command_line(
    tmp_path: Path, files: Path, plugin_file: WriteFile, capsys: Any
) -> None:
    """The text that is given stands beside the samples; what is wrong is refused."""
    plugin = plugin_file("strangers.py", PARTS)
    recipe = _recipe(tmp_path, "table", "poses", files)
    gankit.train(recipe, {"train.steps": 1}, out=tmp_path / "run", plugins=[plugin])
    words = ["sample", str(tmp_path / "run"), "-n", "2", "-o", str(tmp_path / "a.png")]
    assert command([*words, "--set", "pose=yaw=1, pitch=2", "--json"]) == 0
    assert '"captions": ["yaw=1, pitch=2", "yaw=1, pitch=2"]' in capsys.readouterr().out
    for asked, said in {
        "pose=yaw=1": "pose: 'yaw=1' gives no 'pitch'; write yaw=0.5, pitch=0.5",
        "pose=yaw=1, ptch=2": "no number is called 'ptch'; did you mean 'pitch'?",
        "pose=yaw=left, pitch=2": "'yaw=left' has no number; write yaw=0.5",
        "age=3": "this run is conditioned on its pose: it takes no age to sample from",
        "pose": "--set pose: write it as NAME=TEXT",
        "seed=3": "'seed' is no name of an annotation",
    }.items():
        assert command([*words, "--set", asked]) == 2
        assert said in capsys.readouterr().err


ALL: dict[str, Any] = {
    "label": Classes(("cat", "dog")),
    "captions": Texts(),
    "pose": Vector(("yaw", "pitch")),
    "traits": Tags(("old", "red", "wet")),
    "sketch": Picture((1, 1, 2)),
    "depth": Picture((1, 1, 2), (0, 1)),
}
VALUES: dict[str, Any] = {
    "label": 1,
    "captions": ("a dog",),
    "pose": (0.5, 2),
    "traits": {"wet", 0},
    "sketch": torch.tensor([[[0, 255]]], dtype=torch.uint8),
    "depth": torch.tensor([[[0.0, 0.5]]]),
}


class Known(Numbers):
    """Six numbers with an annotation of each kind, the last of which can be changed."""

    def __init__(self, declared: dict[str, Any] = ALL, **changes: Any) -> None:
        super().__init__(6, classes=0)
        self.facts = Facts((2,), sample_range=UNBOUNDED, **declared)
        self._changes = changes

    def __getitem__(self, index: int) -> Item:
        known = {n: v for n, v in VALUES.items() if n in self.facts.annotations}
        if index == 5:
            known = {n: v for n, v in (known | self._changes).items() if v is not None}
        return Item(super().__getitem__(index).sample, **known)


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_values_of_all_items_are_held_in_one_piece(mode: str) -> None:
    """Each kind in its own form, in the order of the items that can be read."""

    class Broken(Known):
        def __getitem__(self, index: int) -> Item:
            if index in (0, 2):
                raise gankit.BrokenItem(f"item {index}: broken")
            return super().__getitem__(index)

    data = read_data(Broken(label=0, captions=[]), device=CPU, mode=mode)
    held = data.annotations
    assert held.keys() == ALL.keys()
    assert torch.equal(held["label"], torch.tensor([1, 1, 1, 0]))
    assert held["captions"] == [("a dog",)] * 3 + [()]
    assert torch.equal(held["pose"], torch.tensor([[0.5, 2.0]] * 4))
    assert torch.equal(held["traits"], torch.tensor([[True, False, True]] * 4))
    assert torch.equal(held["sketch"], VALUES["sketch"].expand(4, 1, 1, 2))
    assert torch.equal(held["depth"], VALUES["depth"].expand(4, 1, 1, 2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": 2}, "label: 2 is the index of none of the 2 classes, .* 0 to 1"),
        ({"label": -1}, "label: -1 is the index of none"),
        ({"label": 0.0}, "label: 0.0 is the index of none"),
        ({"label": True}, "label: True is the index of none"),
        ({"label": "dog"}, "label: 'dog' is the index of none"),
        ({"captions": "a dog"}, r"captions: 'a dog' is one text; give a tuple"),
        ({"captions": (1,)}, r"captions: \(1,\) is no tuple of texts"),
        ({"pose": (1,)}, r"pose: \(1,\) has the shape \(1,\), and is not 2 numbers"),
        ({"pose": "12"}, "pose: '12' are not 2 numbers, 'yaw', 'pitch'"),
        ({"pose": (1, float("nan"))}, r"pose: \(1, nan\) has a number that is not fin"),
        ({"pose": (1, 1e39)}, r"has a number that is not finite"),
        ({"traits": {"dry"}}, "traits: no tag 'dry'; the tags are 'old', 'red', 'wet'"),
        ({"traits": {3}}, "traits: no tag 3; .* numbered 0 to 2"),
        ({"traits": {True}}, "traits: no tag True"),
        ({"traits": "wet"}, "traits: 'wet' is no set of tags"),
        ({"traits": torch.tensor([True])}, r"traits: bools of the shape \(1,\)"),
        (
            {"sketch": torch.zeros(1, 1, 2)},
            "sketch: .*float32 is not one .* torch.uint8",
        ),
        ({"sketch": [[[0, 1]]]}, "sketch: .* is no tensor"),
        ({"depth": torch.zeros(1, 1, 3)}, r"depth: .*\(1, 1, 3\).* is not one \(1, 1"),
        ({"depth": torch.full((1, 1, 2), 2.0)}, r"values that are not in \[0, 1\]"),
        ({"label": None}, "has the annotations 'captions', .* but the set declares 'l"),
        ({"age": 3}, "has the annotations .*'age', but the set declares 'label', "),
    ],
)
@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_a_value_that_was_not_declared_is_refused(
    changes: dict[str, Any], said: str, mode: str
) -> None:
    """When it is read, with the item, the value, and what to do."""
    with pytest.raises(DataError, match=f"item 5 of the data set.*{said}") as refused:
        read_data(Known(**changes), device=CPU, mode=mode)
    assert "its author has to" in str(refused.value)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"label": 4}, "item 0 .*, label: 4 is the index of none of the 4 classes"),
        ({}, "item 0 of the data set has the annotations none, but the set declares"),
        ((1, ()), "the annotations of item 0 are a tuple; .* by name"),
    ],
)
def test_the_first_items_are_looked_at_when_parts_are_assembled(
    annotations: Any, said: str
) -> None:
    """And so is what a data set says of them without reading them."""

    class Telling(Numbers):
        def annotations(self, index: int) -> Any:
            return annotations

    with pytest.raises(DataError, match=said):
        make_assembly(dataset=Telling())


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Classes(()), r"\(\) are no names"),
        (lambda: Classes("ab"), "'ab' are no names"),
        (lambda: Classes(("a", "b", "a")), "the names 'a' are there twice"),
        (lambda: Vector((1, 2)), r"\(1, 2\) are no names"),
        (lambda: Vector(2), "2 are no names"),
        (lambda: Tags(("",)), "are no names"),
        (lambda: Picture((4, 4)), r"\(4, 4\) is no shape of a picture"),
        (lambda: Picture(4), "4 is no shape of a picture"),
        (lambda: Picture((1, 4, 4), (1, 0)), r"\(1, 0\) is no range"),
        (lambda: Facts((2,), classes=("a", "b")), "'classes' is declared as .*declare"),
        (lambda: Facts((2,), captioned=True), "'captioned' is declared as True"),
        (lambda: Facts((2,), sample_range=Texts()), "'sample_range' is no name"),
        (lambda: Facts((2,), **{"a b": Texts()}), "'a b' is no name of an annotation"),
        (lambda: Facts((2,), **{"class": Texts()}), "'class' is no name"),
        (lambda: Facts((2,), _hidden=Texts()), "'_hidden' is no name"),
        (lambda: Facts((2,), seed=Texts()), "'seed' is no name of an annotation: it"),
        (lambda: Facts((2,), self=Texts()), "'self' is no name of an annotation: it"),
    ],
)
def test_what_cannot_be_declared_is_refused(
    declare: Callable[[], object], said: str
) -> None:
    """When it is written down, not when it is used."""
    with pytest.raises(DataError, match=said):
        declare()


def test_facts_come_back_from_what_is_written() -> None:
    """They are equal, whatever is declared, and in the same order."""
    facts = Facts((2,), sample_range=UNBOUNDED, **ALL)
    again = read_again(written(facts))
    assert again == facts
    assert list(again.annotations) == list(facts.annotations)
    assert read_again(written(Facts((1, 2, 2)))) == Facts((1, 2, 2))


@given(st.data())
def test_a_value_that_was_checked_is_a_value_and_its_text_means_it(data: Any) -> None:
    """Numbers to the six digits that are written."""
    label = data.draw(st.integers(0, 1))
    numbers = data.draw(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2))
    tags = data.draw(st.sets(st.integers(0, 2)))
    for name, value in {"label": label, "pose": numbers, "traits": tags}.items():
        kind = ALL[name]
        kept = kind.checked(value)
        torch.testing.assert_close(kind.checked(kept), kept)
        meant = kind.checked(kind.parse(kind.text(kept)))
        torch.testing.assert_close(meant, kept, rtol=1e-5, atol=1e-30)


class Telling(Processes):
    """The first of two processes; what it tells is kept, the other has read nothing."""

    told: ClassVar[list[Any]] = []

    def gather(self, value: Any) -> list[Any]:
        """Keep what is told, as it would be sent."""
        self.told.append(value)
        return [value, {name: column[:0] for name, column in value.items()}]

    def any(self, asked: bool) -> bool:
        """Agree."""
        return asked


def test_processes_tell_each_other_their_own_rows_and_no_picture() -> None:
    """Six items are the first process's, all of them; with pictures it says nothing."""
    small = {name: kind for name, kind in ALL.items() if not isinstance(kind, Picture)}
    Telling.told.clear()
    data = read_data(Known(small), device=CPU, mode="streamed", processes=TWO)
    rows, broken = Telling.told
    assert broken == {}
    assert {name: len(column) for name, column in rows.items()} == dict.fromkeys(
        small, 6
    )
    assert torch.equal(data.annotations["pose"], rows["pose"])
    Telling.told.clear()
    data = read_data(Known(), device=CPU, mode="streamed", processes=TWO)
    assert Telling.told == [{}]
    assert torch.equal(data.annotations["sketch"][5], VALUES["sketch"])


def test_what_another_process_has_read_is_put_into_its_rows() -> None:
    """The rows of this one stay as they are."""
    declared = {"label": ALL["label"], "captions": Texts()}
    columns = Columns(declared, 4)
    columns.put(0, {"label": 1, "captions": ("own",)})
    told = {"label": torch.tensor([1, 0]), "captions": [("b",), ("d", "e")]}
    columns.put_rows(torch.tensor([1, 3]), told)
    rows = columns.rows(torch.arange(4))
    assert rows["label"].tolist() == [1, 1, 0, 0]
    assert rows["captions"] == [("own",), ("b",), (), ("d", "e")]


TWO = Telling(0, 2, 0, 2)
# six items: what is read of them, and the strangers of item 0
ALIKE: dict[str, tuple[dict[str, Any], list[Any], set[int]]] = {
    "classes of any name": ({"breed": ALL["label"]}, [0, 0, 1, 1, 0, 1], {2, 3, 5}),
    "vectors": (
        {"pose": ALL["pose"]},
        [(0.0, 1), (-0.0, 1), (1, 0), (0, 1), (2, 2), (1, 0)],
        {2, 4, 5},
    ),
    "tags": (
        {"traits": ALL["traits"]},
        [{0}, {"old"}, {0, 1}, set(), {0}, {2}],
        {2, 3, 5},
    ),
    "pictures": (
        {"depth": ALL["depth"]},
        [torch.full((1, 1, 2), v) for v in (0.0, 0.5, 0.0, 1.0, -0.0, 0.5)],
        {1, 3, 5},
    ),
    "texts": (
        {"titles": Texts()},
        [("a",), ("b",), ("A ",), ("c", "a"), (), ("b",)],
        {1, 4, 5},
    ),
}


class Listed(Numbers):
    """Numbers with the values of one annotation."""

    def __init__(
        self, declared: dict[str, Any], values: list[Any], **more: Any
    ) -> None:
        super().__init__(len(values), classes=0)
        self.facts = Facts((2,), sample_range=UNBOUNDED, **declared, **more)
        [self._name], self._values = declared, values
        self._label = {"label": 0} if more else {}

    def __getitem__(self, index: int) -> Item:
        sample = super().__getitem__(index).sample
        return Item(sample, **{self._name: self._values[index]}, **self._label)


def _read(dataset: Any, reads: str) -> Data:
    data = read_data(dataset, device=CPU)
    data.reads = reads
    return data


@pytest.mark.parametrize("kind", ALIKE)
def test_a_stranger_has_another_value_of_what_is_read(kind: str) -> None:
    """All that have another are met equally often, and no other."""
    declared, values, wanted = ALIKE[kind]
    data = _read(Listed(declared, values), next(iter(declared)))
    rng = torch.Generator().manual_seed(0)
    met = Counter(data.strangers(torch.zeros(3000, dtype=torch.long), rng).tolist())
    assert met.keys() == wanted
    # 1000 expected in each of three, standard deviation 26
    assert all(abs(count - 1000) < 4.5 * 26 for count in met.values())


def test_what_is_not_read_makes_no_condition_wrong() -> None:
    """One class for all is no bar where numbers are read, but it is one with texts."""
    declared, values, wanted = ALIKE["vectors"]
    data = _read(Listed(declared, values, label=ALL["label"]), "pose")
    rng = torch.Generator().manual_seed(0)
    assert int(data.strangers(torch.tensor([0]), rng)) in wanted
    declared, values, _ = ALIKE["texts"]
    data = _read(Listed(declared, values, label=ALL["label"]), "titles")
    with pytest.raises(
        DataError, match="all items that can be read have the same 'lab"
    ):
        data.strangers(torch.tensor([0]), rng)
    data = _read(Listed(ALIKE["tags"][0], [{0}, {"old"}]), "traits")
    with pytest.raises(DataError, match="have the same 'traits', so that none has a"):
        data.strangers(torch.tensor([0]), rng)


def test_the_fingerprint_takes_in_every_annotation() -> None:
    """A change of any of them, in one item, is another data set."""
    changed = {
        "label": 0,
        "captions": ("a cat",),
        "pose": (0.5, 3),
        "traits": (),
        "sketch": torch.zeros(1, 1, 2, dtype=torch.uint8),
        "depth": torch.zeros(1, 1, 2),
    }
    every = [{}, *({name: value} for name, value in changed.items())]
    prints = [read_data(Known(**c), device=CPU).fingerprint() for c in every]
    assert len(set(prints)) == 7
    assert read_data(Known(), device=CPU).fingerprint() == prints[0]


@frozen
class Asking(Logistic):
    """A loss that names what it needs."""

    needs: Any = ()


def test_a_loss_finds_the_annotations_of_its_batch() -> None:
    """In the rows of the real samples, which here are the numbers of the items."""

    class Counted(Known):
        def __getitem__(self, index: int) -> Item:
            item = super().__getitem__(index)
            own = {"label": index % 2, "captions": (str(index),), "pose": (index, 0)}
            return Item(item.sample, **{**item.annotations, **own})

    seen: list[Any] = []

    class Looking(Logistic):
        needs = tuple(ALL)

        def generator(self, step: Any) -> Tensor:
            seen.append((step.real, {n: step.annotation(n) for n in self.needs}))
            return super().generator(step)

    run = make_run(dataset=Counted(), loss=Looking(), train={"batch_size": 4})
    run.game.play(0)
    real, known = seen[-1]  # those before are of the trial
    numbers = real[:, 0].long()
    assert torch.equal(known["label"], numbers % 2)
    assert known["captions"] == [(str(number),) for number in numbers.tolist()]
    assert torch.equal(known["pose"][:, 0], real[:, 0])
    assert known["traits"].shape == (4, 3)
    assert known["sketch"].shape == known["depth"].shape == (4, 1, 1, 2)


def test_a_loss_that_asks_for_what_it_does_not_name_is_told() -> None:
    """When it is tried, with the annotations that there are, and the line to write."""

    class Looking(Logistic):
        def generator(self, step: Any) -> Tensor:
            step.annotation("age")
            return super().generator(step)

    with pytest.raises(UsageError, match=r"'age', it has 'label'.*needs = \('age',\)"):
        make_assembly(loss=Looking())


class Posed(Labels):
    """A conditioner of numbers."""

    reads, size = "pose", 2

    def tokens(self, raw: Any) -> Tensor:
        """Take numbers."""
        assert isinstance(raw, Tensor)
        return raw

    def forward(self, tokens: Tensor) -> Tensor:
        """Give them as they are."""
        return tokens

    def parse(self, text: str) -> Any:
        """Read numbers without their names."""
        return [float(word) for word in text.split()]


def test_what_parts_ask_for_and_the_data_lacks_is_said_at_once() -> None:
    """Each with its part, and what the data has instead."""
    with pytest.raises(MisfitError) as refused:
        make_assembly(conditioner=Posed(), loss=Asking(("age", "label")))
    assert refused.value.problems == (
        "the conditioner Posed reads 'pose', and the data set has 'label'; use a "
        "data set with 'pose', or another conditioner",
        "the loss Asking needs 'age', and the data set has 'label'; use a data set "
        "with 'age', or another loss",
    )


def test_a_conditioner_that_makes_no_value_of_a_text_is_refused() -> None:
    """When it is tried; that it does not know a text is no fault."""

    class Wrong(Labels):
        def parse(self, text: str) -> Any:
            return text

    with pytest.raises(
        MisfitError, match=r"Wrong.parse gave no value of 'label' for 'c"
    ):
        make_assembly(conditioner=Wrong())
    assert make_assembly(conditioner=Labels())  # which knows numbers, and no names


@pytest.mark.parametrize(
    ("conditioner", "asked", "said"),
    [
        (Labels, {"label": 12}, "label: 12 is the index of none of the 2 classes"),
        (Labels, {"label": -1}, "label: -1 is the index of none"),
        (Labels, {"label": "12"}, "label: 12 is the index of none"),  # it parses all
        (Labels, {"label": None}, "label: None is the index of none"),
        (Labels, {"label": []}, "label: the list is empty"),
        (Labels, {"captions": "x"}, "conditioned on its label: it takes no captions"),
        (
            Labels,
            {"label": 1, "age": 3},
            "is conditioned on its label: it takes no age",
        ),
        (Posed, {"pose": "1 2 3"}, r"pose: \[1.0, 2.0, 3.0\] has the shape \(3,\)"),
        (Posed, {"pose": "a"}, "pose: could not convert"),
        (Posed, {"pose": [1.0, 2.0]}, r"pose: 1.0 has the shape \(\), and is not 2"),
        (None, {"label": 1}, "this run is not conditioned: it takes no label"),
    ],
)
def test_what_is_no_condition_of_a_run_is_refused(
    conditioner: Any, asked: dict[str, Any], said: str
) -> None:
    """No index is out of range in silence."""
    run = make_run(
        dataset=Known(),
        conditioner=conditioner and conditioner(),
        train={"batch_size": 4},
    )
    with pytest.raises(UsageError, match=said):
        run.sampler.sample(2, **asked)


def test_the_conditions_in_a_list_take_turns() -> None:
    """As texts or as values; their texts are told, one beside each sample."""
    run = make_run(dataset=Known(), conditioner=Posed(), train={"batch_size": 4})
    drawn = run.sampler.sample(3, pose=["1 2", (3, 4)])
    assert drawn.captions == ("1 2", "yaw=3, pitch=4", "1 2")
    alone = run.sampler.sample(3, pose=(3, 4)).samples
    assert torch.equal(drawn.samples[1], alone[1])
    walked = run.sampler.interpolate(rows=2, steps=2, pose=["1 2", (3, 4)])
    assert walked.captions == ("1 2",) * 2 + ("yaw=3, pitch=4",) * 2


def test_the_probe_goes_by_the_kind_of_what_is_read() -> None:
    """Classes of any name are compared within; only texts have an effect of noise."""

    class Breeds(Labels):
        reads = "breed"

    class Titles(Labels):
        reads = "titles"

        def tokens(self, raw: Any) -> Tensor:
            return torch.tensor([len(texts) for texts in raw])

        def parse(self, text: str) -> Any:
            return (text,)

    found = {}
    for kind, conditioner in {
        "classes of any name": Breeds(),
        "vectors": Posed(),
        "texts": Titles(),
    }.items():
        run = make_run(
            dataset=Listed(*ALIKE[kind][:2]),
            conditioner=conditioner,
            generator=Linear(Shapes((2,), 3, conditioner.size)),
            train={"batch_size": 4},
        )
        probe = Probe(run)
        found[kind] = (probe.within, probe.look(run).keys())
    assert found == {
        "classes of any name": (True, {DIVERSITY, EFFECT}),
        "vectors": (False, {DIVERSITY, EFFECT}),
        "texts": (False, {DIVERSITY, EFFECT, NOISE_EFFECT}),
    }


def test_a_conditioner_asks_for_an_annotation_by_name_and_kind() -> None:
    """It is given what is declared of it, or told what there is instead."""
    facts = Facts((2,), label=Texts())
    assert facts.declared("label", Texts) == Texts()
    with pytest.raises(
        ValueError, match=r"no annotation 'label' of Classes, it has lab"
    ):
        facts.declared("label", Classes)
