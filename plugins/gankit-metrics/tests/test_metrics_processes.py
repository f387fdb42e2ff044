"""Processes that share an evaluation: each does its part, and all know the same."""

from __future__ import annotations

import json
import pickle
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import pytest
import torch
from attrs import field, frozen
from doctored import CPU, Bars, Doctored, noisy

import gankit
from gankit import Facts, Item, Processes, Samples, cache
from gankit.cli import run as gankit_command
from gankit.errors import UsageError
from gankit_metrics import scores
from gankit_metrics.command import idle
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features.classifier import Classifier
from gankit_metrics.features.efficientnet import EfficientNetLite0
from gankit_metrics.metrics.gan_test import GanTest
from gankit_metrics.metrics.gan_train import GanTrain
from gankit_metrics.metrics.inception_score import InceptionScore
from gankit_metrics.metrics.kid import KID
from gankit_metrics.metrics.modes import Modes
from gankit_metrics.metrics.precision_recall import PrecisionRecall
from gankit_metrics.metrics.two_sample import TwoSample
from gankit_metrics.reference import Reference
from gankit_metrics.shares import in_shares

T = TypeVar("T")
LIMIT = 60.0  # seconds in which every process has to end, on a slow machine


@frozen(eq=False)
class Seat(Processes):
    """A thread in the place of a process: what it tells the others is pickled."""

    table: list[bytes] = field(kw_only=True)
    barrier: Barrier = field(kw_only=True)

    def gather(self, value: T) -> list[T]:
        """Wait for the values of all."""
        self.table[self.rank] = pickle.dumps(value)
        self.barrier.wait()
        every = [pickle.loads(told) for told in self.table]
        self.barrier.wait()
        return every

    def once(self, make: Callable[[], T]) -> T:
        """Wait for the first."""
        return self.gather(make() if self.rank == 0 else None)[0]


