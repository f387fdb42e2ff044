"""Hooks from the recipe, parts that watch their run, and blocks of plugins' kinds."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from jsonschema import Draft202012Validator

import gankit
from games import Judge, Labels, Linear, Logistic, Numbers, make_assembly
from gankit.cli import run
from gankit.errors import HookError, MisfitError, RecipeError
from gankit.plugins.discovery import discover
from gankit.recipe.schema import recipe_schema
from sites import HEAD, Site, yields
from test_docs import DOCS, blocks
from tiny import LABELLED, metrics, tree, write

WriteFile = Callable[[str, str], Path]

# written as a stranger would: three pieces that remember, and a kind with its block
CODE = f"""{HEAD}
from attrs import frozen
from gankit import Count

SEEN = []


class Patience:
    '''Stops a run whose metric has not been lower for some steps.'''

    def __init__(self, metric: str, patience: Count = 3):
        self.metric, self.patience = metric, patience
        self.lowest, self.waited = float("inf"), 0

    @hookimpl
    def gankit_after_step(self, run, report):
        value = (report.values() | {{k: v for k, (_, v) in run.measured.items()}})[
            self.metric
        ]
        self.waited = 0 if value < self.lowest else self.waited + 1
        self.lowest = min(self.lowest, value)
        run.measure("waited", self.waited)
        if self.waited == self.patience:
            run.stop(f"{{self.metric}} has not fallen")

    def state_dict(self):
        return dict(lowest=self.lowest, waited=self.waited)

    def load_state_dict(self, state):
        self.lowest, self.waited = state["lowest"], state["waited"]


class Spread:
    '''The mean over steps of how far drawn samples lie apart.'''

    def __init__(self, k: Count = 4):
        self.k, self.sum, self.count = k, 0.0, 0

    def of(self, run):
        self.sum += float(run.sampler.sample(self.k, seed=run.step).samples.std())
        self.count += 1
        return self.sum / self.count

    def state_dict(self):
        return dict(sum=self.sum, count=self.count)

    def load_state_dict(self, state):
        self.sum, self.count = state["sum"], state["count"]


class Adaptive:
    '''Noise on what is judged, the more the better the discriminator ranks.'''

    def __init__(self, speed: float = 0.1):
        self.speed, self.strength = speed, 0.0

    def __call__(self, samples, rng):
        import torch

        drawn = torch.randn(samples.shape, generator=rng, device=samples.device)
        return samples + self.strength * drawn

    @hookimpl
    def gankit_after_step(self, run, report):
        self.strength += self.speed * report.values()["AUC"]
        SEEN.append("augmentation")
        run.measure("strength", self.strength)

    def state_dict(self):
        return dict(strength=self.strength)

    def load_state_dict(self, state):
        self.strength = state["strength"]


@frozen
class Told:
    '''Equal to any other of the same words.'''

    words: str = "told"

    @hookimpl
    def gankit_after_step(self, run):
        SEEN.append(self.words)


@frozen
class Fails:
    at: int = 0

    @hookimpl
    def gankit_after_step(self, run):
        assert run.step != self.at, "no such chip"


@hookimpl(tryfirst=True)
def gankit_after_step(run):
    for i, gauge in enumerate(run.assembly.others["gauges"]):
        if isinstance(gauge, Spread):
            run.measure(f"spread.{{i}}", gauge.of(run))


