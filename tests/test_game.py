"""The protocol: who moves, with which gradients, towards what."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import softplus

from games import Judge, Labels, Linear, Logistic, Numbers, make_run
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.annotations import Classes, Texts
from gankit.data.facts import Facts, Item
from gankit.errors import DataError, UsageError
from gankit.game.schedules import Linear as LinearSchedule
from gankit.game.settings import PLAYERS, Optimizer
from gankit.randomness import generator as counted


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@frozen
class _Spy:
    """A loss that records who moves and what carries gradients."""

    seen: list[tuple[str, bool, bool]]

    def discriminator(self, step: Any) -> Tensor:
        frozen_judge = not step.real_logits.requires_grad
        self.seen.append(("discriminator", step.fake.requires_grad, frozen_judge))
        return Logistic().discriminator(step)

    def generator(self, step: Any) -> Tensor:
        frozen_judge = not step.real_logits.requires_grad
        self.seen.append(("generator", step.fake.requires_grad, frozen_judge))
        return Logistic().generator(step)


def test_alternating_order_plays_k_discriminator_rounds_then_the_generator() -> None:
    """Algorithm 1 of Goodfellow et al. 2014 with k = 3, and nobody else's gradients."""
    seen: list[tuple[str, bool, bool]] = []
    run = make_run(loss=_Spy(seen), train={"discriminator_updates": 3})
    seen.clear()  # of the trial at assembly
    run.game.play(0)
    judge = ("discriminator", False, False)  # the fakes carry no gradient
    assert seen == [judge, judge, judge, ("generator", True, True)]


