"""Conditioners for gankit: class labels and captions as vectors."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the conditioners of this package."""
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
    yield Part(
        "conditioner",
        "sentence",
        "gankit_conditioners.sentence:Sentence",
        summary="Captions by an encoder that knows language already; no fit",
    )
