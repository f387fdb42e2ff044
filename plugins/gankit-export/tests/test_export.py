"""Generators as files: read again without gankit, they draw what the run draws."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

import gankit
from gankit import UNBOUNDED, Classes, Facts, Noise, Sampler, Shapes
from gankit.cli import run
from gankit.errors import UsageError
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Entry
from gankit_export import export
from gankit_export.dropout import GivenDropout, Supply, with_given_dropout

PLUGINS = Path(__file__).parents[2]
OURS = {
    tomllib.loads(path.read_text("utf-8"))["project"]["name"]
    for path in PLUGINS.glob("*/pyproject.toml")
}
NEEDS_ONNX = pytest.mark.skipif(
    find_spec("onnxruntime") is None or find_spec("onnxscript") is None,
    reason="onnxruntime and onnxscript are not installed",
)
FORMATS = [
    pytest.param(".onnx", marks=NEEDS_ONNX),
    pytest.param(".pt2"),
    pytest.param(".safetensors"),
]
# of options with these names, so that a network is small
SMALL: dict[str, Any] = {"width": 8, "hidden": (8,), "dropout": 0.5}
SAMPLES = ((3, 16, 16), (3, 32, 32), (3, 64, 64), (2,))


class Vectors(nn.Module):
    """A conditioner of three classes: a vector each."""

    reads, size = "label", 4

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(12.0).reshape(3, 4) / 12)
        self.table: Tensor

    def tokens(self, raw: Any) -> Tensor:
        """Turn labels into (N,)."""
        return torch.as_tensor(raw)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 4)."""
        return self.table[tokens]

    def parse(self, text: str) -> int:
        """Read a class."""
        return int(text)


def sampler_of(generator: nn.Module, shapes: Shapes) -> Sampler:
    """Give what draws from a network that nobody has trained."""
    facts = Facts(shapes.sample, label=Classes(("circle", "square", "star")))
    conditioner = Vectors() if shapes.condition else None
    conditions = (0, 1, 2) if shapes.condition else ()
    noise = Noise(size=shapes.noise)
    return Sampler(
        generator.train(), conditioner, noise, facts, conditions, torch.device("cpu")
    ).settle()


def generators() -> Iterator[Entry]:
    """Give every generator that a first-party plugin brings."""
    for entry in discover().entries("generator"):
        if entry.plugin.name in OURS:
            yield entry


def built(entry: Entry, condition: int) -> tuple[nn.Module, Shapes] | None:
    """Build a generator for the first samples that it can make; None if it cannot."""
    options = {o.name: SMALL[o.name] for o in entry.options if o.name in SMALL}
    for sample in SAMPLES:
        shapes = Shapes(sample, 8, condition)
        try:
            torch.manual_seed(0)
            return entry.factory(shapes, **options), shapes
        except ValueError:
            continue
    return None


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("entry", list(generators()), ids=lambda e: e.part.name)
def test_every_generator_of_ours_exports(
    entry: Entry, suffix: str, tmp_path: Path
) -> None:
    """With a condition and without one, where it can be either; dropout and all."""
    some = [found for c in (4, 0) if (found := built(entry, c)) is not None]
    assert some, "a generator makes one of these samples"
    for network, shapes in some:
        file = tmp_path / f"{shapes.condition}{suffix}"
        written = export(sampler_of(network, shapes), file)
        assert written.difference <= 1e-4
        assert file.stat().st_size == written.bytes
        assert ("condition" in written.told["inputs"]) == (shapes.condition > 0)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [suffix] * len(some)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on scenes by class, once."""
    return _trained(tmp_path_factory, {"conditioner.use": "label", "loss.use": "hinge"})


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on scenes by caption, once."""
    return _trained(tmp_path_factory, {"conditioner.fit_steps": 2})


def _trained(factory: pytest.TempPathFactory, changes: dict[str, Any]) -> Path:
    out = factory.mktemp("run") / "run"
    few = {
        "dataset.items": 64,
        "generator.width": 4,
        "discriminator.width": 4,
        "train": {"steps": 2, "samples": 4, "device": "cpu", "batch_size": 8},
    }
    gankit.train("quickstart", few | changes, out=out)
    return out


# what a user of the file has: numpy, onnxruntime and the standard library
SCRIPT = """
import json, sys
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
texts = session.get_modelmeta().custom_metadata_map
told = {key: json.loads(text) for key, text in texts.items()}
_, size = told["inputs"]["noise"]["shape"]
given = np.load("given.npz")
[made] = session.run(["samples"], {k: given[k] for k in told["inputs"]})
low, high = told["output"]["range"]
np.save("made.npy", (made - low) / (high - low))
foreign = [m for m in ("gankit", "torch") if m in sys.modules]
batches = [i.shape[0] for i in session.get_inputs()]
print(json.dumps([told, size, foreign, batches]))
"""