def test_simultaneous_order_scores_both_players_in_one_pass() -> None:
    """One round: one batch, one set of fakes, both objectives, then both updates."""
    seen: list[tuple[str, bool, bool]] = []
    fakes: list[Tensor] = []

    @frozen
    class Keep:
        def discriminator(self, step: Any) -> Tensor:
            fakes.append(step.fake)
            return _Spy(seen).discriminator(step)

        def generator(self, step: Any) -> Tensor:
            fakes.append(step.fake)
            return _Spy(seen).generator(step)

    run = make_run(loss=Keep(), train={"order": "simultaneous"})
    fakes.clear()  # of the trial at assembly
    seen.clear()
    run.game.play(0)
    assert [name for name, *_ in seen] == ["discriminator", "generator"]
    assert fakes[0] is fakes[1]


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_a_step_is_the_update_written_out_by_hand(order: str) -> None:
    """With SGD a step equals plain autograd on the two losses, in either order."""
    rate = 0.1
    sgd = {
        p: Optimizer(use="SGD", options={"lr": rate})
        for p in ("generator", "discriminator")
    }
    run = make_run(train={"order": order}, optimizers=sgd)
    game = run.game
    generator = deepcopy(game.generator.network)
    judge = deepcopy(game.discriminator.network)
    real = game.feed.batch(0)[0].samples

    def noise(turn: int) -> Tensor:
        return game.noise(8, counted("cpu", 0, "noise", 0, turn, 0))

    def descend(module: nn.Module, loss: Tensor) -> list[Tensor]:
        grads = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True)
        return [p - rate * g for p, g in zip(module.parameters(), grads, strict=True)]

    def assign(module: nn.Module, values: list[Tensor]) -> None:
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.data = value.detach()

    fake = generator(noise(0), None)
    judged = (
        judge(fake, None) if order == "simultaneous" else judge(fake.detach(), None)
    )
    loss = softplus(-judge(real, None)).mean() + softplus(judged).mean()
    moved = descend(judge, loss)
    if order == "alternating":
        assign(judge, moved)
        judged = judge(generator(noise(1), None), None)
    after = descend(generator, softplus(-judged).mean())
    assign(judge, moved)
    assign(generator, after)

    game.play(0)
    for mine, theirs in ((judge, game.discriminator), (generator, game.generator)):
        for a, b in zip(mine.parameters(), theirs.network.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("player", PLAYERS)
def test_a_parameter_that_a_hook_freezes_stays_so(player: str, order: str) -> None:
    """It keeps its value and stays frozen, and the rest of its player learns on."""
    game = make_run(train={"order": order}).game
    layer = game.trained()[player].layer
    layer.bias.requires_grad_(False)
    bias, weight = layer.bias.clone(), layer.weight.detach().clone()
    for index in range(3):
        game.play(index)
    assert not layer.bias.requires_grad
    assert torch.equal(layer.bias, bias)
    assert not torch.equal(layer.weight, weight)
    layer.bias.requires_grad_(True)
    game.play(3)
    assert not torch.equal(layer.bias, bias)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_that_is_frozen_whole_is_named(player: str) -> None:
    """With what to do instead: to hold its rate at 0."""
    game = make_run().game
    game.trained()[player].requires_grad_(False)
    with pytest.raises(UsageError, match=rf"no parameter of the {player} .*lr=0\.0"):
        game.play(0)
    game.trained()[player].requires_grad_(True)
    before = _state(game.trained()[player].layer)
    getattr(game, player).hold(lr=0.0)
    game.play(0)
    assert _same(_state(game.trained()[player].layer), before)


def test_the_discriminators_update_leaves_the_generator_alone() -> None:
    """Weights of the generator do not move in the discriminator's rounds."""
    snapshots: list[dict[str, Tensor]] = []

    @frozen
    class Snap:
        def discriminator(self, step: Any) -> Tensor:
            return Logistic().discriminator(step)

        def generator(self, step: Any) -> Tensor:
            snapshots.append(dict(generator.named_parameters()))
            return Logistic().generator(step)

    generator = Linear(Shapes((2,), 3))
    run = make_run(loss=Snap(), generator=generator)
    before = {k: v.clone() for k, v in run.game.generator.network.named_parameters()}
    judge = _state(run.game.discriminator.network)
    run.game.play(0)
    assert not _same(judge, _state(run.game.discriminator.network))
    assert snapshots[0].keys() == before.keys()
    after = dict(run.game.generator.network.named_parameters())
    assert not all(torch.equal(before[k], after[k]) for k in before)
    # no gradient is left over for the next round
    assert all(p.grad is None for p in run.game.generator.network.parameters())
    assert all(p.grad is None for p in run.game.discriminator.network.parameters())


def test_a_conditioners_parameters_learn_with_the_discriminator_only() -> None:
    """An embedding moves in the discriminator's update and is frozen in the other."""
    conditioner = Labels()
    run = make_run(conditioner=conditioner, loss=Logistic())
    assert set(map(id, conditioner.parameters())) <= set(
        map(id, run.game.discriminator.parameters)
    )
    assert not set(map(id, conditioner.parameters())) & set(
        map(id, run.game.generator.parameters)
    )
    before = _state(conditioner)
    run.game.play(0)
    assert not _same(before, _state(conditioner))


@frozen
class _Generates(Logistic):
    """Fakes made by `generate`, with a condition of the loss's own making."""

    def discriminator(self, step: Any) -> Tensor:
        blended = 0.5 * step.condition + 0.5 * step.condition.flip(0)
        fake = step.generate(step.noise, blended)
        judged = step.discriminate(fake, step.condition.detach())
        return softplus(-step.real_logits).mean() + softplus(judged).mean()


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("loss", [Logistic(), _Generates()], ids=["fake", "generate"])
def test_nothing_reaches_a_conditioner_through_the_generator(
    order: str, loss: Any
) -> None:
    """Its gradient is the discriminator's loss at fakes that are plain numbers."""
    conditioner = Labels()
    sgd = {p: Optimizer(use="SGD", options={"lr": 1.0}) for p in PLAYERS}
    run = make_run(
        conditioner=conditioner, loss=loss, train={"order": order}, optimizers=sgd
    )
    game = run.game
    generator = deepcopy(game.generator.network)
    judge, table = deepcopy(game.discriminator.network), deepcopy(conditioner)
    batch = game.feed.batch(0)[0]
    condition = table(batch.tokens)
    noise = game.noise(8, counted("cpu", 0, "noise", 0, 0, 0))
    given, asked = condition, condition
    if isinstance(loss, _Generates):
        given, asked = (condition + condition.flip(0)) / 2, condition.detach()
    fake = generator(noise, given.detach()).detach()
    value = softplus(-judge(batch.samples, condition)).mean()
    value = value + softplus(judge(fake, asked)).mean()
    (wanted,) = torch.autograd.grad(value, table.table.weight)
    before = conditioner.table.weight.detach().clone()
    game.play(0)
    moved = before - conditioner.table.weight.detach()
    assert float(moved.abs().max()) > 0
    torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-6)


