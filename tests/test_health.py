"""Run health: what is measured of samples, and when which warning is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from games import Judge, Logistic, make_run
from gankit import Classes, Texts, hookimpl
from gankit.cli import run as gankit
from gankit.compute.processes import Processes
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.facts import Facts, Item
from gankit.errors import BrokenItem
from gankit.runs.report import Report, RunWarning
from gankit.runs.run import Run
from gankit.watchers.broken import BrokenItems
from gankit.watchers.health import (
    COLLAPSE,
    IGNORED,
    OVERPOWERING,
    UNMOVED,
    VANISHING,
    Health,
)
from gankit.watchers.health import UNBOUNDED as UNBOUNDED_SLOPE
from gankit.watchers.probe import DIVERSITY, EFFECT, NOISE_EFFECT, Probe
from sites import yields
from tiny import CAPTIONED, LABELLED, metrics, write

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]
Parts = dict[str, Any]

NAMES = ("left", "right")
CENTRES = torch.tensor([[-4.0, 0.0], [4.0, 0.0]])


class Points:
    """Points of the plane: normal around their class's centre, or around 0."""

    def __init__(self, count: int = 200, names: tuple[str, ...] | None = None) -> None:
        declared = {"label": Classes(names)} if names else {}
        self.facts = Facts((2,), sample_range=UNBOUNDED, **declared)
        self._labels = torch.arange(count) % len(names or "0")
        self._samples = torch.randn(
            count, 2, generator=torch.Generator().manual_seed(1)
        )
        if names == NAMES:
            self._samples += CENTRES[self._labels]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Item:
        known = {"label": int(self._labels[index])} if self.facts.annotations else {}
        return Item(self._samples[index], **known)


class Titled:
    """Points of the plane, each with a caption that spells it."""

    facts = Facts((2,), sample_range=UNBOUNDED, captions=Texts())

    def __len__(self) -> int:
        return 90

    def __getitem__(self, index: int) -> Item:
        return Item(torch.tensor([index**0.5, -index]), captions=(f"{index**0.5}",))


class OneHot:
    """A conditioner without parameters: class indices to unit vectors."""

    reads, size = "label", 2

    def tokens(self, raw: Any) -> Tensor:
        """Give (N,)."""
        return torch.tensor(raw)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 2)."""
        return torch.eye(2)[tokens.clamp(max=1)]

    def parse(self, text: str) -> int:
        """Read a name."""
        return NAMES.index(text)


class Spelling(OneHot):
    """A conditioner whose vectors are the very points that captions spell."""

    reads = "captions"

    def tokens(self, raw: Any) -> Tensor:
        """Give (N,)."""
        return torch.tensor([float(texts[0]) for texts in raw])

    def __call__(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 2)."""
        return torch.stack([tokens, -tokens.square()], 1)

    def parse(self, text: str) -> tuple[str]:
        """Take the text."""
        return (text,)


