"""Conditioners for gankit: class labels and captions as vectors."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the two conditioners."""
    yield Part(
        "conditioner",
        "label",
        "gankit_conditioners.label:Label",
        summary="One-hot class labels of CGAN",
    )
    yield Part(
        "conditioner",
        "char-cnn-rnn",
        "gankit_conditioners.char_cnn_rnn:CharCNNRNN",
        summary="Character-level captions of Reed et al., fitted to the data's images",
    )
