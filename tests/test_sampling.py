"""Sampling: the distribution that was played, and what follows from the seed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gankit
from games import Labels, Linear, Numbers, make_assembly, make_run
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.annotations import Tags
from gankit.data.facts import Facts
from gankit.errors import UsageError
from gankit.plugins.discovery import discover
from gankit.randomness import generator as counted
from gankit.runs.preparation import prepare
from tiny import LABELLED


class Dropped(nn.Module):
    """A generator that is dropout and nothing else: each number is 0 or 2."""

    output_range = UNBOUNDED

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.dropout = nn.Dropout(0.5)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, n) to (B, 2)."""
        return self.dropout(torch.ones(len(noise), 2)) + 0 * self.unused


def test_samples_have_the_distribution_that_was_played() -> None:
    """Half of all numbers are dropped, in the game as in samples, not scaled to 1."""
    seen: list[Tensor] = []

    class Watching:
        def discriminator(self, step: Any) -> Tensor:
            seen.append(step.fake.detach())
            return step.real_logits.mean() - step.fake_logits.mean()

        def generator(self, step: Any) -> Tensor:
            return step.fake_logits.mean()

    run = make_run(generator=Dropped(), loss=Watching())
    for index in range(100):
        run.game.play(index)
    drawn = run.sampler.sample(800).samples
    for values in (torch.cat(seen), drawn):  # 1600 numbers each
        assert set(values.flatten().tolist()) == {0.0, 2.0}
        # of mean 1 and variance 1, so that the mean's standard deviation is 1/40
        assert float(values.mean()) == pytest.approx(1, abs=4.5 / 40)


def test_the_moving_average_is_sampled_as_it_would_play() -> None:
    """Its copy has the modes of the network that it follows."""
    run = make_run(generator=Dropped(), train={"ema": 100})
    assert run.game.average is not None
    assert run.sampler.generator is run.game.average.network
    assert set(run.sampler.sample(64).samples.flatten().tolist()) == {0.0, 2.0}
    assert run.sampler.generator.dropout.training


def test_a_batch_norm_is_sampled_with_its_running_statistics() -> None:
    """A sample is the same alone as among others, and leaves no trace."""
    run = make_run()
    run.game.play(0)
    before = {k: v.clone() for k, v in run.game.generator.network.state_dict().items()}
    noise = torch.randn(9, 3)
    among = run.sampler.generate(noise, ()).samples
    alone = run.sampler.generate(noise[4:5], ()).samples
    torch.testing.assert_close(among[4:5], alone)
    after = run.game.generator.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_seed_fixes_what_the_networks_draw_too() -> None:
    """And takes nothing from torch's global generator, whatever its state."""
    run = make_run(dropout=0.5)
    state = torch.get_rng_state()
    first = run.sampler.sample(80, seed=3).samples
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert torch.equal(run.sampler.sample(80, seed=3).samples, first)
    assert not torch.equal(run.sampler.sample(80, seed=4).samples, first)


def test_two_batches_of_samples_are_dropped_from_differently() -> None:
    """The 65th of equal noises is not the first again."""
    drawn = make_run(generator=Dropped()).sampler.sample(128).samples
    assert not torch.equal(drawn[:64], drawn[64:])


def test_a_walk_holds_what_the_network_draws() -> None:
    """Only the noise moves along a row, so that dropout alone makes rows constant."""
    run = make_run(generator=Dropped())
    rows = run.sampler.interpolate(rows=40, steps=5).samples.view(40, 5, 2)
    assert torch.equal(rows, rows[:, :1].expand(-1, 5, -1))
    assert len(rows[:, 0].unique(dim=0)) == 4


def test_a_walk_is_a_line_from_one_noise_to_the_next() -> None:
    """With a linear generator samples lie on a line, equally far apart."""
    run = make_run(conditioner=Labels())
    drawn = run.sampler.interpolate(rows=3, steps=4, label=2)
    rows = drawn.samples.view(3, 4, 2)
    torch.testing.assert_close(rows[:, 1] - rows[:, 0], rows[:, 3] - rows[:, 2])
    assert drawn.captions == ("class 2",) * 12