@NEEDS_ONNX
@pytest.mark.parametrize("which", ["labelled", "captioned"])
def test_a_script_without_gankit_draws_the_same(
    which: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the file alone: names, range, classes, captions and their vectors."""
    folder = request.getfixturevalue(which)
    file = tmp_path / "g.onnx"
    assert run(["export", str(folder), "-o", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["difference"] <= 1e-4
    sampler = gankit.load(folder)
    noise = sampler.noise(3, torch.Generator().manual_seed(3))
    vectors = numpy.array(
        [c["vector"] for c in said["told"]["conditions"]][:3], "float32"
    )
    numpy.savez(tmp_path / "given.npz", noise=noise, condition=vectors)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told, size, foreign, batches = json.loads(done.stdout)
    assert foreign == []
    assert size == noise.shape[1]
    assert told["inputs"]["noise"]["distribution"] == "normal"
    assert batches == ["batch", "batch"]
    ours = sampler.generate(noise, sampler.conditions[:3])
    made = torch.from_numpy(numpy.load(tmp_path / "made.npy"))
    torch.testing.assert_close(made, ours.samples, atol=1e-4, rtol=0)
    assert tuple(c["text"] for c in told["conditions"][:3]) == ours.captions
    kind = sampler.facts.annotations[told["reads"]]
    assert told["classes"] == (list(kind.names) if isinstance(kind, Classes) else [])


def test_a_program_is_loaded_without_gankit(labelled: Path, tmp_path: Path) -> None:
    """With inputs by name, of any batch, and all that the file says of itself."""
    written = export(gankit.load(labelled, device="cpu"), tmp_path / "g.pt2")
    extra = {"output.json": "", "classes.json": ""}
    program = torch.export.load(tmp_path / "g.pt2", extra_files=extra)
    assert json.loads(extra["output.json"])["range"] == [-1.0, 1.0]
    assert len(json.loads(extra["classes.json"])) == 216
    sampler = gankit.load(labelled, device="cpu")
    noise = sampler.noise(7, torch.Generator().manual_seed(0))
    condition = sampler.vectors([0] * 7)
    made = program.module()(noise=noise, condition=condition)
    with torch.no_grad():
        torch.testing.assert_close(made, sampler.module(noise, condition))
    assert written.checked_in.startswith("torch")


def test_weights_are_the_networks_own(labelled: Path, tmp_path: Path) -> None:
    """By the names of its state_dict; another run can start from them."""
    file = tmp_path / "g.safetensors"
    export(gankit.load(labelled, device="cpu"), file)
    state = gankit.load(labelled, device="cpu").generator.state_dict()
    weights = load_file(file)
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[k], state[k]) for k in state)
    with safe_open(file, "pt") as held:
        assert json.loads(held.metadata()["output"])["shape"] == ["batch", 3, 32, 32]
    start = {"train.start_from": str(file), "train.steps": 1}
    recipe = labelled / "recipe.toml"
    with gankit.starting(recipe, start, out=tmp_path / "run") as begun:
        here = begun.game.generator.network.state_dict()
    assert all(torch.equal(weights[k], here[k]) for k in state)


def test_a_packed_run_exports_as_its_folder(labelled: Path, tmp_path: Path) -> None:
    """The same weights, to the bit."""
    packed = gankit.pack(labelled, tmp_path / "a.safetensors")
    files = [tmp_path / "one.safetensors", tmp_path / "other.safetensors"]
    for source, file in zip((labelled, packed), files, strict=True):
        assert run(["export", str(source), "-o", str(file)]) == 0
    ours, theirs = map(load_file, files)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_dropout_drops_what_the_given_numbers_say() -> None:
    """Those below its probability; what is left is scaled so that the mean stays."""
    supply = Supply()
    drop = GivenDropout(0.25, False, supply)
    uniform = torch.tensor([[0.1, 0.25, 0.9], [0.3, 0.2, 0.0]])
    supply.begin(2, uniform)
    expected = [[0.0, 4 / 3, 4 / 3], [4 / 3, 0.0, 0.0]]
    torch.testing.assert_close(drop(torch.ones(2, 3)), torch.tensor(expected))


def test_dropout_of_channels_drops_whole_ones() -> None:
    """One number for each; those of two dropouts lie behind each other."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Dropout2d(0.5), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.a(x), self.b(x[:, 0, 0])

    supply = Supply()
    network = with_given_dropout(Two(), supply)
    supply.begin(1, None)
    network(torch.ones(1, 2, 2, 3))
    assert supply.size == 2 + 3
    supply.begin(1, torch.tensor([[0.9, 0.1, 0.1, 0.9, 0.1]]))
    channels, elements = network(torch.ones(1, 2, 2, 3))
    assert channels.sum(dim=(2, 3)).tolist() == [[2.0 * 6, 0.0]]
    assert elements.tolist() == [[0.0, 2.0, 0.0]]


def test_what_is_drawn_by_dropout_has_the_distribution_of_the_run() -> None:
    """Mean and deviation of many samples, against the network as it is sampled."""
    shapes = Shapes((2,), 8, 0)
    entry = next(e for e in generators() if "dropout" in {o.name for o in e.options})
    network = entry.factory(shapes, hidden=(64,), dropout=0.5)
    sampler = sampler_of(network, shapes)
    noise = sampler.noise(1, torch.Generator().manual_seed(0)).expand(20_000, -1)
    supply = Supply()
    given = with_given_dropout(sampler.module, supply)
    with torch.no_grad():
        torch.manual_seed(0)
        theirs = sampler.module(noise)
        supply.begin(20_000, None)
        given(noise)
        supply.begin(20_000, torch.rand(20_000, supply.size))
        ours = given(noise)
    error = theirs.std(0) / math.sqrt(20_000)
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 6 * error).all()
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.05, atol=0)
    assert (theirs.std(0) > 0).all()


