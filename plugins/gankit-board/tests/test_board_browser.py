"""The page in a real Chromium: what a person sees and does."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

import gankit
from gankit.cli import run as command
from tiny import CAPTIONED

LOOKS = 1800  # a tenth of a second each
LONG = CAPTIONED | {
    "train": CAPTIONED["train"]
    | {"steps": 40, "sample_every": 2, "checkpoint_every": 4}
}


def _open(page: Any, board: Any, path: str = "/") -> None:
    page.goto(board.address + path)


def _until(page: Any, truth: str) -> None:
    """Wait until this is true there; its own way of waiting would need eval."""
    for _ in range(LOOKS):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {truth}")


def _labels(page: Any) -> list[str]:
    return [str(text) for text in page.locator(".row .name").all_inner_texts()]


def _ranges(page: Any) -> Any:
    """Return from where to where the first curve goes, by its own words."""
    return page.locator(".plot").first.get_attribute("aria-label")


def test_a_run_that_trains_appears_and_grows(
    serve: Any, page: Any, tmp_path: Path
) -> None:
    """Within two seconds of a step that is logged; its pictures follow."""
    root = tmp_path / "runs"
    root.mkdir()
    board = serve(root)
    _open(page, board)
    page.get_by_text("No runs here yet").wait_for()
    with gankit.starting(LONG, out=root / "young") as run:
        steps = run.steps()
        for _ in range(5):
            next(steps)
        page.locator(".row .name", has_text="young").wait_for()
        page.locator(".row .pill.running").wait_for()
        page.get_by_text("young", exact=True).click()
        page.locator(".plot canvas").first.wait_for()
        _until(page, "document.querySelector('.plot').ariaLabel?.endsWith(' 5')")
        assert "from 1 to 5" in _ranges(page)
        page.locator(".slide output", has_text="step 4").wait_for()
        for _ in range(15):
            next(steps)
        # two seconds are promised, on a machine that has time for them
        _until(page, "document.querySelector('.plot').ariaLabel?.endsWith(' 20')")
        page.locator(".slide output", has_text="step 20").wait_for()
        page.locator(".facts dd", has_text="of 40, 50 %").wait_for()
    page.locator(".head .pill.stopped").wait_for()
    shutil.rmtree(root / "young")
    page.get_by_text("The run is no longer there").wait_for()
    page.get_by_role("link", name="all runs").click()
    page.get_by_text("No runs here yet").wait_for()


def test_a_slider_moves_the_film(board: Any, page: Any) -> None:
    """By mouse, by key and by itself; each step has its own picture."""
    _open(page, board, "/run?run=scenes")
    slider = page.get_by_label("Step of the picture")
    picture = page.locator(".screen img")
    slider.wait_for()
    assert picture.get_attribute("src").endswith("step=6")
    slider.fill("1")
    assert picture.get_attribute("src").endswith("step=2")
    page.locator(".slide output", has_text="step 2").wait_for()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0
    slider.press("ArrowRight")
    assert picture.get_attribute("src").endswith("step=3")
    page.get_by_role("button", name="Step 5").click()
    assert slider.input_value() == "4"
    page.get_by_role("button", name="Play the animation").click()
    _until(page, "document.querySelector('.screen img').src.endsWith('step=1')")
    _until(page, "document.querySelector('.screen img').src.endsWith('step=3')")
    page.get_by_role("button", name="Stop the animation").click()


def test_a_typed_caption_gives_the_pixels_of_the_command(
    board: Any, page: Any, trained: Path, tmp_path: Path
) -> None:
    """Of the same seed, in what is shown and in what is downloaded."""
    _open(page, board, "/run?run=scenes")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_label("What to draw, one a line").fill(
        "a red circle above a blue square"
    )
    page.get_by_label("Seed", exact=True).fill("11")
    page.get_by_label("How many").fill("4")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("button", name="Copy as command").wait_for()
    assert page.locator(".tiles img").count() == 4
    with page.expect_download() as waiting:
        page.get_by_role("link", name="PNG").click()
    downloaded = tmp_path / "downloaded.png"
    waiting.value.save_as(downloaded)
    words = shlex.split(page.locator(".command").inner_text())
    assert "a red circle above a blue square" in words
    same = tmp_path / "same.png"
    assert command([*words[1:], "-o", str(same)]) == 0
    assert (_pixels(downloaded) == _pixels(same)).all()
    # and each picture is shown as it is, pixel by pixel
    drawn = gankit.load(trained / "scenes", device="cpu").sample(
        4, seed=11, captions="a red circle above a blue square"
    )
    shown = page.locator(".tiles img").all()
    for image, sample in zip(shown, drawn.samples, strict=True):
        expected = (sample * 255).round().byte().permute(1, 2, 0).numpy()
        assert (_shown(image) == expected).all()
    page.get_by_role("button", name="a red circle above a blue square").nth(1).click()
    page.get_by_text("Nearest to picture 2 among all 24 of 24").wait_for()
    assert page.locator(".near img").count() == 6


def _pixels(path: Path) -> numpy.ndarray:
    return numpy.asarray(Image.open(path).convert("RGB"))


def _shown(image: Any) -> numpy.ndarray:
    """Return the pixels of a picture of the page, as the browser has decoded them."""
    side, values = image.evaluate(
        """img => img.decode().then(() => {
            const c = document.createElement('canvas');
            c.width = img.naturalWidth; c.height = img.naturalHeight;
            const to = c.getContext('2d');
            to.drawImage(img, 0, 0);
            return [c.width, [...to.getImageData(0, 0, c.width, c.height).data]];
        })"""
    )
    return numpy.array(values, numpy.uint8).reshape(-1, side, 4)[..., :3]


def test_a_slider_leads_from_one_condition_to_another(
    board: Any, page: Any, trained: Path
) -> None:
    """A place for each column of the walk; the rows are noises."""
    _open(page, board, "/run?run=scenes")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_text("Between two conditions").click()
    page.get_by_label("From which condition").fill("a red circle")
    page.get_by_label("To which condition").fill("a blue star")
    page.get_by_label("How many").fill("9")
    page.get_by_role("button", name="Draw", exact=True).click()
    slider = page.get_by_label("Where between")
    slider.wait_for()
    walk = gankit.load(trained / "scenes", device="cpu").interpolate_conditions(
        rows=3, steps=3, captions=["a red circle", "a blue star"]
    )
    for place in (0, 1, 2):
        slider.fill(str(place))
        tiles = page.locator(".tiles img").all()
        assert len(tiles) == 3
        for row, tile in enumerate(tiles):
            sample = walk.samples[3 * row + place]
            expected = (sample * 255).round().byte().permute(1, 2, 0).numpy()
            assert (_shown(tile) == expected).all()


def test_a_wrong_class_says_what_there_is(board: Any, page: Any) -> None:
    """Where it was typed; what is no number is said before anything is asked."""
    _open(page, board, "/run?run=points")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_label("What to draw, one a line").fill("seven")
    page.get_by_role("button", name="Draw", exact=True).click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "'seven'" in alert.inner_text()
    assert "'mode 3'" in alert.inner_text()
    page.get_by_label("How many").fill("1000")
    page.locator("form.play").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("how many: 1000 is no whole number from 1 to 256").wait_for()


def test_a_zoom_shows_the_steps_that_are_asked_for(
    serve: Any, page: Any, trained: Path, tmp_path: Path
) -> None:
    """By dragging over a curve, and by typing, for those who have no mouse."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "scenes", root / "long")
    lines = [{"seconds": i, "step": i, "loss/a": i % 7} for i in range(1, 9001)]
    lines += [
        {"step": step, "warning": "collapse", "text": "samples are alike"}
        for step in range(4400, 4501)
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (root / "long" / "metrics.jsonl").write_text(text)
    _open(page, serve(root), "/run?run=long")
    _until(page, "document.querySelector('.plot')?.ariaLabel.endsWith('9,000')")
    page.get_by_text("Each point stands for up to").wait_for()
    page.get_by_text("Step 4,500: collapse.").wait_for()
    page.get_by_text("98 more came before these").wait_for()
    page.get_by_role("button", name="Show the last 100").click()
    page.get_by_text("1 more came before these").wait_for()
    page.get_by_text("Step 4,401: collapse.").wait_for()
    page.get_by_label("First step").fill("100")
    page.get_by_label("Last step").fill("199")
    page.get_by_role("button", name="Zoom").click()
    _until(
        page,
        "document.querySelector('.plot').ariaLabel.endsWith('from 100 to 199')",
    )
    page.get_by_role("button", name="All steps").click()
    _until(page, "document.querySelector('.plot')?.ariaLabel.endsWith('9,000')")
    over = page.locator(".u-over").first
    over.hover()
    box = over.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.25 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=4)
    page.mouse.up()
    _until(page, "!document.querySelector('.plot').ariaLabel.endsWith('9,000')")
    first, last = _ranges(page).partition("from ")[2].split(" to ")
    assert abs(int(first.replace(",", "")) - 2250) < 150
    assert abs(int(last.replace(",", "")) - 4500) < 150


