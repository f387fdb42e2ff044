"""What else follows a schedule: penalties, augmentations, the average, one beta."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

import gankit
from games import make_run
from gankit import Step, read_recipe
from gankit.errors import MisfitError, RecipeError
from gankit.game.average import Average
from gankit.game.captured import why_not_captured
from gankit.game.scheduled import Scheduled
from gankit.game.schedules import Cosine, Linear
from gankit.game.settings import Optimizer
from gankit_losses.instance_noise import InstanceNoise
from tiny import LABELLED, metrics, without

COSINE = {"use": "cosine", "to": 0.1, "end": 4}
SCHEDULE: dict[str, Any] = {
    "train": {"ema": {"use": "cosine", "to": 64.0, "end": 2.0, "unit": "epochs"}},
    "penalties": {"0": {"weight": {"use": "cosine", "to": 0.01, "end": 4}}},
    "augmentations": {"1": {"std": {"use": "linear", "to": 0.0, "end": 5}}},
}
BETAS = {"betas": {"1": {"use": "cosine", "to": 0.99, "end": 4}}}
ALL = {
    **LABELLED,
    "augmentations": [{"use": "instance-noise"}, {"use": "instance-noise", "std": 0.5}],
    "optimizer": {"betas": [0.0, 0.9], "schedule": BETAS},
    "schedule": SCHEDULE,
}


@frozen
class One:
    """A penalty that is 1, so that the loss tells its weight."""

    weight: float = 8.0
    every: int = 1

    def __call__(self, step: Step) -> Tensor:
        """Return 1, with a gradient of 0."""
        return 1 + 0 * step.real_logits.mean()


@frozen
class Nothing:
    """A loss of 0."""

    def discriminator(self, step: Step) -> Tensor:
        """Return 0."""
        return 0 * step.real_logits.mean()

    def generator(self, step: Step) -> Tensor:
        """Return 0."""
        return 0 * step.fake_logits.mean()


class Shift:
    """An augmentation that shifts samples, and notes what it was given for it."""

    def __init__(self, by: float = 4.0) -> None:
        self.by = by
        self.seen: list[float | None] = []

    def __call__(
        self, samples: Tensor, rng: torch.Generator, *, by: float | None = None
    ) -> Tensor:
        """Shift each number."""
        self.seen.append(by)
        return samples + (self.by if by is None else by)


class ShiftModule(nn.Module):
    """The same as a module, whose options are in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.by, self.within = 4, Shift()

    def forward(
        self, samples: Tensor, rng: torch.Generator, *, by: float | None = None
    ) -> Tensor:
        """Shift each number."""
        return self.within(samples, rng, by=by)


@pytest.mark.parametrize("unit", ["steps", "epochs"])
@pytest.mark.parametrize("every", [1, 2])
def test_the_weight_of_a_penalty_follows_its_schedule(unit: str, every: int) -> None:
    """Of 20 items 8 pass in a step: from 8 to 0 in 4 steps, or in 1.6 passes."""
    end = {"steps": 4.0, "epochs": 1.6}[unit]
    run = make_run(
        loss=Nothing(),
        penalties=[One(every=every), One(weight=0.5)],
        schedules={"penalties.0.weight": Linear(to=0.0, end=end, unit=unit)},
    )
    seen = [float(run.game.play(i)["loss/discriminator"]) for i in range(6)]
    weights = [8, 6, 4, 2, 0, 0]
    due = [every * (i % every == 0) for i in range(6)]
    expected = [w * d + 0.5 for w, d in zip(weights, due, strict=True)]
    assert seen == pytest.approx(expected)


def test_the_half_life_of_the_average_follows_its_schedule_and_has_no_ramp() -> None:
    """After a batch of B it keeps 2^(-B/h) of itself, h that of the step."""
    schedule = Cosine(to=64.0, end=4.0)
    run = make_run(train={"ema": 1}, schedules={"train.ema": schedule})
    generator = run.assembly.generator
    assert run.game.average is not None
    mean = [p.detach().double().clone() for p in generator.parameters()]
    for index in range(4):
        run.game.play(index)
        half_life = 64 + (1 - 64) * (1 + math.cos(math.pi * index / 4)) / 2
        kept = 0.5 ** (8 / half_life)
        moved = [p.detach().double() for p in generator.parameters()]
        mean = [kept * a + (1 - kept) * b for a, b in zip(mean, moved, strict=True)]
        seen = [p.double() for p in run.game.average.network.parameters()]
        torch.testing.assert_close(seen, mean, rtol=0, atol=1e-6)


def test_the_average_is_the_same_where_its_samples_are_counted_on_the_device() -> None:
    """By a half-life that is set, and no ramp."""
    network = torch.nn.Linear(2, 2)
    one, other = (Average(network, 1.0, ramp=math.inf) for _ in range(2))
    other.count_on(torch.device("cpu"))
    with torch.no_grad():
        network.weight.add_(1.0)
    for half_life in (3.0, 50.0):
        for average in (one, other):
            average.follow({"train.ema": half_life})
        one.update(network, 8)
        other.update_unless(torch.tensor(False), network, 8)
    torch.testing.assert_close(one.network.weight, other.network.weight)