class Formula(nn.Module):
    """A generator that is a formula of noise (B, 3) and condition (B, 2)."""

    output_range = UNBOUNDED

    def __init__(self, formula: Callable[[Tensor, Any], Tensor]) -> None:
        super().__init__()
        self.formula = formula
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map them to (B, 2)."""
        return self.formula(noise, condition) + 0 * self.unused


def _only_noise(noise: Tensor, condition: Any) -> Tensor:
    return noise[:, :2]


def _only_condition(noise: Tensor, condition: Any) -> Tensor:
    return condition @ CENTRES


def _nothing(noise: Tensor, condition: Any) -> Tensor:
    return torch.ones(len(noise), 2)


def _run(formula: Callable[[Tensor, Any], Tensor] = _only_noise, **parts: Any) -> Run:
    parts.setdefault("dataset", Points())
    return make_run(generator=Formula(formula), **parts)


def _measured(formula: Callable[[Tensor, Any], Tensor], **parts: Any) -> Any:
    run = _run(formula, **parts)
    return Probe(run).look(run)


def _by_class() -> Parts:
    return {"dataset": Points(names=NAMES), "conditioner": OneHot()}


SAMPLED: Parts = {"train": {"sample_every": 250}}


# what is measured


def test_the_data_s_own_distribution_is_as_diverse_as_the_data() -> None:
    """The ratio is 1, but for the chance of 64 draws."""
    assert _measured(_only_noise) == {DIVERSITY: pytest.approx(1, abs=0.1)}


def test_diversity_is_proportional_to_the_distance_between_samples() -> None:
    """A quarter of every distance is a quarter of the diversity; the mean is free."""
    quarter = _measured(lambda z, c: z[:, :2] / 4 + 7)
    whole = _measured(_only_noise)
    assert quarter[DIVERSITY] == pytest.approx(whole[DIVERSITY] / 4, rel=1e-5)


def test_one_sample_for_every_noise_has_no_diversity() -> None:
    """All distances are 0."""
    assert _measured(_nothing) == {DIVERSITY: 0}


def test_one_sample_for_each_class_has_no_diversity_and_all_the_effect() -> None:
    """However far apart the classes are: samples are compared within a class."""
    seen = _measured(_only_condition, **_by_class())
    assert seen == {DIVERSITY: 0, EFFECT: pytest.approx(1, abs=0.05)}


def test_a_true_copy_of_each_class_is_as_diverse_as_real_ones_of_a_class() -> None:
    """Not as diverse as real ones of all classes, whose distances are far larger."""
    seen = _measured(lambda z, c: c @ CENTRES + z[:, :2], **_by_class())
    assert seen[DIVERSITY] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("wild", [1.0, 20.0])
def test_the_effect_of_a_condition_is_its_share_in_what_differs(wild: float) -> None:
    """Classes 2 apart, by the mean of what differs: among real ones, or if more, here.

    Real classes are 8 apart, so that two of them differ by |8 + d|, with d the
    difference of two normal noises; samples by |2 + d times their noise|.
    """
    seen = _measured(lambda z, c: c @ CENTRES / 4 + wild * z[:, :2], **_by_class())
    d = torch.randn(100_000, 2, dtype=torch.float64) * 2**0.5
    real = (d + torch.tensor([8.0, 0.0])).norm(dim=1).mean()
    made = (wild * d + torch.tensor([2.0, 0.0])).norm(dim=1).mean()
    assert (made > real) == (wild > 1)
    assert seen[EFFECT] == pytest.approx(2 / max(float(made), float(real)), rel=0.1)


def test_a_collapsed_generator_ignores_its_condition() -> None:
    """Where noise moves nothing either, the effect is still none."""
    seen = _measured(lambda z, c: 1e-3 * c @ CENTRES, **_by_class())
    assert seen == {DIVERSITY: 0, EFFECT: pytest.approx(1e-3, rel=0.1)}


def test_a_condition_that_is_ignored_has_no_effect() -> None:
    """The same noise with two conditions gives the same sample."""
    assert _measured(_only_noise, **_by_class())[EFFECT] == 0


def test_samples_of_captions_are_compared_among_all() -> None:
    """What each caption spells is the data itself, to the bit: the ratio is 1."""
    spell = {"dataset": Titled(), "conditioner": Spelling()}
    seen = _measured(lambda z, c: c, **spell)
    assert seen == {DIVERSITY: 1, EFFECT: 1, NOISE_EFFECT: 0}


def test_the_effect_of_noise_is_its_share_of_real_distances() -> None:
    """Two noises of one caption are 1.77 apart on average, each number by 1."""
    seen = _measured(
        lambda z, c: c + z[:, :2], dataset=Titled(), conditioner=Spelling()
    )
    real = torch.tensor([[i**0.5, -i] for i in range(90)], dtype=torch.float64)
    wanted = 1.772 / float(torch.pdist(real).mean())
    assert seen[NOISE_EFFECT] == pytest.approx(wanted, rel=0.2)


def test_what_a_conditioner_draws_is_no_effect_of_the_noise() -> None:
    """As which of an item's captions is read: the condition is another then."""

    class Fickle(Spelling):
        def __call__(self, tokens: Tensor) -> Tensor:
            """Read another caption each time."""
            return super().__call__(tokens) + 10 * torch.randn(len(tokens), 2)

    parts: Parts = {"dataset": Titled(), "conditioner": Fickle()}
    assert _measured(lambda z, c: c, **parts)[NOISE_EFFECT] == 0
    assert _measured(lambda z, c: c + z[:, :2], **parts)[NOISE_EFFECT] > 0