def test_runs_are_found_and_compared_by_keyboard(
    serve: Any, page: Any, trained: Path, tmp_path: Path
) -> None:
    """No mouse: find, choose two, compare, and follow a link."""
    root = tmp_path / "runs"
    for name in ("one", "two"):
        shutil.copytree(trained / "scenes", root / name)
    recipe = root / "two" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 5"))
    shutil.copytree(trained / "points", root / "other")
    _open(page, serve(root))
    page.locator(".row").nth(2).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("o tw")
    _until(page, "document.querySelectorAll('.row').length === 1")
    assert _labels(page) == ["two"]
    _tab_to(page, "Choose two to compare")
    page.keyboard.press("Space")
    page.keyboard.press("/")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("one")
    _until(page, "document.querySelector('.row .name').innerText === 'one'")
    _tab_to(page, "Choose one to compare")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_text("2 runs beside each other").wait_for()
    page.get_by_role("cell", name="train.seed").wait_for()
    assert page.locator("#differences tbody tr").count() >= 1
    page.locator(".chart", has_text="loss/generator").locator("canvas").wait_for()
    assert page.locator(".grids img").count() == 2
    slider = page.get_by_label("Step of the pictures")
    slider.focus()
    page.keyboard.press("Home")
    _until(
        page,
        "[...document.querySelectorAll('.grids img')]"
        ".every(i => i.src.endsWith('step=1'))",
    )
    page.get_by_role("link", name="two").focus()
    page.keyboard.press("Enter")
    page.locator("h1", has_text="two").wait_for()