class Blurred(Labels):
    """A conditioner that adds noise of its own to what it gives."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 3)."""
        vectors = super().forward(tokens)
        return vectors + torch.randn_like(vectors)


def test_a_walk_between_conditions_is_what_is_computed_by_hand() -> None:
    """G(z, (1 - w) e_a + w e_b), with one z a row: those of plain samples."""
    run = make_run(conditioner=Labels())
    run.game.play(0)
    sampler = run.sampler
    drawn = sampler.interpolate_conditions(rows=3, steps=5, seed=2, label=[1, 3])
    generator, conditioner = sampler.generator, sampler.conditioner
    noise = run.game.noise(3, counted("cpu", 2, "sample"))
    first, last = conditioner.table.weight[1].double(), conditioner.table.weight[3]
    norm, layer = generator.norm, generator.layer
    for i, row in enumerate(drawn.samples.view(3, 5, 2)):
        for j, sample in enumerate(row):
            between = (1 - j / 4) * first + j / 4 * last
            joined = torch.cat([noise[i].double(), between])
            logits = layer.weight.double() @ joined + layer.bias
            scaled = (logits - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
            by_hand = (scaled * norm.weight + norm.bias).detach().float()
            torch.testing.assert_close(sample, by_hand)
    plain = sampler.sample(3, seed=2, label=1).samples
    assert torch.equal(drawn.samples[::5], plain)
    assert drawn.captions == ("class 1", "", "", "", "class 3") * 3


def test_a_walk_between_conditions_holds_what_networks_draw() -> None:
    """Its ends are the samples of either condition to the bit, whatever is drawn."""
    run = make_run(conditioner=Blurred(), dropout=0.5)
    sampler = run.sampler
    walk = sampler.interpolate_conditions(rows=70, steps=2, seed=4, label=[0, 2])
    for end, label in enumerate((0, 2)):
        plain = sampler.sample(70, seed=4, label=label).samples
        assert torch.equal(walk.samples[end::2], plain)


def test_a_walk_between_equal_conditions_stands_still() -> None:
    """What a conditioner draws is the same at both ends, and so nothing moves."""
    run = make_run(conditioner=Blurred(), dropout=0.5)
    rows = run.sampler.interpolate_conditions(rows=4, steps=3, label=[1, 1])
    rows = rows.samples.view(4, 3, 2)
    torch.testing.assert_close(rows, rows[:, :1].expand(-1, 3, -1))


def test_a_walk_without_a_wish_leads_between_two_of_the_run_s_own() -> None:
    """The first, and the first that is another."""
    sampler = make_run(conditioner=Labels()).sampler
    own = gankit.Sampler(
        sampler.generator,
        sampler.conditioner,
        sampler.noise,
        sampler.facts,
        [2, 2, 3, 1],
        sampler.device,
    )
    drawn = own.interpolate_conditions(rows=1, steps=2)
    assert drawn.captions == ("class 2", "class 3")


class Flags(Labels):
    """A conditioner of tags, of which an item may have none."""

    reads = "flags"

    def tokens(self, raw: Tensor) -> Tensor:
        """Count the tags, (N,)."""
        return raw.sum(1)


def test_an_end_without_a_text_has_an_empty_caption() -> None:
    """As a set of tags that is empty."""
    run = make_run(conditioner=Labels())
    sampler = gankit.Sampler(
        run.sampler.generator,
        Flags(),
        run.sampler.noise,
        Facts((2,), sample_range=UNBOUNDED, flags=Tags(("old", "red"))),
        (),
        run.sampler.device,
    )
    drawn = sampler.interpolate_conditions(rows=2, steps=3, flags=[(), ("red",)])
    assert drawn.captions == ("", "", "red") * 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"label": 1}, "label: a walk has two ends; give two to walk between, not 1"),
        ({"label": [1, 2, 3]}, "give two to walk between, not 3"),
        ({"text": ["a", "b"]}, "is conditioned on its label: it takes no text"),
        ({"label": [1, 9]}, "label: 9 is the index of none"),
        ({"label": [1, 2], "steps": 1}, "steps 1: a walk has two ends; give 2 or more"),
    ],
)
def test_what_is_no_walk_between_two_conditions_is_refused(
    asked: dict[str, Any], said: str
) -> None:
    """With what to give instead."""
    sampler = make_run(conditioner=Labels()).sampler
    with pytest.raises(UsageError, match=said):
        sampler.interpolate_conditions(**asked)


