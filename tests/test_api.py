"""Train, resume and load from Python; and the hooks of a run's life."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

import gankit
from games import Labels, make_assembly
from gankit import hookimpl
from gankit.errors import DataError, HookError, PluginError, RunError, UsageError
from gankit.game.assembly import Provenance
from gankit.plugins.discovery import discover
from gankit.runs.pictures import Samples, on_white
from gankit.runs.report import Report
from gankit.runs.run import Run
from tiny import CAPTIONED, LABELLED, metrics

# a generator with batch norms
NORMED: dict[str, Any] = {
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "noise": {"size": 2},
    "generator": {"use": "dcgan", "width": 2},
    "discriminator": {"use": "dcgan", "width": 2},
    "loss": {"use": "hinge"},
    "train": {"steps": 2, "batch_size": 8, "device": "cpu"},
}


class Diary:
    """Writes down every hook that it is called by."""

    def __init__(self, stop_at: int = -1, fail_at: int = -1) -> None:
        self.pages: list[tuple[str, int]] = []
        self._stop_at, self._fail_at = stop_at, fail_at

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Write."""
        self.pages.append(("before", run.step))

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write; stop or fail if it is time."""
        assert report.step == run.step
        self.pages.append(("step", run.step))
        if run.step == self._stop_at:
            run.stop("the diary")
        if run.step == self._fail_at:
            raise RuntimeError("out of ink")

    @hookimpl
    def gankit_on_samples(self, run: Run, samples: Any) -> None:
        """Write how many."""
        self.pages.append(("samples", len(samples.samples)))

    @hookimpl
    def gankit_on_checkpoint(self, run: Run, path: str) -> None:
        """Write which."""
        assert (Path(path) / "manifest.json").is_file()
        self.pages.append(("checkpoint", int(Path(path).name)))

    @hookimpl
    def gankit_after_run(self, run: Run) -> None:
        """Write."""
        self.pages.append(("after", run.step))

    @hookimpl
    def gankit_on_error(self, run: Run, error: BaseException) -> None:
        """Write."""
        self.pages.append((type(error).__name__, run.step))


def _train(tmp_path: Path, diary: Diary, **overrides: Any) -> Run:
    settings = {"steps": 4, "sample_every": 0, "checkpoint_every": 2} | overrides
    watchers = {"diary": diary}
    out = tmp_path / "run"
    return gankit.train(LABELLED, {"train": settings}, out=out, watchers=watchers)


def test_a_watcher_sees_the_whole_life_of_a_run(tmp_path: Path) -> None:
    """Samples and checkpoints come with the step that they are of."""
    diary = Diary()
    run = _train(tmp_path, diary)
    assert (run.step, run.total, run.stopping) == (4, 4, "")
    before, *during, after = diary.pages
    assert (before, after) == (("before", 0), ("after", 4))
    assert [page for page in during if page[0] == "step"] == [
        ("step", 1),
        ("step", 2),
        ("step", 3),
        ("step", 4),
    ]
    assert ("samples", 4) in during
    saved = [page for page in during if page[0] == "checkpoint"]
    assert saved == [("checkpoint", 2), ("checkpoint", 4)]
    assert during.index(("checkpoint", 2)) < during.index(("step", 3))


DRIFTING = """
import torch
from gankit import Part, hookimpl

class Drifting:
    size = 2
    def __init__(self):
        self.mean = 0.0
    def __call__(self, count, rng):
        drawn = torch.randn(count, 2, generator=rng, device=rng.device)
        return drawn + self.mean
    @hookimpl
    def gankit_after_step(self, run, report):
        self.mean += 1.0
    def state_dict(self):
        return {"mean": self.mean}
    def load_state_dict(self, state):
        self.mean = state["mean"]

@hookimpl
def gankit_parts():
    yield Part("noise", "drifting", Drifting)