def test_not_even_to_one_that_gives_its_own_parameter() -> None:
    """A condition that is a parameter is no leaf of the loss's making."""

    class Bare(Labels):
        def __init__(self) -> None:
            super().__init__()
            self.bare = nn.Parameter(torch.ones(8, 3))

        def forward(self, tokens: Tensor) -> Tensor:
            return self.bare[: len(tokens)]

    asked: list[bool] = []

    @frozen
    class Watching(Logistic):
        def discriminator(self, step: Any) -> Tensor:
            fake = step.generate(step.noise, step.condition)
            (reached,) = torch.autograd.grad(
                fake.sum(), conditioner.bare, allow_unused=True
            )
            asked.append(reached is not None)
            return Logistic.discriminator(self, step)

    conditioner = Bare()
    train = {"order": "simultaneous"}
    make_run(conditioner=conditioner, loss=Watching(), train=train).game.play(0)
    assert asked == [False, False]  # at the trial too


def test_a_loss_may_differentiate_the_generator_by_a_condition() -> None:
    """Where it gives a leaf of its own: how far a sample moves with its condition."""
    slopes: list[Tensor] = []

    @frozen
    class Sloped(Logistic):
        def generator(self, step: Any) -> Tensor:
            condition = step.condition.detach().requires_grad_()
            made = step.generate(step.noise, condition)
            slopes.extend(torch.autograd.grad(made.sum(), condition))
            return Logistic.generator(self, step)

    make_run(conditioner=Labels(), loss=Sloped()).game.play(0)
    assert slopes[-1].shape == (8, 3)


@frozen
class _Constant:
    """A penalty whose value is 1, to be seen in the loss."""

    weight: float = 2.0
    every: int = 1

    def __call__(self, step: Any) -> Tensor:
        return torch.ones(()) + 0 * step.real_logits.sum()


def test_a_lazy_penalty_weighs_the_same_on_average() -> None:
    """Every 4th step it counts 4 times its weight, in between not at all."""
    plain = make_run()
    lazy = make_run(penalties=(_Constant(weight=2.0, every=4),))
    extra = []
    for index in range(8):
        a = float(plain.game.play(index)["loss/discriminator"])
        b = float(lazy.game.play(index)["loss/discriminator"])
        extra.append(round(b - a, 5))
    assert extra == [8.0, 0, 0, 0, 8.0, 0, 0, 0]


def test_every_random_number_is_a_function_of_the_step() -> None:
    """A step played twice from the same state gives the same bits, dropout included."""
    runs = [make_run(dropout=0.5, train={"ema": 100}) for _ in range(2)]
    for index in range(3):
        runs[0].game.play(index)
    torch.rand(7)  # somebody else draws from the global generator
    for index in range(3):
        torch.rand(3)
        runs[1].game.play(index)
    for a, b in zip(*(run.game.networks().values() for run in runs), strict=True):
        assert _same(_state(a), _state(b))


def test_other_seeds_give_other_runs() -> None:
    """Noise and data order depend on the seed."""
    runs = [make_run(train={"seed": seed}) for seed in (0, 1)]
    orders = [run.game.feed.batch(0)[0].positions.tolist() for run in runs]
    assert orders[0] != orders[1]
    for run in runs:
        run.game.play(0)
    weights = [_state(run.game.generator.network) for run in runs]
    assert not _same(*weights)


def test_mismatched_conditions_are_never_of_the_own_class() -> None:
    """Over many draws every other class is met, the own class never."""
    run = make_run(dataset=Numbers(40, classes=4), conditioner=Labels())
    data = run.data
    labels = data.annotations["label"]
    rng = torch.Generator().manual_seed(0)
    met: dict[int, set[int]] = {}
    for _ in range(100):
        positions = torch.arange(40)
        for own, other in zip(
            labels, labels[data.strangers(positions, rng)], strict=True
        ):
            met.setdefault(int(own), set()).add(int(other))
    assert met == {own: {0, 1, 2, 3} - {own} for own in range(4)}


