"""gankit beside its peers and beside loops written by hand: speed, start, memory.

    python benchmarks/speed.py [WORKLOAD …] --mnist DIR
        [--examples DIR] [--pytorch-gan DIR] [--turns 7] [--seconds 12] [--starts 2]

Each workload is one game on the same networks, batch and optimisers, trained by
programs that take turns (see `interleave.py`): gankit in fp32 and in bf16, a peer's own
script as it is, and the game written out by hand (`by_hand.py`), which neither draws
grids nor keeps checkpoints. What each moves is
compared before any number is printed. Peers that are not given are left out: DIR is a
checkout of github.com/pytorch/examples, of github.com/eriklindernoren/PyTorch-GAN, or
of torch-mimicry, as pip downloads it and tar unpacks it; torchgan is used where it is
installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import evolve
from interleave import Measured, Program, measure, moved_alike

HERE = Path(__file__).resolve().parent
PICTURES = 10_000
_VECTORS = 4096  # pictures with a vector each
_SIDES = (178, 218)  # of the pictures that are drawn: those of CelebA, aligned


class Bench:
    """Where programs run, and what they are given."""

    def __init__(self, told: argparse.Namespace, work: Path) -> None:
        self.told, self.work = told, work

    @property
    def mnist(self) -> Path:
        """MNIST as torchvision has it, unpacked."""
        if self.told.mnist is None:
            sys.exit("this workload needs --mnist DIR, in torchvision's layout")
        raw = self.work / "data" / "mnist" / "MNIST" / "raw"
        if not raw.exists():
            raw.mkdir(parents=True)
            found = list(Path(self.told.mnist).glob("**/*-ubyte*"))
            if not found:
                sys.exit(f"{self.told.mnist} holds no MNIST")
            for file in found:
                target = raw / file.name.removesuffix(".gz")
                unpack = gzip.open if file.suffix == ".gz" else open
                with unpack(file, "rb") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
        return raw.parent.parent

    @property
    def pictures(self) -> Path:
        """A folder of JPEGs, given or drawn."""
        if self.told.pictures is not None:
            return Path(self.told.pictures).resolve()
        folder = self.work / "pictures"
        if not folder.exists():
            _draw(folder / "drawn")
        return folder

    def pixels(self, name: str, shape: tuple[int, ...]) -> Path:
        """Write uint8 pixels for the loop by hand."""
        import torch

        path = self.work / f"{name}.pt"
        if not path.exists():
            torch.save(torch.randint(256, shape, dtype=torch.uint8), path)
        return path

    def vectors(self, name: str, count: int, width: int, *, one_hot: bool) -> Path:
        """Write a vector for each item, for the loop by hand."""
        import torch

        path = self.work / f"{name}.pt"
        if not path.exists():
            rows = torch.randn(count, width)
            if one_hot:
                rows = torch.eye(width)[torch.arange(count) % width]
            torch.save(rows, path)
        return path

    def place(self, name: str) -> Path:
        """Make a folder for a program to run in."""
        # PyTorch-GAN's scripts look for their data two folders above
        folder = self.work / "programs" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def gankit(self, name: str, *words: str) -> Program:
        """Train with gankit's own command."""
        folder = self.place(name)
        recipe = 'description = "Nothing but what is said on the command line"'
        (folder / "plain.toml").write_text(recipe, "utf-8")
        command = ["-m", "gankit", "train", "plain.toml", *words]
        command += [f"train.device={self.told.device}"]
        for plugin in ("networks.py", "vectors.py"):
            command += ["--plugin", str(HERE / plugin)]
        command += ["--out", "runs/{start}"]
        return Program(name, command, folder)

    def script(self, name: str, path: Path, *words: str) -> Program:
        """Train with a peer's script as it is."""
        return Program(name, [str(path.resolve()), *words], self.place(name))

    def by_hand(self, name: str, *words: str) -> Program:
        """Train with the loop that is written out."""
        command = [str(HERE / "by_hand.py"), *words, "--device", self.told.device]
        return Program(name, command, self.place(name))