def _tab_to(page: Any, label: str) -> None:
    """Press Tab until what has this label has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel") == label:
            return
    raise AssertionError(f"no way to {label!r}")


VIEWS = ["/", "/run?run=scenes", "/compare?run=scenes&run=points"]


@pytest.fixture
def narrow(page: Any) -> Any:
    """Give a page as wide as a telephone."""
    page.set_viewport_size({"width": 360, "height": 740})
    return page


@pytest.mark.parametrize("path", VIEWS)
def test_a_telephone_needs_no_scrolling_to_the_side(
    board: Any, narrow: Any, path: str
) -> None:
    """All of a page is within its width, and its buttons can be met by a finger."""
    _open(narrow, board, path)
    narrow.locator(".row, canvas").first.wait_for()
    width = narrow.evaluate("document.documentElement.scrollWidth")
    assert width <= 360
    low = narrow.evaluate(
        """[...document.querySelectorAll('main button')]
            .map(b => b.getBoundingClientRect().height).filter(h => h > 0 && h < 30)"""
    )
    assert low == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", VIEWS)
def test_text_can_be_read(board: Any, page: Any, path: str, scheme: str) -> None:
    """Each text has a contrast of 4.5 to what is behind it (WCAG 2.1, 1.4.3)."""
    page.emulate_media(color_scheme=scheme)
    _open(page, board, path)
    page.locator(".row, canvas").first.wait_for()
    told = page.evaluate(CONTRASTS)
    assert len(told) > 10
    assert [one for one in told if one["contrast"] < 4.5] == []


CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => parse(getComputedStyle(one).backgroundColor);
  const told = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const one = walk.currentNode.parentElement;
    if (!text || !one.getClientRects().length) continue;
    if (one.closest('script, noscript, :disabled, option, .unseen, .skip')) continue;
    let behind = one;
    while (behind && ground(behind)[3] === 0) behind = behind.parentElement;
    const lights = [light(parse(getComputedStyle(one).color)), light(ground(behind))];
    const [low, high] = lights.sort((a, b) => a - b);
    told.push({ text, contrast: (high + 0.05) / (low + 0.05) });
  }
  return told;
}"""


@pytest.mark.parametrize("path", VIEWS)
def test_everything_has_a_name(board: Any, page: Any, path: str) -> None:
    """For who hears the page: controls, pictures, and one heading of the first rank."""
    _open(page, board, path)
    page.locator(".row, canvas").first.wait_for()
    nameless = page.evaluate(
        """['button', 'input', 'select', 'textarea', 'a']
            .flatMap(tag => [...document.querySelectorAll(`main ${tag}`)])
            .filter(e => !(e.ariaLabel || e.innerText?.trim() || e.ariaHidden))
            .filter(e => !e.labels?.length)
            .map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
    assert page.locator("h1").count() == 1


def test_nothing_is_asked_of_another_machine(board: Any, page: Any) -> None:
    """Every request is to the board."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in VIEWS:
        _open(page, board, path)
        page.locator(".row, canvas").first.wait_for()
    assert len(asked) > 10
    away = [u for u in asked if not u.startswith((board.address, "data:", "blob:"))]
    assert away == []


def test_a_board_that_has_gone_is_told(board: Any, page: Any) -> None:
    """And when it is back the page goes on by itself."""
    _open(page, board, "/run?run=scenes")
    page.locator("canvas").first.wait_for()
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_text("the board does not answer; trying again").wait_for()
    page.unroute("**/api/**")
    page.get_by_text("live", exact=True).wait_for()
