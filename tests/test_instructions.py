"""What a processor lacks is said before a run pays for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from games import make_run
from gankit.cli import run as cli
from gankit.compute.instructions import lacks_bf16
from gankit.runs.choices import _slowly

LACKS = "this CPU has no instructions for bf16"
# a line of each kind of processor, shortened
PROCESSORS = {
    "flags\t\t: fpu sse2 avx avx2 fma": True,
    "flags\t\t: fpu sse2 avx2 avx512f avx512vl": True,
    "flags\t\t: fpu avx2 avx512f avx512_bf16": False,
    "flags\t\t: fpu avx2 avx512f amx_tile amx_bf16": False,
    "flags\t\t: fpu avx2 avx_vnni avx_ne_convert": False,
    "Features\t: fp asimd asimdhp": True,
    "Features\t: fp asimd bf16 i8mm": False,
    "model name\t: one that lists nothing": False,
}


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file in which the kernel describes the processor."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr("gankit.compute.instructions._CPUINFO", path)
    return path


@pytest.mark.parametrize(("line", "lacks"), PROCESSORS.items())
def test_a_processor_lists_its_instructions(
    line: str, lacks: bool, processor: Path
) -> None:
    """On x86 and on ARM; one that lists nothing is believed to have them."""
    processor.write_text(f"processor\t: 0\n{line}\nbogomips\t: 1\n", "utf-8")
    assert lacks_bf16() == (LACKS if lacks else "")


def test_where_nobody_describes_the_processor_nothing_is_said(processor: Path) -> None:
    """As on other systems than Linux."""
    assert not processor.exists()
    assert lacks_bf16() == ""


@pytest.mark.parametrize(("precision", "warned"), [("bf16", True), ("fp32", False)])
def test_a_run_says_before_its_first_step_that_bf16_is_slow(
    precision: str, warned: bool, processor: Path
) -> None:
    """On a CPU without instructions for it, with what is faster."""
    processor.write_text("flags : avx2\n", "utf-8")
    line = make_run(train={"precision": precision, "device": "cpu"}).choices[0]
    assert line.startswith(f"device: cpu, {precision}")
    assert (LACKS in line and "set train.precision=fp32" in line) is warned


def test_what_a_gpu_computes_needs_nothing_of_the_processor(processor: Path) -> None:
    """Its own bf16 is looked at elsewhere."""
    processor.write_text("flags : avx2\n", "utf-8")
    assert _slowly(torch.device("cpu"), "bf16") != ""
    assert _slowly(torch.device("cuda"), "bf16") == ""


def test_doctor_tells_of_the_processor(
    processor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what it lacks alone."""
    processor.write_text("flags : avx2\n", "utf-8")
    assert cli(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bf16"].startswith(LACKS)
    processor.write_text("flags : avx512_bf16\n", "utf-8")
    assert cli(["doctor", "--json"]) == 0
    assert "bf16" not in json.loads(capsys.readouterr().out)
