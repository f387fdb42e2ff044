"""Numbers and times as people read them."""

from __future__ import annotations

import math

_LONG = 60  # letters of a label


def number(value: float) -> str:
    """Write a number with four digits that count, and none that do not.

    >>> number(1234567), number(0.69314718), number(0.00001234), number(3.0)
    ('1,234,567', '0.6931', '1.234e-05', '3')
    """
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def counted(count: int, one: str, many: str) -> str:
    """Write how many there are.

    >>> counted(1, "run", "runs"), counted(2000, "run", "runs")
    ('1 run', '2,000 runs')
    """
    return f"{count:,} {one if count == 1 else many}"


def duration(seconds: float) -> str:
    """Write a time.

    >>> duration(7.4), duration(100.0), duration(7260), duration(200_000)
    ('7.4 s', '1 min 40 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def said(value: object) -> str:
    """Write a number as `number` does, and anything else as it is.

    >>> said(0.5), said(True), said("bicubic")
    ('0.5', 'True', 'bicubic')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return number(value)


def shortened(text: str, letters: int = _LONG) -> str:
    """Cut a text that is too long for a label.

    >>> shortened("a red circle above a blue square", 14)
    'a red circle…'
    """
    if len(text) <= letters:
        return text
    return text[: letters - 1].rstrip(" ,.;") + "…"


def size(count: float) -> str:
    """Write a number of bytes.

    >>> size(900), size(1_300_000)
    ('900 B', '1.3 MB')
    """
    for unit in ("B", "kB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} MB"