def _draw(folder: Path) -> None:
    """Draw JPEGs that are as large as those of CelebA, and as smooth."""
    import numpy
    from PIL import Image

    print(f"drawing {PICTURES:,} pictures …", flush=True)
    folder.mkdir(parents=True)
    rng = numpy.random.default_rng(0)
    for i in range(PICTURES):
        coarse = rng.integers(0, 256, (11, 9, 3), dtype=numpy.uint8)
        picture = Image.fromarray(coarse).resize(_SIDES, Image.Resampling.BICUBIC)
        picture.save(folder / f"{i:06d}.jpg", quality=85)


def _recipe(
    networks: str,
    dataset: Iterable[str],
    batch: int,
    conditioner: str = "conditioner=none",
) -> list[str]:
    """Say in gankit's words what the peers' scripts do."""
    return [
        *dataset,
        conditioner,
        f"generator.use={networks}",
        f"discriminator.use={networks}",
        "loss.use=non-saturating",
        "noise.distribution=normal",
        "noise.size=100",
        "optimizer.use=Adam",
        "optimizer.lr=2e-4",
        "optimizer.betas=[0.5, 0.999]",
        "train.steps=1000000",
        f"train.batch_size={batch}",
        "train.fakes=shared",
    ]


# what a loop by hand does not do either
_NOTHING = ("train.sample_every=0", "train.checkpoint_every=0")


def _layers(bench: Bench, batch: int) -> Iterable[Program]:
    data = ["dataset.use=mnist", f"dataset.root={bench.mnist}"]
    words = _recipe("layers", data, batch)
    words += ["loss.scale=0.5", "train.sample_every=400"]
    yield bench.gankit("gankit", *words)
    yield bench.gankit("gankit, nothing kept", *words, *_NOTHING)
    yield bench.gankit("gankit, fresh fakes", *words, "train.fakes=fresh")
    pixels = str(bench.pixels("layers", (60_000, 1, 28, 28)))
    hand = ["layers", pixels, "--batch", str(batch), "--scale", "0.5"]
    yield bench.by_hand("by hand", *hand)
    if bench.told.pytorch_gan:
        path = Path(bench.told.pytorch_gan) / "implementations" / "gan" / "gan.py"
        yield bench.script("PyTorch-GAN", path, "--batch_size", str(batch))
    if find_spec("torchgan"):
        words = [str(bench.mnist), "--batch", str(batch)]
        words += ["--device", bench.told.device]
        yield bench.script("torchgan", HERE / "with_torchgan.py", *words)


def _small(bench: Bench, batch: int) -> Iterable[Program]:
    data = ["dataset.use=mnist", f"dataset.root={bench.mnist}", "dataset.size=32"]
    words = _recipe("small", data, batch)
    words += ["loss.scale=0.5", "train.sample_every=400"]
    yield bench.gankit("gankit", *words)
    yield bench.gankit("gankit bf16", *words, "train.precision=bf16")
    pixels = str(bench.pixels("small", (60_000, 1, 32, 32)))
    hand = ["small", pixels, "--batch", str(batch), "--scale", "0.5"]
    yield bench.by_hand("by hand", *hand)
    yield bench.by_hand("by hand bf16", *hand, "--bf16")
    if bench.told.pytorch_gan:
        path = Path(bench.told.pytorch_gan) / "implementations" / "dcgan" / "dcgan.py"
        yield bench.script("PyTorch-GAN", path, "--batch_size", str(batch))