def together(size: int, work: Callable[[Processes], T]) -> list[T]:
    """Let so many threads share some work; return what each gives."""
    table, barrier = [b""] * size, Barrier(size, timeout=LIMIT)

    def sit(rank: int) -> T:
        try:
            return work(Seat(rank, size, table=table, barrier=barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(sit, range(size)))


@pytest.mark.parametrize("pieces", [0, 1, 2, 5, 6])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_each_piece_of_work_is_done_once_and_known_to_all(size, pieces):
    """In its order; and a share is at most one piece larger than another."""
    done: list[tuple[int, int]] = []

    def work(processes: Processes) -> list[int]:
        def square(piece: int) -> int:
            done.append((processes.rank, piece))
            return piece**2

        return in_shares(processes, range(pieces), square, lambda done, total: None)

    assert together(size, work) == [[n**2 for n in range(pieces)]] * size
    assert sorted(piece for _, piece in done) == [*range(pieces)]
    shares = Counter(rank for rank, _ in done)
    sizes = [shares[rank] for rank in range(size)]
    assert max(sizes) - min(sizes) <= 1


def test_work_that_is_not_the_same_in_all_is_an_error_in_all():
    """As where each reads a folder of its own."""

    def work(processes: Processes) -> str:
        pieces = range(4 + processes.rank)
        with pytest.raises(UsageError) as caught:
            in_shares(processes, pieces, int, lambda done, total: None)
        return str(caught.value)

    for said in together(2, work):
        assert "share 4, 5 pieces of the same work, so they read different" in said


def sample(evaluation: Evaluation) -> None:
    """Draw samples without the lock of cached_property, which threads share.

    Until Python 3.12; processes do not share it.
    """
    vars(evaluation)["generated"] = evaluation.generate(evaluation.count)


QUICK = partial(Classifier, steps=4, width=2, size=8)
DATA = Bars(300)
METRICS = {
    "kid": KID(QUICK),
    "inception": InceptionScore(QUICK),
    "precision": PrecisionRecall(),
    "gan-test": GanTest(QUICK),
    "gan-train": GanTrain(),
    "two-sample": TwoSample(),
}


@pytest.fixture
def fits(monkeypatch, tmp_path) -> list[int]:
    """Fit quickly; give a list that is as long as there were fits."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))
    made: list[int] = []
    fit = Classifier._fit

    def counted(self: Classifier, *arguments: Any) -> Any:
        made.append(1)
        return fit(self, *arguments)

    monkeypatch.setattr(Classifier, "_fit", counted)
    monkeypatch.setattr("gankit_metrics.reference.Classifier", QUICK)
    monkeypatch.setattr("gankit_metrics.reference.EfficientNetLite0", QUICK)
    return made


def measured(processes: Processes) -> list[Score]:
    """Measure noisy bars by all of the metrics."""
    reference = Reference(DATA, device=CPU, processes=processes)
    evaluation = Evaluation(Doctored(spoil=noisy), reference, count=280, baselines=True)
    sample(evaluation)
    return [score for metric in METRICS.values() for score in metric(evaluation)]


@pytest.mark.parametrize("size", [2, 3])
def test_scores_are_those_of_one_process_to_the_bit(size, fits, monkeypatch, tmp_path):
    """In each of them; what is fitted is fitted once, and sent to the others."""
    alone, needed = measured(Processes()), len(fits)
    assert needed == 3
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "other"))
    assert together(size, measured) == [alone] * size
    assert len(fits) == 2 * needed


class Stacked:
    """Three grey bars in three channels; the grey ones are a split of their own."""

    facts = Facts((3, 16, 16))
    splits = {"single": lambda: DATA}  # noqa: RUF012 # nobody changes it

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> Item:
        return Item(DATA.all_samples[index : index + 3, 0])


@frozen(eq=False)
class Stacking(Doctored):
    """Draws noise of three channels."""

    reads: str = ""
    facts: Facts = Stacked.facts

    def generate(self, noise, conditions=(), *, seed=0) -> Samples:
        """Draw it by the seed."""
        rng = torch.Generator().manual_seed(seed)
        return Samples(torch.rand(len(noise), 3, 16, 16, generator=rng), ())


def test_channels_are_classified_by_one_fit_for_all_seeds(fits, monkeypatch):
    """In all processes; ten classes a channel make a thousand modes."""
    monkeypatch.setattr("gankit_metrics.metrics.modes.Classifier", QUICK)

    def work(processes: Processes) -> list[list[Score]]:
        reference = Reference(Stacked(), device=CPU, processes=processes)
        found = []
        for seed in range(2):
            evaluation = Evaluation(Stacking(), reference, count=70, seed=seed)
            sample(evaluation)
            found.append([*Modes()(evaluation)])
        return found

    first, second = together(2, work)
    assert first == second
    assert len(fits) == 1
    assert all(score.details["modes"] == 1000 for scores in first for score in scores)


def test_samples_are_embedded_once_for_all_metrics(monkeypatch, tmp_path):
    """And real ones once for all evaluations, by what the first one's cache knows."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))
    looked: list[int] = []
    asked: list[Path] = []
    read = cache.read
    monkeypatch.setattr(cache, "read", lambda path: asked.append(path) or read(path))

    class Watched:
        name, size, digest = "watched", 1, "01234567"

        def __call__(self, samples: torch.Tensor) -> torch.Tensor:
            looked.append(len(samples))
            return samples.double().flatten(1).mean(1, keepdim=True)

        def to(self, device: torch.device) -> Watched:
            return self

    def work(processes: Processes) -> torch.Tensor:
        reference = Reference(DATA, device=CPU, processes=processes)
        evaluation = Evaluation(Doctored(), reference, count=130)
        sample(evaluation)
        features = reference.extractor(Watched)
        for _ in range(2):
            made = evaluation.embedded(evaluation.generated, features)
            real = evaluation.embedded(evaluation.real(), features)
        return torch.cat([made, real])

    alone = work(Processes())
    assert (alone.shape, alone.dtype) == ((260, 1), torch.float32)
    assert looked == [64, 64, 2] * 2
    looked.clear()
    asked.clear()
    assert all(torch.equal(told, alone) for told in together(2, work))
    assert sorted(looked) == [2, 64, 64]
    assert len(asked) == 1


def test_more_threads_change_the_last_digits_alone():
    """So much another number of processes may change, where they divide the cores."""
    threads, features = torch.get_num_threads(), EfficientNetLite0()
    made, found = DATA.all_samples[:4] / 255, []
    for count in (1, 2):
        torch.set_num_threads(count)
        with torch.inference_mode():
            found.append(features(made))
    torch.set_num_threads(threads)
    assert (found[0] - found[1]).abs().max() < 1e-5 * found[0].abs().max()


def test_features_that_are_not_finite_are_an_error():
    """With where they are."""
    evaluation = Evaluation(Doctored(), Reference(DATA, device=CPU), count=100)
    some = evaluation.generated

    def look(samples: torch.Tensor) -> torch.Tensor:
        return samples.flatten(1).mean(1) / (0 if len(samples) < 64 else 1)

    with pytest.raises(UsageError, match=r"judging: .* from 64 to 99 some gave"):
        evaluation.in_chunks(some, look, "judging")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((257, 2, 2, "cpu"), []),
        ((512, 3, 2, "cpu"), ["512 samples .* 256 at a time: of 3 processes 1 draw"]),
        ((640, 3, 3, "cpu"), ["3 processes share 2 cores, .*: 2 would be as fast"]),
        ((640, 3, 3, "cuda"), []),
    ],
)
def test_more_processes_than_gain_anything_are_told_of(monkeypatch, asked, said):
    """Those that have no samples to draw, and those that have no core."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    notes = [*idle(*asked)]
    assert len(notes) == len(said)
    assert all(map(re.search, said, notes)), notes


PARTS = """
import os, signal
from pathlib import Path
import torch
from gankit import Part, hookimpl
from gankit_metrics.contracts import Score

