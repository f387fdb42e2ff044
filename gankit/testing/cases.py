"""Cases: one for each check and each part that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from attrs import define, evolve, field

from gankit.errors import UsageError, listed, nearest, told
from gankit.plugins.registry import Entry
from gankit.testing import together
from gankit.testing.checks import BY_NAME, CHECKS, Check
from gankit.testing.limits import within
from gankit.testing.subject import Subject, of_part
from gankit.testing.targets import Target
from gankit.testing.verdicts import Failed, Outcome, Verdict, Waits

Options = Mapping[str, Mapping[str, Any]]  # by the name of a part
Expected = Mapping[str, Mapping[str, str]]  # reasons by check, by the name of a part
TIMEOUT = 120.0  # seconds


@define(eq=False, repr=False)
class Case:
    """One check of one part; calling it makes the check.

    Attributes:
        reason: why the check is expected to fail, or "".
    """

    _subject: Subject
    _check: Check
    _timeout: float = TIMEOUT
    reason: str = ""
    _given: dict[str, Subject] = field(factory=dict)

    @property
    def kind(self) -> str:
        """The kind of the part."""
        return self._subject.kind

    @property
    def part(self) -> str:
        """The part's short name."""
        return self._subject.entry.part.name

    @property
    def check(self) -> str:
        """The check's name."""
        return self._check.name

    @property
    def says(self) -> str:
        """What is true of a part that passes."""
        return self._check.says

    def __repr__(self) -> str:  # which pytest shows where a test fails
        return f"{self.kind}-{self.part}-{self.check}"

    def __call__(self, **options: Any) -> None:
        """Make the check.

        Args:
            options: of the part, besides those that it was given before.

        Raises:
            AssertionError: the part fails; the message says what to write instead.
            unittest.SkipTest: another check has to pass before.
            UsageError: the part is not given an option that it needs, or another one.
        """
        __tracebackhide__ = True
        subject = self._with(options)
        subject.check_given()
        verdict = judge(subject, self._check, self._timeout)
        if verdict.outcome == "waits":
            raise Waits(verdict.message)
        if verdict.outcome == "failed":
            raise Failed(f"{subject.name}: {verdict.message}")

    def judged(self) -> Verdict:
        """Make the check, and return what it has found."""
        return judge(self._subject, self._check, self._timeout)

    @property
    def lacking(self) -> str:
        """Say which option the part needs, or cannot be given; or ""."""
        try:
            self._subject.check_given()
        except UsageError as error:
            return str(error)
        return ""

    def remember(self, outcome: Outcome, message: str) -> None:
        """Take what was found elsewhere for what is found."""
        self._subject.verdicts[self.check] = Verdict(outcome, message)

    def _with(self, options: Mapping[str, Any]) -> Subject:
        if not options:
            return self._subject
        key = repr(sorted(options.items()))
        if key not in self._given:
            more = {**self._subject.options, **options}
            self._given[key] = evolve(self._subject, options=more, verdicts={})
        return self._given[key]


def cases(
    target: Target,
    options: Options | None = None,
    expected: Expected | None = None,
    timeout: float = TIMEOUT,
    folder: str | None = None,
) -> list[Case]:
    """Give a case for each check and part, in their order.

    Args:
        target: whose parts.
        options: that they are given.
        expected: reasons of the checks that are to fail.
        timeout: seconds that a check may take.
        folder: in which runs are written; without one, the system's for what is
            temporary.

    Raises:
        UsageError: there is no such target, or it has no parts; options or expected
            failures are of a part or a check that there is not.
    """
    options, expected = options or {}, expected or {}
    registry, entries = target.found()
    _check_names(entries, options, expected)
    made = []
    for entry in entries:
        subject = Subject(
            entry,
            registry,
            options=of_part(entry, options),
            others=options,
            expected=frozenset(of_part(entry, expected)),
            within=folder,
        )
        reasons = of_part(entry, expected)
        shared: dict[str, Subject] = {}
        for check in CHECKS:
            if check.concerns(subject):
                reason = reasons.get(check.name, "")
                made.append(Case(subject, check, timeout, reason, shared))
    return made


def _check_names(
    entries: Iterable[Entry], options: Options, expected: Expected
) -> None:
    """Refuse what is said of a part or a check that there is not.

    Raises:
        UsageError: names it, and the nearest.
    """
    known = {entry.part.name for entry in entries}
    known |= {f"{entry.part.kind}.{entry.part.name}" for entry in entries}
    for what, named in (("options", options), ("expected failures", expected)):
        for name in named:
            if name not in known:
                hint = (
                    nearest(name, known) or f"; the parts are {listed(sorted(known))}"
                )
                raise UsageError(
                    f"{what} are given for {name!r}, which is no part{hint}"
                )
    for name, reasons in expected.items():
        for check, reason in reasons.items():
            if check not in BY_NAME:
                hint = nearest(check, BY_NAME) or f"; the checks are {listed(BY_NAME)}"
                raise UsageError(f"{name}: no check is named {check!r}{hint}")
            if not isinstance(reason, str) or not reason.strip():
                raise UsageError(
                    f"{name}: the check {check!r} is expected to fail without a "
                    "reason; say why, in a sentence"
                )


def judge(subject: Subject, check: Check, timeout: float) -> Verdict:
    """Make a check of a part, unless it was made already, and those before it."""
    if check.name not in subject.verdicts:
        waits = _unmet(subject, check, timeout)
        found = Verdict("waits", waits) if waits else _found(subject, check, timeout)
        subject.verdicts[check.name] = found
    return subject.verdicts[check.name]


def _unmet(subject: Subject, check: Check, timeout: float) -> str:
    """Say which other check has to pass before; or ""."""
    for name in check.after:
        before = BY_NAME[name]
        if not before.concerns(subject):
            continue
        # it is made though it is to fail: others go on from what it leaves
        verdict = judge(subject, before, timeout)
        if verdict.outcome == "failed" and name not in subject.expected:
            return f"it waits for {name} to pass"
        if verdict.outcome == "waits":
            return verdict.message
    return ""


def _found(subject: Subject, check: Check, timeout: float) -> Verdict:
    try:
        if check.helped:
            together.start()
        # a check's own numbers are nobody else's
        with within(timeout), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            check.run(subject)
    except Failed as failure:
        return Verdict("failed", str(failure))
    except Waits as waits:
        return Verdict("waits", str(waits))
    except (Exception, SystemExit) as error:  # of a stranger's code
        return Verdict("failed", f"it raised {told(error)}{_tried(subject)}")
    return Verdict("passed")


def _tried(subject: Subject) -> str:
    """Say with what a part was tried, where that may be why it raises."""
    setting = vars(subject).get("setting")
    if not setting or not setting.misfit:
        return ""
    return f" (it was tried with {setting.told})"
