"""Whatever befalls a run, nothing of it is lost, and it ends as if nothing had been."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gankit.runs import checkpoint
from gankit.runs.checkpoint import MANIFEST, STATE, WEIGHTS
from sites import HEAD, yields
from tiny import LABELLED, metrics, partial, sha256, tree, without, write
from zygote import Child, Ended, Zygote

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are watched as Linux shows them"
)

TABLE: dict[str, Any] = {
    **LABELLED,
    "train": {**LABELLED["train"], "checkpoint_every": 1},
}


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Give what forks runs of the command line."""
    with Zygote(tmp_path_factory.mktemp("children")) as made:
        yield made


_STOPPING = """
import os


@hookimpl
def gankit_after_step(run):
    if run.step == int(os.environ.get("STOP_AT", "0")):
        run.stop("a hook")
"""


class Place:
    """A folder with the tiny recipe, in which faults happen to the folder ``run``."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        self.folder, self.zygote = folder, zygote
        self.out = folder / "run"
        self.recipe = write(folder, TABLE)

    def plugin(self, code: str, name: str = "fault") -> list[str]:
        """Write a local plugin file, and return what loads it."""
        path = self.folder / f"{name}.py"
        path.write_text(HEAD + code, "utf-8")
        return ["--plugin", str(path)]

    def start(self, *arguments: str, **how: Any) -> Child:
        """Start ``gankit``."""
        return self.zygote.start(*arguments, cwd=self.folder, **how)

    def train(self, *arguments: str, **how: Any) -> Ended:
        """Train, to an end of whatever kind."""
        words = ["train", self.recipe, "--out", "run", *arguments]
        return self.start(*words, **how).wait()

    def resume(self, *arguments: str, **how: Any) -> Ended:
        """Resume, to an end of whatever kind."""
        return self.start("resume", "run", *arguments, **how).wait()

    def train_until(self, step: int, *arguments: str) -> None:
        """Train, stopped on request after a step."""
        stopping = self.plugin(_STOPPING, "stopping")
        assert self.train(*stopping, *arguments, env={"STOP_AT": str(step)}).code == 0

    def recover(self, *arguments: str, **how: Any) -> Child:
        """Go on, or begin again where there was no run yet: one of the two works."""
        if (self.out / "recipe.toml").exists():
            return self.start("resume", "run", **how)
        return self.start("train", self.recipe, "--out", "run", *arguments, **how)

    def finish(self, *arguments: str) -> dict[str, str]:
        """Go on to the end, and return the digests of all that there is then."""
        ended = self.recover(*arguments).wait()
        assert ended.code == 0, ended.said
        assert partial(self.out) == []
        return sha256(self.out)


@pytest.fixture
def place(tmp_path: Path, zygote: Zygote) -> Place:
    """Give a folder for a run."""
    return Place(tmp_path, zygote)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> dict[str, str]:
    """Return the digests of the tiny run that nothing befell."""
    return Place(tmp_path_factory.mktemp("whole"), zygote).finish()


def _said_once(ended: Ended, code: int = 2) -> str:
    """Check that a run ended with one message, and return it."""
    assert ended.code == code, ended.said
    assert sum(line.startswith("error: ") for line in ended.err.splitlines()) == 1
    return ended.err.partition("error: ")[2]


# --- killed ---------------------------------------------------------------------------


def _newest(folder: Path) -> int:
    """Return the step of the newest checkpoint, which has to be whole; 0 for none."""
    if not checkpoint.all_in(folder / "checkpoints"):
        return 0
    found, damaged = checkpoint.latest(folder / "checkpoints")
    assert damaged == ()
    return found.step


def test_fifty_kills_at_random_moments_change_and_lose_nothing(place: Place) -> None:
    """In start-up, steps and saves; each time the run goes on to the same bits."""
    longer = ["train.steps=12"]
    whole = place.finish(*longer)
    shutil.rmtree(place.out)
    moments, kills, saves, newest = random.Random(0), 0, 0, 0
    length = 1.0  # seconds in which a child is killed
    while kills < 50:
        child = place.recover(*longer)
        time.sleep(moments.uniform(0, length))
        child.send(signal.SIGKILL)
        if child.wait().code == 0:
            assert sha256(place.out) == whole
            shutil.rmtree(place.out)
            newest, length = 0, 0.9 * length
            continue
        kills += 1
        saves += bool(partial(place.out / "checkpoints"))
        assert _newest(place.out) >= newest
        newest = _newest(place.out)
    assert saves >= 1
    assert place.finish(*longer) == whole


_CRASHING = """
import os
import signal
import sys