def note(what, count):
    with open(Path(os.environ["NOTED"]) / os.environ.get("RANK", "alone"), "a") as file:
        file.write(f"{what} {count}\\n")

class Normal:
    size = 2
    def __call__(self, count, rng):
        note("drawn", count)
        return torch.randn(count, 2, generator=rng)

class Waves:
    name, size = "waves", 16
    def __init__(self):
        self.digest = "00000000"
    def prepare(self, data, *, device, seed, progress, heldout=None):
        note("fitted", len(data))
        rng = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(2, 16, generator=rng) / data.samples(
            torch.arange(len(data))).std()
        self.digest = f"{float(self.weights.sum()):.6f}"[-8:]
    def __call__(self, samples):
        note("looked", len(samples))
        return torch.sin(samples @ self.weights)
    def to(self, device):
        return self

class Killed:
    def __call__(self, evaluation):
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        evaluation.generated
        return ()

class Late:
    def __call__(self, evaluation):
        def look(samples):
            return samples[:, :1] + 0 * int(evaluation.judge is None)
        seen = evaluation.in_chunks(evaluation.real(), look, "asking late")
        yield Score("late", float(seen.mean()))

@hookimpl
def gankit_parts():
    yield Part("noise", "noted", Normal)
    yield Part("features", "waves", Waves)
    yield Part("metric", "killed", Killed)
    yield Part("metric", "late", Late)