class Drawing(nn.Module):
    """A generator with noise of its own."""

    output_range = UNBOUNDED

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, 8) to (B, 2)."""
        return noise[:, :2] + torch.randn(len(noise), 2)


class Branching(nn.Module):
    """A generator that looks at numbers while it computes."""

    output_range = UNBOUNDED

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, 8) to (B, 2)."""
        return noise[:, :2] if noise.sum() > 0 else noise[:, 2:4]


class Sized(nn.Module):
    """A generator whose graph depends on the size of the batch."""

    output_range = UNBOUNDED

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, 8) to (B, 2)."""
        return torch.stack([row[:2] * (i + 1) for i, row in enumerate(noise)])


@pytest.mark.parametrize(
    ("network", "suffix", "said"),
    [
        (Drawing(), ".pt2", "Drawing draws random numbers by itself"),
        (Drawing(), ".safetensors", "Drawing draws random numbers by itself"),
        (Branching(), ".pt2", "Branching cannot be traced for batches of any size"),
        (Sized(), ".pt2", "Sized cannot be traced for batches of any size"),
        pytest.param(
            Branching(), ".onnx", "Branching cannot be traced", marks=NEEDS_ONNX
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_cannot_be_exported_is_one_error(
    network: nn.Module, suffix: str, said: str, tmp_path: Path
) -> None:
    """And leaves no file."""
    sampler = sampler_of(network, Shapes((2,), 8, 0))
    with pytest.raises(UsageError, match=said):
        export(sampler, tmp_path / f"g{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_what_differs_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another program computes otherwise."""
    from gankit_export import formats

    def wrong(
        module: Any, inputs: Any, texts: Any, file: Path
    ) -> tuple[formats.Run, str]:
        file.write_text("wrong", "utf-8")
        return (lambda given: module(**given) + 2e-4), "nothing"

    monkeypatch.setitem(formats.WRITERS, ".pt2", wrong)
    (found,) = [built(e, 0) for e in generators() if e.part.name == "mlp"]
    assert found is not None
    with pytest.raises(UsageError, match=r"the largest difference is 0\.0002"):
        export(sampler_of(*found), tmp_path / "g.pt2")
    assert list(tmp_path.iterdir()) == []


def test_bad_input_of_the_command_is_one_error(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown suffix, a run without a checkpoint."""
    assert run(["export", str(labelled), "-o", str(tmp_path / "g.tflite")]) == 2
    said = capsys.readouterr().err
    assert "there is no format '.tflite'; name the file .onnx, .pt2 or" in said
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "recipe.toml").write_bytes((labelled / "recipe.toml").read_bytes())
    assert run(["export", str(bare), "-o", str(tmp_path / "g.pt2")]) == 2
    assert "there is no whole checkpoint" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is computed, with what to install."""
    monkeypatch.setattr("gankit_export.exporting.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'gankit-export\[onnx\]'"):
        export(None, tmp_path / "g.onnx")  # type: ignore[arg-type] # it is not looked at