@pytest.mark.parametrize("unit", ["steps", "epochs"])
@pytest.mark.parametrize("form", [Shift, ShiftModule])
def test_the_number_of_an_augmentation_follows_its_schedule(
    form: type[Any], unit: str
) -> None:
    """From 4 to 0 in 4 steps, whatever is judged; the other one has no schedule."""
    end = {"steps": 4.0, "epochs": 1.6}[unit]
    run = make_run(
        augmentations=[Shift(1.0), form()],
        schedules={"augmentations.1.by": Linear(to=0.0, end=end, unit=unit)},
    )
    other, scheduled = run.assembly.augmentations
    seen = getattr(scheduled, "within", scheduled).seen
    before = []
    for index in range(6):
        seen.clear()
        run.game.play(index)
        assert len(seen) > 1
        assert len({*seen}) == 1
        before.append(seen[0])
    assert before == pytest.approx([4, 3, 2, 1, 0, 0])
    assert {*other.seen} == {None}


def test_an_augmentation_with_a_schedule_is_one_of_the_value_in_that_step() -> None:
    """To the bit, though it is another object that has the value as its option."""
    scheduled = make_run(
        augmentations=[InstanceNoise(std=0.8)],
        schedules={"augmentations.0.std": Linear(to=0.0, end=2.0)},
    )
    constant = make_run(augmentations=[InstanceNoise(std=0.4)])
    games = scheduled.game, constant.game
    at_one = [game.play(1)["loss/discriminator"] for game in games]
    assert at_one[0] == at_one[1]
    at_two = [game.play(2)["loss/discriminator"] for game in games]
    assert at_two[0] != at_two[1]


@pytest.mark.parametrize(
    ("augmentations", "place", "said"),
    [
        ([Shift()], "augmentations.0.to", "Shift cannot follow it; it can follow"),
        ([Shift()], "augmentations.1.by", "there is no such number"),
        (
            [lambda samples, rng: samples],
            "augmentations.0.by",
            "no number of function can follow a schedule; leave it out",
        ),
        (
            [Shift(None)],  # type: ignore[arg-type] # none, as where nothing is given
            "augmentations.0.by",
            "Shift has no number 'by' to start from; set augmentations.0.by",
        ),
    ],
)
def test_a_schedule_that_an_augmentation_cannot_follow_is_a_misfit(
    augmentations: list[Any], place: str, said: str
) -> None:
    """Said of parts from Python, too, before anything is begun."""
    with pytest.raises(MisfitError) as error:
        make_run(augmentations=augmentations, schedules={place: Cosine(end=3.0)})
    assert f"schedule.{place}: {said}" in str(error.value)


def test_rounds_with_a_scheduled_augmentation_are_not_recorded() -> None:
    """A graph would hold the value of when it was recorded."""
    run = make_run(
        augmentations=[Shift()], schedules={"augmentations.0.by": Cosine(end=3.0)}
    )
    why = why_not_captured(run.assembly)
    assert why == "augmentations.0.by follows a schedule"


STRANGER = """
from gankit import Part, hookimpl


class Fade:
    def __init__(self, share: float):
        self.share = share

    def __call__(self, samples, rng, *, share=None):
        return samples * (self.share if share is None else share)


def fading(*, share: float = 0.5, other: float = 1.0, times: int = 3) -> Fade:
    return Fade(share)


@hookimpl
def gankit_parts():
    yield Part("augmentation", "fade", fading)
"""


def test_a_function_that_builds_an_augmentation_is_tried_by_what_it_builds(
    tmp_path: Path,
) -> None:
    """What its objects take is not known before there is one."""
    plugin = tmp_path / "fade.py"
    plugin.write_text(STRANGER, "utf-8")
    read = partial(read_recipe, plugins=[plugin])
    table = {**without(ALL, "schedule"), "augmentations": [{"use": "fade"}]}
    curve = "={use='linear', to=1, end=4}"
    good = gankit.assemble(read(table, [f"schedule.augmentations.0.share{curve}"]))
    assert Scheduled(good).at(2, 0.0) == {"augmentations.0.share": 0.75}
    bad = read(table, [f"schedule.augmentations.0.other{curve}"])
    with pytest.raises(MisfitError, match=r"Fade cannot follow it; .*0\.share"):
        gankit.assemble(bad)
    with pytest.raises(RecipeError, match=r"times: has no number to schedule"):
        read(table, [f"schedule.augmentations.0.times{curve}"])