def _official(bench: Bench, batch: int) -> Iterable[Program]:
    data = ["dataset.use=image-folder", f"dataset.root={bench.pictures}"]
    data += ["dataset.size=64", "dataset.labels=none"]
    words = [*_recipe("official", data, batch), "train.sample_every=100"]
    yield bench.gankit("gankit, first pass", *words)
    later = PICTURES // batch + 4  # steps after which all pictures have been decoded
    yield evolve(bench.gankit("gankit", *words), warm=later)
    half = bench.gankit("gankit bf16", *words, "train.precision=bf16")
    yield evolve(half, warm=later)
    pixels = str(bench.pixels("official", (PICTURES, 3, 64, 64)))
    hand = ["official", pixels, "--batch", str(batch)]
    yield bench.by_hand("by hand", *hand)
    yield bench.by_hand("by hand bf16", *hand, "--bf16")
    if bench.told.examples:
        path = Path(bench.told.examples) / "dcgan" / "main.py"
        words = ["--dataset", "folder", "--dataroot", str(bench.pictures)]
        words += ["--batchSize", str(batch), "--outf", "out", "--niter", "1000"]
        words += [] if bench.told.device == "cpu" else ["--accel"]
        yield bench.script("official example", path, *words)


def _labelled(bench: Bench, batch: int) -> Iterable[Program]:
    data = ["dataset.use=mnist", f"dataset.root={bench.mnist}", "dataset.size=32"]
    words = _recipe("labelled", data, batch, "conditioner.use=label")
    words += ["loss.use=least-squares", "train.sample_every=400"]
    yield bench.gankit("gankit", *words)
    yield bench.gankit("gankit, nothing kept", *words, *_NOTHING)
    pixels = str(bench.pixels("labelled", (60_000, 1, 32, 32)))
    hand = ["labelled", pixels, "--batch", str(batch), "--loss", "squares"]
    hand += ["--conditions", str(bench.vectors("classes", 60_000, 10, one_hot=True))]
    yield bench.by_hand("by hand", *hand)
    if bench.told.pytorch_gan:
        path = Path(bench.told.pytorch_gan) / "implementations" / "cgan" / "cgan.py"
        yield bench.script("PyTorch-GAN", path, "--batch_size", str(batch))


def _texts(bench: Bench, batch: int) -> Iterable[Program]:
    data = ["dataset.use=drawn-vectors", f"dataset.items={_VECTORS}"]
    words = _recipe("texts", data, batch, "conditioner.use=vectors")
    words += ["loss.use=matching-aware", "loss.interpolation=0"]
    words += ["train.sample_every=100"]
    yield bench.gankit("gankit", *words)
    yield bench.gankit("gankit bf16", *words, "train.precision=bf16")
    pixels = str(bench.pixels("texts", (_VECTORS, 3, 64, 64)))
    hand = ["texts", pixels, "--batch", str(batch), "--loss", "matching"]
    hand += [
        "--conditions",
        str(bench.vectors("texts-vectors", _VECTORS, 1024, one_hot=False)),
    ]
    yield bench.by_hand("by hand", *hand)
    yield bench.by_hand("by hand bf16", *hand, "--bf16")


def _mimicry(bench: Bench, batch: int) -> Iterable[Program]:
    """Fresh fakes on both sides: mimicry's trainer has no others."""
    data = ["dataset.use=image-folder", f"dataset.root={bench.pictures}"]
    data += ["dataset.size=64", "dataset.labels=none"]
    words = [*_recipe("official", data, batch), "train.fakes=fresh"]
    words += ["train.sample_every=500"]
    later = PICTURES // batch + 4  # steps after which all pictures have been decoded
    yield evolve(bench.gankit("gankit", *words), warm=later)
    if bench.told.mimicry:
        pixels = str(bench.pixels("official", (PICTURES, 3, 64, 64)))
        words = [str(Path(bench.told.mimicry).resolve()), pixels]
        words += ["--batch", str(batch), "--device", bench.told.device]
        yield bench.script("mimicry", HERE / "with_mimicry.py", *words)


WORKLOADS: dict[str, tuple[Callable[[Bench, int], Iterable[Program]], int]] = {
    "mlp-64": (_layers, 64),
    "mlp-128": (_layers, 128),
    "dcgan32-64": (_small, 64),
    "dcgan64-64": (_official, 64),
    "dcgan64-128": (_official, 128),
    "cgan-64": (_labelled, 64),
    "cgan-128": (_labelled, 128),
    "texts64-64": (_texts, 64),
    "mimicry64-64": (_mimicry, 64),
}


