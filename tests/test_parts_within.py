"""Parts within parts: an option that is itself a part, of any kind."""

from __future__ import annotations

import json
import pickle
import tomllib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from jsonschema import Draft202012Validator

import gankit
from gankit.cli import run
from gankit.errors import MisfitError, PluginError, RecipeError
from gankit.plugins.discovery import discover
from gankit.recipe.recipe import Recipe
from gankit.recipe.schema import recipe_schema
from sites import HEAD, yields
from tiny import LABELLED, metrics, tree, write

WriteFile = Callable[[str, str], Path]

# the weighted sum of two losses, a generator that mirrors what another makes, and a
# loss with a state and an opinion
CODE = f"""{HEAD}
from collections.abc import Callable
from typing import Annotated

from torch import nn

from gankit import Fraction, OfKind, Shapes
from gankit.contracts import Generator, Loss

ALoss = Annotated[Callable[[], Loss], OfKind("loss")]


class Mixed:
    '''The weighted sum of two losses.

    Args:
        first: the one that has the share.
    '''

    def __init__(
        self, first: ALoss, second: ALoss | None = None, share: Fraction = 0.5
    ):
        self.losses = [first()] + ([second()] if second else [])
        self.shares = [share, 1 - share]

    def _sum(self, player, step):
        values = [getattr(loss, player)(step) for loss in self.losses]
        return sum(s * v for s, v in zip(self.shares, values))

    def discriminator(self, step):
        return self._sum("discriminator", step)

    def generator(self, step):
        return self._sum("generator", step)

    def state_dict(self):
        return dict(losses=[getattr(l, "state_dict", dict)() for l in self.losses])

    def load_state_dict(self, state):
        for loss, one in zip(self.losses, state["losses"]):
            if one:
                loss.load_state_dict(one)


class Waning:
    '''Tells apart by means, less and less.'''

    def __init__(self, scale: float = 1.0):
        if scale == 13.0:
            raise ValueError("13 brings no luck; give it another scale")
        self.scale, self.looks = scale, 0

    def discriminator(self, step):
        self.looks += 1
        gap = step.fake_logits.mean() - step.real_logits.mean()
        return self.scale / self.looks * gap.tanh()

    def generator(self, step):
        return -step.fake_logits.mean().tanh()

    def state_dict(self):
        return dict(looks=self.looks)

    def load_state_dict(self, state):
        self.looks = state["looks"]


class Mirrored(nn.Module):
    def __init__(self, shapes: Shapes,
                 inner: Annotated[Callable[[Shapes], Generator], OfKind("generator")]):
        super().__init__()
        self.build = inner  # which may be copied
        self.inner = inner(shapes)
        self.output_range = self.inner.output_range

    def forward(self, noise, condition):
        return -self.inner(noise, condition)


class Hasty(nn.Module):
    def __init__(self, shapes: Shapes,
                 inner: Annotated[Callable[[Shapes], Generator], OfKind("generator")]):
        inner()


def strict(penalty: Annotated[Callable, OfKind("penalty")]): ...


def lost(of: Annotated[Callable[[], Loss], OfKind("lose")]): ...


def plain(inner: ALoss = Waning): return inner()


{
    yields(
        "Part('loss', 'mixed', Mixed)",
        "Part('loss', 'waning', Waning)",
        "Part('loss', 'lost', lost)",
        "Part('loss', 'strict', strict)",
        "Part('loss', 'plain', plain)",
        "Part('generator', 'mirrored', Mirrored)",
        "Part('generator', 'hasty', Hasty)",
    )
}
"""
MIXED = {
    "use": "mixed",
    "share": 0.25,
    "first": {"use": "waning", "scale": 2.0},
    "second": {"use": "hinge"},
}


@pytest.fixture
def plugin(plugin_file: WriteFile) -> Path:
    """Write the plugin file with all of these."""
    return plugin_file("within_parts.py", CODE)


@pytest.fixture
def read(plugin: Path) -> Callable[..., Recipe]:
    """Give what reads the tiny recipe with other blocks and overrides."""

    def read_it(*overrides: str, **blocks: Any) -> Recipe:
        return gankit.read_recipe(LABELLED | blocks, overrides, plugins=[plugin])

    return read_it