"""


def test_noise_is_loaded_with_what_it_has_become(
    tmp_path: Path,
    plugin_file: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though it is no module: what is loaded samples as the run itself does."""
    plugins = [plugin_file("drifting.py", DRIFTING)]
    table = {**LABELLED, "noise": {"use": "drifting"}}
    run = gankit.train(table, out=tmp_path / "run", plugins=plugins)
    loaded = gankit.load(tmp_path / "run", device="cpu", plugins=plugins)
    assert loaded.noise.mean == run.step == 6  # type: ignore[attr-defined] # its own
    again = loaded.sample(5, label="mode 2", seed=7)
    assert torch.equal(
        again.samples, run.sampler.sample(5, label="mode 2", seed=7).samples
    )
    monkeypatch.setattr(
        type(loaded.noise), "load_state_dict", lambda self, state: state["middle"]
    )
    with pytest.raises(RunError, match="has another state of noise: 'middle'; load"):
        gankit.load(tmp_path / "run", device="cpu", plugins=plugins)


def test_a_run_that_is_asked_to_stop_has_saved_when_it_is_over(tmp_path: Path) -> None:
    """So that everybody told of the end can read the last checkpoint."""
    diary = Diary(stop_at=3)
    run = _train(tmp_path, diary, checkpoint_every=0)
    assert (run.step, run.stopping) == (3, "the diary")
    assert diary.pages[-2:] == [("checkpoint", 3), ("after", 3)]


def test_an_error_is_told_to_everybody_and_raised(tmp_path: Path) -> None:
    """With the watcher's name, and never as a finished run."""
    diary = Diary(fail_at=2)
    with pytest.raises(HookError, match="plugin 'diary' raised RuntimeError: out of i"):
        _train(tmp_path, diary)
    assert diary.pages[-1] == ("HookError", 2)
    assert "after" not in dict(diary.pages)


def test_a_watcher_watches_one_run_only(tmp_path: Path) -> None:
    """It is let go of when the run is over, well or badly."""
    recipe = gankit.read_recipe(LABELLED, {"train.steps": 1})
    diary = Diary()
    gankit.train(recipe, out=tmp_path / "a", watchers={"diary": diary})
    pages = list(diary.pages)
    gankit.train(recipe, out=tmp_path / "b")
    assert diary.pages == pages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_handled_during_the_run_only(
    number: signal.Signals, tmp_path: Path
) -> None:
    """One asks the run to stop; afterwards they are the program's again."""
    before = signal.getsignal(number)

    class Raiser:
        @hookimpl
        def gankit_after_step(self, run: Run) -> None:
            """Raise it once."""
            if run.step == 2:
                signal.raise_signal(number)

    run = gankit.train(LABELLED, out=tmp_path / "run", watchers={"raiser": Raiser()})
    assert (run.step, run.stopping) == (2, number.name)
    assert signal.getsignal(number) is before


def test_a_run_may_be_trained_in_a_thread(tmp_path: Path) -> None:
    """Where signals are none of its business."""
    runs: list[Run] = []
    out = tmp_path / "run"
    thread = threading.Thread(
        target=lambda: runs.append(gankit.train(LABELLED, out=out))
    )
    thread.start()
    thread.join()
    assert [run.step for run in runs] == [6]


def test_what_was_learnt_can_be_loaded_and_sampled(tmp_path: Path) -> None:
    """By class name or index; the same seed gives the same samples."""
    gankit.train(LABELLED, out=tmp_path / "run")
    sampler = gankit.load(tmp_path / "run", device="cpu")
    samples = sampler.sample(5, label=2, seed=7)
    assert samples.samples.shape == (5, 2)
    assert samples.captions == ("mode 2",) * 5
    again = gankit.load(tmp_path / "run").sample(5, label="mode 2", seed=7)
    assert torch.equal(again.samples, samples.samples)
    assert not torch.equal(sampler.sample(5, label=1, seed=7).samples, samples.samples)


def test_sampling_is_of_the_moving_average(tmp_path: Path) -> None:
    """Of the live network without one; the networks are left as they were found."""
    run = gankit.train(LABELLED, out=tmp_path / "run")
    first, again = (run.sampler.sample(8).samples for _ in range(2))
    assert torch.equal(first, again)
    assert run.game.generator.network.training
    live = gankit.train(LABELLED, {"train.ema": 0}, out=tmp_path / "live")
    assert live.game.generator.network.training
    first_live, again = (live.sampler.sample(8).samples for _ in range(2))
    assert torch.equal(first_live, again)
    assert not torch.equal(first_live, first)
    assert live.game.generator.network.training


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(tmp_path: Path) -> None:
    """More than a batch of them are as each batch alone, where only noise is drawn."""
    run = gankit.train(LABELLED, {"generator.dropout": 0.0}, out=tmp_path / "run")
    noise = torch.randn(130, 2, generator=torch.Generator().manual_seed(0))
    texts = [f"mode {i % 4}" for i in range(130)]
    whole = run.sampler.generate(noise, texts).samples
    parts = [
        run.sampler.generate(noise[i : i + 13], texts[i : i + 13]) for i in (0, 65)
    ]
    assert torch.allclose(whole[:13], parts[0].samples, atol=1e-6)
    assert torch.allclose(whole[65:78], parts[1].samples, atol=1e-6)