{
    yields(
        "Kind('gauge', 'a number of samples', block='gauges')",
        "Part('gauge', 'spread', Spread)",
        "Part('gauge', 'told', Told)",
        "Part('hook', 'patience', Patience)",
        "Part('hook', 'told', Told)",
        "Part('hook', 'restless', Patience)",
        "Part('hook', 'fails', Fails)",
        "Part('augmentation', 'adaptive', Adaptive)",
    )
}
"""


@pytest.fixture
def plugin(plugin_file: WriteFile) -> str:
    """Write the plugin file with all of these."""
    return str(plugin_file("watch_parts.py", CODE))


def _table(**blocks: Any) -> dict[str, Any]:
    return LABELLED | blocks


WATCHED = _table(
    augmentations=[{"use": "adaptive"}],
    gauges=[{"use": "spread"}, {"use": "spread", "k": 3}],
    hooks=[{"use": "patience", "metric": "spread.1", "patience": 99}],
)


def _trained(table: dict[str, Any], plugin: str, out: Path, *more: str) -> int:
    recipe = write(out.parent, table)
    return run(["train", recipe, *more, "--plugin", plugin, "--out", str(out)])


def _seen() -> list[str]:
    return list(sys.modules["watch_parts"].SEEN)


def test_hooks_gauges_and_a_watching_part_go_on_to_the_bit(
    plugin: str, tmp_path: Path
) -> None:
    """What each of them remembers is saved once, and comes back exactly."""
    assert _trained(WATCHED, plugin, tmp_path / "whole") == 0
    assert _trained(WATCHED, plugin, tmp_path / "parted", "train.steps=3") == 0
    assert run(["resume", str(tmp_path / "parted"), "train.steps=6"]) == 0
    last = "checkpoints/00000006"
    assert tree(tmp_path / "parted" / last) == tree(tmp_path / "whole" / last)
    lines = metrics(tmp_path / "whole")
    assert metrics(tmp_path / "parted") == lines
    strengths = [line["strength"] for line in lines]
    assert strengths == sorted(strengths)
    assert strengths[-1] > 0


def test_a_state_is_saved_once_where_it_belongs(plugin: str, tmp_path: Path) -> None:
    """An augmentation's with the game, that of hooks and gauges with the hooks."""
    from gankit.runs import checkpoint

    assert _trained(WATCHED, plugin, tmp_path / "run", "train.steps=2") == 0
    found, _ = checkpoint.latest(tmp_path / "run" / "checkpoints")
    state = found.state()
    assert state["game"]["augmentations.0"]["strength"] > 0
    assert "augmentations.0" not in state["hooks"]
    assert {"hooks.0", "gauges.0", "gauges.1"} <= state["hooks"].keys()
    assert state["hooks"]["gauges.1"]["count"] == 2


def test_a_hook_that_waits_waits_on_where_a_run_goes_on(
    plugin: str, tmp_path: Path
) -> None:
    """Strength only grows: lowest at step 1, stopped at 4, though resumed at 2."""
    hooks = [{"use": "patience", "metric": "strength"}]
    table = _table(augmentations=[{"use": "adaptive"}], hooks=hooks)
    for name, more in (("whole", []), ("parted", ["train.steps=2"])):
        assert _trained(table, plugin, tmp_path / name, *more) == 0
    assert run(["resume", str(tmp_path / "parted"), "train.steps=6"]) == 0
    for name in ("whole", "parted"):
        measured = metrics(tmp_path / name)
        assert [line["waited"] for line in measured] == [0, 1, 2, 3]
        assert measured[-1]["step"] == 4


def test_parts_of_the_game_come_first_then_other_kinds_then_hooks(
    plugin: str, tmp_path: Path
) -> None:
    """Each list in its order, two that are equal both, and only during their run."""
    table = _table(
        hooks=[{"use": "told", "words": w} for w in ("first", "second", "second")],
        gauges=[{"use": "told", "words": "gauge"}],
        augmentations=[{"use": "adaptive"}],
    )
    assert _trained(table, plugin, tmp_path / "run", "train.steps=1") == 0
    order = ["augmentation", "gauge", "first", "second", "second"]
    assert _seen() == order
    made = gankit.assemble(gankit.read_recipe(table, plugins=[plugin]))
    registry_hooks = gankit.train(made, out=tmp_path / "again", plugins=[plugin]).hooks
    assert not {name for name in registry_hooks.names() if "recipe" in name}


def test_a_gauge_is_found_by_the_hooks_of_its_plugin(
    plugin: str, tmp_path: Path
) -> None:
    """Measured into the line of its step, by the options that the recipe says."""
    table = _table(gauges=[{"use": "spread"}, {"use": "spread"}])
    more = ["gauges.1.k=2", "train.steps=1"]
    assert _trained(table, plugin, tmp_path / "run", *more) == 0
    (line,) = metrics(tmp_path / "run")
    recipe = tomllib.loads((tmp_path / "run/recipe.toml").read_text("utf-8"))
    assert [gauge["k"] for gauge in recipe["gauges"]] == [4, 2]
    drawn = gankit.load(tmp_path / "run")
    for i, k in enumerate((4, 2)):
        assert line[f"spread.{i}"] == float(drawn.sample(k, seed=1).samples.std())