def test_a_run_that_has_no_two_conditions_has_no_walk_between_them() -> None:
    """Without a conditioner, or where all items have the same condition."""
    with pytest.raises(UsageError, match="not conditioned: it has no conditions to wa"):
        make_run().sampler.interpolate_conditions()
    alike = make_run(dataset=Numbers(classes=1), conditioner=Labels(1))
    with pytest.raises(UsageError, match="the run's own label are all one; ask for tw"):
        alike.sampler.interpolate_conditions()


class Positional(nn.Module):
    """Dropout by a function, in a module that has a buffer of its own."""

    output_range = UNBOUNDED

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("places", torch.arange(2.0))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, n) to (B, 2)."""
        ones = torch.ones(len(noise), 2) + 0 * self.places
        return nn.functional.dropout(ones * self.weight, 0.5, self.training)


@pytest.mark.parametrize("ema", [0, 100])
def test_a_buffer_that_play_does_not_change_keeps_no_module_from_playing(
    ema: int,
) -> None:
    """As a table of places, beside which a module may draw dropout itself."""
    run = make_run(generator=Positional(), train={"ema": ema})
    run.game.play(0)
    drawn = run.sampler.sample(64).samples
    assert (drawn == 0).any()
    assert float(drawn.std()) > 0.5


def test_spectral_norms_are_not_iterated_by_sampling() -> None:
    """Their vectors are buffers that play changes: a sample leaves no trace in them."""
    network = Linear(Shapes((2,), 3))
    nn.utils.parametrizations.spectral_norm(network.layer)
    run = make_run(generator=network)
    run.game.play(0)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    first = run.sampler.sample(8).samples
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert torch.equal(run.sampler.sample(8).samples, first)


def test_modes_are_as_they_were_and_a_part_s_own_choice_holds() -> None:
    """A layer that is kept in evaluation mode is sampled in that mode."""
    network = Linear(Shapes((2,), 3), dropout=0.5)
    run = make_run(generator=network)
    network.dropout.eval()  # as a hook may
    seen: list[bool] = []
    network.norm.register_forward_hook(lambda m, *_: seen.append(m.training))
    network.dropout.register_forward_hook(lambda m, *_: seen.append(m.training))
    before = [module.training for module in network.modules()]
    run.sampler.sample(4)
    assert seen[-2:] == [False, False]
    assert [module.training for module in network.modules()] == before


def test_what_is_loaded_plays_as_it_did(tmp_path: Path) -> None:
    """A run's own samples are those of whoever loads it, dropout and all."""
    run = gankit.train(LABELLED, out=tmp_path / "run")
    again = gankit.load(tmp_path / "run").sample(20, seed=5).samples
    assert torch.equal(again, run.sampler.sample(20, seed=5).samples)
    assert not torch.equal(again[:4], again[4:8])


def test_turning_data_to_tokens_may_report(tmp_path: Path) -> None:
    """A conditioner whose ``tokens`` takes a ``progress`` is given the run's."""
    told: list[tuple[int, int, str]] = []

    class Slow(Labels):
        def tokens(self, raw: Any, progress: Any = None) -> Tensor:
            """Report as fitting does; where few are read, nobody asks."""
            if progress is not None:
                progress(len(raw), len(raw), "spelling")
            return super().tokens(raw)

    prepare(
        make_assembly(conditioner=Slow()),
        discover(disable=["*"]).hooks,
        progress=lambda *report: told.append(report),
    )
    assert told[-1] == (20, 20, "spelling")
