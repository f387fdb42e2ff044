"""How long `gankit board` takes to show many runs, and a very long one.

    python benchmarks/board.py [--runs 200] [--lines 1000000]
    python benchmarks/board.py --drawing [--pairs 6] [--seconds 15]

The first writes so many run folders, one of them with so many lines of metrics, into a
temporary folder, serves them, and looks at them with Chromium through Playwright. It
prints the seconds from asking for a page to the first frame that shows what it is
about, from a line that is written to the frame that shows it, and the memory of the
server.

The second trains on the CPU, and draws from another run in the playground for so many
seconds in turn with as many in which it does not. It prints the rates of the training
in each two that follow each other, as a ratio: what else the machine does is in both.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import tomli_w
from PIL import Image
from playwright.sync_api import sync_playwright

import gankit

# seconds, by the browser's clock, from asking for a page to the frame that shows it
_SEEN = """selector => new Promise(done => {
  const look = () => document.querySelector(selector)
    ? requestAnimationFrame(() => done(performance.now() / 1000))
    : requestAnimationFrame(look);
  look();
})"""

# when a number of steps is shown in the facts and on the curves, by the machine's clock
_SHOWS = """steps => {
  window.shown = 0;
  const look = () => {
    const facts = document.querySelector('.facts dd')?.innerText.startsWith(steps);
    const plot = document.querySelector('.plot')?.ariaLabel.endsWith(` ${steps}`);
    if (facts && plot) requestAnimationFrame(() => { shown = Date.now() / 1000; });
    else requestAnimationFrame(look);
  };
  look();
}"""
_UPDATES = 20

# steps of the size that quickstart has; its text encoder is not what is measured
_TRAINED = [
    "dataset.items=500",
    "conditioner.fit_steps=2",
    "train.device=cpu",
    "train.log_every=2",
    "train.sample_every=0",
    "train.checkpoint_every=0",
]


def line(step: int) -> str:
    """Write a line of metrics as a run does."""
    wave = math.sin(step / 1000)
    values = {
        "seconds": step / 20,
        "step": step,
        "loss/discriminator": 0.7 + 0.1 * wave,
        "AUC": 0.9 - 0.05 * wave,
        "clearance": -0.3 * wave,
        "real sign": 0.5 + 0.2 * wave,
        "gradient/discriminator": 3.0 + wave,
        "loss/generator": 1.3 - 0.2 * wave,
        "gradient/generator": 2.0 - wave,
    }
    return json.dumps(values) + "\n"


def write(root: Path, runs: int, lines: int) -> None:
    """Write run folders: the last of them with many lines."""
    table = gankit.read_recipe("quickstart").as_table()
    recipe = tomli_w.dumps(table)
    picture = io.BytesIO()
    Image.effect_noise((700, 700), 64).convert("RGB").save(picture, "png")
    some = "".join(map(line, range(50, 3001, 50)))
    for i in range(runs):
        folder = root / f"run-{i:03d}"
        (folder / "samples").mkdir(parents=True)
        (folder / "recipe.toml").write_text(recipe)
        (folder / "metrics.jsonl").write_text(some)
        (folder / "samples" / "00003000.png").write_bytes(picture.getvalue())
    with (root / f"run-{runs - 1:03d}" / "metrics.jsonl").open("w") as file:
        file.writelines(map(line, range(1, lines + 1)))


def memory(process: subprocess.Popen[str]) -> float:
    """Return the megabytes that a process has in memory."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def seen(page: Any, address: str, selector: str) -> float:
    """Return the seconds from asking for a page to the frame that shows something."""
    page.goto(address, wait_until="commit")
    return float(page.evaluate(_SEEN, selector))