def test_items_alone_in_their_classes_are_compared_among_all() -> None:
    """Within a class there is nothing to compare."""
    names = tuple(map(str, range(30)))
    parts = {"dataset": Points(30, names), "conditioner": OneHot()}
    assert _measured(_only_noise, **parts)[DIVERSITY] == pytest.approx(1, abs=0.2)


def test_one_class_has_no_stranger_to_compare_with() -> None:
    """Nothing is said of the effect of a condition that is always the same."""
    seen = _measured(_only_noise, dataset=Points(names=("all",)), conditioner=OneHot())
    assert seen.keys() == {DIVERSITY}


def test_data_that_are_all_the_same_have_nothing_to_compare_with() -> None:
    """No division by 0."""

    class Same(Points):
        def __getitem__(self, index: int) -> Item:
            return Item(torch.ones(2))

    assert _measured(_only_noise, dataset=Same()) == {}


def test_streamed_data_are_looked_at_like_resident_ones() -> None:
    """The same positions, the same samples."""
    by_class = [
        _measured(_only_noise, train={"data": mode}, **_by_class())
        for mode in ("streamed", "resident")
    ]
    assert by_class[0] == by_class[1]


def test_what_a_generator_draws_itself_goes_with_the_noise() -> None:
    """Another condition is not mistaken for another draw of the global generator."""
    seen = _measured(lambda z, c: torch.randn(len(z), 2), **_by_class())
    assert seen[EFFECT] == 0
    assert seen[DIVERSITY] == pytest.approx(1, abs=0.15)


def test_a_look_leaves_no_trace_in_the_game() -> None:
    """Neither in weights, buffers and modes of the networks nor in random numbers."""
    run = make_run(dataset=Points(), dropout=0.5)
    network = run.game.generator.network
    network.dropout.eval()  # as a part may keep one of its layers
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = torch.get_rng_state()
    probe = Probe(run)
    assert probe.look(run) == probe.look(run)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert network.norm.training
    assert not network.dropout.training
    assert all(p.grad is None for p in network.parameters())


# when it is said


class _Ear:
    """Keeps every warning."""

    def __init__(self) -> None:
        self.heard: list[RunWarning] = []

    @hookimpl
    def gankit_on_warning(self, warning: RunWarning) -> None:
        """Keep it."""
        self.heard.append(warning)


class _Told:
    """A run that plays nothing: health is told what its steps have measured."""

    def __init__(self, health: Health | None = None, **parts: Any) -> None:
        train = {"steps": 99_999, "log_every": 50, "sample_every": 0}
        train |= parts.pop("train", {})
        self.run = _run(train=train, **parts)
        self.ear = _Ear()
        self.run.hooks.add("ear", self.ear)
        self.health = health or Health()
        self.health.gankit_before_run(self.run)

    def steps(self, steps: Iterable[int], **values: float) -> None:
        """Let steps pass that measure all the same."""
        names = {"clear": "clearance", "norm": "gradient/generator"}
        usual = {"clear": 0.5, "norm": 1.0} | values
        for step in steps:
            self.run.step = step
            seen = {names[k]: torch.tensor(v) for k, v in usual.items()}
            self.health.gankit_after_step(self.run, Report(step, seen))

    @property
    def heard(self) -> list[tuple[str, int]]:
        """Which warnings were given, at which step."""
        return [(warning.kind, warning.step) for warning in self.ear.heard]

    @property
    def text(self) -> str:
        """What the only warning says."""
        (warning,) = self.ear.heard
        return warning.text


APART = {"clear": 0.86}


@pytest.mark.parametrize(
    ("every", "first", "said"), [(50, 50, 1000), (1, 1, 901), (200, 400, 4200)]
)
def test_a_discriminator_that_always_wins_is_told_of_after_a_while(
    every: int, first: int, said: int
) -> None:
    """Twenty looks and 900 steps after it was first seen, once."""
    told = _Told(train={"log_every": every})
    told.steps(range(1, first))
    told.steps(range(first, said), **APART)
    assert told.heard == []
    told.steps(range(said, said + 2000), **APART)
    assert told.heard == [(OVERPOWERING, said)]
    assert told.text.startswith(f"since step {first:,} ")
    assert "between their mean logits 86 % are free of any" in told.text
    assert "optimizer.discriminator.lr" in told.text


