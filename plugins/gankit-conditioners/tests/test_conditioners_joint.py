"""The structured joint embedding and its batches."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from gankit_conditioners.captions import CaptionTable
from gankit_conditioners.joint import (
    batches,
    contrastive_loss,
    pairs,
    retrieval_accuracy,
    structured_loss,
)

NONE = torch.zeros(4, 4, dtype=torch.bool)


def seeded() -> torch.Generator:
    """Return a generator that starts the same in every test."""
    return torch.Generator().manual_seed(0)


def slow_loss(scores: Tensor, also_right: Tensor) -> float:
    """Add up the hinges of equations in float64, one pair at a time."""
    size, total, count = len(scores), 0.0, 0
    for i in range(size):
        for j in range(size):
            if i == j or also_right[i, j]:
                continue
            wrong = float(scores[i, j].double())
            total += max(0.0, 1 + wrong - float(scores[i, i].double()))
            total += max(0.0, 1 + wrong - float(scores[j, j].double()))
            count += 1
    return total / count


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_loss_agrees_with_a_double_loop(share: float) -> None:
    """Both directions, each wrong pair once, right ones left out."""
    scores = torch.randn(9, 9, generator=seeded())
    also_right = torch.rand(9, 9, generator=seeded()) < share
    expected = slow_loss(scores, also_right)
    assert structured_loss(scores, also_right).item() == pytest.approx(expected, 1e-5)


def slow_choice(scores: Tensor, also_right: Tensor) -> float:
    """Return the mean cross-entropy of all choices in float64, one at a time."""
    total = 0.0
    for sheet, right in ((scores, also_right), (scores.T, also_right.T)):
        for i in range(len(sheet)):
            rivals = [j for j in range(len(sheet)) if j == i or not right[i, j]]
            weights = torch.tensor([float(sheet[i, j]) for j in rivals]).double().exp()
            total -= float((weights[rivals.index(i)] / weights.sum()).log())
    return total / (2 * len(scores))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_contrastive_loss_agrees_with_a_double_loop(share: float) -> None:
    """Own text of each image, own image of each text, other right ones left out."""
    scores = torch.randn(9, 9, generator=seeded())
    also_right = torch.rand(9, 9, generator=seeded()) < share
    expected = slow_choice(scores, also_right)
    assert contrastive_loss(scores, also_right).item() == pytest.approx(expected, 1e-5)


def test_the_contrastive_loss_of_equal_scores_is_a_blind_choice() -> None:
    """By hand: each of 4 is chosen with 1/4."""
    expected = torch.tensor(4.0).log().item()
    loss = contrastive_loss(torch.full((4, 4), 3.0), NONE).item()
    assert loss == pytest.approx(expected, 1e-6)


def test_the_loss_is_zero_where_all_margins_hold() -> None:
    """Right pairs 1 above all wrong ones of their row and column are enough."""
    assert structured_loss(torch.eye(4), NONE) == 0
    assert structured_loss(torch.eye(4) - 7, NONE) == 0


def test_the_loss_of_equal_scores_is_two() -> None:
    """By hand: every hinge is the margin 1, once from each side."""
    assert structured_loss(torch.full((4, 4), 3.0), NONE) == 2


def test_half_a_margin_costs_half_from_each_side() -> None:
    """By hand: 1 + 0 - ½ = ½ from both sides."""
    assert structured_loss(torch.eye(4) / 2, NONE) == 1


def test_pairs_that_are_also_right_do_not_count() -> None:
    """However high its score, such a pair costs nothing and pulls nothing."""
    also_right = NONE.clone()
    also_right[0, 1] = True
    scores = torch.eye(4)
    scores[0, 1] = 100
    scores.requires_grad_(True)
    loss = structured_loss(scores, also_right)
    loss.backward()
    assert loss == 0
    assert scores.grad is not None
    assert not scores.grad.any()
    assert retrieval_accuracy(scores, also_right) == 1
    assert retrieval_accuracy(scores, NONE) == 0.75


def test_a_batch_of_right_pairs_alone_costs_nothing() -> None:
    """With one caption for all images nothing is wrong, and nothing is undefined."""
    assert structured_loss(torch.randn(4, 4), ~NONE) == 0


def test_accuracy_counts_the_images_whose_text_is_first() -> None:
    """By hand: rows 0 and 2 of three have their largest score on the diagonal."""
    scores = torch.tensor([[3.0, 1, 2], [5, 4, 0], [0, 0, 1]])
    assert retrieval_accuracy(scores, NONE[:3, :3]).item() == pytest.approx(2 / 3)


def test_with_enough_classes_a_batch_holds_distinct_classes() -> None:
    """Each of 5 drawn classes is there once, and all items come up equally often."""
    labels = torch.tensor([0, 0, 0, 1, 3, 3, 4, 6, 7])  # 6 classes, some empty
    items = torch.arange(100, 109)
    drawn = list(islice(batches(items, labels, 5, seeded()), 3000))
    for batch in drawn:
        assert len(labels[batch - 100].unique()) == len(batch) == 5
    counts = torch.cat(drawn).sub(100).bincount(minlength=9)
    by_class = torch.tensor([3, 3, 3, 1, 2, 2, 1, 1, 1])
    expected = 3000 * 5 / 6 / by_class
    assert chisquare(counts.numpy(), expected.numpy()).pvalue > 0.001


@pytest.mark.parametrize("labels", [None, torch.arange(10) % 4])
def test_with_fewer_classes_every_item_is_its_own(labels: Tensor | None) -> None:
    """Batches are distinct items, and each epoch shows every item at most once."""
    stream = batches(torch.arange(10), labels, 5, seeded())
    for _ in range(20):
        epoch = torch.cat(list(islice(stream, 2)))
        assert sorted(epoch.tolist()) == list(range(10))


def test_a_small_data_set_is_one_batch() -> None:
    """Where there are fewer items than a batch holds, it holds them all."""
    batch = next(batches(torch.tensor([3, 5, 9]), None, 40, seeded()))
    assert sorted(batch.tolist()) == [3, 5, 9]


def test_captions_are_drawn_uniformly_from_the_items_own() -> None:
    """Of three captions each is drawn a third of the times, of one always that."""
    table = CaptionTable.of([("a", "b", "c"), ("d",), ()])
    picks = []
    for items, picked, _ in islice(pairs(table, None, 2, seeded()), 3000):
        assert sorted(items.tolist()) == [0, 1]
        assert picked[items == 1] == 3
        picks.append(int(picked[items == 0]))
    assert chisquare([picks.count(n) for n in range(3)]).pvalue > 0.001


def test_right_pairs_are_all_whose_image_bears_the_caption() -> None:
    """Image 0 bears caption b too, but image 1 does not bear a."""
    table = CaptionTable.of([("a", "b"), ("b",), ("c",)])
    for items, picked, also_right in islice(pairs(table, None, 3, seeded()), 50):
        for i, item in enumerate(items.tolist()):
            for j, caption in enumerate(picked.tolist()):
                assert also_right[i, j] == (caption in table.ids[item].tolist())


def test_labels_belong_to_the_items_that_have_captions() -> None:
    """Items without captions are left out without shifting the classes of others."""
    table = CaptionTable.of([(), ("a",), ("b",), (), ("c",), ("d",)])
    labels = torch.tensor([9, 0, 0, 9, 1, 1])
    for items, _, _ in islice(pairs(table, labels, 2, seeded()), 100):
        assert sorted(labels[items].tolist()) == [0, 1]
