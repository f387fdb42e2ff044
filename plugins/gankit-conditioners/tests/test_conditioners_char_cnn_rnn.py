"""The conditioner `char-cnn-rnn` apart from its fit."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from gankit import Facts, Texts
from gankit_conditioners.char_cnn_rnn import CharCNNRNN

FACTS = Facts((3, 16, 16), captions=Texts())
NAN = float("nan")


def tiny(captions: int = 4) -> CharCNNRNN:
    """Build a conditioner of a few weights, which nothing was fitted to."""
    torch.manual_seed(0)
    return CharCNNRNN(FACTS, size=6, channels=(4, 4, 4), length=48, captions=captions)


def marked(*rows: tuple[int, ...]) -> Tensor:
    """Build tokens whose vectors tell the caption: a 1 at its place, NaN if missing."""
    tokens = torch.eye(len(rows[0])).repeat(len(rows), 1, 1)
    tokens[~torch.tensor(rows, dtype=torch.bool)] = NAN
    return tokens


def test_tokens_are_one_vector_for_each_caption() -> None:
    """Rows are items, columns captions, missing ones NaN, equal captions equal."""
    conditioner = tiny()
    tokens = conditioner.tokens([("red", "blue"), ("blue",), ("green", "red")])
    assert tokens.shape == (3, 2, 6)
    assert tokens.dtype == torch.float32
    assert torch.equal(tokens[0, 1], tokens[1, 0])
    assert torch.equal(tokens[0, 0], tokens[2, 1])
    assert tokens.isnan().any(dim=2).tolist() == [
        [False, False],
        [False, True],
        [False, False],
    ]
    torch.testing.assert_close(tokens[2:, 0], conditioner.encoder.embed(["green"]))


def test_tokens_are_divided_by_the_scale() -> None:
    """A scale of 4 makes every vector four times shorter."""
    conditioner = tiny()
    before = conditioner.tokens([("red",)])
    conditioner.scale.fill_(4)
    torch.testing.assert_close(conditioner.tokens([("red",)]) * 4, before)


def test_one_caption_is_its_own_mean() -> None:
    """An item of one caption has that caption's vector, bit for bit, in both modes."""
    conditioner = tiny()
    tokens = conditioner.tokens([("red",), ("blue",)])
    for training in (True, False):
        assert torch.equal(conditioner.train(training)(tokens), tokens[:, 0])


def test_pairs_of_captions_are_drawn_uniformly() -> None:
    """All 6 pairs out of 4 captions are as frequent, and the missing fifth never is."""
    tokens = marked((1, 1, 0, 1, 1)).expand(6000, -1, -1)
    torch.manual_seed(1)
    means = tiny(captions=2)(tokens)
    assert means[:, 2].abs().sum() == 0
    assert set(means.unique().tolist()) == {0.0, 0.5}  # never one caption twice
    seen = Counter(tuple(row.nonzero()[:, 0].tolist()) for row in means)
    assert len(seen) == 6
    assert chisquare(list(seen.values())).pvalue > 0.001


def test_rows_are_drawn_independently() -> None:
    """Two rows draw the same one of three captions a third of the time."""
    tokens = marked((1, 1, 1), (1, 1, 1)).repeat(3000, 1, 1)
    torch.manual_seed(2)
    first, second = tiny(captions=1)(tokens).view(3000, 2, 3).unbind(1)
    same = int((first == second).all(dim=1).sum())
    assert chisquare([same, 3000 - same], [1000, 2000]).pvalue > 0.001


def test_too_few_captions_are_all_taken() -> None:
    """Where an item has fewer captions than are asked for, the mean is theirs."""
    tokens = marked((1, 0, 1, 0), (1, 1, 1, 1), (0, 0, 0, 1))
    means = tiny(captions=3)(tokens)
    assert means[0].tolist() == [0.5, 0, 0.5, 0]
    assert means[2].tolist() == [0, 0, 0, 1]
    assert sorted(means[1].tolist()) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