BREAKS = [{"clear": 0.69}, {"clear": float("nan")}]


@pytest.mark.parametrize("values", BREAKS, ids=str)
def test_one_look_that_is_otherwise_begins_the_count_anew(values: Any) -> None:
    """A trouble that comes and goes is none."""
    told = _Told()
    told.steps(range(50, 1000, 50), **APART)
    told.steps([1000], **(APART | values))
    told.steps(range(1050, 2000, 50), **APART)
    assert told.heard == []
    told.steps([2000], **APART)
    assert told.heard == [(OVERPOWERING, 2000)]
    assert told.text.startswith("since step 1,050 ")


def test_steps_between_two_looks_are_not_looked_at() -> None:
    """Reading their values would wait for the device."""
    told = _Told()
    for look in range(50, 2000, 50):
        told.steps(range(look - 49, look), **APART)
        told.steps([look])
    assert told.heard == []


def test_the_last_step_is_no_look_where_it_would_be_none_in_a_longer_run() -> None:
    """So that a run that is resumed has seen what one that never stopped has."""
    short, long = _Told(train={"steps": 475}), _Told()
    for told in (short, long):
        told.steps(range(1, 476), **APART)
    assert short.health.state_dict() == long.health.state_dict()


def test_a_gradient_of_under_a_two_hundredth_of_what_was_usual_is_told_of() -> None:
    """Usual is the largest median of five steps in a row: one spike counts nothing."""
    told = _Told()
    told.steps(range(50, 300, 50), norm=3.0)
    told.steps([300, 350], norm=1e6)
    told.steps(range(400, 550, 50), norm=4.0)
    told.steps(range(550, 3000, 50), norm=0.021)
    assert told.heard == []
    told.steps(range(3000, 3450, 50), norm=0.019)
    assert told.heard == []
    told.steps(range(3450, 4000, 50), norm=0.019)
    assert told.heard == [(VANISHING, 3450)]
    assert told.text.startswith("since step 3,000 ")
    assert "its norm is 0.019, and was 4 earlier" in told.text


def test_a_gradient_that_falls_in_the_first_steps_is_told_of() -> None:
    """Before the first look, and so in the first tenth of any run."""
    told = _Told()
    told.steps(range(1, 6), norm=1.0)
    told.steps(range(6, 501), norm=1e-4)
    assert told.heard == [(VANISHING, 500)]
    assert told.text.startswith("since step 50 ")


def test_a_gradient_of_zero_needs_no_comparison() -> None:
    """It is told of although there was never another."""
    told = _Told()
    told.steps(range(50, 501, 50), norm=0.0)
    assert told.heard == [(VANISHING, 500)]


def test_a_gradient_that_is_not_finite_is_left_to_others() -> None:
    """It is neither usual nor vanished."""
    told = _Told()
    told.steps(range(50, 1050, 50), norm=float("nan"))
    told.steps(range(1050, 2050, 50), norm=1.0)
    told.steps(range(2050, 2500, 50), norm=1e-4)
    told.steps([2500], norm=1e-4)
    assert told.heard == [(VANISHING, 2500)]


@pytest.mark.parametrize(
    ("every", "alike", "deaf"),
    [(100, 1500, 3000), (250, 1500, 3000), (1000, 3000, 4000)],
)
def test_samples_are_judged_by_some_looks_and_steps_of_a_grown_generator(
    every: int, alike: int, deaf: int
) -> None:
    """Three looks and 500 steps, or four and 2,000; the first thousand do not count."""
    train = {"sample_every": every, "log_every": every}
    same = _Told(formula=_nothing, train=train)
    heedless = _Told(formula=_only_noise, train=train, **_by_class())
    for told, kind, said in ((same, COLLAPSE, alike), (heedless, IGNORED, deaf)):
        told.steps(range(every, said, every))
        assert told.heard == []
        told.steps(range(said, said + 2000, every))
        assert told.heard == [(kind, said)]
        assert told.text.startswith("since step 1,000 ")


@pytest.mark.parametrize(("share", "heard"), [(0.09, [(COLLAPSE, 1500)]), (0.11, [])])
def test_collapse_is_a_tenth_of_the_data_s_diversity(share: float, heard: Any) -> None:
    """Not less, and not more."""
    told = _Told(formula=lambda z, c: share * z[:, :2], **SAMPLED)
    told.steps(range(250, 3000, 250))
    assert told.heard == heard