def test_a_block_of_a_plugin_s_kind_is_a_block_like_any(plugin: str) -> None:
    """Written back with long names and read again; with provenance, in the schema."""
    table = _table(gauges=[{"use": "spread", "k": 2}], hooks=[{"use": "told"}])
    recipe = gankit.read_recipe(table, plugins=[plugin])
    written = recipe.as_table()
    assert written["gauges"] == [{"use": "watch_parts/spread", "k": 2}]
    assert written["hooks"] == [{"use": "watch_parts/told", "words": "told"}]
    assert written["provenance"]["parts"]["gauges.0"] == f"watch_parts/spread {plugin}"
    again = gankit.read_recipe(tomllib.loads(tomli_w.dumps(written)))
    assert again == recipe
    schema = Draft202012Validator(recipe_schema(discover([plugin])))
    schema.validate(written)
    for wrong in ({"use": "spread", "k": 0}, {"use": "told"}):
        assert schema.is_valid({**written, "gauges": [wrong]}) == (
            wrong["use"] != "spread"
        )
    assert not schema.is_valid({**written, "hooks": [{"use": "spread"}]})


def test_a_block_may_come_with_a_plugin_that_only_the_recipe_names(
    plugin: str, tmp_path: Path
) -> None:
    """Its overrides too, by path, by table, and whole."""
    table = _table(plugins=["watch_parts.py"], gauges=[{"use": "spread"}])
    path = write(tmp_path, table)
    assert gankit.read_recipe(path, ["gauges.0.k=3"]).others["gauges"][0].options == {
        "k": 3
    }
    assert gankit.read_recipe(path, {"gauges": []}).others["gauges"] == ()
    long = gankit.read_recipe(path, ["gauges.0.use=watch_parts/spread", "hooks=[]"])
    assert long.uses == gankit.read_recipe(path).uses


def test_without_its_plugin_a_block_is_none() -> None:
    """Refused with what would mend it."""
    with pytest.raises(
        RecipeError, match=r"gauges: no such block; .*; if it is of a plugin's"
    ):
        gankit.read_recipe(_table(gauges=[{"use": "spread"}]))
    with pytest.raises(RecipeError, match="a recipe has no block 'gauges'"):
        gankit.read_recipe(LABELLED, ["gauges.0.k=3"])