def test_strangers_are_uniform_over_all_items_of_other_classes() -> None:
    """With uneven classes each of the other items is met equally often."""
    # classes of 4, 3 and 3 items
    data = make_run(dataset=Numbers(10, classes=3), conditioner=Labels(3)).data
    rng = torch.Generator().manual_seed(0)
    counts = torch.zeros(10)
    for _ in range(6000):
        counts[data.strangers(torch.tensor([0]), rng)] += 1
    assert counts[[0, 3, 6, 9]].sum() == 0
    others = counts[counts > 0]
    assert len(others) == 6
    # 1000 expected in each, standard deviation 29
    assert (others - 1000).abs().max() < 4.5 * 29


def test_without_classes_a_stranger_is_another_item() -> None:
    """Every item is then a class of its own."""
    data = make_run(dataset=Numbers(5, classes=0), train={"batch_size": 5}).data
    rng = torch.Generator().manual_seed(0)
    for _ in range(50):
        assert (data.strangers(torch.arange(5), rng) != torch.arange(5)).all()


class _Told:
    """Items with captions, and with classes if there are any."""

    def __init__(self, *captions: tuple[str, ...], labels: tuple[int, ...] = ()):
        self._captions, self._labels = captions, labels
        declared: dict[str, Any] = {"captions": Texts()}
        if labels:
            declared["label"] = Classes(map(str, range(max(labels) + 2)))
        self.facts = Facts((2,), sample_range=UNBOUNDED, **declared)

    def __len__(self) -> int:
        return len(self._captions)

    def __getitem__(self, index: int) -> Item:
        known = {"label": self._labels[index]} if self._labels else {}
        captions = self._captions[index]
        return Item(torch.tensor([1.0 * index, 0]), captions=captions, **known)


class _Captions(Labels):
    """A conditioner that counts the letters of captions."""

    reads = "captions"

    def tokens(self, raw: Any) -> Tensor:
        """Give (N,)."""
        return torch.tensor([len("".join(texts)) % 4 for texts in raw])

    def parse(self, text: str) -> tuple[str]:
        """Take a text."""
        return (text,)


@frozen
class _Mismatched(Logistic):
    needs_mismatch = True

    def discriminator(self, step: Any) -> Tensor:
        return (
            Logistic.discriminator(self, step) + softplus(step.mismatched_logits).mean()
        )


def _told(*captions: tuple[str, ...], **more: Any) -> Any:
    data = _Told(*captions, labels=more.pop("labels", ()))
    return make_run(
        dataset=data,
        conditioner=more.pop("conditioner", None) or _Captions(),
        loss=_Mismatched(),
        train={"batch_size": 2},
    ).data


def _met(data: Any, position: int, draws: int = 4000) -> dict[int, int]:
    rng = torch.Generator().manual_seed(0)
    drawn = data.strangers(torch.full((draws,), position), rng)
    return dict(sorted(Counter(drawn.tolist()).items()))


def test_what_is_said_of_an_item_too_is_no_mismatch() -> None:
    """Of four items three share a caption: each of these has one stranger."""
    data = _told(("a cat",), ("a  CAT", "it sleeps"), ("so", "a cat"), ("a dog",))
    for position in (0, 1, 2):
        assert _met(data, position) == {3: 4000}
    met = _met(data, 3)
    assert met.keys() == {0, 1, 2}
    # 1333 expected in each, standard deviation 30
    assert all(abs(count - 4000 / 3) < 4.5 * 30 for count in met.values())


def test_where_there_are_classes_captions_are_heeded_besides() -> None:
    """A stranger is of another class and shares no caption."""
    texts = (("a",), ("b",), ("a", "c"), ("d",), ("e",))
    data = _told(*texts, labels=(0, 0, 1, 1, 2))
    assert _met(data, 0).keys() == {3, 4}
    assert _met(data, 1).keys() == {2, 3, 4}
    by_label = _told(*texts, labels=(0, 0, 1, 1, 2), conditioner=Labels())
    assert _met(by_label, 0).keys() == {2, 3, 4}  # what is not read does not count


def test_a_stranger_that_is_rare_is_found() -> None:
    """Among a thousand items that share a caption, whatever is drawn first."""
    captions = [("same",)] * 1000
    captions[617] = ("other",)
    assert _met(_told(*captions), 0, draws=50) == {617: 50}


