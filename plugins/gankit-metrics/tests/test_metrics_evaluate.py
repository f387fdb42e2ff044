"""``gankit evaluate`` and the probe, on runs of points in the plane."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import gankit
from gankit.cli import run as gankit_command
from gankit.errors import RunError, UsageError
from gankit_metrics import scores

RING = {
    "dataset": {"use": "gaussians", "samples": 200, "modes": 4},
    "conditioner": {"use": "label"},
    "noise": {"size": 2},
    "generator": {"use": "mlp", "hidden": [8], "output": "linear"},
    "discriminator": {"use": "mlp", "hidden": [8]},
    "loss": {"use": "non-saturating"},
    "train": {
        "steps": 4,
        "batch_size": 8,
        "device": "cpu",
        "checkpoint_every": 2,
        "sample_every": 0,
        "log_every": 2,
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Train a run once; tests take copies."""
    folder = tmp_path_factory.mktemp("runs") / "ring"
    gankit.train(RING, out=folder)
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """Return a copy of the run."""
    return Path(shutil.copytree(trained, tmp_path / "ring"))


def evaluate(*words: object, code: int = 0) -> None:
    """Call the command, and check its exit code."""
    assert gankit_command(["evaluate", *map(str, words)]) == code


def test_scores_are_told_and_kept_with_what_repeats_them(run, capsys):
    """Another seed gives other samples; the mean and the spread are of both."""
    evaluate(run, "kid", "modes", "-n", 50, "--seeds", 2)
    said = capsys.readouterr().out
    assert "step 4; 50 samples beside test; 2 seeds" in said
    kid, quality, *_ = told = scores.read(run)
    assert [score["name"] for score in told] == [
        "kid",
        "high-quality",
        "modes",
        "modes-kl",
    ]
    assert kid["title"].startswith("kid[pixels@")
    assert kid["title"] in said
    one, other = kid["values"]
    assert one != other
    assert kid["value"] == pytest.approx((one + other) / 2)
    assert kid["spread"] == pytest.approx(abs(one - other) / 2**0.5)
    assert kid["step"] == 4
    assert kid["samples"] == 50
    assert kid["split"] == "test"
    assert kid["provenance"].keys() >= {"gankit", "torch", "dataset", "data"}
    assert quality["title"] == "high-quality"


def test_the_same_again_is_the_same_and_takes_the_place_of_the_first(run, capsys):
    """Other options, another checkpoint or split stand beside it."""
    evaluate(run, "kid", "-n", 50, "--json")
    first = json.loads(capsys.readouterr().out)["scores"]
    evaluate(run, "kid", "-n", 50)
    assert scores.read(run) == first
    evaluate(run, "kid", "-n", 50, "--checkpoint", 2)
    evaluate(run, "kid", "-n", 50, "--split", "train")
    evaluate(run, "precision-recall", "precision-recall.k=2", "-n", 50)
    kept = [(s["name"], s["step"], s["split"]) for s in scores.read(run)]
    assert kept == [
        ("kid", 4, "test"),
        ("kid", 2, "test"),
        ("kid", 4, "train"),
        *((name, 4, "test") for name in ("precision", "recall", "density", "coverage")),
    ]


def test_metrics_of_the_recipe_are_measured_where_none_is_named(tmp_path, capsys):
    """With the options that stand there."""
    table = RING | {"metrics": [{"use": "precision-recall", "k": 2}]}
    gankit.train(table, out=tmp_path / "ring")
    evaluate(tmp_path / "ring", "-n", 40)
    names = {score["name"] for score in scores.read(tmp_path / "ring")}
    assert names == {"precision", "recall", "density", "coverage"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["kdi"], "^error: no metric named 'kdi'; did you mean 'kid'?"),
        (
            ["coverage"],
            "^error: no metric named 'coverage'; did you mean 'precision-recall', by",
        ),
        (
            ["kid", "kid.feature=1"],
            "0.feature: no such option; did you mean 'features'",
        ),
        (["kid", "kid.features.use=pixel"], "no features named 'pixel'"),
        (["kid.features.use=pixels"], "write kid before it"),
        (["kid", "kid"], "asked for twice"),
        (["kid", "--split", "tset"], "holds out no 'tset'; did you mean 'test'"),
        (["kid", "--checkpoint", "3"], "3"),
        (["kid", "kid.features.use=efficientnet-lite0"], "pictures"),
        (["kid", "-n", "2"], "metric 'kid': .*3 vectors"),
        (["precision-recall", "-n", "3"], "metric 'precision-recall'"),
        (["parzen", "-n", "20"], "metric 'parzen': its widths are made for pixels"),
        (["attributes"], "metric 'attributes': .*not on captions"),
        (["gan-train", "gan-train.x=1"], "0.x: no such option; its options are none"),
    ],
    ids=lambda told: " ".join(told) if isinstance(told, list) else "",
)
def test_a_mistake_is_one_clear_error_and_nothing_is_written(
    run, capsys, words, problem
):
    """Exit code 2, no traceback, and the scores that were there stay."""
    evaluate(run, *words, code=2)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.count("error:") == 1
    assert re.search(problem, said), said
    assert scores.read(run) == []