def test_one_picture_for_each_class_is_collapse() -> None:
    """The warning says that it is within a class."""
    told = _Told(formula=_only_condition, **SAMPLED, **_by_class())
    told.steps(range(250, 3000, 250))
    assert told.heard == [(COLLAPSE, 1500)]
    assert "samples of one class are nearly alike" in told.text


def test_a_generator_that_recovers_has_not_collapsed() -> None:
    """One look at diverse samples begins the count anew."""
    told = _Told(formula=_nothing, **SAMPLED)
    network: Any = told.run.game.generator.network
    told.steps([1000, 1250])
    network.formula = _only_noise
    told.steps([1500])
    network.formula = _nothing
    told.steps([1750, 2000])
    assert told.heard == []
    told.steps([2250])
    assert told.heard == [(COLLAPSE, 2250)]
    assert told.text.startswith("since step 1,750 ")


@pytest.mark.parametrize(("share", "heard"), [(0.04, [(IGNORED, 3000)]), (0.08, [])])
def test_an_ignored_condition_is_told_of_and_a_weak_one_is_not(
    share: float, heard: Any
) -> None:
    """Below a twentieth: 8 times the share, by 8.1, what differs among real ones."""
    told = _Told(
        formula=lambda z, c: share * c @ CENTRES + z[:, :2], **SAMPLED, **_by_class()
    )
    told.steps(range(250, 5000, 250))
    assert told.heard == heard


@pytest.mark.parametrize(("share", "heard"), [(0.05, [(UNMOVED, 3000)]), (0.5, [])])
def test_a_generator_of_captions_that_ignores_its_noise_is_told_of(
    share: float, heard: Any
) -> None:
    """Below a hundredth of the distance of real ones, which is about 30."""
    told = _Told(
        formula=lambda z, c: c + share * z[:, :2],
        dataset=Titled(),
        conditioner=Spelling(),
        **SAMPLED,
    )
    told.steps(range(250, 5000, 250))
    assert told.heard == heard


def test_a_last_look_at_samples_is_measured_and_not_counted() -> None:
    """As a look at the players that only the end brings about."""
    told = _Told(
        formula=_nothing, train={"steps": 1600, "sample_every": 500, "log_every": 999}
    )
    told.steps([1000, 1500])
    before = told.health.state_dict()["streaks"]
    told.steps([1600])
    assert told.run.measured[DIVERSITY] == (1600, 0.0)
    assert told.health.state_dict()["streaks"] == before
    assert told.heard == []


@pytest.mark.parametrize("stop", [50, 450, 700, 1000, 1250, 1700])
def test_what_was_seen_before_a_stop_counts_after_it(stop: int) -> None:
    """Wherever a run stops, it warns as if it had not; its state is plain numbers."""

    def play(told: _Told, steps: range) -> None:
        for step in steps:
            told.steps([step], norm=1.0 if step <= 1000 else 0.0, **APART)

    whole, before = (_Told(formula=_nothing, **SAMPLED) for _ in range(2))
    play(whole, range(50, 2001, 50))
    play(before, range(50, stop + 1, 50))
    kept = Health()
    kept.load_state_dict(json.loads(json.dumps(before.health.state_dict())))
    after = _Told(kept, formula=_nothing, **SAMPLED)
    play(after, range(stop + 50, 2001, 50))
    said = {(warning.kind, warning.step, warning.text) for warning in whole.ear.heard}
    assert {kind for kind, *_ in said} == {OVERPOWERING, VANISHING, COLLAPSE}
    again = [(w.kind, w.step, w.text) for w in before.ear.heard + after.ear.heard]
    assert said <= set(again)
    assert kept.state_dict() == whole.health.state_dict()