WRONG = {
    "no list": ({"hooks": {"use": "told"}}, "hooks: is not a list of tables"),
    "no part": ({"hooks": [{}]}, "hooks.0: names no part; set hooks.0.use"),
    "another kind": (
        {"gauges": [{"use": "patience"}]},
        "gauges.0.use: no gauge named 'patience'; it is the name of a hook",
    ),
    "an option": (
        {"hooks": [{"use": "patience", "metric": "AUC", "patience": 0}]},
        "hooks.0.patience: 0 is not a whole number at least 1",
    ),
    "a missing option": (
        {"hooks": [{"use": "patience"}]},
        "hooks.0.metric: is missing",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_block_is_said_at_reading(case: str, plugin: str) -> None:
    """In the words of any other block."""
    blocks, said = WRONG[case]
    with pytest.raises(RecipeError) as caught:
        gankit.read_recipe(_table(**blocks), plugins=[plugin])
    (problem,) = caught.value.problems
    assert problem.startswith(said)


AT_FAULT = {
    "nothing marked": (
        "class H:\n    def after_step(self, run): ...",
        "hooks.0 'part': nothing of it is marked with @gankit.hookimpl; it has the "
        "methods 'after_step', and the hooks are 'gankit_before_run', ",
    ),
    "misspelled": (
        "class H:\n    @hookimpl\n    def gankit_after_stepp(self, run): ...",
        "hooks.0 'part': a run has no hook 'gankit_after_stepp'; did you mean "
        "'gankit_after_step'",
    ),
    "not of a run": (
        "class H:\n    @hookimpl\n    def gankit_parts(self): ...",
        "hooks.0 'part': a run has no hook 'gankit_parts'",
    ),
    "not marked": (
        "class H:\n    def gankit_after_step(self, run): ...",
        "hooks.0 'part': its method gankit_after_step is not marked; write "
        "@gankit.hookimpl above it",
    ),
    "another argument": (
        "class H:\n    @hookimpl\n    def gankit_after_step(self, rum): ...",
        "hooks.0 'part': gankit_after_step asks for 'rum'; did you mean 'run'?; it is "
        "given 'run', 'report'",
    ),
    "no yield": (
        "class H:\n    @hookimpl(wrapper=True)\n    def gankit_after_run(self): ...",
        "hooks.0 'part': gankit_after_run is to wrap the others, and has no yield",
    ),
    "half a state": (
        "class H:\n    @hookimpl\n    def gankit_after_run(self): ...\n"
        "    def state_dict(self): ...",
        "hooks.0 'part': it has state_dict, and no load_state_dict to restore what ",
    ),
    "a value": (
        "class H:\n    def __init__(self): raise ValueError('no such chip')",
        "hooks.0 'part': no such chip",
    ),
}


@pytest.mark.parametrize("case", AT_FAULT)
def test_a_part_that_would_watch_in_vain_is_refused(
    case: str, plugin_file: WriteFile
) -> None:
    """One error that names the part, what it has, and what there is."""
    code, said = AT_FAULT[case]
    path = plugin_file(
        "at_fault.py", f"{HEAD}\n{code}\n\n" + yields("Part('hook', 'part', H)")
    )
    recipe = gankit.read_recipe(_table(hooks=[{"use": "part"}]), plugins=[path])
    with pytest.raises(MisfitError) as caught:
        gankit.assemble(recipe)
    (problem,) = caught.value.problems
    assert problem.startswith(said)


def _misspelling(part: Any) -> Any:
    """Make a part one that would watch, and misspells a hook."""

    class Watching(type(part)):  # type: ignore[misc] # of any class
        @gankit.hookimpl
        def gankit_after_stepp(self) -> None: ...

    part.__class__ = Watching
    return part


SHAPES = gankit.Shapes((2,), 3)
PARTS: dict[str, Callable[[], Any]] = {
    "dataset": Numbers,
    "generator": lambda: Linear(SHAPES),
    "discriminator": lambda: Judge(SHAPES),
    "conditioner": Labels,
    "loss": lambda: Plain(),
}


class Plain:
    """A loss, not frozen."""

    discriminator = Logistic.discriminator
    generator = Logistic.generator


@pytest.mark.parametrize("place", PARTS)
def test_a_part_of_the_game_that_misspells_a_hook_is_refused(place: str) -> None:
    """Whichever part it is."""
    with pytest.raises(MisfitError) as caught:
        make_assembly(**{place: _misspelling(PARTS[place]())})
    said = f"{place} Watching: a run has no hook 'gankit_after_stepp'"
    assert caught.value.problems[0].startswith(said)


def test_of_two_hooks_of_one_class_the_one_that_raised_is_named(
    plugin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its part's long name and its place; what was whole is saved."""
    hooks = [{"use": "fails"}, {"use": "fails", "at": 3}, {"use": "fails"}]
    table = _table(hooks=hooks)
    recipe = gankit.read_recipe(table, plugins=[plugin])
    with pytest.raises(HookError) as caught:
        gankit.train(recipe, out=tmp_path / "run")
    assert caught.value.plugin == "watch_parts/fails"
    assert str(caught.value).startswith(
        "the hook gankit_after_step of hooks.1 'watch_parts/fails' raised "
        "AssertionError: no such chip"
    )
    assert "--disable-plugin" not in str(caught.value)
    # gone on with, without it
    resumed = gankit.resume(tmp_path / "run", {"hooks": [hooks[0]]})
    assert resumed.step == 6


def test_other_hooks_than_the_checkpoint_s_begin_anew_and_it_is_said(
    plugin: str, tmp_path: Path
) -> None:
    """Hooks that only watch may come and go; the state of another is not theirs."""
    options = {"metric": "strength", "patience": 9}  # which only grows
    hooks = [{"use": "patience"} | options, {"use": "told"}]
    table = _table(hooks=hooks, augmentations=[{"use": "adaptive"}])
    assert _trained(table, plugin, tmp_path / "run", "train.steps=2") == 0
    changed = {"hooks": [{"use": "restless"} | options], "train.steps": 3}
    resumed = gankit.resume(tmp_path / "run", changed, plugins=[plugin])
    (hook,) = resumed.assembly.hooks
    assert hook.lowest == metrics(tmp_path / "run")[-1]["strength"]
    said = "\n".join(resumed.notes)
    assert "hooks.0: the checkpoint has watch_parts/patience" in said
    assert (
        f"hooks.1: the checkpoint has watch_parts/told {plugin}, this run none" in said
    )
    again = gankit.resume(tmp_path / "run", {"train.steps": 4}, plugins=[plugin])
    assert not [note for note in again.notes if "checkpoint" in note]


def test_a_state_that_a_hook_no_longer_reads_is_said(
    plugin: str, plugin_file: WriteFile, tmp_path: Path
) -> None:
    """With its place and name, and what raised."""
    table = _table(hooks=[{"use": "patience", "metric": "AUC"}])
    assert _trained(table, plugin, tmp_path / "run", "train.steps=1") == 0
    del sys.modules["watch_parts"]
    plugin_file("watch_parts.py", CODE.replace('state["lowest"]', 'state["least"]'))
    with pytest.raises(gankit.errors.RunError) as caught:
        gankit.resume(tmp_path / "run", {"train.steps": 2})
    assert str(caught.value).startswith(
        "hooks.0 'watch_parts/patience' cannot take up its state in the checkpoint: "
        "KeyError: 'least' (line "
    )


class _Counts:
    """Counts steps; looked at where it is, it raises."""

    def __init__(self) -> None:
        self.steps = 0

    @property
    def costly(self) -> int:
        """Stand for what reads all data."""
        raise AssertionError("looked at a property")

    @gankit.hookimpl
    def gankit_after_step(self) -> None:
        """Count."""
        self.steps += 1


def test_an_assembly_of_objects_has_hooks_too(tmp_path: Path) -> None:
    """Called once each even if given twice; a property of a part is left alone."""
    hook, other = _Counts(), _Counts()
    assembly = make_assembly(hooks=[hook, hook], others={"gauges": [other]})
    gankit.train(assembly, out=tmp_path / "run", disable=["*"])
    assert (hook.steps, other.steps) == (4, 4)


def test_an_object_s_hook_that_raises_is_named_by_its_class(tmp_path: Path) -> None:
    """There is no long name to give."""
    with pytest.raises(HookError, match=r"of hooks\.0 '_Fails' raised ZeroDivision"):
        gankit.train(make_assembly(hooks=[_Fails()]), out=tmp_path / "run")


class _Fails:
    @gankit.hookimpl
    def gankit_before_run(self) -> float:
        """Raise."""
        return 1 / 0


def test_an_object_that_watches_nothing_is_no_hook() -> None:
    """Said when it is assembled, with its place and class."""
    with pytest.raises(MisfitError, match=r"hooks\.0 Linear: nothing of it is marked"):
        make_assembly(hooks=[Linear(SHAPES)])


def test_a_plugin_file_may_have_the_name_of_a_place(
    plugin_file: WriteFile, tmp_path: Path
) -> None:
    """``loss.py`` with a loss that watches: two that watch, neither hides the other."""
    code = f"""{HEAD}
from gankit_losses.hinge import Hinge

class Watching(Hinge):
    @hookimpl
    def gankit_after_step(self, run):
        run.measure("by the part", run.step)

@hookimpl
def gankit_after_step(run):
    run.measure("by the file", run.step)

"""
    path = plugin_file("loss.py", code + yields("Part('loss', 'watching', Watching)"))
    table = _table(loss={"use": "watching"})
    assert _trained(table, str(path), tmp_path / "run", "train.steps=1") == 0
    (line,) = metrics(tmp_path / "run")
    assert (line["by the part"], line["by the file"]) == (1, 1)


FAILING_KINDS = {
    "a kind's name": ("block='loss'", "the block 'loss' of the kind 'new' exists"),
    "another's block": ("block='penalties'", "the block 'penalties' of the kind 'new'"),
    "one of the core's": ("block='train'", "the block 'train' of the kind 'new'"),
    "provenance": ("block='provenance'", "the block 'provenance' of the kind 'new'"),
    "no key": ("block='a.b'", "cannot stand in a recipe"),
    "a number": ("block='0'", "cannot stand in a recipe"),
    "given": ("given=1, block='news'", "factories of that kind are given 1"),
}


@pytest.mark.parametrize("case", FAILING_KINDS)
def test_a_block_that_cannot_be_is_a_failure_of_its_plugin(
    case: str, site: Site
) -> None:
    """With the reason; nothing else of that plugin is kept."""
    options, said = FAILING_KINDS[case]
    before = discover().blocks.keys()
    site.install("bad-gan", yields(f"Kind('new', 'x', {options})"))
    found = discover()
    (failure,) = [f for f in found.failures if f.plugin == "bad-gan"]
    assert said in failure.reason
    assert found.blocks.keys() == before


def test_of_two_plugins_with_one_block_the_second_fails(site: Site) -> None:
    """Their order is that of their names."""
    for name in ("a-gan", "b-gan"):
        code = yields(f"Kind('{name}', 'x', block='gauges')")
        site.install(name, code)
    found = discover()
    assert found.blocks["gauges"] == "a-gan"
    assert "exists already" in found.failures[0].reason


def test_two_processes_keep_one_state_and_the_bits_of_one(
    plugin: str, tmp_path: Path
) -> None:
    """Every process calls the hooks; the first saves what they remember."""
    table = WATCHED | {"train": LABELLED["train"] | {"reduce": "exact", "shards": 2}}
    recipe = write(tmp_path, table)
    for name, count in (("one", 1), ("two", 2)):
        words = ["train", recipe, "--plugin", plugin, "--out", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, "-m", "gankit", *words, "--processes", str(count)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    last = "checkpoints/00000006"
    assert tree(tmp_path / "two" / last) == tree(tmp_path / "one" / last)
    assert metrics(tmp_path / "two") == metrics(tmp_path / "one")


def test_hooks_are_listed_and_shown_like_all_parts(
    plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By kind and name, with their options."""
    assert run(["list", "hook", "--json", "--plugin", plugin]) == 0
    there = [part["name"] for part in json.loads(capsys.readouterr().out)]
    assert {"fails", "patience", "told"} <= set(there)
    assert run(["show", "hook", "patience", "--plugin", plugin]) == 0
    assert "patience  3         a whole number at least 1" in capsys.readouterr().out


def test_the_documented_hook_and_gauge_do_what_is_said(
    plugin_file: WriteFile, tmp_path: Path
) -> None:
    """Measured every hundred steps and last; stopped by what does not fall."""
    pages = (DOCS / "hooks.md", DOCS / "parts.md")
    code = {block.file: block.text for page in pages for block in blocks(page)}
    files = [plugin_file(n, code[n]) for n in ("my_hooks.py", "my_gauges.py")]
    hook = {"use": "patience", "metric": "AUC", "every": 1, "looks": 1}
    table = _table(hooks=[hook], gauges=[{"use": "spread", "k": 8}])
    run_ = gankit.train(table, out=tmp_path / "run", plugins=files)
    values = [line["AUC"] for line in metrics(tmp_path / "run")]
    fell = [late < early for early, late in pairwise(values)]
    assert run_.step == len(values)
    assert fell == [True] * (len(fell) - 1) + [False]
    assert run_.stopping.startswith("AUC has not fallen since ")
    hook["looks"] = 9
    gankit.train(table, out=tmp_path / "whole", plugins=files)
    lines = metrics(tmp_path / "whole")
    assert ["spread" in line for line in lines] == [False] * 5 + [True]
    drawn = gankit.load(tmp_path / "whole").sample(8).samples
    assert lines[-1]["spread"] == float(drawn.std())