"""
RING = {
    "dataset": {"use": "gaussians", "samples": 400, "modes": 4},
    "conditioner": {"use": "label"},
    "noise": {"use": "noted"},
    "generator": {"use": "mlp", "hidden": [8], "output": "linear", "dropout": 0.5},
    "discriminator": {"use": "mlp", "hidden": [8]},
    "loss": {"use": "non-saturating"},
    "train": {"steps": 2, "batch_size": 8, "device": "cpu", "sample_every": 0},
}


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> Path:
    """Train a run, once; give its folder, beside which its plugin is."""
    folder = tmp_path_factory.mktemp("ring")
    (folder / "ring_parts.py").write_text(PARTS, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTED", str(folder))
        parts = [folder / "ring_parts.py"]
        gankit.train(RING, out=folder / "run", plugins=parts)
    return folder / "run"


@pytest.fixture
def evaluate(ring, monkeypatch, tmp_path, capfd) -> Callable[..., tuple[int, str, str]]:
    """Give what evaluates the run; the exit code, and what all processes say."""
    monkeypatch.setenv("NOTED", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))

    def evaluated(*words: object, run: Path = ring) -> tuple[int, str, str]:
        (ring / scores.FILE).unlink(missing_ok=True)
        capfd.readouterr()
        parts = ["--plugin", ring.with_name("ring_parts.py")]
        code = gankit_command([*map(str, ("evaluate", run, *words, *parts))])
        said = capfd.readouterr()
        return code, said.out, said.err

    return evaluated


def test_processes_evaluate_a_run_as_one_does(evaluate, ring, monkeypatch, tmp_path):
    """To the bit; each draws and looks at its share, and one fits, writes and tells."""
    wanted = ["kid", "kid.features.use=waves", "precision-recall", "overfitting"]
    wanted += ["-n", 300, "--seeds", 2, "--json"]
    noted, told, kept = {}, {}, {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        monkeypatch.setenv("NOTED", str(folder))
        monkeypatch.setenv("GANKIT_CACHE", str(folder / "cache"))
        code, out, err = evaluate(*wanted, "--processes", count)
        said = [line for line in err.splitlines() if " cores, and " not in line]
        assert (code, said) == (0, [])  # but where there is one core alone
        told[count], kept[count] = json.loads(out)["scores"], scores.read(ring)
        for path in folder.glob("*[a-z0-9]"):
            if path.is_file():
                lines = path.read_text().splitlines()
                noted[path.name] = Counter(line for line in lines)
    assert told[2] == kept[2] == told[1] == kept[1]
    assert len(told[1]) == 6
    for each in noted.values():
        del each["drawn 1"]  # in which is tried what a pass would change
    alone, shared = noted.pop("alone"), [noted[rank] for rank in ("0", "1")]
    assert alone == shared[0] + shared[1]
    assert shared[0]["drawn 256"] == shared[1]["drawn 44"] == 2
    assert [each["fitted 400"] for each in shared] == [1, 0]
    looks = [sum(n for line, n in each.items() if "looked" in line) for each in shared]
    assert looks == [12, 8]  # of 300 in 64s, by two seeds, of test and of train


def test_a_process_without_samples_to_look_at_need_not_ask_for_the_judge(evaluate):
    """Loading it waits for nobody."""
    told = [evaluate("late", "-n", 64, "--json", "--processes", n) for n in (1, 2)]
    assert [code for code, _, _ in told] == [0, 0]
    first, second = (json.loads(out)["scores"] for _, out, _ in told)
    assert first == second


def test_a_process_that_is_killed_ends_the_others(evaluate, ring):
    """Soon; it is named, and nothing is written."""
    start = time.monotonic()
    code, out, err = evaluate("killed", "-n", 300, "--processes", 2)
    assert time.monotonic() - start < LIMIT
    assert (code, out) == (1, "")
    assert err.count("error: process 1 of 2 was killed by SIGKILL") == 1
    assert err.count("lost contact with another, which said nothing") == 1
    assert err.count("error:") == 2
    assert "Traceback" not in err
    assert scores.read(ring) == []


def test_a_mistake_is_told_once(evaluate, tmp_path):
    """Though every process makes it."""
    code, _, err = evaluate("kid", "--processes", 2, run=tmp_path)
    assert code == 2
    assert err.count(f"{str(tmp_path)!r} holds no run") == 1
    assert err.count("error:") == 1
