"""The conformance kit: sound parts pass, and what is broken is found by its check."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from broken import BROKEN
from gankit.errors import PluginError, UsageError
from gankit.testing import parametrize_parts
from gankit.testing.cases import Case, cases
from gankit.testing.checks import CHECKS
from gankit.testing.targets import PARTNERS, Target
from sites import HEAD, Site, yields

PLUGIN = """
from gankit import Part, hookimpl

@hookimpl
def gankit_parts():
    yield Part({kind!r}, "broken", "broken:{name}", summary="Broken on purpose")
"""


@parametrize_parts(file=PARTNERS)
def test_the_kits_own_doubles_pass(check: Case) -> None:
    """Whoever plays with a part under test is sound itself."""
    check()


def failing(made: list[Case]) -> dict[str, str]:
    """Make all checks; return those that fail, and why."""
    verdicts = {case.check: case.judged() for case in made}
    return {k: v.message for k, v in verdicts.items() if v.outcome == "failed"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_part_fails_the_check_made_for_it_and_no_other(
    name: str, plugin_file: Callable[[str, str], Path]
) -> None:
    """Others pass, or wait for it."""
    kind, part = BROKEN[name]
    code = PLUGIN.format(kind=kind, name=part)
    file = plugin_file(f"broken_{name}.py", code)
    failed = failing(cases(Target(file=str(file)), timeout=30))
    assert list(failed) == [name], failed


@pytest.mark.parametrize("name", ["Inattentive", "Secretive"])
def test_a_schedule_that_changes_nothing_or_starts_nowhere_is_found(
    name: str, plugin_file: Callable[[str, str], Path]
) -> None:
    """Beside the part that adds what it is given to its option."""
    code = PLUGIN.format(kind="augmentation", name=name)
    file = plugin_file(f"broken_{name.lower()}.py", code)
    failed = failing(cases(Target(file=str(file)), timeout=30))
    assert list(failed) == ["schedule_followed"], failed


def test_each_check_has_a_part_that_breaks_it() -> None:
    """Those of a module and of a recipe are broken elsewhere here."""
    elsewhere = {"light_import", "recipe_read"}
    assert {check.name for check in CHECKS} - elsewhere == {*BROKEN}


def test_a_module_that_imports_torch_is_found(site: Site) -> None:
    """Of an installed plugin; a local file may."""
    part = "Part('loss', 'heavy', 'gankit.testing.partners:Logistic', summary='x')"
    site.install("heavy-plugin", "import torch\n" + yields(part))
    made = [c for c in cases(Target(dist="heavy-plugin")) if c.check == "light_import"]
    assert "'heavy_plugin' imports torch" in failing(made)["light_import"]


def test_an_installed_part_has_a_summary(site: Site) -> None:
    """A local file is for its author alone."""
    part = "Part('loss', 'bare', 'gankit.testing.partners:Logistic')"
    site.install("bare-plugin", yields(part))
    made = [c for c in cases(Target(dist="bare-plugin")) if "documented" in c.check]
    assert "it has no summary for lists" in failing(made)["options_documented"]


def test_a_recipe_that_names_what_is_not_there_is_found(site: Site) -> None:
    """With what is wrong in it."""
    site.install("odd-recipes", yields("Part('recipe', 'odd', 'odd_recipes:odd.toml')"))
    (site.folder / "odd_recipes.py").unlink()
    package = site.folder / "odd_recipes"
    package.mkdir()
    (package / "__init__.py").write_text(
        yields("Part('recipe', 'odd', 'odd_recipes:odd.toml')"), "utf-8"
    )
    (package / "odd.toml").write_text("[loss]\nuse = 'nothing'\n", "utf-8")
    failed = failing(cases(Target(dist="odd-recipes")))
    assert list(failed) == ["recipe_read"]
    assert "no loss named 'nothing'" in failed["recipe_read"]


SOUND = f"{HEAD}\nfrom gankit.testing.partners import Logistic\n" + yields(
    "Part('loss', 'plain', Logistic, summary='x')"
)


def test_what_is_not_there_is_said_at_once(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """A plugin, a file, parts, options and checks that do not exist."""
    for target, said in (
        (Target(dist="gankit-lossess"), "no plugin named 'gankit-lossess'"),
        (Target(file="nowhere.py"), "there is no plugin file"),
        (Target(file=str(plugin_file("empty_parts.py", yields()))), "has no parts"),
    ):
        with pytest.raises(UsageError, match=said):
            cases(target)
    file = Target(file=str(plugin_file("sound_parts.py", SOUND)))
    for given, said in (
        ({"options": {"plian": {}}}, "'plian', which is no part; did you mean 'plain'"),
        ({"expected": {"plain": {"seeds": "x"}}}, "no check is named 'seeds'; did you"),
        ({"expected": {"plain": {"seeded": " "}}}, "without a reason; say why"),
    ):
        with pytest.raises(UsageError, match=said):
            cases(file, **given)


def test_a_plugin_that_fails_is_said_with_its_reason(site: Site) -> None:
    """Not that it has no parts."""
    site.install("failing-plugin", "import nothing_like_this\n")
    with pytest.raises(PluginError, match="failed at import: ModuleNotFoundError"):
        cases(Target(dist="failing-plugin"))


def test_an_entry_point_that_fails_is_told_of_though_another_has_loaded(
    site: Site,
) -> None:
    """Half of a distribution's parts are not all of them."""
    part = "Part('loss', 'half', 'gankit.testing.partners:Logistic', summary='x')"
    entries = {"one": "halved_plugin", "two": "not_there_at_all"}
    site.install("halved-plugin", yields(part), entries=entries)
    with pytest.raises(PluginError, match="failed at import: ModuleNotFoundError"):
        cases(Target(dist="halved-plugin"))