def test_an_item_without_captions_has_a_vector_of_zeros() -> None:
    """No NaN leaves the conditioner."""
    for training in (True, False):
        conditioner = tiny(captions=1).train(training)
        assert conditioner(marked((0, 0, 0))).tolist() == [[0, 0, 0]]


def test_out_of_training_all_captions_are_averaged() -> None:
    """Evaluation draws nothing, so that it is the same each time."""
    state = torch.get_rng_state()
    means = tiny(captions=1).eval()(marked((1, 1, 0, 1)))
    torch.set_rng_state(state)
    torch.testing.assert_close(means, torch.tensor([[1 / 3, 1 / 3, 0, 1 / 3]]))


def test_draws_follow_the_global_generator() -> None:
    """The same seed gives the same captions, another seed others."""
    tokens = torch.randn(50, 5, 6)
    conditioner = tiny(captions=2)

    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return conditioner(tokens)

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_the_meta_device_tells_the_shape() -> None:
    """Nothing in the constructor or in forward needs values."""
    with torch.device("meta"):
        conditioner = CharCNNRNN(FACTS)
        assert conditioner(torch.empty(8, 5, 1024)).shape == (8, conditioner.size)


def test_nothing_learns_with_the_discriminator() -> None:
    """The encoder is frozen from the beginning."""
    assert not [p for p in tiny().parameters() if p.requires_grad]


def test_a_state_is_restored_exactly() -> None:
    """A conditioner built anew gives the same tokens once it has the old state."""
    old, new = tiny(), CharCNNRNN(FACTS, size=6, channels=(4, 4, 4), length=48)
    old.scale.fill_(2)
    old.fitted.fill_(True)
    captions = [("red", "green"), ("blue",)]
    assert not torch.equal(old.tokens(captions)[1, 0], new.tokens(captions)[1, 0])
    new.load_state_dict(old.state_dict())
    pair = old.tokens(captions), new.tokens(captions)
    torch.testing.assert_close(*pair, equal_nan=True, atol=0, rtol=0)


def test_notes_say_what_was_lost() -> None:
    """Cut, strange, illegible and missing captions are each counted once."""
    conditioner = tiny()
    conditioner.fitted.fill_(True)
    conditioner.tokens([("x" * 49, "naïve"), ("x" * 49, "a中"), ("中",)])
    assert [note[-1] for note in conditioner.notes] == ["1", "1", "1", "1"]
    conditioner.tokens([("fine",)])
    assert conditioner.notes == []


def test_notes_warn_of_an_encoder_that_was_never_fitted() -> None:
    """Random vectors are usable, but never without a word."""
    conditioner = tiny()
    conditioner.tokens([("fine",)])
    assert "not fitted" in conditioner.notes[0]


def test_a_text_is_the_one_caption_of_an_item() -> None:
    """What is parsed is what `tokens` takes."""
    conditioner = tiny()
    assert conditioner.parse(" A Red bird. ") == ("A Red bird.",)
    assert conditioner.tokens([conditioner.parse("red")]).shape == (1, 1, 6)


@pytest.mark.parametrize("text", ["", "  ", "птица"])
def test_an_unreadable_text_is_refused(text: str) -> None:
    """The error names the text and the alphabet."""
    with pytest.raises(ValueError, match=rf"'{text}' has nothing .*abcdefg"):
        tiny().parse(text)


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (Facts((3, 16, 16)), {}, "no annotation 'captions' of Texts.*choose a data"),
        (Facts((784,), captions=Texts()), {}, r"\(784,\).*a data set of images"),
        (FACTS, {"length": 40}, "length = 40 .*48 or more"),
        (FACTS, {"fit_batch": 1}, "fit_batch = 1 .*2 or more"),
    ],
)
def test_what_cannot_work_is_refused(
    facts: Facts, options: dict[str, int], message: str
) -> None:
    """Each refusal names the value and the next move."""
    with pytest.raises(ValueError, match=message):
        CharCNNRNN(facts, **options)  # type: ignore[arg-type]
