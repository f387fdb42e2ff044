"""Truths about R-precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import retrieval
from gankit_metrics.measures.retrieval import draw_candidates, r_precision


def rng(seed=0):
    """Return a fresh source of randomness."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    """Return float64 vectors of a standard normal."""
    return torch.randn(*shape, generator=rng(seed), dtype=torch.double)


def test_angles_by_hand():
    """At 0°, 90° and 180° there are texts, pictures at 10°, 50° and 80°.

    The first is nearest to its own, the second too, by 5°; the third to another.
    Lengths are nothing.
    """
    texts = torch.tensor([[2.0, 0], [0, 0.1], [-5, 0]])
    angles = torch.tensor([10.0, 50, 80]) * math.pi / 180
    images = torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor(
        [[1], [9], [1]]
    )
    found = r_precision(images, texts, torch.tensor([[0, 1, 2], [2, 1, 0], [0, 1, 2]]))
    assert found.value == pytest.approx(2 / 3)
    assert found.standard_error == pytest.approx(math.sqrt(2 / 27))
    assert found.chance == pytest.approx(1 / 3)


def test_it_is_the_ranking_of_the_paper(monkeypatch):
    """Cosines one by one in numpy; in blocks, and in any order of candidates."""
    texts = normal(60, 5)
    images, candidates = (
        texts + 1.5 * normal(60, 5, seed=1),
        draw_candidates(60, rng(), 9),
    )
    hits = []
    for i, row in enumerate(candidates.tolist()):
        image = images[i].numpy()
        cosines = {
            j: np.dot(image, t) / np.linalg.norm(t)
            for j in row
            for t in [texts[j].numpy()]
        }
        hits.append(max(cosines, key=cosines.get) == i)
    assert 0.2 < np.mean(hits) < 0.8
    for numbers in (retrieval._BLOCK, 200):
        monkeypatch.setattr(retrieval, "_BLOCK", numbers)
        found = r_precision(images, texts, candidates.flip(1))
        assert found.value == pytest.approx(np.mean(hits))


def test_embeddings_that_are_alike_come_to_chance():
    """Whether all texts are one, or all texts but for rounding: a tie is no hit."""
    images, candidates = normal(50, 64), draw_candidates(50, rng(), 10)
    alike = normal(1, 64, seed=1).repeat(50, 1)
    assert r_precision(images, alike, candidates).value == pytest.approx(1 / 10)
    twice = normal(25, 64, seed=1).repeat(2, 1)
    pairs = torch.stack([torch.arange(50), (torch.arange(50) + 25) % 50], 1)
    assert r_precision(images, twice, pairs).value == pytest.approx(1 / 2)


def test_pictures_that_know_nothing_come_to_chance():
    """1/20 of 4,000, within what its standard error allows."""
    found = r_precision(
        normal(4000, 8), normal(4000, 8, seed=1), draw_candidates(4000, rng(), 20)
    )
    assert found.value == pytest.approx(found.chance, abs=3.5 * found.standard_error)
    assert found.standard_error == pytest.approx(math.sqrt(0.05 * 0.95 / 4000), rel=0.1)


def test_turning_both_sets_changes_nothing():
    """A cosine is of the angle alone."""
    texts = normal(60, 5)
    images, candidates = texts + normal(60, 5, seed=1), draw_candidates(60, rng(), 9)
    turn = torch.linalg.qr(normal(5, 5, seed=2)).Q
    found = r_precision(images, texts, candidates)
    assert r_precision(3 * images @ turn, texts @ turn, candidates) == found


@pytest.mark.parametrize(("count", "size"), [(150, 100), (8, 8), (9, 3)])
def test_candidates_are_the_own_text_and_different_others(count, size):
    """Each row has no text twice, and begins with its own."""
    drawn = draw_candidates(count, rng(), size)
    assert drawn.shape == (count, size)
    assert torch.equal(drawn[:, 0], torch.arange(count))
    assert all(len(set(row)) == size for row in drawn.tolist())
    assert (drawn.min(), drawn.max()) == (0, count - 1)


def test_all_sets_of_candidates_are_equally_likely():
    """Of five texts each row draws two of four others: six sets, over 5,000 draws.

    χ² with 5 degrees of freedom is over 20.5 once in a thousand times.
    """
    source, counts = rng(1), {}
    for _ in range(1000):
        for i, row in enumerate(draw_candidates(5, source, 3).tolist()):
            key = tuple(sorted((j - i) % 5 for j in row[1:]))
            counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 6
    expected = 5000 / 6
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 20.5


def test_what_is_no_such_task_is_refused():
    """The message names the value and the remedy."""
    x = normal(3, 4)
    good = torch.tensor([[0, 1], [1, 2], [2, 0]])
    with pytest.raises(ValueError, match=r"row of candidates needs the image's own"):
        r_precision(x, x, torch.tensor([[1, 2], [1, 2], [2, 0]]))
    with pytest.raises(ValueError, match=r"each text once"):
        r_precision(x, x, torch.tensor([[0, 0], [1, 2], [2, 0]]))
    with pytest.raises(ValueError, match=r"not all in 0 to 2"):
        r_precision(x, x, good + 1)
    with pytest.raises(ValueError, match=r"3 images and 2 texts.*repeat"):
        r_precision(x, x[:2], good)
    with pytest.raises(ValueError, match=r"candidates have the shape \(3, 1\)"):
        r_precision(x, x, good[:, :1])
    with pytest.raises(ValueError, match=r"texts has an embedding that is nought"):
        r_precision(x, x * 0, good)
    with pytest.raises(ValueError, match=r"100 candidates.*50 texts"):
        draw_candidates(50, rng())
