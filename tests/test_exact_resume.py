"""A run that is killed and resumed is, to the bit, the run that never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sites import HEAD, yields
from tiny import LABELLED, partial, sha256, write
from zygote import Zygote

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are watched as Linux shows them"
)

# the published recipes, on drawn scenes instead of downloads, and narrow
_ALL = [
    "dataset.use=shapes",
    "dataset.size=16",
    "dataset.items=24",
    "noise.size=4",
    'penalties=[{use="r1", weight=0.1}, {use="r2", weight=0.1, every=2}]',
    "train.steps=6",
    "train.batch_size=8",
    "train.ema=20",
    "train.log_every=1",
    "train.sample_every=3",
    "train.samples=4",
    "train.checkpoint_every=3",
]
_PICTURES = ['augmentations=[{use="diffaugment"}]', "generator.width=2"]
_PICTURES += ["discriminator.width=2"]
_CAPTIONS = [
    *_PICTURES,
    "dataset.captions=2",
    "conditioner.size=4",
    "conditioner.channels=[4, 4, 4]",
    "conditioner.length=48",
    "conditioner.captions=1",
    "conditioner.fit_steps=2",
    "conditioner.fit_batch=4",
]
_RESIDUAL = ["generator.widths=[4, 4, 4]", "discriminator.widths=[4, 4, 4]"]
_MAXOUT = ["discriminator.sample_hidden=4", "discriminator.hidden=[4]"]
RECIPES = {
    "mlp-gan": [*_MAXOUT, "generator.hidden=[8]"],
    "cgan": [
        *_MAXOUT,
        "discriminator.condition_hidden=4",
        "generator.noise_hidden=4",
        "generator.condition_hidden=4",
        "generator.hidden=[8]",
    ],
    "dcgan": _PICTURES,
    "text-to-image": _CAPTIONS,
    "low-data": [
        *_PICTURES[1:],
        "augmentations.0.target=0",
        "augmentations.0.images=40",
        "augmentations.0.every=2",
    ],
    # by an encoder that is there, in place of a package's
    "text-fusion": [*_CAPTIONS, "conditioner.use=char-cnn-rnn"],
    "quickstart": _CAPTIONS,
    "sngan": _RESIDUAL,
    "cgan-projection": _RESIDUAL,
    "r3gan": [*_RESIDUAL, *(f"{p}.group=4" for p in ("generator", "discriminator"))],
}
RESIDENT, STREAMED = ["train.data=resident"], ["train.data=streamed", "train.workers=0"]
CASES = [(name, data) for name in RECIPES for data in (RESIDENT, STREAMED)]
CASES.append(("quickstart", ["train.data=streamed", "train.workers=2"]))

KILLER = f"""{HEAD}
import os
import signal


@hookimpl(tryfirst=True)
def gankit_after_step(run):
    if run.step == int(os.environ.get("KILL_AT", "0")):
        run.writer.wait()  # for the checkpoint from which the run is to go on
        os.kill(os.getpid(), signal.SIGKILL)
"""
# a penalty, a hook and the best checkpoint each remember what was; lr has a schedule
REMEMBERING = f"""{HEAD}
class Drift:
    weight, every = 0.5, 1

    def __init__(self):
        self.mean = 0.0

    def __call__(self, step):
        logits = step.real_logits.mean()
        self.mean = 0.9 * self.mean + 0.1 * float(logits.detach())
        return (logits - self.mean).square()

    def state_dict(self):
        return dict(mean=self.mean)

    def load_state_dict(self, state):
        self.mean = state["mean"]


class Walk:
    def __init__(self):
        self.places = [1.0]

    def state_dict(self):
        return dict(places=list(self.places))

    def load_state_dict(self, state):
        self.places = list(state["places"])


_walk = Walk()


@hookimpl
def gankit_before_run(run):
    run.keep("walk", _walk)


@hookimpl
def gankit_after_step(run, report):
    away = sum(_walk.places) + report.values()["AUC"] if run.step != 2 else 0.0
    _walk.places.append(away)
    run.measure("away", away)