def test_an_expected_failure_is_strict_and_has_a_reason(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """What pytest is told of both; those that are not expected have no mark."""
    code = PLUGIN.format(kind="generator", name="Blind")
    file = plugin_file("broken_blind.py", code)
    reason = "it draws what it likes"
    mark = parametrize_parts(
        file=file, expected_failures={"broken": {"condition_matters": reason}}
    )
    _, params = marked(mark)
    marks = {p.id: p.marks for p in params}
    (expected,) = marks.pop("generator-broken-condition_matters")
    assert expected.kwargs["reason"] == reason
    assert expected.kwargs["strict"] is True
    assert not any(marks.values())


def marked(decorator: Any) -> Any:
    """Return what a decorator gives pytest to parametrise by."""

    def test(check: Case) -> None:
        check()

    (mark,) = decorator(test).pytestmark
    return mark.args


def test_what_is_expected_to_fail_holds_nobody_up(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """What comes after it is checked all the same."""
    code = PLUGIN.format(kind="loss", name="Backwards")
    file = str(plugin_file("broken_direction_again.py", code))
    expected = {"broken": {"direction": "a game of its own"}}
    made = {c.check: c for c in cases(Target(file=file), expected=expected)}
    assert made["direction"].judged().outcome == "failed"
    assert made["trains"].judged().outcome == "passed"


def test_what_is_expected_to_fail_is_made_for_who_comes_after_it(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """Also where that is asked for alone: it looks at the run that is left."""
    code = PLUGIN.format(kind="penalty", name="Counting")
    file = str(plugin_file("broken_resumes_again.py", code))
    expected = {"broken": {"resumes": "it counts for itself"}}
    made = {c.check: c for c in cases(Target(file=file), expected=expected)}
    found = made["in_two_processes"].judged()  # no file that is not there
    assert "shared by two processes, its run ends otherwise" in found.message


HOLED = f"""{HEAD}
from gankit import BrokenItem
from gankit.testing.partners import Items


class Holed(Items):
    '''One of its files is cut off.'''

    def __init__(self):
        super().__init__(items=24)

    def __getitem__(self, index):
        if index in (0, 23):
            raise BrokenItem(f"item {{index}} is cut off")
        return super().__getitem__(index)


""" + yields("Part('dataset', 'holed', Holed, summary='x')")


def test_items_that_are_broken_are_passed_over(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """As in a run, which goes on with the next that is whole."""
    file = plugin_file("holed_parts.py", HOLED)
    assert failing(cases(Target(file=str(file)))) == {}


def test_options_come_with_the_parts_or_with_the_call(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """A part that needs one, and is not given it, is the user's affair."""
    code = HEAD + (
        "from gankit.testing.partners import Logistic\n\n"
        "def sized(*, size: int):\n    '''Build.\n\n    Args:\n        size: s.\n"
        "    '''\n    assert size > 0\n    return Logistic()\n"
    )
    code += yields("Part('loss', 'sized', sized, summary='x')")
    target = Target(file=str(plugin_file("sized_parts.py", code)))
    lacking = {c.check: c for c in cases(target)}["builds"]
    with pytest.raises(UsageError, match=r"sized\.size=VALUE on the command line"):
        lacking()
    lacking(size=1)
    for given, said in (
        ({"size": "x"}, "the loss sized: size: 'x' is not a whole number"),
        ({"size": 1, "sise": 1}, "no option 'sise'; did you mean 'size'"),
    ):
        with pytest.raises(UsageError, match=said):
            lacking(**given)
    for name in ("sized", "loss.sized"):
        made = {c.check: c for c in cases(target, {name: {"size": 2}})}
        made["builds"]()


def test_of_two_parts_of_one_name_each_is_named_with_its_kind(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """For options, and for failures that are expected."""
    code = HEAD + "def sized(shapes, *, size: int): ...\n\n"
    code += yields(
        "Part('generator', 'same', sized, summary='x')",
        "Part('discriminator', 'same', sized, summary='x')",
    )
    target = Target(file=str(plugin_file("same_parts.py", code)))
    options = {"generator.same": {"size": 1}}
    expected = {"generator.same": {"seeded": "it is drawn by a clock"}}
    made = {str(c): c for c in cases(target, options, expected)}
    assert made["generator-same-seeded"].lacking == ""
    assert "discriminator.same.size=VALUE" in made["discriminator-same-seeded"].lacking
    assert made["generator-same-seeded"].reason
    assert not made["discriminator-same-seeded"].reason


CLAIMING = f"""{HEAD}
from gankit.testing.partners import Logistic


class Claiming(Logistic):
    relative = True
""" + yields("Part('loss', 'claiming', Claiming, summary='x')")


def test_a_loss_that_is_not_relative_does_not_say_so(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """The claim is held against its gradients."""
    file = plugin_file("claiming_parts.py", CLAIMING)
    made = [c for c in cases(Target(file=str(file))) if c.check == "relative_declared"]
    assert "leave relative out" in failing(made)["relative_declared"]


def test_a_state_that_is_refused_is_no_error_of_ours(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """It is said what was refused, and why."""
    code = f"""{HEAD}
class Misnamed:
    '''Saves a number by one name, and looks for another.'''

    weight, every = 0.1, 1

    def __call__(self, step):
        return step.real_logits.square().mean()

    def state_dict(self):
        return {{"calls": 0}}

    def load_state_dict(self, state):
        self.calls = state["count"]


""" + yields("Part('penalty', 'misnamed', Misnamed, summary='x')")
    target = Target(file=str(plugin_file("misnamed_parts.py", code)))
    (case,) = [c for c in cases(target) if c.check == "state_kept"]
    said = "refuses what state_dict has returned: KeyError: 'count'"
    assert said in case.judged().message


MODELS = Path(__file__).parent / "models"


@pytest.mark.parametrize(
    ("file", "part", "options"),
    [
        ("auxiliary", "auxiliary", {}),  # the extras of its own discriminator
        ("infogan", "infogan", {}),  # and noise of its own
        ("bigan", "bigan", {"pixels": 3 * 16 * 16, "code": 4}),
        ("patches", "two-scales", {}),  # logits of another shape
    ],
)
def test_a_part_is_tried_in_a_game_that_it_can_play(
    file: str, part: str, options: dict[str, Any]
) -> None:
    """With its own plugin's parts, where the kit's doubles will not do."""
    made = cases(Target(file=str(MODELS / f"{file}.py")), {part: options})
    of_part = {c.check: c.judged() for c in made if c.part == part}
    failed = {k: v.message for k, v in of_part.items() if v.outcome == "failed"}
    assert failed.keys() <= {"options_documented"}, failed
    assert of_part["in_two_processes"].outcome == "passed"


def test_a_part_that_can_play_no_game_is_told_what_was_tried() -> None:
    """So that its author can give it options that fit."""
    made = {str(c): c for c in cases(Target(file=str(MODELS / "bigan.py")))}
    told = made["loss-bigan-scores_scalar"].judged().message
    assert "it raised RuntimeError: mat1 and mat2 shapes cannot be multiplied" in told
    assert "tried with the data set kit-dataset (3, 16, 16), the noise 4" in told


CHOOSY = f"""{HEAD}
from gankit.testing.partners import Affine


class Choosy(Affine):
    '''Takes no narrow noise.'''

    def __init__(self, shapes):
        if shapes.noise < 100:
            raise ValueError(f"{{shapes.noise}} numbers of noise are too few")
        super().__init__(shapes)


class Refusing(Affine):
    '''Takes nothing.'''

    def __init__(self, shapes):
        raise ValueError(f"samples {{shapes.sample}} are too small")


""" + yields(
    "Part('generator', 'choosy', Choosy, summary='x')",
    "Part('generator', 'refusing', Refusing, summary='x')",
)


def test_a_generator_that_needs_more_noise_is_given_it(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """One that takes nothing that there is, is told of it all, and what to do."""
    made = cases(Target(file=str(plugin_file("choosy_parts.py", CHOOSY))))
    of_part = {str(case): case for case in made}
    for check in ("builds", "samples_shaped"):
        verdict = of_part[f"generator-choosy-{check}"].judged()
        assert verdict.message == ""
    told = of_part["generator-refusing-builds"].judged().message
    assert (
        "samples (3, 16, 16) are too small; it was tried on samples of (3, 16" in told
    )
    assert "(3, 128, 128), (2,), (2, 16), with noise of 4 and of 128; refuse" in told
    assert told.endswith("ship a data set that it fits in the same plugin")


FITTED = f"""{HEAD}
import torch
from torch import nn


class Words(nn.Module):
    '''How often each letter occurs that the data has.'''

    reads, size = "captions", 8

    def __init__(self, facts):
        super().__init__()
        self.register_buffer("letters", torch.zeros(8, dtype=torch.long))

    def fit(self, data, /, *, device, seed, progress):
        first = "".join(texts[0] for texts in data.annotations["captions"])
        letters = sorted(ord(letter) for letter in set(first))
        self.letters.copy_(torch.tensor(letters[: self.size]))

    def tokens(self, raw):
        if not self.letters.all():
            raise RuntimeError("it is not fitted")
        known = [chr(code) for code in self.letters.tolist()]
        texts = ["".join(some) for some in raw]
        return torch.tensor([[float(t.count(c)) for c in known] for t in texts])

    def forward(self, tokens):
        return tokens

    def parse(self, text):
        return (text,)


""" + yields("Part('conditioner', 'words', Words, summary='x')")


def test_a_conditioner_is_fitted_before_it_is_asked(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """As in a run; one that has taken up a state is not fitted again."""
    made = cases(Target(file=str(plugin_file("fitted_parts.py", FITTED))))
    assert failing(made) == {}
    assert {case.judged().outcome for case in made} == {"passed"}


def test_a_check_that_waits_is_skipped_by_pytest(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """And says for which other one."""
    code = PLUGIN.format(kind="loss", name="Unbuildable")
    file = str(plugin_file("broken_builds_again.py", code))
    made = {c.check: c for c in cases(Target(file=file))}
    with pytest.raises(SkipTest, match="it waits for builds to pass"):
        made["trains"]()


def test_without_pytest_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what makes tests for it needs it."""
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(UsageError, match="`pip install pytest`, or use `gankit check`"):
        parametrize_parts(dist="gankit-losses")
    with pytest.raises(UsageError, match="name either dist"):
        parametrize_parts()


def test_a_check_that_hangs_is_broken_off(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """In the process of a test too."""
    code = f"{HEAD}\ndef waits():\n    while True: pass\n"
    code += yields("Part('loss', 'waits', waits, summary='x')")
    target = Target(file=str(plugin_file("waiting_parts.py", code)))
    made = {c.check: c for c in cases(target, timeout=0.5)}
    assert "more than 0.5 seconds" in made["builds"].judged().message


def test_who_swallows_the_alarm_is_broken_off_again(
    plugin_file: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bare except in a loop of attempts does."""
    monkeypatch.setattr("gankit.testing.limits._AGAIN", 0.2)
    code = f"""{HEAD}
def waits():
    for attempt in range(2):
        try:
            while True: pass
        except BaseException:
            if attempt:
                raise

"""
    code += yields("Part('loss', 'waits', waits, summary='x')")
    target = Target(file=str(plugin_file("stubborn_parts.py", code)))
    made = {c.check: c for c in cases(target, timeout=0.5)}
    assert "more than 0.5 seconds" in made["builds"].judged().message


def test_what_is_known_of_an_item_is_the_same_at_each_call(
    plugin_file: Callable[[str, str], Path],
) -> None:
    """Not its sample alone: the caption of this one is another each time."""
    code = f"""{HEAD}
from itertools import count
from gankit import Item
from gankit.testing.partners import Items

calls = count()


class Moody(Items):
    '''Says something else of an item at each call.'''

    def __init__(self):
        super().__init__()

    def __getitem__(self, index):
        item = super().__getitem__(index)
        known = dict(item.annotations) | dict(captions=(f"call {{next(calls)}}",))
        return Item(item.sample, **known)


"""
    code += yields("Part('dataset', 'moody', Moody, summary='x')")
    made = cases(Target(file=str(plugin_file("moody_parts.py", code))))
    found = next(case for case in made if case.check == "items_formed").judged()
    assert "another at each call" in found.message
