"""Well-known models as small plugins of strangers, trained, resumed and sampled.

Each is a file in tests/models, which uses what the documents name and nothing else.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import field, frozen
from torch import Tensor

import gankit
from gankit import Run
from gankit.cli import run as cli
from sites import forget_modules_of
from tiny import metrics, write
from zygote import Zygote

MODELS = Path(__file__).parent / "models"

POINTS: dict[str, Any] = {
    "dataset": {"use": "gaussians", "samples": 40, "modes": 4},
    "noise": {"size": 2},
    "generator": {"use": "mlp", "hidden": [8], "output": "linear"},
    "discriminator": {"use": "mlp", "hidden": [8]},
    "loss": {"use": "hinge"},
    "train": {
        "steps": 6,
        "batch_size": 8,
        "device": "cpu",
        "reduce": "exact",
        "ema": 20,
        "log_every": 1,
        "sample_every": 3,
        "samples": 4,
        "checkpoint_every": 2,
    },
}
PICTURES: dict[str, Any] = {
    **POINTS,
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "generator": {"use": "dcgan", "width": 2},
}


@frozen
class Model:
    """A file of tests/models, and the recipe of one of its models."""

    file: str
    table: dict[str, Any] = field(factory=dict)
    base: dict[str, Any] = field(default=POINTS)
    train: dict[str, Any] = field(factory=dict)

    @property
    def path(self) -> str:
        """The plugin file."""
        return str(MODELS / f"{self.file}.py")

    @property
    def recipe(self) -> dict[str, Any]:
        """The whole recipe."""
        return {
            **self.base,
            **self.table,
            "train": {**self.base["train"], **self.train},
            "plugins": [self.path],
        }


CASES = {
    "PatchGAN": Model("patches", {"discriminator": {"use": "patches"}}, PICTURES),
    "two scales": Model("patches", {"discriminator": {"use": "two-scales"}}, PICTURES),
    "feature matching": Model(
        "features",
        {
            "discriminator": {"use": "featured", "width": 8},
            "loss": {"use": "feature-matching"},
        },
    ),
    "BiGAN": Model(
        "bigan", {"discriminator": {"use": "joint"}, "loss": {"use": "bigan"}}
    ),
    "InfoGAN": Model(
        "infogan",
        {
            "noise": {"use": "coded", "classes": 3},
            "discriminator": {"use": "featured", "width": 8},
            "loss": {"use": "infogan", "classes": 3, "width": 8},
        },
    ),
    "mode seeking": Model("seeking", {"penalties": [{"use": "mode-seeking"}]}),
    "a mixture that learns": Model("noises", {"noise": {"use": "mixture"}}),
    "truncated noise": Model("noises", {"noise": {"use": "truncated"}}),
    "style mixing": Model("noises", {"noise": {"use": "mixed"}}),
    "clipped WGAN": Model(
        "clipped",
        {
            "loss": {"use": "wasserstein"},
            "hooks": [{"use": "clipping", "limit": 0.05}],
        },
        train={"discriminator_updates": 5},
    ),
    "adaptive augmentation": Model(
        "adaptive",
        {
            "discriminator": {"use": "dcgan", "width": 2},
            "augmentations": [
                {"use": "adaptive", "target": 0.0, "images": 100, "every": 1}
            ],
        },
        PICTURES,
    ),
    "auxiliary classifier": Model(
        "auxiliary",
        {
            "conditioner": {"use": "label"},
            "discriminator": {"use": "classifying", "width": 8},
            "loss": {"use": "auxiliary"},
        },
    ),
    "projection": Model(
        "projection",
        {
            "conditioner": {"use": "label"},
            "discriminator": {"use": "projection", "width": 8},
        },
    ),
    "warm start": Model("warm"),
    "a change of stage": Model("staged", {"generator": {"use": "growing"}}),
}


def _recipe(case: str, folder: Path) -> dict[str, Any]:
    """Return a case's recipe; where it begins with another run, train that first."""
    recipe = CASES[case].recipe
    if case == "warm start":
        gankit.train(POINTS, out=folder / "first")
        recipe["hooks"] = [{"use": "warm-start", "run": str(folder / "first")}]
    return recipe


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget_modules_of(MODELS)


