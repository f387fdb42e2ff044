"""Assembly: what does not fit is refused, all of it, with the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

import gankit
from games import Judge, Labels, Linear, Logistic, Numbers, make_assembly, make_run
from gankit.contracts import Shapes
from gankit.data.annotations import Texts
from gankit.data.facts import Facts, Item
from gankit.errors import DataError, MisfitError, UsageError
from gankit.game.misfits import network_misfits
from gankit.plugins.discovery import discover
from gankit.recipe.building import assemble
from gankit.recipe.recipe import read_recipe
from gankit.runs.preparation import prepare
from sites import forget_modules_of, yields

SHAPES = Shapes((2,), 3)
CONDITIONED = Shapes((2,), 3, 3)


@frozen
class Conditional(Logistic):
    """A loss that cannot do without a conditioner."""

    needs_condition = True


@frozen
class Comparing(Logistic):
    """A loss that needs conditions of another class."""

    needs_mismatch = True


class Captions(Labels):
    """A conditioner that reads captions."""

    reads = "captions"

    def tokens(self, raw: Any) -> Tensor:
        """Turn captions into their lengths."""
        return torch.tensor([len(texts) for texts in raw])

    def parse(self, text: str) -> tuple[str]:
        """Understand what has letters."""
        if not text.isascii():
            raise ValueError(f"cannot read {text!r}")
        return (text,)


class Told(Numbers):
    """Numbers with captions."""

    def __init__(self, *captions: tuple[str, ...]) -> None:
        super().__init__(len(captions), classes=0)
        self._captions = captions
        self.facts = Facts((2,), self.facts.sample_range, captions=Texts())

    def __getitem__(self, index: int) -> Item:
        sample = super().__getitem__(index).sample
        return Item(sample, captions=self._captions[index])


class Bounded(Numbers):
    """Numbers that say they are within [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = Facts((2,), (0.0, 1.0), **self.facts.annotations)

    def __getitem__(self, index: int) -> Item:
        """Give zeros, or pixels if no range is declared."""
        pixels = self.facts.sample_range is None
        zeros = torch.zeros(2, dtype=torch.uint8 if pixels else torch.float32)
        return Item(zeros, **super().__getitem__(index).annotations)


def _generator(change: Callable[[Tensor], Any], **attributes: Any) -> nn.Module:
    class Changed(Linear):
        def forward(self, noise: Tensor, condition: Tensor | None) -> Any:
            return change(super().forward(noise, condition))

    made = Changed(SHAPES)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def _judge(change: Callable[[Tensor], Any]) -> nn.Module:
    class Changed(Judge):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Any:
            return change(super().forward(samples, condition))

    return Changed(SHAPES)


def _refuse(samples: Tensor, rng: torch.Generator) -> Tensor:
    raise ValueError(f"samples of shape {tuple(samples.shape)[1:]} are no images")


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "no length": (
        {"train": {"steps": None}},
        "train: set either steps or epochs",
    ),
    "two lengths": (
        {"train": {"epochs": 1.0}},
        "train: set either steps or epochs",
    ),
    "no items": (
        {"dataset": Numbers(0)},
        "the data set is empty; give it items, or choose another one",
    ),
    "batch": (
        {"train": {"batch_size": 21}},
        "train.batch_size: 21 is more than the 20 items of the data set; set it to 20 "
        "or less",
    ),
    "condition": (
        {"loss": Conditional()},
        "the loss Conditional compares conditions, and there is no conditioner; set "
        "conditioner.use, or choose another loss",
    ),
    "mismatch": (
        {"loss": Comparing()},
        "the loss Comparing compares conditions, and there is no conditioner; set "
        "conditioner.use, or choose another loss",
    ),
    "one class": (
        {
            "loss": Comparing(),
            "dataset": Numbers(classes=1),
            "conditioner": Labels(classes=1),
        },
        "the loss Comparing needs conditions of another class, and the data set has "
        "one class, 'class 0'; give it a second, or choose another loss",
    ),
    "labels": (
        {"dataset": Numbers(classes=0), "conditioner": Labels()},
        "the conditioner Labels reads 'label', and the data set has none; use a "
        "data set with 'label', or another conditioner",
    ),
    "captions": (
        {"conditioner": Captions()},
        "the conditioner Captions reads 'captions', and the data set has 'label'; "
        "use a data set with 'captions', or another conditioner",
    ),
    "augmentation": (
        {"augmentations": [_refuse]},
        "augmentations.0: samples of shape (2,) are no images",
    ),
    "undeclared range": (
        {"generator": _generator(lambda made: made, output_range=None)},
        "generator Changed: output_range is None; its author has to make it a tuple of "
        "a lowest and a highest value, as (-1.0, 1.0), or gankit.UNBOUNDED",
    ),
    "range": (
        {
            "generator": _generator(lambda made: made, output_range=(-1.0, 1.0)),
            "dataset": Bounded(),
        },
        "the generator Changed gives values in [-1, 1], and the data set has values in "
        "[0, 1]; choose a generator, or an option of it, with the data's range or with "
        "none",
    ),
    "generator's shape": (
        {"generator": _generator(lambda made: made[:, :1])},
        "the generator gives the shape (2, 1) for a batch of 2, not (2, 2)",
    ),
    "generator's input": (
        {"generator": Linear(Shapes((2,), 4))},
        "the generator cannot take its input: ",
    ),
    "generator's tuple": (
        {"generator": _generator(lambda made: (made, made))},
        "the generator gives a tuple (Tensor, Tensor) for a batch of 2, not a tensor "
        "of the shape (2, 2), or that and extras by name",
    ),
    "discriminator's shape": (
        {"discriminator": _judge(lambda logits: logits[:, None])},
        "the discriminator gives the shape (2, 1) for a batch of 2, not (2,)",
    ),
    "discriminator's input": (
        {"discriminator": Judge(Shapes((3,), 3))},
        "the discriminator cannot take its input: ",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_each_misfit_is_named_with_its_remedy(case: str) -> None:
    """Parts assembled in Python; the message says what and what to do instead."""
    parts, message = MISFITS[case]
    with pytest.raises(MisfitError, match="do not go together") as caught:
        make_assembly(**parts)
    (problem,) = caught.value.problems
    assert problem == message or (message[-1] == " " and problem.startswith(message))
    assert "\n" not in problem


def test_every_misfit_is_told_at_once() -> None:
    """One run of corrections is enough."""
    with pytest.raises(MisfitError) as caught:
        make_assembly(
            loss=Comparing(), train={"batch_size": 99}, augmentations=[_refuse]
        )
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("limits", [None, (0.0, 1.0)])
def test_an_unbounded_generator_fits_any_data(limits: tuple[float, float]) -> None:
    """And data in pixels fit any generator, because they are scaled to its range."""
    data = Bounded()
    data.facts = Facts((2,), limits, **data.facts.annotations)
    assert make_assembly(dataset=data).generator.output_range == gankit.UNBOUNDED


def test_a_network_that_cannot_be_tried_on_no_memory_is_tried_by_the_first_step() -> (
    None
):
    """An operation without a meta kernel is no misfit."""

    class Meta(Linear):
        def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
            if noise.is_meta:
                raise NotImplementedError("no such kernel")
            return super().forward(noise, condition)

    networks = Meta(SHAPES).to("meta"), Judge(SHAPES).to("meta")
    assert network_misfits(*networks, SHAPES, Numbers().facts) == []


def test_data_that_cannot_be_read_may_leave_too_few() -> None:
    """Known only when everything was read; said as it would have been before."""
    data = Numbers(20, broken=tuple(range(4, 10)))
    with pytest.raises(UsageError) as caught:
        make_run(dataset=data, train={"batch_size": 16})
    assert str(caught.value) == (
        "train.batch_size: 16 is more than the 14 items that can be read; set it to 14 "
        "or less"
    )


def test_a_conditioner_that_cannot_be_fitted_says_so_as_a_user_s_error() -> None:
    """A ValueError of its own is about the data that the user gave."""

    class Unfit(Labels):
        def fit(self, data: Any, **_: Any) -> None:
            raise ValueError("1 item has a caption; give it 2")

    class Strict(Labels):
        def tokens(self, raw: Any) -> Tensor:
            raise DataError("item 3 has the label 9")

    with pytest.raises(UsageError, match="the conditioner Unfit: 1 item has a caption"):
        make_run(conditioner=Unfit())
    with pytest.raises(DataError, match=r"^item 3 has the label 9$"):
        make_run(conditioner=Strict())


def test_the_run_s_own_pictures_have_captions_that_can_be_read() -> None:
    """Items without one, and ones that the conditioner cannot read, are passed over."""
    data = Told(
        (), ("日本",), ("one", "two"), (), ("three",), ("四",), ("five",), ("six",)
    )
    run = make_run(dataset=data, conditioner=Captions(9), train={"samples": 4})
    assert run.sampler.conditions == ("one", "three", "five", "six")
    assert len(run.sampler.sample(5).samples) == 5


def test_captions_of_which_none_can_be_read_are_refused() -> None:
    """There would be nothing to show or to learn from."""
    with pytest.raises(UsageError, match="Captions can read no captions of the data"):
        make_run(dataset=Told(*[("日本",)] * 8), conditioner=Captions(9))


CODE = """
import torch
from games import Judge, Labels, Linear, Logistic, Numbers
from gankit import Classes, Count, Facts

DEVICES = []

class Generator(Linear):
    def __init__(self, shapes, *, wide: bool = False):
        super().__init__(shapes)
        DEVICES.append(self.layer.weight.device.type)
        if wide:
            raise ValueError("wide = true needs wide data; set it to false")

class Discriminator(Judge):
    def __init__(self, shapes, *, deep: Count = 1):
        super().__init__(shapes)
        if deep > 1:
            raise ValueError(f"deep = {deep} is too deep; set it to 1")

class Flat(Judge):
    def forward(self, samples, condition):
        return super().forward(samples, condition)[:, None]

class Pair:
    needs_mismatch = True
    def discriminator(self, step): ...
    def generator(self, step): ...

def classless(facts):
    if not facts.annotations:
        raise ValueError("the data set has no labels; choose another")
    return Labels(len(facts.declared("label", Classes).names))

def numbers(*, count: int = 20, classes: int = 4):
    if count == 13:
        raise ValueError("count = 13 is unlucky; take 14")
    return Numbers(count, classes)

""" + yields(
    "Part('generator', 'line', Generator)",
    "Part('discriminator', 'line', Discriminator)",
    "Part('discriminator', 'flat', Flat)",
    "Part('loss', 'logistic', Logistic)",
    "Part('loss', 'pair', Pair)",
    "Part('conditioner', 'classes', classless)",
    "Part('dataset', 'numbers', numbers)",
)

RECIPE: dict[str, Any] = {
    "dataset": {"use": "numbers"},
    "generator": {"use": "line"},
    "discriminator": {"use": "mine/line"},
    "loss": {"use": "logistic"},
    "noise": {"size": 3},
    "train": {"steps": 2, "batch_size": 4, "device": "cpu"},
}


@pytest.fixture
def mine(plugin_file: Callable[[str, str], Path]) -> Path:
    """Give a plugin file with parts that fit or do not, as they are asked."""
    return plugin_file("mine.py", CODE)


@pytest.mark.parametrize(
    ("overrides", "problems"),
    [
        (
            ["generator.wide=true", "discriminator.deep=3"],
            [
                "generator 'line': wide = true needs wide data; set it to false",
                "discriminator 'line': deep = 3 is too deep; set it to 1",
            ],
        ),
        (
            ["discriminator.use=flat"],
            ["the discriminator gives the shape (2, 1) for a batch of 2, not (2,)"],
        ),
        (["dataset.count=13"], ["dataset 'numbers': count = 13 is unlucky; take 14"]),
        (
            ["dataset.classes=0", "conditioner.use=classes", "loss.use=pair"],
            ["conditioner 'classes': the data set has no labels; choose another"],
        ),
        (
            ["loss.use=pair", "train.batch_size=30"],
            [
                "train.batch_size: 30 is more than the 20 items of the data set; set "
                "it to 20 or less",
                "the loss Pair compares conditions, and there is no conditioner; set "
                "conditioner.use, or choose another loss",
            ],
        ),
    ],
)
def test_misfits_of_a_recipe_are_refused_before_anything_is_allocated_or_written(
    overrides: list[str], problems: list[str], mine: Path, tmp_path: Path
) -> None:
    """Networks have been built on no memory only; there is no run folder."""
    out = tmp_path / "runs" / "one"
    with pytest.raises(MisfitError) as caught:
        gankit.train(RECIPE, overrides, plugins=[mine], out=out)
    assert list(caught.value.problems) == problems
    assert set(_devices()) <= {"meta"}
    assert not out.parent.exists()


def _devices() -> list[str]:
    import sys

    devices: list[str] = sys.modules["mine"].DEVICES
    return devices


def test_a_recipe_that_fits_is_built_once_for_real(mine: Path) -> None:
    """After the trial on no memory, with weights that follow from the seed."""
    first, again, other = (
        assemble(read_recipe(RECIPE, {"train.seed": seed}, plugins=[mine]))
        for seed in (1, 1, 2)
    )
    assert _devices() == ["meta", "cpu"] * 3
    weights = [a.generator.layer.weight for a in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_weights_of_one_player_do_not_depend_on_the_other(mine: Path) -> None:
    """Each has its own stream, so that swapping one part leaves the others alone."""
    plain = assemble(read_recipe(RECIPE, plugins=[mine]))
    doubled = mine.with_name("doubled.py")
    twice = "Part('discriminator', 'twice', Twice)"
    doubled.write_text(DOUBLED + yields(twice), "utf-8")
    swapped = assemble(
        read_recipe(RECIPE, ["discriminator.use=twice"], plugins=[mine, doubled])
    )
    forget_modules_of(mine.parent)
    assert torch.equal(plain.generator.layer.weight, swapped.generator.layer.weight)


DOUBLED = """
from games import Judge
class Twice(Judge):
    def __init__(self, shapes):
        super().__init__(shapes)
        super().__init__(shapes)
"""


def test_parts_given_as_objects_are_left_as_they_were() -> None:
    """The trial leaves no trace in running statistics, gradients or mode."""
    generator = Linear(SHAPES)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    made = make_assembly(generator=generator)
    assert made.generator is generator
    assert generator.training
    after = generator.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_objects_are_held_to_the_same_settings_as_a_recipe() -> None:
    """In simultaneous order nobody moves twice, whoever asks for it."""
    with pytest.raises(MisfitError, match=r"discriminator_updates.*set it to 1"):
        make_assembly(train={"order": "simultaneous", "discriminator_updates": 2})


class _Remembering(Linear):
    """A generator that keeps its last output, and counts its passes."""

    passes = 0

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Keep what is made, with its graph."""
        self.passes += 1
        self.last = super().forward(noise, condition)
        return self.last


def test_what_is_tried_is_a_copy() -> None:
    """Nothing that a part counts, keeps or learns at a pass is there afterwards."""

    class Learning(Labels):
        words: tuple[int, ...] = ()

        def tokens(self, raw: Any) -> Tensor:
            self.words = self.words or tuple(raw)
            return super().tokens(raw)

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, samples: Tensor, rng: torch.Generator) -> Tensor:
            self.seen += len(samples)
            return samples

    generator, conditioner, counting = _Remembering(CONDITIONED), Learning(), Counting()
    given = {"generator": generator, "augmentations": (counting,)}
    assembly = make_assembly(conditioner=conditioner, train={"ema": 20}, **given)
    assert (generator.passes, hasattr(generator, "last")) == (0, False)
    assert conditioner.words == ()
    assert float(counting.seen) == 0
    run = prepare(assembly, discover(disable=["*"]).hooks)
    assert len(conditioner.words) == 20  # all of them, at once
    run.game.play(0)


def test_what_cannot_be_copied_is_tried_itself_and_put_back() -> None:
    """Its buffers and those that it makes at its first pass."""

    class Stubborn(Linear):
        def __init__(self, shapes: Shapes) -> None:
            super().__init__(shapes)
            self.register_buffer("mean", None)

        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("not this one")

        def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
            made = super().forward(noise, condition)
            self.mean = made.detach().mean(0)
            return made

    generator = Stubborn(Shapes((2,), 3))
    make_assembly(generator=generator)
    assert generator.mean is None
    assert int(generator.norm.num_batches_tracked) == 0


def test_a_part_that_does_not_play_keeps_its_modes() -> None:
    """A frozen network inside a loss stays as its author has set it."""

    class Perceptual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.BatchNorm1d(2).eval().requires_grad_(False)

        def discriminator(self, step: Any) -> Tensor:
            return Logistic().discriminator(step)

        def generator(self, step: Any) -> Tensor:
            return self.features(step.fake).square().mean()

    loss = Perceptual()
    make_run(loss=loss).game.play(0)
    assert not loss.features.training
    assert int(loss.features.num_batches_tracked) == 0


def test_a_penalty_may_begin_later() -> None:
    """Until then it is a constant."""

    class Late:
        weight, every = 1.0, 1

        def __call__(self, step: Any) -> Tensor:
            late = step.index >= 1
            return step.real_logits.square().mean() if late else torch.zeros(())

    run = make_run(penalties=(Late(),))
    for index in range(2):
        run.game.play(index)


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        ("0.5", r"Late gave 0\.5 in step 2, not a scalar tensor"),
        ("torch.zeros(())", r"Late gave the generator a number without a gradient in"),
    ],
)
def test_a_loss_that_goes_wrong_later_is_named_with_its_step(
    gives: str, said: str
) -> None:
    """As a user's error, whose run is saved."""

    class Late(Logistic):
        def generator(self, step: Any) -> Tensor:
            if step.index == 0:
                return super().generator(step)
            return eval(gives)  # type: ignore[no-any-return] # of this test's own

    run = make_run(loss=Late())
    run.game.play(0)
    with pytest.raises(UsageError, match=said):
        run.game.play(1)