@contextmanager
def served(folder: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a board; give its process, and its address."""
    command = [sys.executable, "-m", "gankit", "board", folder, "--port", "0"]
    board = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert board.stdout is not None
        yield board, board.stdout.readline().partition(": ")[2].partition(" ")[0]
    finally:
        board.terminate()
        board.wait()


def updates(page: Any, address: str, metrics: Path) -> list[float]:
    """Return the seconds from lines that are written to the frames that show them."""
    step = max(json.loads(text)["step"] for text in metrics.read_text().splitlines())
    seen(page, f"{address}run?run={metrics.parent.name}", ".plot canvas")
    found = []
    for _ in range(_UPDATES):
        time.sleep(0.37)  # out of step with what the page and the server do each second
        step += 50
        page.evaluate(_SHOWS, f"{step:,}")
        with metrics.open("a") as file:
            file.write(line(step))
        written = time.time()
        while not (shown := page.evaluate("window.shown")):
            page.wait_for_timeout(50)
        found.append(shown - written)
    return found


def pages(runs: int, lines: int) -> None:
    """Measure how long it takes to show runs."""
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        root = Path(folder)
        write(root, runs, lines)
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_context(bypass_csp=True).new_page()
        page.set_default_timeout(300_000)
        page.goto("about:blank")
        began = time.perf_counter()
        with served(folder) as (board, address):
            print(f"it answers after {time.perf_counter() - began:.2f} s")
            page.goto(
                f"{address}page/icon.svg"
            )  # the browser has a process for it then
            print(f"runs are seen after {seen(page, address, '.row'):.2f} s")
            page.get_by_text(f"{runs:,} runs").wait_for()
            page.wait_for_function("!document.body.innerText.includes('still looking')")
            print(f"all of them after {time.perf_counter() - began:.2f} s of the start")
            print(f"runs are seen again after {seen(page, address, '.row'):.2f} s")
            print(f"memory: {memory(board):.0f} MB")
            long = f"{address}run?run=run-{runs - 1:03d}"
            print(f"the long run is seen after {seen(page, long, '.facts'):.2f} s")
            began = time.perf_counter()
            page.wait_for_selector(".plot canvas")
            print(f"its first curves {time.perf_counter() - began:.2f} s later")
            page.wait_for_selector("#curves [role=status]", state="detached")
            print(f"and all of them {time.perf_counter() - began:.2f} s later")
            print(f"memory: {memory(board):.0f} MB")
            began = time.perf_counter()
            first, last = lines // 2, lines // 2 + 300
            page.get_by_label("First step").fill(str(first))
            page.get_by_label("Last step").fill(str(last))
            page.get_by_role("button", name="Zoom").click()
            page.wait_for_selector(f'.plot[aria-label$="from {first:,} to {last:,}"]')
            print(f"a closer look takes {time.perf_counter() - began:.2f} s")
            found = updates(page, address, root / "run-000" / "metrics.jsonl")
            middle = statistics.median(found)
            print(f"a line is seen after {middle:.2f} s, at most {max(found):.2f} s")
            print(f"memory: {memory(board):.0f} MB")
        browser.close()


def played(folder: Path) -> tuple[int, float]:
    """Return the steps of a run, and its seconds, by its last line."""
    text = (folder / "metrics.jsonl").read_text().rpartition("\n")[0]
    told = json.loads(text.rpartition("\n")[2])
    return told["step"], told["seconds"]


def draw(address: str, seed: int) -> None:
    """Draw 16 pictures, and wait for them."""
    told = json.dumps({"run": "drawn", "count": 16, "seed": seed}).encode()
    headers = {"content-type": "application/json"}
    urlopen(Request(f"{address}api/draw", told, headers)).read()


def rate(folder: Path, seconds: float, address: str = "") -> tuple[float, int]:
    """Return the steps a second of a run for a while, and how often was drawn in it."""
    begun, count, limit = played(folder), 0, time.monotonic() + seconds
    while time.monotonic() < limit:
        if not address:
            time.sleep(max(0.0, limit - time.monotonic()))
            break
        draw(address, count)
        count += 1
    ended = played(folder)
    if ended[1] <= begun[1]:
        raise SystemExit(f"no step was logged in {seconds:g} s; give more --seconds")
    return (ended[0] - begun[0]) / (ended[1] - begun[1]), count


def drawing(pairs: int, seconds: float) -> None:
    """Measure how much a run on the same CPU is slowed by drawing."""
    with tempfile.TemporaryDirectory() as folder:
        train = [sys.executable, "-m", "gankit", "train", "quickstart", *_TRAINED]
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        out = [f"{folder}/drawn", f"{folder}/plays"]
        subprocess.run([*train, "train.steps=2", "--out", out[0]], check=True, **quiet)
        long = subprocess.Popen(
            [*train, "train.steps=1000000", "--out", out[1]], **quiet
        )
        plays = Path(out[1])
        try:
            with served(folder) as (_, address):
                while not (plays / "metrics.jsonl").exists() or played(plays)[0] < 10:
                    time.sleep(0.5)
                draw(address, 0)  # the generator is loaded then
                ratios = []
                for _ in range(pairs):
                    alone, _ = rate(plays, seconds)
                    beside, count = rate(plays, seconds, address)
                    ratios.append(beside / alone)
                    print(
                        f"{alone:.2f} steps/s, and {beside:.2f} while 16 pictures were "
                        f"drawn {count} times: {ratios[-1]:.2f}"
                    )
        finally:
            long.terminate()
            long.wait()
        low, high = min(ratios), max(ratios)
        print(f"ratio {statistics.median(ratios):.2f}, from {low:.2f} to {high:.2f}")


def main() -> None:
    """Measure, and say what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--drawing", action="store_true")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=15.0)
    asked = parser.parse_args()
    if asked.drawing:
        drawing(asked.pairs, asked.seconds)
    else:
        pages(asked.runs, asked.lines)


if __name__ == "__main__":
    main()