def _switched(bench: Bench, programs: Iterable[Program]) -> Iterable[Program]:
    """Give gankit's own program once more for each switch, set to what is slower."""
    plain = next(iter(programs))
    yield plain
    for name, words, env in (
        ("contiguous", ["train.memory_format=contiguous"], {}),
        ("not fused", ["optimizer.fused=false"], {}),
        ("fresh fakes", ["train.fakes=fresh"], {}),
        # any setting of the allocator's own keeps gankit from setting it
        ("memory given back", [], {"MALLOC_TOP_PAD_": "131072"}),
        ("spins as ever", [], {"GOMP_SPINCOUNT": "300000"}),
        ("one thread", [], {"OMP_NUM_THREADS": "1"}),
        ("bf16", ["train.precision=bf16"], {}),
        ("compiled", ["train.compile=networks"], {}),
        ("nothing recorded", ["train.graphs=off"], {}),  # which a CPU never does
    ):
        one = bench.gankit(name, *plain.command[4:-7], *words)
        yield evolve(one, env=env)


def _table(name: str, found: dict[str, Measured]) -> dict[str, Any]:
    first = found.get("gankit") or next(iter(found.values()))
    print(f"\n{name}: times a step, and its ratio to gankit's (above 1: slower)")
    rows = {}
    for program, one in found.items():
        unlike = moved_alike(first, one)
        if unlike:
            print(f"  {program} trains something else: {unlike}")
        row = {
            "ms": 1000 * one.median,
            "ratio": one.median / first.median,
            "lowest": 1000 * min(one.seconds),
            "highest": 1000 * max(one.seconds),
            "first step": min(one.first),
            "peak": one.peak / 2**20,
        }
        rows[program] = row
        print(
            f"  {program:20} {row['ms']:9.2f} ms  x {row['ratio']:5.2f}   "
            f"({row['lowest']:.2f} to {row['highest']:.2f})   first step after "
            f"{row['first step']:.1f} s   peak {row['peak']:,.0f} MiB",
            flush=True,
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=[])
    parser.add_argument("--mnist", metavar="DIR")
    parser.add_argument("--examples", metavar="DIR")
    parser.add_argument("--pytorch-gan", metavar="DIR")
    parser.add_argument("--mimicry", metavar="DIR")
    parser.add_argument("--pictures", metavar="DIR", help="10,000, instead of drawn")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", metavar="PROGRAM", help="leave out others")
    parser.add_argument("--switches", action="store_true", help="gankit alone, slower")
    parser.add_argument("--turns", type=int, default=7, help="of each program")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a turn")
    parser.add_argument("--warm", type=int, default=20, help="steps before the turns")
    parser.add_argument("--starts", type=int, default=2, help="further first steps")
    parser.add_argument("--work", metavar="DIR", help="kept; else a passing folder")
    parser.add_argument("--json", metavar="FILE", help="add the numbers as a line")
    told = parser.parse_args()
    if unknown := set(told.workloads) - set(WORKLOADS):
        parser.error(f"no workload {unknown}; there are {', '.join(WORKLOADS)}")
    with tempfile.TemporaryDirectory() as passing:
        bench = Bench(told, Path(told.work or passing).resolve())
        bench.work.mkdir(parents=True, exist_ok=True)
        for name in told.workloads or WORKLOADS:
            build, batch = WORKLOADS[name]
            chosen = build(bench, batch)
            chosen = _switched(bench, chosen) if told.switches else chosen
            programs = [p for p in chosen if not told.only or p.name in told.only]
            found = measure(
                programs,
                turns=told.turns,
                seconds=told.seconds,
                warm=told.warm,
                starts=told.starts,
            )
            rows = _table(name, found)
            if told.json:
                with Path(told.json).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"workload": name, "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