def test_a_loss_of_two_losses_goes_on_to_the_bit(plugin: Path, tmp_path: Path) -> None:
    """What the inner one remembers too."""
    recipe = write(tmp_path, LABELLED | {"loss": MIXED})
    words = ["train", recipe, "--plugin", str(plugin)]
    for name, steps in (("whole", 6), ("parted", 3)):
        more = [f"train.steps={steps}", "--out", str(tmp_path / name)]
        assert run([*words, *more]) == 0
    assert run(["resume", str(tmp_path / "parted"), "train.steps=6"]) == 0
    last = "checkpoints/00000006"
    assert tree(tmp_path / "parted" / last) == tree(tmp_path / "whole" / last)
    assert metrics(tmp_path / "parted") == metrics(tmp_path / "whole")


def test_with_the_whole_share_the_sum_is_its_first(
    read: Callable[..., Recipe], tmp_path: Path
) -> None:
    """To the bit: one times a loss and nothing else."""
    mixed = {"use": "mixed", "share": 1.0, "first": {"use": "hinge"}}
    for name, loss in (("mixed", mixed), ("alone", {"use": "hinge"})):
        gankit.train(read(loss=loss), out=tmp_path / name)
    weights = "checkpoints/00000006/weights.safetensors"
    assert (tmp_path / "mixed" / weights).read_bytes() == (
        tmp_path / "alone" / weights
    ).read_bytes()


def test_a_network_within_a_network_is_built_copied_and_sampled(
    read: Callable[..., Recipe], tmp_path: Path
) -> None:
    """With the shapes of its kind, on no memory first; the average is a copy."""
    inner = LABELLED["generator"]
    run_ = gankit.train(
        read(generator={"use": "mirrored", "inner": inner}), out=tmp_path / "run"
    )
    assert run_.game.average is not None
    drawn = gankit.load(tmp_path / "run").sample(5, seed=3).samples
    assert drawn.equal(run_.sampler.sample(5, seed=3).samples)