@pytest.mark.parametrize(
    ("captions", "labels", "said"),
    [
        ([("same",)] * 4, (), "item 0: every other item shares one of its captions"),
        ([("a",), ("b",), ("a", "b")], (), "item 2: every other item shares"),
        ([("a",), ("a",), ("b",)], (0, 1, 0), "item 0: .* is of its class or shares"),
        ([("a",), ("b",)], (0, 0), "all items that can be read have the same 'label'"),
    ],
)
def test_data_in_which_nothing_is_wrong_is_refused(
    captions: Any, labels: Any, said: str
) -> None:
    """Before a conditioner is fitted, with the item and the next move."""
    with pytest.raises(DataError, match=said):
        _told(*captions, labels=labels)


def test_the_moving_average_is_what_its_half_life_says() -> None:
    """Past the ramp-up, a network that jumps is half forgotten after one half-life."""
    from gankit.contracts import Shapes
    from gankit.game.average import Average

    network = Linear(Shapes((2,), 3))
    average = Average(network, half_life=100)
    average.seen = 10**9  # long past the ramp-up
    with torch.no_grad():
        start = network.layer.weight.clone()
        network.layer.weight.add_(1.0)
        network.norm.running_mean.add_(1.0)
        network.norm.num_batches_tracked.add_(5)
    for _ in range(10):
        average.update(network, samples=10)
    torch.testing.assert_close(average.network.layer.weight, start + 0.5)
    torch.testing.assert_close(average.network.norm.running_mean, torch.full((2,), 0.5))
    assert int(average.network.norm.num_batches_tracked) == 5


def test_the_average_forgets_the_first_weights() -> None:
    """In the ramp-up the half-life is 5 % of the samples seen, so 0.5 ** 20 remains."""
    from gankit.contracts import Shapes
    from gankit.game.average import Average

    network = Linear(Shapes((2,), 3))
    average = Average(network, half_life=10**9)
    start = network.layer.weight.detach().clone()
    with torch.no_grad():
        network.layer.weight.add_(1.0)
    average.update(network, samples=64)
    moved = average.network.layer.weight - start
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - 0.5**20))


def test_schedules_set_the_optimisers_options_before_each_update() -> None:
    """Learning rate and momentum follow their schedules step by step."""
    schedule = {
        "lr": LinearSchedule(to=0.0, end=10.0),
        "momentum": LinearSchedule(to=0.9, start=0.0, end=2.0, unit="epochs"),
    }
    options = {"lr": 1.0, "momentum": 0.5}
    sgd = Optimizer(use="SGD", options=options, schedule=schedule)
    run = make_run(optimizers={"generator": sgd, "discriminator": sgd})
    group = run.game.generator.optimizer.param_groups[0]
    seen = []
    for index in range(4):
        run.game.play(index)
        seen.append((group["lr"], group["momentum"]))
    # 8 of 20 items a step: 0.4 epochs, a fifth of the way to the end
    expected = [(1 - i / 10, 0.5 + 0.4 * min(i * 0.4 / 2, 1)) for i in range(4)]
    assert sum(seen, ()) == pytest.approx(sum(expected, ()))


def test_clipping_limits_the_norm_of_the_gradient() -> None:
    """With SGD at rate 1 the weights move by at most the clipping norm."""
    sgd = Optimizer(use="SGD", options={"lr": 1.0}, clip=0.01)
    run = make_run(optimizers={"generator": sgd, "discriminator": sgd})
    before = torch.cat([p.flatten() for p in run.game.discriminator.parameters]).clone()
    run.game.play(0)
    after = torch.cat([p.flatten() for p in run.game.discriminator.parameters])
    assert float((after - before).detach().norm()) == pytest.approx(0.01, rel=1e-3)


