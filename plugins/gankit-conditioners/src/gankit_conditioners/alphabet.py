"""The 70 letters that captions are written in, and how texts are spelled in them.

The letters are those of Zhang et al. 2015, "Character-level convolutional networks for
text classification", section 2.2, which Reed et al. 2016 adopt: 26 lower-case letters,
10 digits, the 32 punctuation marks of ASCII, space and line break. Both papers count
70; Zhang et al. list the hyphen twice and no space, the code of Reed et al. the hyphen
twice and no line break. Here each letter occurs once.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

ALPHABET = string.ascii_lowercase + string.digits + string.punctuation + " \n"

_BLANK = 0  # padding, and whatever the alphabet lacks
_CODES = {letter: code for code, letter in enumerate(ALPHABET, start=1)}
_QUOTES = dict.fromkeys("\u2018\u2019", "'") | dict.fromkeys("\u201c\u201d", '"')
_DASHES = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
_PLAIN = str.maketrans(_QUOTES | _DASHES)


def fold(text: str) -> str:
    """Write a text in lower case with plain quotes and dashes and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.strip().translate(_PLAIN))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def is_legible(text: str) -> bool:
    """Tell whether anything but white space of ``text`` is in the alphabet."""
    return any(letter in _CODES and not letter.isspace() for letter in fold(text))


def spell(texts: Sequence[str], length: int) -> Tensor:
    """Spell texts as codes, uint8 (N, length): 0 blank, k the k-th letter from 1."""
    rows = b"".join(
        bytes(_CODES.get(c, _BLANK) for c in fold(text)[:length]).ljust(length, b"\0")
        for text in texts
    )
    return torch.frombuffer(bytearray(rows), dtype=torch.uint8).view(-1, length)


def remarks(texts: Iterable[str], length: int) -> list[str]:
    """Say how many texts lose something when they are spelled."""
    folded = [fold(text) for text in texts]
    cut = sum(len(text) > length for text in folded)
    strange = sum(not _CODES.keys() >= set(text) for text in folded)
    found = (
        (cut, f"longer than {length} characters and cut there"),
        (strange, "with characters outside the alphabet, which are read as blanks"),
    )
    return [f"captions {what}: {count}" for count, what in found if count]