def _weights(out: Path, step: int = 6) -> bytes:
    return (out / f"checkpoints/{step:08d}/weights.safetensors").read_bytes()


def _state(out: Path, step: int = 6) -> bytes:
    return (out / f"checkpoints/{step:08d}/state.pt").read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_a_model_trains_resumes_to_the_bit_and_is_sampled(
    case: str, tmp_path: Path
) -> None:
    """Stopped after half of its steps, it ends where it would have without a stop."""
    recipe = _recipe(case, tmp_path)
    whole = gankit.train(recipe, out=tmp_path / "whole")
    assert all(line["AUC"] is not None for line in _steps(tmp_path / "whole"))
    with gankit.starting(recipe, out=tmp_path / "half") as half:
        for report in half.steps():
            if report.step == 3:
                break
    gankit.resume(tmp_path / "half")
    assert _weights(tmp_path / "half") == _weights(tmp_path / "whole")
    assert _state(tmp_path / "half") == _state(tmp_path / "whole")
    again = gankit.load(tmp_path / "half").sample(5, seed=1).samples
    assert torch.equal(again, whole.sampler.sample(5, seed=1).samples)
    assert again.isfinite().all()


def _steps(out: Path) -> list[dict[str, Any]]:
    return [line for line in metrics(out) if "warning" not in line]


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Give what forks a process in which everything is imported already."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as made:
        yield made


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_the_same_in_two_processes(
    case: str, tmp_path: Path, zygote: Zygote
) -> None:
    """To the bit, as ``exact`` promises for parts of any author."""
    recipe = _recipe(case, tmp_path)
    gankit.train(recipe, out=tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    words = ["train", write(tmp_path, recipe), "--out", str(tmp_path / "two")]
    both = [
        zygote.start(*words, cwd=tmp_path, env={**meeting, "RANK": rank})
        for rank in ("0", "1")
    ]
    ended = [child.wait() for child in both]
    assert [end.code for end in ended] == [0, 0], ended[0].said + ended[1].said
    assert _weights(tmp_path / "two") == _weights(tmp_path / "one")


# what these models show of the contracts


def _train(case: str, out: Path) -> Run:
    return gankit.train(CASES[case].recipe, out=out)


def test_what_a_loss_brings_learns_with_the_player_that_it_names(
    tmp_path: Path,
) -> None:
    """BiGAN's encoder moves, in the generator's rounds alone, and is saved."""
    recipe = CASES["BiGAN"].recipe
    moved: dict[str, set[bool]] = {"generator": set(), "discriminator": set()}
    before: list[Tensor] = []

    class Watch:
        @gankit.hookimpl
        def gankit_before_run(self, run: Run) -> None:
            """Remember the encoder."""
            before.append(run.assembly.loss.encoder.weight.detach().clone())

        @gankit.hookimpl
        def gankit_after_update(self, run: Run, update: gankit.Update) -> None:
            """See whether it has moved."""
            now = run.assembly.loss.encoder.weight.detach().clone()
            (player,) = update.players
            moved[player].add(not torch.equal(now, before[-1]))
            before.append(now)

    gankit.train(recipe, out=tmp_path / "run", watchers={"watch": Watch()})
    assert moved == {"generator": {True}, "discriminator": {False}}


def test_a_penalty_on_the_generator_has_an_effect(tmp_path: Path) -> None:
    """With a weight of 0 the generator ends elsewhere, from the same start."""
    with_it = CASES["mode seeking"].recipe
    without = {**with_it, "penalties": [{"use": "mode-seeking", "weight": 0.0}]}
    for name, recipe in {"with": with_it, "without": without}.items():
        gankit.train(recipe, out=tmp_path / name)
    assert _weights(tmp_path / "with") != _weights(tmp_path / "without")
    first = [_steps(tmp_path / name)[0] for name in ("with", "without")]
    assert first[0]["loss/discriminator"] == first[1]["loss/discriminator"]
    assert first[0]["loss/generator"] != first[1]["loss/generator"]


def test_weights_are_clipped_after_each_of_five_updates(tmp_path: Path) -> None:
    """No weight of the critic is ever beyond the limit when it is looked at."""
    run = _train("clipped WGAN", tmp_path / "run")
    weights = run.game.discriminator.parameters
    assert max(float(w.detach().abs().max()) for w in weights) == pytest.approx(0.05)


def test_an_augmentation_may_watch_the_run_and_adapt(tmp_path: Path) -> None:
    """Its share moves by 8 in a hundred at each update, within 0 and 1."""
    seen: list[float] = []

    class Watch:
        @gankit.hookimpl
        def gankit_after_step(self, run: Run) -> None:
            """Note the share, and which way it should go."""
            seen.append(run.assembly.augmentations[0].share)

    recipe = CASES["adaptive augmentation"].recipe
    gankit.train(recipe, out=tmp_path / "run", watchers={"watch": Watch()})
    signs = [line["real sign"] for line in _steps(tmp_path / "run")]
    share, wanted = 0.0, []
    for sign in signs:  # above the target of 0, or not
        share = min(max(share + (0.08 if sign >= 0 else -0.08), 0.0), 1.0)
        wanted.append(pytest.approx(share))
    assert seen == wanted
    assert any(seen)


def test_an_option_that_is_held_stays_so_under_a_schedule_and_after_a_stop(
    tmp_path: Path,
) -> None:
    """Until it is released, when the schedule has it again."""
    schedule = {"lr": {"use": "exponential", "factor": 0.5}}
    recipe = CASES["a change of stage"].recipe
    recipe["optimizer"] = {"lr": 0.01, "schedule": schedule}
    seen: list[float] = []
    with gankit.starting(recipe, out=tmp_path / "run") as run:
        for report in run.steps():
            seen.append(run.game.generator.optimizer.param_groups[0]["lr"])
            if report.step == 3:
                break
    with gankit.resuming(tmp_path / "run") as run:
        for report in run.steps():
            seen.append(run.game.generator.optimizer.param_groups[0]["lr"])
            if report.step == 5:
                run.game.generator.release("lr")
    # the schedule's value is set before an update, with the steps that were done
    assert seen == [0.01, 1e-4, 1e-4, 1e-4, 1e-4, 0.01 * 0.5**5]


def test_a_warm_start_begins_with_another_run_s_generator(tmp_path: Path) -> None:
    """Its samples before the first step are those of that run's end."""
    gankit.train(POINTS, out=tmp_path / "first")
    start = {"use": "warm-start", "run": str(tmp_path / "first")}
    recipe = {**POINTS, "plugins": [str(MODELS / "warm.py")], "hooks": [start]}
    wanted = gankit.load(tmp_path / "first").sample(5).samples
    seen: list[Tensor] = []

    class Watch:
        @gankit.hookimpl(trylast=True)
        def gankit_before_run(self, run: Run) -> None:
            """Draw before the first step."""
            seen.append(run.sampler.sample(5).samples)

    gankit.train(recipe, out=tmp_path / "second", watchers={"watch": Watch()})
    assert torch.equal(seen[0], wanted)


def _noise_of(sampler: gankit.Sampler, truncation: float) -> Tensor:
    """Return what the generator is given."""
    given: list[Tensor] = []
    hook = sampler.generator.register_forward_hook(
        lambda module, inputs, output: given.append(inputs[0])
    )
    sampler.sample(2000, truncation=truncation)
    hook.remove()
    return torch.cat(given)[-2000:]


def test_samples_may_be_drawn_near_the_middle_of_the_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a part's own rule, or by the core's for normal noise; never in silence."""
    for case in ("truncated noise", "style mixing", "PatchGAN"):
        _train(case, tmp_path / case)
    for case in ("truncated noise", "PatchGAN"):
        sampler = gankit.load(tmp_path / case)
        middle, whole = (_noise_of(sampler, truncation) for truncation in (0.3, 0.0))
        assert float(middle.abs().max()) <= 0.3
        # uniform but for a hundredth: of normal numbers so near the mean the density
        # hardly falls, so that their variance is a third of the limit's square
        assert float(middle.var()) == pytest.approx(0.03, rel=0.1)
        assert float(whole.abs().max()) > 0.3
    where = ["sample", str(tmp_path / "style mixing"), "--truncation", "0.3"]
    assert cli(where) == 2
    assert "truncation 0.3: Mixed has no middle" in capsys.readouterr().err