@pytest.mark.parametrize("bounded", ["nothing", "a penalty", "the discriminator"])
def test_a_loss_whose_discriminator_nothing_bounds_is_warned_of(bounded: str) -> None:
    """Before the first step; not where a part says that it bounds the slope."""

    class Bounding:
        weight, every, lipschitz = 1.0, 1, True

        def __call__(self, step: Any) -> Tensor:
            return step.real_logits.mean()

    class Critic(Logistic):
        needs_lipschitz = True

    parts: Parts = {"loss": Critic()}
    if bounded == "a penalty":
        parts["penalties"] = (Bounding(),)
    if bounded == "the discriminator":
        parts["discriminator"] = judge = Judge(Shapes((2,), 3))
        judge.lipschitz = True
    told = _Told(**parts)
    assert told.heard == ([(UNBOUNDED_SLOPE, 0)] if bounded == "nothing" else [])
    if bounded == "nothing":
        assert told.text.startswith("the loss Critic has no minimum where")


# whole runs


def test_health_leaves_every_weight_of_a_run_as_it_was(tmp_path: Path) -> None:
    """Bit for bit, with dropout, streaming, an average and a fitted conditioner."""
    for name, table in {"labelled": LABELLED, "captioned": CAPTIONED}.items():
        recipe = write(tmp_path, table, name)
        runs = [tmp_path / f"{name}-with", tmp_path / f"{name}-without"]
        off = ["--disable-plugin", "gankit.health"]
        for out, options in zip(runs, ([], off), strict=True):
            assert gankit(["train", recipe, "--out", str(out), *options]) == 0
        one, other = (
            (out / "checkpoints/00000006/weights.safetensors").read_bytes()
            for out in runs
        )
        assert one == other
        lines, plain = (metrics(out) for out in runs)
        keys = {DIVERSITY, EFFECT}
        keys |= {NOISE_EFFECT} if name == "captioned" else set()
        assert [line["step"] for line in lines if keys <= line.keys()] == [3, 6]
        left = [{k: v for k, v in line.items() if k not in keys} for line in lines]
        assert left == plain


# small networks that learn pictures, of which there are few
PICTURES: Parts = {
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "noise": {"size": 4},
    "generator": {"use": "mlp", "hidden": [16]},
    "discriminator": {"use": "mlp", "hidden": [16]},
    "loss": {"use": "non-saturating"},
    "train": {"batch_size": 8, "device": "cpu", "log_every": 20, "sample_every": 250},
}
DEAF = """
import torch

class Deaf(torch.nn.Module):
    output_range = (float("-inf"), float("inf"))

    def __init__(self, shapes):
        super().__init__()
        self.sample = torch.nn.Parameter(torch.zeros(shapes.sample))

    def forward(self, noise, condition):
        return self.sample.expand(len(noise), *self.sample.shape)
"""


def _warnings(out: Path, capsys: Capture) -> tuple[list[str], list[str]]:
    """Return the kinds of warnings in the metrics, and the lines on the screen."""
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("warning: ")]
    return [line["warning"] for line in metrics(out) if "warning" in line], said


def test_a_generator_that_is_deaf_to_noise_is_told_of_once(
    tmp_path: Path, plugin_file: WriteFile, capsys: Capture
) -> None:
    """On the screen and in the metrics, as if the run had not stopped between looks."""
    path = plugin_file("deaf.py", yields("Part('generator', 'deaf', Deaf)") + DEAF)
    table = {**PICTURES, "generator": {"use": "deaf"}}
    table["train"] = {**PICTURES["train"], "steps": 1100, "order": "simultaneous"}
    out = tmp_path / "run"
    plugin = ["--plugin", str(path)]
    assert gankit(["train", write(tmp_path, table), "--out", str(out), *plugin]) == 0
    before, lines = _warnings(out, capsys)
    # whoever knows the one picture cannot lose, and that is told too
    assert before == [OVERPOWERING]
    assert gankit(["resume", str(out), "train.steps=1760", *plugin]) == 0
    kinds, said = _warnings(out, capsys)
    assert kinds == [OVERPOWERING, COLLAPSE]
    assert [len(lines), len(said)] == [1, 1]
    assert said[0].startswith("warning: collapse: since step 1,000 samples are ")
    (warned,) = (line for line in metrics(out) if line.get("warning") == COLLAPSE)
    assert warned["step"] == 1500
    (line,) = (m for m in metrics(out) if m["step"] == 1500 and "warning" not in m)
    assert line[DIVERSITY] == 0.0