_EVENTS = {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"}
_left = [int(os.environ.get("CRASH_AT", "-1"))]


def _watch(event, arguments):
    if event not in _EVENTS:
        return
    if event == "open" and not (arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if "run" in str(arguments[0]).split("/") or isinstance(arguments[-1], int):
        _left[0] -= 1
        if _left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(_watch)
"""


def test_a_kill_before_any_change_to_the_folder_changes_and_loses_nothing(
    place: Place,
) -> None:
    """Before each file, folder and name that a run makes, moves or removes."""
    crashing = place.plugin(_CRASHING)
    short = ["train.steps=3", "train.keep=1", *crashing]
    whole = place.finish(*short)
    for number in itertools.count(1):
        shutil.rmtree(place.out)
        ended = place.train(*short, env={"CRASH_AT": str(number)})
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL
        _newest(place.out)
        assert place.finish(*short) == whole, f"killed at change {number}"
    assert number > 20  # and ten more where TensorBoard is installed


# --- interrupted in start-up ----------------------------------------------------------

_SLOW = """
import os
import time
from pathlib import Path

from gankit_conditioners.label import Label
from gankit_datasets.gaussians import Gaussians


def _wait(where):
    if os.environ.get("SLOW") == where:
        Path("slow").touch()
        time.sleep(0.5)


class SlowPoints:
    def __init__(self):
        self._points = Gaussians(samples=40, modes=4)
        self.facts = self._points.facts

    def __len__(self):
        return 40

    def __getitem__(self, index):
        if index == 7:
            _wait("reading")
        return self._points[index]


class SlowLabel:
    def __init__(self, facts):
        self._label = Label(facts)
        self.reads, self.size = self._label.reads, self._label.size

    def fit(self, data, /, *, device, seed, progress):
        _wait("fitting")

    def __getattr__(self, name):
        return getattr(self._label, name)

    def __call__(self, tokens):
        return self._label(tokens)
"""
_SLOW_PARTS = (
    "Part('dataset', 'slow-points', SlowPoints)",
    "Part('conditioner', 'slow-label', SlowLabel)",
)


@pytest.mark.parametrize("where", ["reading", "fitting"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_start_up_leaves_no_half_run(
    number: signal.Signals, where: str, place: Place
) -> None:
    """The folder is as free as it was, for the same run to be begun again."""
    slow = place.plugin(_SLOW + yields(*_SLOW_PARTS).removeprefix(HEAD))
    slow += ["dataset.use=slow-points", "conditioner.use=slow-label"]
    child = place.start(
        "train", place.recipe, "--out", "run", *slow, env={"SLOW": where}
    )
    limit = time.monotonic() + 20
    while not (place.folder / "slow").exists() and time.monotonic() < limit:
        time.sleep(0.01)
    child.send(number)
    ended = child.wait()
    assert ended.code == 1, ended.said
    assert "stopped at once; what was saved before is kept" in ended.err
    assert not place.out.exists()
    assert place.train(*slow).code == 0


# --- no room, no rights ---------------------------------------------------------------


@pytest.mark.parametrize("largest", [0, 400, 1_500, 3_000, 6_000])
def test_a_disk_that_takes_no_more_stops_a_run_that_goes_on_to_the_same_bits(
    largest: int, place: Place, whole: dict[str, str]
) -> None:
    """Whatever file is the first to find no room: recipe, metrics, picture or save."""
    said = _said_once(place.train(largest=largest))
    assert said.startswith("cannot write 'run")
    assert "free some space or choose another place for it" in said
    assert partial(place.out) == []
    assert place.finish() == whole


@pytest.mark.parametrize("largest", [100, 1_500, 6_000])
def test_a_full_disk_in_the_middle_keeps_what_was_saved(
    largest: int, place: Place, whole: dict[str, str]
) -> None:
    """Checkpoints of before stay whole, and the run goes on from the newest."""
    place.train_until(3)
    before = tree(place.out / "checkpoints")
    # TensorBoard's own thread shows its own traceback
    quiet = ["--disable-plugin", "gankit.tensorboard"]
    said = _said_once(place.resume(*quiet, largest=largest))
    assert "cannot write 'run" in said
    assert tree(place.out / "checkpoints") == before
    assert place.finish() == whole


_LOCKING = """
from pathlib import Path


@hookimpl
def gankit_after_step(run):
    locked = Path(Path("locked").read_text())
    if run.step == 4 and locked.exists():
        locked.chmod(0o555)
"""


def test_a_folder_that_may_not_be_written_is_refused_at_once(place: Place) -> None:
    """Before the data is read; a folder that may not even be looked at, too."""
    private = place.folder / "private"
    private.mkdir()
    for mode in (0o555, 0o000):
        private.chmod(mode)
        ended = place.start(
            "train", place.recipe, "--out", "private/run", bound=True
        ).wait()
        assert "choose another with --out" in _said_once(ended)
        assert "reading the data" not in ended.err
    private.chmod(0o755)
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("locked", ["checkpoints", "samples", "metrics.jsonl"])
def test_a_folder_that_becomes_read_only_loses_nothing(
    locked: str, place: Place, whole: dict[str, str]
) -> None:
    """One message; when it may be written again, the run goes on."""
    (place.folder / "locked").write_text(f"run/{locked}")
    locking = place.plugin(_LOCKING)
    said = _said_once(place.train(*locking, bound=True))
    assert f"cannot write 'run/{locked}" in said
    assert "Permission denied" in said
    (place.out / locked).chmod(0o755)
    # that of step 3 may still have been on its way
    assert _newest(place.out) >= (2 if locked == "checkpoints" else 3)
    (place.folder / "locked").write_text("none")
    assert place.finish() == whole


# --- damaged --------------------------------------------------------------------------


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "flipped": _flip,
    "missing": Path.unlink,
}


@pytest.mark.parametrize("file", [WEIGHTS, STATE, MANIFEST])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_costs_no_more_than_its_steps(
    kind: str, file: str, place: Place, whole: dict[str, str]
) -> None:
    """The run goes on from the one before, to the bits that it would have had."""
    place.train_until(4)
    DAMAGE[kind](place.out / "checkpoints/00000004" / file)
    resumed = place.resume()
    assert resumed.code == 0
    assert "note: the checkpoint 'run/checkpoints/00000004' is damaged: " in resumed.err
    assert "going on from run/checkpoints/00000003" in resumed.err
    assert place.finish() == whole


def test_a_damaged_later_checkpoint_does_not_push_out_the_one_just_saved(
    place: Place,
) -> None:
    """It counts for nothing among the newest that are kept."""
    rare = ["train.checkpoint_every=3", "train.keep=1", "train.keep_every=3"]
    place.train_until(6, *rare, "train.steps=7")
    _flip(place.out / "checkpoints/00000006" / STATE)
    assert place.resume(env={"STOP_AT": "4"}).code == 0
    found, damaged = checkpoint.latest(place.out / "checkpoints")
    assert (found.step, len(damaged)) == (4, 1)


class _Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._command = f"touch {marker}"

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


def test_code_in_a_checkpoint_is_refused_and_not_run(place: Place) -> None:
    """Though every digest of it is right."""
    place.train_until(2)
    path, marker = place.out / "checkpoints/00000002", place.folder / "marker"
    torch.save({"game": {}, "hooks": {"gankit": _Payload(marker)}}, path / STATE)
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["files"][STATE] = checkpoint.digest_of_file(path / STATE)
    del manifest["digest"]
    manifest["digest"] = checkpoint._digest_of(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    said = _said_once(place.resume())
    assert "state.pt' is not what gankit writes" in said
    assert not marker.exists()


# --- data that goes away --------------------------------------------------------------

_STREAMED: dict[str, Any] = {
    **without(TABLE, "conditioner", "penalties"),
    "dataset": {"use": "image-folder", "root": "pictures", "size": 16},
    "generator": {"use": "dcgan", "width": 2},
    "discriminator": {"use": "dcgan", "width": 2},
    "train": {**TABLE["train"], "data": "streamed", "steps": 16},
}
_VANISHING = """
import os
from pathlib import Path


@hookimpl
def gankit_after_step(run):
    if run.step == 2:
        for name in os.environ.get("VANISH", "").split():
            Path("pictures", name).unlink()
        for name in os.environ.get("BREAK", "").split():
            Path("pictures", name).write_bytes(b"no picture")
"""
_PICTURES = [f"{number:02}.png" for number in range(12)]


def _draw(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(_PICTURES):
        Image.new("RGB", (16, 16), (20 * number, 99, 9)).save(folder / name)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_goes_away_in_training_is_passed_over(
    workers: int, place: Place
) -> None:
    """One that vanishes, and one that breaks."""
    _draw(place.folder / "pictures")
    place.recipe = write(place.folder, _STREAMED)
    env = {"VANISH": "03.png", "BREAK": "07.png"}
    vanishing = [*place.plugin(_VANISHING), f"train.workers={workers}"]
    assert place.train(*vanishing, env=env).code == 0
    assert _newest(place.out) == 16


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_that_goes_away_ends_the_run_and_loses_no_step(
    workers: int, place: Place
) -> None:
    """The last whole step is saved; once the data is back, nothing has happened."""
    _draw(place.folder / "pictures")
    place.recipe = write(place.folder, _STREAMED)
    rare = [*place.plugin(_VANISHING), f"train.workers={workers}"]
    rare += ["train.checkpoint_every=100"]
    expected = place.finish(*rare)
    shutil.rmtree(place.out)
    said = _said_once(place.train(*rare, env={"VANISH": " ".join(_PICTURES)}))
    step = _newest(place.out)
    assert 2 <= step < 16
    assert said.splitlines() == [
        "no item of the data set can be read any more",
        f"step {step} was saved; go on with `gankit resume run`",
    ]
    _draw(place.folder / "pictures")
    finished, early = place.finish(), f"{step:08d}/"
    # gankit's own look at the real samples may have failed, and its score is missing
    del finished["metrics.jsonl"], expected["metrics.jsonl"]
    assert {k: v for k, v in finished.items() if not k.startswith(early)} == expected
    steps = [line["step"] for line in metrics(place.out) if "warning" not in line]
    assert steps == [*range(1, 17)]


_DYING = """
import multiprocessing
import os
import signal

from gankit_datasets.gaussians import Gaussians
from torch.utils.data import get_worker_info


class Dying:
    def __init__(self):
        self._points = Gaussians(samples=40, modes=4)
        self.facts = self._points.facts

    def __len__(self):
        return 40

    def __getitem__(self, index):
        if os.environ.get("DIE") == "always" and get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return self._points[index]


@hookimpl
def gankit_after_step(run):
    if run.step == 3 and os.environ.get("DIE") == "once":
        multiprocessing.active_children()[0].kill()
"""
_READ_BY_TWO = ["dataset.use=dying", "train.data=streamed", "train.workers=2"]


def _dying(place: Place) -> list[str]:
    code = _DYING + yields("Part('dataset', 'dying', Dying)").removeprefix(HEAD)
    return [*place.plugin(code), *_READ_BY_TWO]


def test_a_data_worker_that_dies_is_replaced_and_changes_no_bit(place: Place) -> None:
    """As when the system takes one for its memory."""
    dying = _dying(place)
    expected = place.finish(*dying)
    shutil.rmtree(place.out)
    ended = place.train(*dying, env={"DIE": "once"})
    assert ended.code == 0, ended.said
    assert sha256(place.out) == expected


def test_data_workers_that_always_die_end_the_run(place: Place) -> None:
    """With one message, that says what to do."""
    said = _said_once(place.train(*_dying(place), env={"DIE": "always"}))
    assert "the processes that read the data died twice in a row" in said
    assert "lower train.workers, or set it to 0" in said


# --- values that are not finite -------------------------------------------------------

_POISON = """
import os

import torch

from gankit.runs.restoring import fingerprint
from gankit_losses.hinge import Hinge

VALUE = float(os.environ.get("VALUE", "nan"))
WHERE = os.environ.get("WHERE", "")
AT = [int(word) for word in os.environ.get("AT", "").split()]  # steps done before
_hit = []


def _due(index):
    # once at each step, or always
    if index not in AT or (index in _hit and "ALWAYS" not in os.environ):
        return False
    _hit.append(index)
    return True


class Poisoned:
    def __init__(self):
        self._hinge = Hinge()

    def discriminator(self, step):
        loss = self._hinge.discriminator(step)
        return loss * VALUE if WHERE == "loss" and _due(step.index) else loss

    def generator(self, step):
        return self._hinge.generator(step)


@hookimpl
def gankit_before_run(run):
    weight = next(run.game.generator.network.parameters())
    if WHERE == "gradient":
        weight.register_hook(lambda g: g + VALUE if _due(run.step) else g)


@hookimpl
def gankit_after_step(run):
    with open("weights", "a") as file:
        file.write(fingerprint(run.game.networks()) + "\\n")
    if WHERE == "weight" and _due(run.step - 1):
        with torch.no_grad():
            next(run.game.generator.network.parameters()).view(-1)[0] = VALUE
"""
_RARE = ["train.checkpoint_every=2", "train.steps=10", "train.keep=9"]
SAID = {
    "loss": "the loss Poisoned of the discriminator is {what} in step 4",
    "gradient": "the gradient of the generator's hidden.0.0.weight holds {what} in",
}


def _poison(place: Place) -> list[str]:
    code = _POISON + yields("Part('loss', 'poisoned', Poisoned)").removeprefix(HEAD)
    return [*place.plugin(code), "loss.use=poisoned", *_RARE]


@pytest.mark.parametrize(("value", "what"), [("nan", "NaN"), ("inf", "infinity")])
@pytest.mark.parametrize("where", SAID)
def test_an_update_that_is_not_finite_is_left_out_and_named(
    where: str, value: str, what: str, place: Place
) -> None:
    """Nothing moves by it; the warning comes once, on the screen and in the metrics."""
    env = {"WHERE": where, "VALUE": value, "AT": "3 6", "ALWAYS": ""}
    ended = place.train(*_poison(place), env=env)
    assert ended.code == 0, ended.said
    said = SAID[where].format(what=what)
    assert ended.err.count("warning: not finite: ") == 1
    assert said in ended.err
    told = [line for line in metrics(place.out) if line.get("warning") == "not finite"]
    assert [(line["step"], said in line["text"]) for line in told] == [(4, True)]
    assert _finite_on_disk(place.out) == 4  # not of step 4, which went wrong


def test_a_step_whose_loss_is_not_finite_leaves_that_player_as_it_was(
    place: Place,
) -> None:
    """With both players moving at once, every weight, buffer and average."""
    both = [*_poison(place), "train.order=simultaneous"]
    env = {"WHERE": "loss", "AT": "3", "ALWAYS": ""}
    assert place.train(*both, env=env).code == 0
    weights = (place.folder / "weights").read_text().split()
    same = [step for step in range(1, 10) if weights[step] == weights[step - 1]]
    assert same == [3]


def _finite_on_disk(out: Path) -> int:
    """Check that every checkpoint is finite, and return how many there are."""
    every = checkpoint.all_in(out / "checkpoints")
    for path in every:
        tensors = load_file(path / WEIGHTS)
        assert all(bool(tensor.isfinite().all()) for tensor in tensors.values()), path
    return len(every)


def _bits(out: Path) -> dict[str, Any]:
    """Return the bits of a run, but for the warnings that it has given."""
    newest = checkpoint.latest(out / "checkpoints")[0]
    states = repr(newest.state()["game"])
    lines = [line for line in metrics(out) if "warning" not in line]
    return {"weights": (newest.path / WEIGHTS).read_bytes(), "game": states} | {
        "metrics": lines
    }


@pytest.mark.parametrize("where", ["loss", "gradient", "weight"])
def test_a_fault_that_passes_ends_with_the_bits_of_a_run_that_was_never_hit(
    where: str, place: Place
) -> None:
    """Three bad steps in a row: the run goes back, and plays the same steps again."""
    poison = _poison(place)
    place.finish(*poison)
    expected = _bits(place.out)
    shutil.rmtree(place.out)
    at = "4" if where == "weight" else "4 5 6"
    ended = place.train(*poison, env={"WHERE": where, "AT": at})
    assert ended.code == 0, ended.said
    assert ended.err.count("warning: not finite: ") == 1
    failed = 8 if where == "weight" else 7  # a weight is seen a step later
    gone = f"warning: went back: from step {failed} to the checkpoint of step 4: "
    assert ended.err.count(gone) == 1
    assert _bits(place.out) == expected
    kinds = [line["warning"] for line in metrics(place.out) if "warning" in line]
    assert sorted(kinds) == sorted(set(kinds))
    assert "went back" in kinds
    assert _finite_on_disk(place.out) == 5


@pytest.mark.parametrize("where", ["loss", "gradient", "weight"])
def test_a_fault_that_stays_ends_the_run_with_advice(where: str, place: Place) -> None:
    """What is on the disk is good, and without the fault the run goes on from it."""
    poison = _poison(place)
    place.finish(*poison)
    expected = _bits(place.out)
    shutil.rmtree(place.out)
    env = {"WHERE": where, "AT": "4 5 6 7 8 9", "ALWAYS": ""}
    said = _said_once(place.train(*poison, env=env), code=1)
    failed = 8 if where == "weight" else 7  # a weight is seen a step later
    assert said.startswith(f"the run has diverged at step {failed} (again, after going")
    assert "a lower optimizer.lr, optimizer.clip=1.0 or train.precision=fp32" in said
    assert "mend it, and go on with `gankit resume run`" in said
    assert _finite_on_disk(place.out) == 2
    place.finish()
    assert _bits(place.out) == expected


_HOLE = """
from gankit import Facts, Item
from gankit_datasets.gaussians import Gaussians


class Hole:
    def __init__(self):
        self._points = Gaussians(samples=40, modes=4)
        self.facts = self._points.facts

    def __len__(self):
        return 40

    def __getitem__(self, index):
        item = self._points[index]
        broken = Item(item.sample * float("nan"), **item.annotations)
        return broken if index == 5 else item
"""


def test_real_data_that_is_not_finite_is_named_and_left_out(place: Place) -> None:
    """Once in each pass over 40 items, in batches of 8."""
    code = _HOLE + yields("Part('dataset', 'hole', Hole)").removeprefix(HEAD)
    ended = place.train(*place.plugin(code), "dataset.use=hole", *_RARE)
    assert ended.code == 0, ended.said
    assert (
        ended.err.count("warning: not finite: the real samples hold NaN in step") == 1
    )
    assert _finite_on_disk(place.out) >= 4


# --- hooks that raise -----------------------------------------------------------------

LIFECYCLE = (
    "before_run",
    "after_step",
    "on_samples",
    "on_checkpoint",
    "on_warning",
    "after_run",
)
_RAISING = """
import os


def _fail(hook):
    if os.environ.get("FAIL") == hook or os.environ.get("ALSO") == hook:
        raise KeyError(hook)

@hookimpl
def gankit_before_run(run): _fail("before_run")

@hookimpl(tryfirst=True)
def gankit_after_step(run):
    if run.step == 2:
        run.warn("ours", "as it happens")
    if run.step == 3:
        _fail("after_step")

@hookimpl
def gankit_on_samples(run): _fail("on_samples")

@hookimpl
def gankit_on_checkpoint(run):
    if run.step > 2:
        _fail("on_checkpoint")

@hookimpl
def gankit_on_warning(run): _fail("on_warning")

@hookimpl
def gankit_after_run(run): _fail("after_run")

@hookimpl
def gankit_on_error(run): _fail("on_error")
"""


@pytest.mark.parametrize("every", [1, 100], ids=["saving often", "saving last"])
@pytest.mark.parametrize("hook", LIFECYCLE)
def test_a_hook_that_raises_is_named_and_costs_nothing(
    hook: str, every: int, place: Place
) -> None:
    """Not even a line of metrics or a grid: the run goes on as if it had not."""
    raising = [*place.plugin(_RAISING), f"train.checkpoint_every={every}"]
    expected = place.finish(*raising)
    shutil.rmtree(place.out)
    said = _said_once(place.train(*raising, env={"FAIL": hook}), code=1)
    first = f"the hook gankit_{hook} of plugin 'fault' raised KeyError: '{hook}'; run "
    assert said.startswith(first + "without that plugin with --disable-plugin fault")
    resumed = place.resume(*(["--disable-plugin", "fault"] * (hook != "before_run")))
    assert resumed.code == 0, resumed.said
    finished = place.finish()
    # where it stopped there is a checkpoint more
    assert {name: finished[name] for name in expected} == expected


def test_a_second_error_is_told_after_the_first(place: Place) -> None:
    """The first is the cause; the hook that is told of it must not hide it."""
    raising = place.plugin(_RAISING)
    env = {"FAIL": "after_step", "ALSO": "on_error"}
    lines = _said_once(place.train(*raising, env=env), code=1).splitlines()
    assert lines[0].startswith("the hook gankit_after_step of plugin 'fault' raised")
    assert lines[1].startswith("step 3 was saved; go on with `gankit resume run`")
    assert lines[2].startswith("the hook gankit_on_error of plugin 'fault' raised Key")
    assert len(lines) == 3