def test_parts_assembled_as_objects_train_into_a_folder(tmp_path: Path) -> None:
    """Without a recipe there is none to resume from, which is said."""

    class Named(Labels):
        def parse(self, text: str) -> int:
            """Read a class name."""
            return int(text.removeprefix("class "))

    assembly = make_assembly(conditioner=Named(), train={"log_every": 1})
    run = gankit.train(assembly, out=tmp_path / "run")
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4]
    assert run.assembly.provenance == Provenance()
    with pytest.raises(RunError, match=r"is not a run folder: it has no recipe\.toml"):
        gankit.resume(tmp_path / "run")


def test_a_run_can_be_resumed_with_more_to_do(tmp_path: Path) -> None:
    """Overrides are taken in Python's way too."""
    gankit.train(LABELLED, {"train.steps": 2}, out=tmp_path / "run")
    run = gankit.resume(tmp_path / "run", {"train": {"steps": 5}})
    assert run.step == 5
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4, 5]


def test_progress_is_told_before_the_first_step(tmp_path: Path) -> None:
    """So that a long wait has a reason."""
    told: list[tuple[int, int, str]] = []
    gankit.train(
        LABELLED,
        {"train.steps": 1},
        out=tmp_path / "run",
        progress=lambda *what: told.append(what),
    )
    assert told[-1] == (40, 40, "reading the data")


@pytest.mark.parametrize(
    ("samples", "size"),
    [
        (torch.zeros(4, 2), (480, 480)),
        (torch.zeros(4, 1, 8, 8), (2 * 60 + 4, 2 * 60 + 4)),
        (torch.zeros(5, 3, 16, 8), (3 * 60 + 4, 2 * 116 + 4)),
    ],
)
def test_samples_are_drawn_as_a_plot_or_a_grid(
    samples: Tensor, size: tuple[int, int]
) -> None:
    """Small pictures are enlarged by a whole factor, with gaps of 4 px."""
    assert Samples(samples, ()).picture().size == size


