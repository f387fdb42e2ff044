"""How long `gankit board` takes to show many runs, and a very long one.

    python benchmarks/board.py [--runs 200] [--lines 1000000]

It writes so many run folders, one of them with so many lines of metrics, into a
temporary folder, serves them, and looks at them with Chromium through Playwright. It
prints the seconds from asking for a page to the first frame that shows what it is
about, and the memory of the server.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    some = "".join(map(line, range(50, 3001, 50)))
    for i in range(runs):
        folder = root / f"run-{i:03d}"
        (folder / "samples").mkdir(parents=True)
        (folder / "recipe.toml").write_text(recipe)
        (folder / "metrics.jsonl").write_text(some)
        picture = Image.effect_noise((700, 700), 64).convert("RGB")
        picture.save(folder / "samples" / "00003000.png")
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


def main() -> None:
    """Measure, and say what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--lines", type=int, default=1_000_000)
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        root = Path(folder)
        write(root, asked.runs, asked.lines)
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_context(bypass_csp=True).new_page()
        page.goto("about:blank")
        command = [sys.executable, "-m", "gankit", "board", folder, "--port", "0"]
        began = time.perf_counter()
        board = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert board.stdout is not None
        address = board.stdout.readline().partition(": ")[2].partition(" ")[0]
        print(f"it answers after {time.perf_counter() - began:.2f} s")
        page.goto(f"{address}page/icon.svg")  # the browser has a process for it then
        print(f"runs are seen after {seen(page, address, '.row'):.2f} s")
        page.get_by_text(f"{asked.runs} runs").wait_for()
        page.wait_for_function("!document.body.innerText.includes('still looking')")
        print(f"all of them after {time.perf_counter() - began:.2f} s of the start")
        print(f"runs are seen again after {seen(page, address, '.row'):.2f} s")
        print(f"memory: {memory(board):.0f} MB")
        last = f"{address}run?run=run-{asked.runs - 1:03d}"
        print(f"the long run is seen after {seen(page, last, '.facts'):.2f} s")
        began = time.perf_counter()
        page.wait_for_selector(".plot canvas")
        print(f"its first curves {time.perf_counter() - began:.2f} s later")
        page.wait_for_selector(
            "#curves [role=status]", state="detached", timeout=300_000
        )
        print(f"and all of them {time.perf_counter() - began:.2f} s later")
        print(f"memory: {memory(board):.0f} MB")
        began = time.perf_counter()
        page.get_by_label("First step").fill("500000")
        page.get_by_label("Last step").fill("500300")
        page.get_by_role("button", name="Zoom").click()
        page.wait_for_selector('.plot[aria-label$="from 500,000 to 500,300"]')
        print(f"a closer look takes {time.perf_counter() - began:.2f} s")
        browser.close()
        board.terminate()
        board.wait()


if __name__ == "__main__":
    main()
