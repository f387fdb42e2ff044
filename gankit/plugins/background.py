"""What stands behind a part: the papers that its docstring names, and its source."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gankit.plugins.options import own_doc

_NAME = r"(?![a-z\d_])\w[\w'\u2019]*(?:-\w[\w'\u2019]*)*"
# Lim & Ye 2017, "Geometric GAN"; Miyato et al. (2018); Xiao, Rasul and Vollgraf 2017
_CITED = re.compile(
    rf"(?P<authors>\b{_NAME}(?: et al\.|(?:, {_NAME})* (?:&|and) {_NAME})?),?"
    r" \(?(?P<year>(?:19|20)\d\d)\b\)?"
    r'(?:[,.:] ["\u201c](?P<title>[^"\u201d]+)["\u201d])?'
)
_LINKED = re.compile(
    r"\barXiv:\d{4}\.\d{4,5}|\bhttps?://(?:\w+\.)?(?:arxiv|doi|openreview)\.\S*[\w/]",
    re.IGNORECASE,
)
# what a year may follow beside an author
_NO_AUTHOR = re.compile(
    "January|February|March|April|May|June|July|August|September|October|November|"
    "December|Copyright|After|Before|By|From|In|Of|Since|The|Until"
)


def papers_of(factory: Callable[..., Any]) -> tuple[str, ...]:
    """List the papers that the docstrings of a factory and of its module name.

    By authors and year, with the title if it follows in quotes, as in ``Lim & Ye 2017,
    "Geometric GAN"``; and links to arXiv, DOIs and OpenReview.
    """
    made = _plain(factory)
    module = sys.modules.get(getattr(made, "__module__", ""))
    text = " ".join(f"{own_doc(made)} {own_doc(module)}".split())
    titles: dict[str, str] = {}
    for cited in _CITED.finditer(text):
        authors, year, title = cited["authors"], cited["year"], cited["title"]
        if _are_authors(authors):
            known = titles.get(f"{authors} {year}", "")
            titles[f"{authors} {year}"] = title.rstrip(".,") if title else known
    named = [f'{who}, "{title}"' if title else who for who, title in titles.items()]
    return (*named, *dict.fromkeys(_LINKED.findall(text)))


def source_of(factory: Callable[..., Any]) -> tuple[Path, int] | None:
    """Return the file that defines a factory, and the line; None if it has none."""
    made = _plain(factory)
    try:
        file = inspect.getsourcefile(made)
        return (Path(file), inspect.getsourcelines(made)[1]) if file else None
    except (TypeError, OSError):  # as of what is compiled
        return None


def _plain(factory: Any) -> Any:
    """Return the class or function that a factory is, or is made of."""
    while isinstance(factory, partial):
        factory = factory.func
    factory = inspect.unwrap(factory)
    is_one = inspect.isclass(factory) or inspect.isroutine(factory)
    return factory if is_one else type(factory)


def _are_authors(words: str) -> bool:
    """Tell names from another word before a year, as a month or a conference."""
    first = words.split()[0].rstrip(",")
    return not (first.isupper() or _NO_AUTHOR.fullmatch(first))