def test_a_grid_shows_the_pixels_that_were_generated() -> None:
    """Black, white and a colour, each in its cell."""
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0.4]])
    pictures = colours[:, :, None, None].expand(-1, -1, 14, 14)
    drawn = Samples(pictures, ()).picture()
    cells = [(4 + 60 * (i % 2) + 28, 4 + 60 * (i // 2) + 28) for i in range(3)]
    assert [drawn.getpixel(cell) for cell in cells] == [
        (0, 0, 0),
        (255, 255, 255),
        (255, 0, 102),
    ]


def test_transparent_pictures_lie_on_a_checkered_ground() -> None:
    """Opaque, half and not at all: red, red over white and grey, the ground alone."""
    red = torch.tensor([1.0, 0.0, 0.0])
    cells = [torch.cat([red, torch.tensor([a])]) for a in (1.0, 0.6, 0.0)]
    samples = Samples(torch.stack(cells)[:, :, None, None].expand(3, 4, 14, 14), ())
    picture = samples.picture()
    colours = [{c for _, c in picture.crop(b).getcolors()} for b in samples.cells()]
    assert colours == [
        {(255, 0, 0)},
        {(255, 102, 102), (235, 82, 82)},
        {(255, 255, 255), (204, 204, 204)},
    ]
    laid = on_white(samples.samples)[:, :, 0, 0]
    assert torch.allclose(laid, torch.tensor([[1.0, 0, 0], [1, 0.4, 0.4], [1, 1, 1]]))


@pytest.mark.parametrize("captions", [(), ("a red circle that is long", "b", "c")])
def test_cells_are_where_the_images_are(captions: tuple[str, ...]) -> None:
    """Cut out of the picture, each is of the colour of its sample alone."""
    greys = torch.tensor([0.2, 0.4, 0.6])
    samples = Samples(greys.view(3, 1, 1, 1).expand(3, 1, 8, 10), captions)
    picture = samples.picture()
    cut = [numpy.asarray(picture.crop(box)) for box in samples.cells()]
    assert [(c.min(), c.max()) for c in cut] == [(51, 51), (102, 102), (153, 153)]
    zoom = 14 if captions else 7  # 8 pixels high: at least 112, or 56
    assert {c.shape for c in cut} == {(8 * zoom, 10 * zoom, 3)}
    assert Samples(torch.zeros(3, 2), ()).cells() == ()


def test_samples_that_are_no_pictures_are_drawn_as_curves() -> None:
    """All on one scale: the highest value of all is at the top of its cell."""
    samples = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    drawn = Samples(samples, ()).picture()
    assert drawn.size == (2 * 116 + 4, 60 + 4)
    blue = (70, 130, 180)  # steelblue
    assert drawn.getpixel((4 + 56, 4 + 56)) == blue  # the first is flat, below
    assert drawn.getpixel((4 + 116 + 56, 4)) == blue  # the second has a peak
    assert Samples(torch.rand(9, 1), ()).picture().size == (116 + 4, 60 + 4)
    assert Samples(torch.rand(9, 5, 2, 2), ()).picture().size == (3 * 116 + 4, 184)


def test_numbers_are_written_as_they_are(tmp_path: Path) -> None:
    """Into a file of numpy's, whatever their shape."""
    samples = torch.rand(3, 5, 2)
    Samples(samples, ()).save(tmp_path / "x.npy")
    assert torch.equal(torch.from_numpy(numpy.load(tmp_path / "x.npy")), samples)


def test_what_is_loaded_is_ready_to_draw_from(tmp_path: Path) -> None:
    """Called by itself it gives what is sampled: nothing depends on its neighbours."""
    gankit.train(NORMED, out=tmp_path / "run")
    sampler = gankit.load(tmp_path / "run")
    noise = torch.randn(6, 2)
    with torch.no_grad():
        among, alone = (
            sampler.generator(noise, None),
            sampler.generator(noise[2:3], None),
        )
    torch.testing.assert_close(among[2:3], alone)
    # pictures are shown in [0, 1]
    shown = sampler.generate(noise).samples
    torch.testing.assert_close(((among + 1) / 2).clamp(0, 1), shown)


def test_steps_are_played_by_the_caller_as_train_plays_them(tmp_path: Path) -> None:
    """To the same bits, with metrics and checkpoints on the way."""
    with gankit.starting(LABELLED, out=tmp_path / "run") as run:
        reports = [report.step for report in run.steps()]
    assert reports == list(range(1, run.total + 1))
    gankit.train(LABELLED, out=tmp_path / "other")
    weights = [
        (tmp_path / name / "checkpoints/00000006/weights.safetensors").read_bytes()
        for name in ("run", "other")
    ]
    assert weights[0] == weights[1]
    assert metrics(tmp_path / "run") == metrics(tmp_path / "other")


@pytest.mark.parametrize("how", ["break", "raise"])
def test_whoever_leaves_the_loop_early_has_a_run_that_goes_on(
    how: str, tmp_path: Path
) -> None:
    """It is saved after the step that was played, whatever made the caller leave."""

    def play() -> None:
        with gankit.starting(LABELLED, out=tmp_path / "run") as run:
            for report in run.steps():
                if report.step == 2 and how == "break":
                    break
                if report.step == 2:
                    raise KeyError("mine")

    if how == "raise":
        with pytest.raises(KeyError, match="mine"):
            play()
    else:
        play()
    with gankit.resuming(tmp_path / "run") as run:
        assert run.step == 2
        assert [report.step for report in run.steps()] == [3, 4, 5, 6]
    gankit.train(LABELLED, out=tmp_path / "whole")
    weights = [
        (tmp_path / name / "checkpoints/00000006/weights.safetensors").read_bytes()
        for name in ("run", "whole")
    ]
    assert weights[0] == weights[1]


def test_an_error_in_the_caller_s_loop_is_one_of_the_run(tmp_path: Path) -> None:
    """Everybody is told of it, and nobody that the run is over."""
    diary = Diary()

    def play() -> None:
        out = tmp_path / "run"
        with gankit.starting(LABELLED, out=out, watchers={"diary": diary}) as run:
            for report in run.steps():
                if report.step == 3:
                    raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        play()
    assert ("KeyError", 3) in diary.pages
    assert "after" not in dict(diary.pages)


def test_steps_are_played_once_and_where_they_are_recorded(tmp_path: Path) -> None:
    """Again, or after the end, nothing would be saved."""
    with gankit.starting(LABELLED, out=tmp_path / "run") as run:
        for report in run.steps():
            if report.step == 2:
                break
        with pytest.raises(UsageError, match=r"played once, .*gankit\.resuming\("):
            run.steps()
    with gankit.resuming(tmp_path / "run") as run:
        pass
    with pytest.raises(UsageError, match="played once, within the `with`"):
        run.steps()


def test_a_hook_that_leaves_stops_the_run(tmp_path: Path) -> None:
    """After the step that it looks at."""

    class Leaving:
        @hookimpl
        def gankit_after_step(self, run: Run) -> None:
            """Have enough of it."""
            if run.step == 2:
                run.leave()

    run = gankit.train(LABELLED, out=tmp_path / "run", watchers={"it": Leaving()})
    assert (run.step, run.stopping) == (2, "leaving the run")


def test_a_watcher_that_misspells_a_hook_is_refused(tmp_path: Path) -> None:
    """Else it would watch nothing, in silence."""

    class Asleep:
        @hookimpl
        def gankit_afterstep(self) -> None:
            """Never called."""

    with pytest.raises(PluginError, match=r"gankit_afterstep.*; the hooks are"):
        gankit.train(LABELLED, out=tmp_path / "run", watchers={"asleep": Asleep()})
    assert not (tmp_path / "run").exists()


class _Marked:
    @hookimpl
    def gankit_after_step(self, run: Any) -> None:
        """Do nothing."""


GOOD = _Marked()


class _Unmarked:
    def gankit_after_step(self, run: Any) -> None:
        """Not a hook."""


class _Misasking:
    @hookimpl
    def gankit_after_step(self, rum: Any) -> None:
        """Ask for what no hook is given."""


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (_Unmarked(), "'gankit_after_step' would never be called"),
        (_Misasking(), r"^'b' has a hook .*'gankit_after_step'.*'rum'"),
        (GOOD, "'b' is the same object as 'a'"),
    ],
    ids=["unmarked", "argument", "twice"],
)
def test_watchers_that_were_refused_leave_nothing_behind(
    second: object, message: str
) -> None:
    """The error names the one at fault, and the same names can be used again."""
    hooks = discover(disable=["*"]).hooks
    before = hooks.names()
    with pytest.raises(PluginError, match=message):
        hooks.check({"a": GOOD, "b": second})
    assert hooks.names() == before
    hooks.check({"a": GOOD, "b": _Marked()})


def test_a_sampler_knows_of_which_step_it_is(tmp_path: Path) -> None:
    """Of the checkpoint that was asked for; in a run there is no such step."""
    run = gankit.train(LABELLED, out=tmp_path / "run")
    assert run.sampler.step is None
    assert gankit.load(tmp_path / "run").step == 6
    assert gankit.load(tmp_path / "run", checkpoint=4).step == 4


def test_the_data_of_a_recipe_is_read_without_a_run() -> None:
    """Pixels in the range that is asked for; no network is built."""
    dataset = gankit.assemble_dataset(gankit.read_recipe(CAPTIONED))
    cpu = torch.device("cpu")
    data = gankit.read_data(dataset, device=cpu, output_range=(0.0, 1.0))
    assert len(data) == 24
    pixels = data.stored(torch.arange(24))
    assert pixels.dtype == torch.uint8
    torch.testing.assert_close(data.samples(torch.arange(24)), pixels / 255)


def test_data_that_is_refused_is_told_of(tmp_path: Path) -> None:
    """With the data set's own words."""
    gone = {"dataset": {"use": "image-folder", "root": str(tmp_path / "gone")}}
    with pytest.raises(DataError, match="gone"):
        gankit.assemble_dataset(gankit.read_recipe(LABELLED | gone))