def test_what_builds_a_part_can_be_pickled_and_copied(
    read: Callable[..., Recipe],
) -> None:
    """So that its owner may go to a worker process."""
    made = read(loss=MIXED).loss.builder().keywords["first"]
    for copied in (deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert copied().scale == 2.0


def test_a_default_is_what_builds_the_part(read: Callable[..., Recipe]) -> None:
    """As with other defaults that a file cannot hold, it is left out of one."""
    recipe = read(loss={"use": "plain"})
    assert recipe.loss.build().scale == 1.0
    assert recipe.loss.as_table() == {"use": "within_parts/plain"}
    other = {"use": "waning", "scale": 3.0}
    assert read(loss={"use": "plain", "inner": other}).loss.build().scale == 3.0


def test_a_part_within_a_part_is_written_back_with_all_of_it(
    read: Callable[..., Recipe], plugin: Path
) -> None:
    """Long names, options, provenance, through TOML; and the schema knows it."""
    recipe = read(loss=MIXED)
    table = recipe.as_table()
    assert table["loss"] == {
        "use": "within_parts/mixed",
        "share": 0.25,
        "first": {"use": "within_parts/waning", "scale": 2.0},
        "second": {"use": "gankit-losses/hinge", **table["loss"]["second"]},
    }
    parts = table["provenance"]["parts"]
    assert parts["loss.first"] == f"within_parts/waning {plugin}"
    assert parts["loss.second"].startswith("gankit-losses/hinge ")
    assert gankit.read_recipe(tomllib.loads(tomli_w.dumps(table))) == recipe
    schema = recipe_schema(discover([plugin]))
    Draft202012Validator.check_schema(schema)
    valid = Draft202012Validator(schema).is_valid
    assert valid(table)
    for wrong in (
        {"use": "mixed"},
        {"use": "mixed", "first": "hinge"},
        {"use": "mixed", "first": {"use": "r1"}},
        {"use": "mixed", "first": {"use": "waning", "scael": 1.0}},
        {"use": "mixed", "first": {"use": "mixed"}},
    ):
        assert not valid(table | {"loss": wrong})
        with pytest.raises(RecipeError):
            read(loss=wrong)


def test_overrides_lead_into_a_part_within_a_part(read: Callable[..., Recipe]) -> None:
    """A path changes one setting, another use drops the options, a table is whole."""
    assert _first(read("loss.first.scale=3.0", loss=MIXED)) == {"scale": 3.0}
    same = read("loss.first.use=within_parts/waning", loss=MIXED)
    assert _first(same) == {"scale": 2.0}
    strict = {"use": "strict", "penalty": {"use": "r1", "weight": 7.0}}
    long = read("loss.penalty.use=gankit-losses/r1", loss=strict)  # of another kind
    assert long.loss.options["penalty"].options["weight"] == 7.0
    other = read("loss.first.use=minimax", loss=MIXED)
    assert other.loss.options["first"].entry.part.name == "minimax"
    whole = read("loss.first={use='waning'}", loss=MIXED)
    assert _first(whole) == {"scale": 1.0}
    made = read("loss.use=mixed", "loss.first.scale=5.0", "loss.first.use=waning")
    assert _first(made) == {"scale": 5.0}
    deep = read(
        "loss.first.first.use=waning",
        "loss.first.first.scale=6.0",
        loss={"use": "mixed", "first": {"use": "mixed"}},
    )
    assert deep.uses["loss.first.first"].options == {"scale": 6.0}


def _first(recipe: Recipe) -> dict[str, Any]:
    return recipe.loss.options["first"].options


ITSELF: dict[str, Any] = {"use": "mixed"}
ITSELF["first"] = ITSELF
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "missing": (
        {"use": "mixed"},
        ["loss.first: is missing; it takes a loss: a table that names one by use"],
    ),
    "no use": (
        {"use": "mixed", "first": {"scale": 1.0}},
        ["loss.first: names no part; set loss.first.use"],
    ),
    "a word": (
        {"use": "mixed", "first": "hinge"},
        ["loss.first: names no part; set loss.first.use"],
    ),
    "another kind": (
        {"use": "mixed", "first": {"use": "r1"}},
        ["loss.first.use: no loss named 'r1'; it is the name of a penalty"],
    ),
    "everything at once": (
        {
            "use": "mixed",
            "share": 2.0,
            "frist": 1,
            "first": {"use": "waning", "scale": "big"},
            "second": {"use": "mixed"},
        },
        [
            "loss.frist: no such option; did you mean 'first'?",
            "loss.first.scale: 'big' is not a number",
            "loss.second.first: is missing; it takes a loss: a table that names one by "
            "use",
            "loss.share: 2.0 is not a number at least 0 and at most 1",
        ],
    ),
    "itself": (
        ITSELF,
        [f"loss{'.first' * 9}: these are too many parts within each other"],
    ),
    "a kind that is none": (
        {"use": "lost", "of": {"use": "hinge"}},
        ["loss.of.use: no kind of part is named 'lose'; did you mean 'loss'"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_within_a_part_is_said_with_the_rest(
    case: str, read: Callable[..., Recipe]
) -> None:
    """By its path, each once."""
    block, said = WRONG[case]
    with pytest.raises(RecipeError) as caught:
        read(loss=block)
    assert len(caught.value.problems) == len(said)
    for problem, start in zip(caught.value.problems, said, strict=True):
        assert problem.startswith(start)


def test_what_an_inner_part_refuses_is_a_misfit_of_its_place(
    read: Callable[..., Recipe],
) -> None:
    """Of which of the two parts it is."""
    first = {"use": "waning", "scale": 13.0}
    with pytest.raises(MisfitError) as caught:
        gankit.assemble(read(loss={"use": "mixed", "first": first}))
    assert caught.value.problems == (
        "loss 'mixed': first 'waning': 13 brings no luck; give it another scale",
    )


def test_an_author_who_builds_it_of_nothing_is_told(
    read: Callable[..., Recipe],
) -> None:
    """What its kind is given, and who has to mend it."""
    generator = {"use": "hasty", "inner": LABELLED["generator"]}
    with pytest.raises(PluginError, match="inner 'mlp' was given 0 arguments, and its"):
        gankit.assemble(read(generator=generator))


def test_the_parts_within_must_be_those_of_the_checkpoint(
    read: Callable[..., Recipe], plugin: Path, tmp_path: Path
) -> None:
    """As any part of the game."""
    gankit.train(read("train.steps=2", loss=MIXED), out=tmp_path / "run")
    with pytest.raises(gankit.errors.RunError, match=r"loss\.second: the checkpoint"):
        gankit.resume(tmp_path / "run", ["loss.second.use=minimax", "train.steps=3"])


def test_a_part_within_a_part_is_shown(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it takes, in words, and as a schema that stands alone."""
    assert run(["show", "loss", "mixed", "--plugin", str(plugin)]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if "first" in x)
    assert line.split("  ")[0] == "first"
    assert "required  a loss: a table that names one by use" in line
    assert run(["show", "loss", "mixed", "--schema", "--plugin", str(plugin)]) == 0
    schema = Draft202012Validator(json.loads(capsys.readouterr().out))
    assert schema.is_valid({"first": {"use": "hinge"}})
    assert not schema.is_valid({"first": "hinge"})