def test_pairs_ranked_right_are_counted_whatever_the_logits_mean() -> None:
    """Of 16 pairs 9 are right and one is equal, which counts half."""

    class Ranking(Judge):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
            logits = super().forward(samples, condition)
            real = bool((samples[:, 0] == samples[:, 0].round()).all())
            told = [-9.0, 0.0, 1.0, 1000.0] if real else [-7.0, -8.0, 1.0, 0.5]
            return 0 * logits + torch.tensor(told[: len(logits)])

    run = make_run(
        discriminator=Ranking(Shapes((2,), 3)), train={"batch_size": 4, "steps": 1}
    )
    # -9 is under all; 0 over two; 1 over three and equal to one; 1000 over four
    seen = run.game.play(0)
    assert float(seen["AUC"]) == (0 + 2 + 3.5 + 4) / 16
    # the means are 248 and -3.375; the lowest real is 10 under the highest fake
    assert float(seen["clearance"]) == pytest.approx(-10 / 251.375)


def test_clearance_is_the_part_of_the_way_that_no_logit_stands_in() -> None:
    """Real 5 to 9 with a mean of 7, fake -1 to 1 with a mean of 0: 4 of 7."""

    class Sure(Judge):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
            logits = super().forward(samples, condition)
            real = bool((samples[:, 0] == samples[:, 0].round()).all())
            told = [5.0, 7.0, 7.0, 9.0] if real else [-1.0, 0.0, 0.0, 1.0]
            return 0 * logits + torch.tensor(told[: len(logits)])

    run = make_run(
        discriminator=Sure(Shapes((2,), 3)), train={"batch_size": 4, "steps": 1}
    )
    seen = run.game.play(0)
    assert float(seen["AUC"]) == 1
    assert float(seen["clearance"]) == pytest.approx(4 / 7)


def test_logits_that_are_no_numbers_are_not_ranked() -> None:
    """NaN is neither a tie nor chance."""

    class Broken(Judge):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
            logits = super().forward(samples, condition)
            return torch.where(torch.arange(len(logits)) == 1, torch.nan, logits)

    run = make_run(discriminator=Broken(Shapes((2,), 3)))
    seen = run.game.play(0)
    assert seen["AUC"].isnan()
    assert seen["real sign"].isnan()


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    """The message names the loss and the shape."""

    @frozen
    class Unreduced:
        def discriminator(self, step: Any) -> Tensor:
            return softplus(step.fake_logits)

        def generator(self, step: Any) -> Tensor:
            return softplus(-step.fake_logits).mean()

    with pytest.raises(ValueError, match=r"Unreduced.*\(4,\).*mean"):
        make_run(loss=Unreduced())


def test_augmentations_touch_everything_that_is_judged_and_nothing_else() -> None:
    """Real and fake samples pass; `step.real` itself stays as it is."""
    shapes = []

    @frozen
    class Shift:
        def __call__(self, samples: Tensor, rng: torch.Generator) -> Tensor:
            shapes.append(tuple(samples.shape))
            return samples + 100.0

    class Watching(Judge):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
            assert samples.min() > 50
            return super().forward(samples, condition)

    judge = Watching(Shapes((2,), 3))
    run = make_run(discriminator=Judge(Shapes((2,), 3)), augmentations=(Shift(),))
    run.game.assembly.discriminator.forward = judge.forward  # watched from here on
    shapes.clear()
    run.game.play(0)
    assert shapes == [(8, 2)] * 3  # real and fake for one player, fake for the other


def test_a_conditioner_learns_whatever_a_loss_looks_at_first() -> None:
    """Fakes are made without a graph; the condition that they share keeps its."""

    @frozen
    class RealFirst(Logistic):
        pass

    @frozen
    class FakeFirst(Logistic):
        def discriminator(self, step: Any) -> Tensor:
            fake = softplus(step.fake_logits).mean()
            return softplus(-step.real_logits).mean() + fake

    learnt = []
    for loss in (FakeFirst(), RealFirst()):
        conditioner = Labels()
        torch.manual_seed(0)
        torch.nn.init.normal_(conditioner.table.weight)
        run = make_run(conditioner=conditioner, loss=loss)
        run.game.play(0)
        learnt.append(conditioner.table.weight.detach().clone())
    assert torch.equal(*learnt)


def test_the_number_of_steps_in_an_epoch_is_exact() -> None:
    """Passes times items over batch size, rounded up once; not off by rounding."""
    for count, batch, epochs in ((20, 4, 3), (98, 7, 3), (49, 7, 1), (94, 2, 3)):
        train = {"steps": None, "epochs": epochs, "batch_size": batch}
        run = make_run(dataset=Numbers(count), train=train)
        assert run.total == -(-epochs * count // batch)