def test_a_folder_without_a_run_or_a_checkpoint_is_refused(run, tmp_path, capsys):
    """Each says what was looked for."""
    evaluate(tmp_path, "kid", code=2)
    assert "no recipe.toml" in capsys.readouterr().err
    shutil.rmtree(run / "checkpoints")
    evaluate(run, "kid", code=2)
    assert "checkpoint" in capsys.readouterr().err


def test_damaged_scores_are_named_and_kept(run, capsys):
    """Nothing is overwritten that somebody may want."""
    (run / scores.FILE).write_text('{"scores": [{"name"')
    evaluate(run, "kid", "-n", 50, code=2)
    assert "scores.json is damaged" in capsys.readouterr().err
    assert (run / scores.FILE).read_text() == '{"scores": [{"name"'
    with pytest.raises(RunError, match="remove it, and evaluate the run again"):
        scores.read(run)


def test_the_probe_measures_in_training_and_the_best_is_kept_by_it(tmp_path):
    """Its score is in the metrics by the title that `gankit evaluate` gives it."""
    table = RING | {
        "hooks": [{"use": "probe", "metric": {"use": "kid"}, "every": 2, "samples": 30}]
    }
    folder = tmp_path / "ring"
    with gankit.starting(table, out=folder) as started:
        reports = [*started.steps()]
    assert len(reports) == 4
    lines = [
        json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    curve = {
        line["step"]: value
        for line in lines
        for name, value in line.items()
        if name.startswith("kid[pixels@")
    }
    assert sorted(curve) == [2, 4]
    assert started.notes[-1].startswith("the probe takes ")
    (title,) = {n for line in lines for n in line if n.startswith("kid")}
    evaluate(folder, "kid", "-n", 30, "--split", "validation")
    (score,) = scores.read(folder)
    assert score["title"] == title
    assert score["value"] == curve[4]

    best = table | {"train": RING["train"] | {"best": title, "keep": 1}}
    with gankit.starting(best, out=tmp_path / "best") as again:
        for _ in again.steps():
            pass
    assert gankit.load(tmp_path / "best", checkpoint="best").step == min(
        curve, key=lambda step: curve[step]
    )


def test_the_discriminator_of_a_run_is_asked_the_same_in_training_and_after(tmp_path):
    """By the probe, and by `gankit evaluate`, which loads it."""
    hook = {"use": "probe", "metric": {"use": "overfitting"}, "every": 4, "samples": 30}
    folder = tmp_path / "ring"
    gankit.train(RING | {"hooks": [hook]}, out=folder)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    evaluate(folder, "overfitting", "-n", 30, "--split", "validation")
    (score,) = scores.read(folder)
    assert score["value"] == last["overfitting"]
    assert 0.2 < score["value"] < 0.8


def test_what_a_probe_cannot_measure_is_known_before_the_first_step(tmp_path):
    """Not after an hour; and no step is taken."""
    table = RING | {"hooks": [{"use": "probe", "metric": {"use": "parzen"}}]}
    with pytest.raises(UsageError, match="metric 'probe': its widths"):
        gankit.train(table, out=tmp_path / "ring")
    assert not (tmp_path / "ring" / "metrics.jsonl").exists()


def test_a_probe_changes_nothing_of_the_run(tmp_path):
    """It draws from streams of its own."""
    plain, probed = tmp_path / "plain", tmp_path / "probed"
    gankit.train(RING, out=plain)
    hooks = [{"use": "probe", "metric": {"use": "kid"}, "every": 1, "samples": 10}]
    gankit.train(RING | {"hooks": hooks}, out=probed)
    weights = [
        (folder / "checkpoints" / "00000004" / "weights.safetensors").read_bytes()
        for folder in (plain, probed)
    ]
    assert weights[0] == weights[1]