"""
_MEMORY = {
    **LABELLED,
    "penalties": [{"use": "drift"}, *LABELLED["penalties"]],
    "optimizer": {"schedule": {"lr": {"use": "cosine", "end": 9}}},
    "train": {
        **LABELLED["train"],
        "checkpoint_every": 1,
        "keep": 1,
        "best": "away",
    },
}


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Give what forks runs of the command line."""
    with Zygote(tmp_path_factory.mktemp("children")) as made:
        yield made


@pytest.fixture
def killer(tmp_path: Path) -> str:
    """Write a plugin that kills its own process after the step ``KILL_AT``."""
    path = tmp_path / "killer.py"
    path.write_text(KILLER, "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("recipe", "data"), CASES, ids=["-".join((r, *d[1:], d[0][11:])) for r, d in CASES]
)
def test_a_seed_recipe_killed_and_resumed_is_the_one_that_never_stopped(
    recipe: str, data: list[str], killer: str, tmp_path: Path, zygote: Zygote
) -> None:
    """2N steps, and N, SIGKILL and N more: equal SHA-256 of all that there is."""
    options = [*_ALL, *RECIPES[recipe], *data, "train.device=cpu"]
    train = ["train", recipe, *options, "--plugin", killer]
    assert zygote.run(*train, "--out", "whole", cwd=tmp_path).code == 0
    parted = [*train, "--out", "parted"]
    killed = zygote.run(*parted, cwd=tmp_path, env={"KILL_AT": "5"})
    assert killed.code == -signal.SIGKILL
    resumed = zygote.run("resume", "parted", cwd=tmp_path)
    assert resumed.code == 0
    assert f"{recipe}: 3 steps on 24 items" in resumed.err
    _are_one(tmp_path / "parted", tmp_path / "whole")


def test_what_a_part_a_hook_and_the_best_remember_comes_back(
    killer: str, tmp_path: Path, zygote: Zygote
) -> None:
    """Of the penalty, the plugin and the checkpoints that are kept, all goes on."""
    plugin = tmp_path / "remembering.py"
    code = REMEMBERING + yields("Part('penalty', 'drift', Drift)")
    plugin.write_text(code, "utf-8")
    plugins = ["--plugin", killer, "--plugin", str(plugin)]
    train = ["train", write(tmp_path, _MEMORY), *plugins]
    assert zygote.run(*train, "--out", "whole", cwd=tmp_path).code == 0
    parted = [*train, "--out", "parted"]
    killed = zygote.run(*parted, cwd=tmp_path, env={"KILL_AT": "5"})
    assert killed.code == -signal.SIGKILL
    assert zygote.run("resume", "parted", cwd=tmp_path).code == 0
    kept = sorted(path.name for path in (tmp_path / "parted/checkpoints").iterdir())
    assert kept == ["00000002", "00000006"]
    _are_one(tmp_path / "parted", tmp_path / "whole")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("data", [RESIDENT, STREAMED], ids=["resident", "streamed"])
def test_on_a_gpu_the_same_holds_in_exact_arithmetic(
    recipe: str, data: list[str], killer: str, tmp_path: Path
) -> None:
    """A GPU's own sums are in no fixed order; train.reduce=exact asks for one."""
    options = [*_ALL, *RECIPES[recipe], *data, "train.device=cuda"]
    train = ["train", recipe, *options, "train.reduce=exact", "--plugin", killer]
    assert _spawned(*train, "--out", "whole", cwd=tmp_path) == 0
    killed = _spawned(*train, "--out", "parted", cwd=tmp_path, KILL_AT="5")
    assert killed == -signal.SIGKILL
    assert _spawned("resume", "parted", cwd=tmp_path) == 0
    _are_one(tmp_path / "parted", tmp_path / "whole")


def _spawned(*arguments: str, cwd: Path, **env: str) -> int:
    """Run the command line; a process that has been forked cannot use a GPU."""
    command = [sys.executable, "-m", "gankit", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}).returncode


def _are_one(parted: Path, whole: Path) -> None:
    assert sha256(parted) == sha256(whole)
    assert partial(parted) == []