def test_one_of_the_betas_follows_a_schedule() -> None:
    """The other one stays, and Adam moves by both."""
    options = {"lr": 0.1, "betas": (0.0, 0.5)}
    schedule = {"betas.1": Linear(to=0.9, end=4.0)}
    adam = Optimizer(use="Adam", options=options, schedule=schedule)
    run = make_run(optimizers={"generator": adam, "discriminator": adam})
    group = run.game.generator.optimizer.param_groups[0]
    seen = []
    for index in range(6):
        run.game.play(index)
        seen.append(group["betas"])
    late = [0.5, 0.6, 0.7, 0.8, 0.9, 0.9]
    assert [first for first, _ in seen] == [0.0] * 6
    assert [second for _, second in seen] == pytest.approx(late)
    run.game.generator.hold(betas=(0.1, 0.2))
    run.game.play(6)
    assert group["betas"] == (0.1, 0.2)


def test_a_recipe_with_schedules_is_written_back_as_it_was_read() -> None:
    """Each by the table of what it is of."""
    recipe = read_recipe(ALL)
    assert recipe.schedules == {
        "train.ema": Cosine(to=64.0, end=2.0, unit="epochs"),
        "penalties.0.weight": Cosine(to=0.01, end=4.0),
        "augmentations.1.std": Linear(to=0.0, end=5.0),
    }
    assert recipe.optimizers["generator"].schedule == {
        "betas.1": Cosine(to=0.99, end=4)
    }
    again = read_recipe(recipe.as_table())
    assert again.schedules == recipe.schedules
    assert again.optimizers == recipe.optimizers


def test_a_schedule_can_be_overridden() -> None:
    """One number of it, or another curve, which drops what the old one had."""
    changed = read_recipe(ALL, ["schedule.penalties.0.weight.to=0.5"]).schedules
    assert changed["penalties.0.weight"] == Cosine(to=0.5, end=4.0)
    other = ["schedule.train.ema.use=linear", "schedule.train.ema.to=9"]
    changed = read_recipe(ALL, [*other, "schedule.train.ema.end=3"]).schedules
    assert changed["train.ema"] == Linear(to=9.0, end=3.0)
    fewer = ["optimizer.schedule.betas.1.to=0.95"]
    adam = read_recipe(ALL, fewer).optimizers["discriminator"]
    assert adam.schedule == {"betas.1": Cosine(to=0.95, end=4.0)}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "schedule.penalties.1.weight={use='cosine', end=3}",
            "schedule.penalties.1.weight: has no number to schedule; did you mean "
            "'penalties.0.weight'",
        ),
        (
            "schedule.augmentations.1.sdt={use='cosine', end=3}",
            "schedule.augmentations.1.sdt: has no number to schedule; did you mean "
            "'augmentations.1.std' or 'augmentations.0.std'?",
        ),
        (
            "schedule.augmentations.1.std.to=-0.5",
            "schedule.augmentations.1.std: its last value: -0.5 is not a number at "
            "least 0",
        ),
        (
            "schedule.augmentations.0.std={use='linear', to=1, start=5, end=2}",
            "schedule.augmentations.0.std.start: 5 is not before the end, 2",
        ),
        (
            "augmentations.1={use='diffaugment'}",
            "schedule.augmentations.1.std: has no number to schedule",
        ),
        ("schedule=3", "schedule: 3 is not a table"),
        ("schedule.train.ema=3", "schedule.train.ema.use: no schedule None"),
        ("schedule.train.ema.use=cosin", "no schedule 'cosin'; did you mean 'cosine'?"),
        ("schedule.train.ema.to=-1", "schedule.train.ema.to: -1 is below 0"),
        (
            "schedule.train.ema={use='linear', to=1, start=5, end=2}",
            "schedule.train.ema.start: 5 is not before the end, 2",
        ),
        (
            "optimizer.schedule.betas.2={use='cosine', end=3}",
            "optimizer.schedule.betas.2: no such option to schedule",
        ),
        ("optimizer.schedule.betas.1.to=1.5", "Invalid beta parameter at index 1"),
    ],
)
def test_what_cannot_be_scheduled_is_said(override: str, said: str) -> None:
    """With its place, and what is near."""
    with pytest.raises(RecipeError) as error:
        read_recipe(ALL, [override])
    assert said in str(error.value)


def test_a_schedule_of_an_average_that_is_not_there_is_a_misfit() -> None:
    """Said before anything is begun."""
    with pytest.raises(MisfitError, match="no such number above 0"):
        gankit.assemble(read_recipe(ALL, ["train.ema=0"]))


def test_a_run_with_schedules_goes_on_to_the_bit(tmp_path: Path) -> None:
    """They are functions of time, and nothing of them is saved."""
    gankit.train(ALL, out=tmp_path / "whole")
    with gankit.starting(ALL, out=tmp_path / "half") as half:
        for report in half.steps():
            if report.step == 3:
                break
    gankit.resume(tmp_path / "half")
    for name in ("weights.safetensors", "state.pt"):
        whole, half_of_it = (
            (tmp_path / run / "checkpoints/00000006" / name).read_bytes()
            for run in ("whole", "half")
        )
        assert whole == half_of_it
    assert len(metrics(tmp_path / "half")) == 6
