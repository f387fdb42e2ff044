"""``gankit check``: every check is told of, also one that hangs or dies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gankit.cli import run
from gankit.testing import running
from gankit.testing.running import Request, Result
from sites import HEAD, Site, yields

HANGING = f"""{HEAD}
import hashlib

from gankit.testing.partners import Logistic


class Waits(Logistic):
    '''Never ends.'''

    def __init__(self):
        while True:
            pass


class Deaf(Logistic):
    '''Never ends, and is where Python cannot break it off.'''

    def __init__(self):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)


""" + yields(
    "Part('loss', 'waits', Waits, summary='x')",
    "Part('loss', 'deaf', Deaf, summary='x')",
)
DYING = f"""{HEAD}
import os

from gankit.testing.partners import Logistic


class Dies(Logistic):
    '''Takes its process along.'''

    def __init__(self):
        os._exit(3)


""" + yields("Part('loss', 'dies', Dies, summary='x')")


def found_by(
    capsys: pytest.CaptureFixture[str], *words: object
) -> dict[tuple[str, str], Any]:
    """Run the command, in which something fails; return what each check has found."""
    assert run(["check", *map(str, words), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    found = {(r["part"], r["check"]): r for r in told["results"]}
    assert told["checks"] == len(found)
    assert told["parts"] == len({part for part, _ in found})
    assert told["failed"] == sum(r["outcome"] == "failed" for r in found.values())
    return found


def test_a_check_that_hangs_is_broken_off(
    plugin_file: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it hangs; others are made, and what waits for it is not."""
    monkeypatch.setattr(running, "_GRACE", 1.0)
    file = plugin_file("hanging_parts.py", HANGING)
    found = found_by(capsys, file, "--timeout", 3)
    for name in ("waits", "deaf"):
        assert found[name, "options_typed"]["outcome"] == "passed"
        assert found[name, "builds"]["outcome"] == "failed"
        assert "it took more than 3 seconds" in found[name, "builds"]["message"]
        assert found[name, "trains"]["outcome"] == "waits"


def test_a_process_that_dies_is_told_of(
    plugin_file: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another one goes on with the next check."""
    found = found_by(capsys, plugin_file("dying_parts.py", DYING))
    said = "the process that makes the check ended: exit code 3"
    assert found["dies", "builds"]["message"] == said
    assert found["dies", "trains"]["outcome"] == "waits"
    assert found["dies", "options_typed"]["outcome"] == "passed"


def test_a_sound_part_passes_every_check(
    plugin_file: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In processes that share nothing with this one."""
    code = f"{HEAD}\nfrom gankit.testing.partners import Logistic\n" + yields(
        "Part('loss', 'plain', Logistic, summary='x')"
    )
    assert run(["check", str(plugin_file("plain_parts.py", code))]) == 0
    first, last = capsys.readouterr().out.splitlines()
    count = first.split()[2]
    assert first == f"loss plain: {count} of {count} checks passed"
    assert last == f"{count} checks over 1 part: all passed"


def test_no_folder_is_left_behind(
    plugin_file: Callable[[str, str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by a part that plays its games, nor by one that ends its process."""
    there = tmp_path / "temporary"
    there.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    monkeypatch.setenv("TMPDIR", str(there))
    code = f"""{HEAD}
import os

from gankit import hookimpl


class Last:
    '''Ends its process in a game.'''

    @hookimpl
    def gankit_after_step(self, run):
        if run.step == 2:
            os._exit(3)


""" + yields("Part('hook', 'last', Last, summary='x')")
    found = found_by(capsys, plugin_file("last_parts.py", code))
    assert found["last", "trains"]["message"].endswith("ended: exit code 3")
    assert not [*there.glob("gankit-*")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("os._exit(4)", "finding its parts ends the process: exit code 4"),
        ("while True: pass", "finding its parts takes more than 8 seconds"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_error(
    line: str,
    said: str,
    plugin_file: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though it takes its process along, or never ends."""
    monkeypatch.setattr(running, "_STARTING", 60.0 if "exit" in line else 8.0)
    file = plugin_file("ending_parts.py", f"import os\n\n{line}\n")
    assert run(["check", str(file)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_what_is_left_out_is_left_out_of_every_process(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those that a check starts."""
    made = []

    class Noted(running.Helper):
        def __init__(self, environment: Any) -> None:
            made.append(environment)
            super().__init__(environment)

    monkeypatch.setattr(running, "Helper", Noted)
    site.install("noisy-plugin", yields())
    file = site.folder / "nothing_parts.py"
    file.write_text(yields(), "utf-8")
    assert run(["check", str(file), "--disable-plugin", "noisy-plugin"]) == 2
    assert "has no parts" in capsys.readouterr().err
    assert made == [{"GANKIT_DISABLE_PLUGINS": "noisy-plugin"}]


def canned(monkeypatch: pytest.MonkeyPatch, *found: Result) -> list[Request]:
    """Let checks have found this; return what they are asked for."""
    asked = []

    def results(request: Request) -> Iterator[Result]:
        asked.append(request)
        yield from found

    monkeypatch.setattr("gankit.cli.check.results", results)
    return asked


def test_what_fails_is_told_in_full_and_what_passes_is_counted(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1 where anything fails."""
    part = "Part('loss', 'odd', 'gankit.testing.partners:Logistic')"
    site.install("odd-plugin", yields(part))
    two = [
        Result("loss", "odd", "seeded", "passed", "", 0.1),
        Result(
            "loss", "odd", "direction", "failed", "its signs are wrong\n- both", 0.1
        ),
        Result("loss", "odd", "trains", "waits", "it waits for direction", 0.0),
        Result("penalty", "odd", "seeded", "passed", "", 0.1),
    ]
    (asked,) = [canned(monkeypatch, *two)]
    assert run(["check", "odd-plugin", "odd.size=3", "--timeout", "5"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "loss odd: 1 of 3 checks passed",
        "  direction: its signs are wrong",
        "    - both",
        "  not made yet: trains",
        "penalty odd: 1 of 1 check passed",
        "4 checks over 2 parts: 1 failed",
    ]
    assert asked[0].target.dist == "odd-plugin"
    assert asked[0].options == {"odd": {"size": 3}}
    assert asked[0].timeout == 5
    canned(monkeypatch, two[0])
    assert run(["check", "odd"]) == 0
    assert "1 check over 1 part: all passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hinje"], "'hinje' is no part, no plugin and no file; did you mean 'hinge'"),
        (["nowhere.py"], "there is no plugin file"),
        (["gankit-report"], "has no parts, so that there is nothing to check"),
        (["hinge", "size=3"], "'size' says not which part it is of; write PART.OPTION"),
        (["hinge", "hinge"], "is not of the form key=value"),
        (["hinge", "--timeout", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_what_cannot_be_checked_is_the_users_affair(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One error that says what to write; no check is made."""

    def results(request: Request) -> Any:
        request.target.found()
        pytest.fail("checks are made")

    monkeypatch.setattr("gankit.cli.check.results", results)
    assert run(["check", *words]) == 2
    assert said in capsys.readouterr().err


def test_nothing_checked_is_no_success(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero checks are an error."""
    canned(monkeypatch)
    assert run(["check", "hinge"]) == 2
    assert "nothing of 'hinge' can be checked" in capsys.readouterr().err