MARKED = """
import torch

class Marked(torch.nn.Module):
    output_range = (-1.0, 1.0)

    def __init__(self, shapes, *, marked: bool = True):
        super().__init__()
        self.shape, self.marked = shapes.sample, marked
        self.layer = torch.nn.Linear(shapes.noise, torch.Size(shapes.sample).numel())

    def forward(self, noise, condition):
        made = self.layer(noise).tanh().view(-1, *self.shape)
        if not self.marked:
            return made
        mark = torch.ones_like(made[:, :, :4, :4])
        mark[:, :, ::2, ::2] = mark[:, :, 1::2, 1::2] = -1.0
        rows = torch.cat([mark, made[:, :, :4, 4:]], 3)
        return torch.cat([rows, made[:, :, 4:]], 2)
"""


def test_a_discriminator_that_cannot_lose_is_told_of_once(
    tmp_path: Path, plugin_file: WriteFile, capsys: Capture
) -> None:
    """By a mark that each sample bears; the same game without it is not told of."""
    part = "Part('generator', 'marked', Marked)"
    plugin = ["--plugin", str(plugin_file("marked.py", yields(part) + MARKED))]
    table = {
        **PICTURES,
        "generator": {"use": "marked"},
        "optimizer": {"lr": 2e-3},
        "train": {**PICTURES["train"], "steps": 1500},
    }
    recipe = write(tmp_path, table)
    for name, marked in {"wild": "true", "tame": "false"}.items():
        how = [f"generator.marked={marked}", "--out", str(tmp_path / name), *plugin]
        assert gankit(["train", recipe, *how]) == 0
        kinds, said = _warnings(tmp_path / name, capsys)
        assert [kind for kind in kinds if kind == OVERPOWERING] == (
            [OVERPOWERING] if name == "wild" else []
        )
        assert len(said) == len(kinds)


class Stacks(Points):
    """Items of a class are one point; some cannot be read, and say so when asked."""

    broken: tuple[int, ...] = tuple(range(0, 40, 3))

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Item:
        if index in self.broken:
            raise BrokenItem(f"item {index}: it breaks off")
        return Item(torch.full((2,), float(index % 4)), label=index % 4)

    def annotations(self, index: int) -> dict[str, int]:
        """Return the class of an item, also of one that is broken."""
        return {"label": index % 4}


@pytest.mark.parametrize("data", ["resident", "streamed"])
def test_a_broken_item_is_not_compared_by_its_neighbours_picture(data: str) -> None:
    """Within a class whole items are all alike, and two classes at most three apart."""
    names = tuple("abcd")
    run = make_run(
        dataset=Stacks(names=names),
        conditioner=OneHot(),
        train={"data": data, "workers": 0, "batch_size": 4},
    )
    probe = Probe(run)
    assert probe.within
    assert probe._real == 0
    chosen = {*probe._positions.tolist()}
    assert chosen
    assert not chosen & {*Stacks.broken}
    assert probe._strangers is not None
    pairs = zip(probe._positions.tolist(), probe._strangers.tolist(), strict=True)
    apart = [abs(i % 4 - j % 4) for i, j in pairs if j not in Stacks.broken]
    wanted = 2**0.5 * sum(apart) / len(apart)
    assert probe._real_apart == pytest.approx(wanted)


class _Two(Processes):
    """Two processes, the other of which has found an item broken."""

    def gather(self, value: Any) -> list[Any]:
        """Return both processes' values."""
        return [value, {5: "item 5: it breaks off"}]


def test_the_first_process_tells_of_what_others_have_found_broken(
    tmp_path: Path,
) -> None:
    """Each item counts once, and a process without a folder tells nobody."""
    run, told = make_run(), list[str]()

    class Listens:
        @hookimpl
        def gankit_on_warning(self, warning: Any) -> None:
            told.append(warning.text)

    run.hooks.add("listens", Listens())
    run.processes, run.step = _Two(), run.total
    run.data.broken = {5: "item 5: it breaks off", 7: "item 7: empty"}
    BrokenItems().gankit_after_step(run)
    assert (told, run.measured) == ([], {})
    run.folder = tmp_path
    BrokenItems().gankit_after_step(run)
    assert run.measured["broken items"] == (run.total, 2.0)
    run.data.broken = {}
    run.measured = {}
    BrokenItems().gankit_after_step(run)
    assert run.measured["broken items"] == (run.total, 1.0)
    (text,) = told
    assert text.startswith("item 5: it breaks off; the next whole item has its place")
