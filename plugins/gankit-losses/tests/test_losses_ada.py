"""Truths about the augmentation `ada`: what it does to pictures, and when to more."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

import gankit
from gankit.errors import MisfitError, UsageError
from gankit_losses.ada import Ada
from gankit_losses.cutting import hole
from tiny import metrics

GROUPS = ("blit", "geometry", "color")
ALL = (*GROUPS, "cutout")


def rng(seed=0):
    """Return a fresh source of randomness."""
    return torch.Generator().manual_seed(seed)


def ada(p, policy=GROUPS, **options):
    """Return the augmentation at some strength."""
    made = Ada(policy=policy, **options)
    made.p.fill_(p)
    return made


@pytest.mark.parametrize("shape", [(8, 3, 16, 16), (4, 1, 9, 14), (2, 4, 1, 5)])
def test_nothing_is_changed_at_first(shape):
    """With p = 0 every picture is the same to the bit."""
    images = torch.randn(shape, generator=rng())
    assert torch.equal(Ada()(images, rng(1)), images)


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_changes_as_many_pictures_as_p_says(group):
    """What is left as it was has escaped each change, or drawn the neutral one."""
    # a mirror half the time, 3 quarter turns of 4, and no shift by less than ½ of 2 px
    left = {
        "blit": (1 - 0.3 / 2) * (1 - 0.3 * 3 / 4) * (1 - 0.3 * (1 - 1 / 4**2)),
        # scale, both turns together, stretch and shift each with p
        "geometry": (1 - 0.3) ** 4,
        # a luma flip is none half the time
        "color": (1 - 0.3) ** 4 * (1 - 0.3 / 2),
    }
    images = torch.rand(1, 3, 16, 16, generator=rng()).expand(4000, -1, -1, -1)
    changed = ada(0.3, (group,))(images, rng(1))
    same = (changed == images).flatten(1).all(1).double().mean().item()
    deviation = math.sqrt(left[group] * (1 - left[group]) / 4000)
    assert same == pytest.approx(left[group], abs=4 * deviation)


def test_a_hole_is_half_as_high_and_wide_and_may_lie_outside_in_part():
    """By hand for 4 × 8: pixels whose middle is less than a quarter from the centre."""
    middle, corner = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.01, 0.0])
    made = torch.tensor([True, True, False])
    holes = hole(middle, corner, made, 4, 8)[:, 0]
    rows = torch.tensor([0, 1, 1, 0]).bool()[:, None]
    across = torch.tensor([0, 0, 1, 1, 1, 1, 0, 0]).bool()
    assert torch.equal(holes[0], rows & across)
    assert torch.equal(holes[1], rows & (torch.arange(8) < 2))
    assert not holes[2].any()


def test_as_much_is_cut_out_as_centres_anywhere_leave_inside():
    """Of a side 1/2 less what is outside: 2 ∫ (1/4 - c) dc to 1/4 = 1/16, so 7/16."""
    images = torch.ones(4000, 1, 16, 16)
    cut = ada(1.0, ("cutout",))(images, rng(1)) == 0
    assert cut.double().mean().item() == pytest.approx((7 / 16) ** 2, abs=0.004)
    sometimes = ada(0.3, ("cutout",))(images, rng(1)) == 0
    share = sometimes.flatten(1).any(1).double().mean().item()
    assert share == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 4000))


def test_colours_may_change_less_often_than_all_else():
    """With a share of p; the other changes are the same."""
    images = torch.rand(64, 3, 16, 16, generator=rng())
    rarer = ada(0.8, ("color",), color_share=0.25)(images, rng(1))
    assert torch.equal(rarer, ada(0.2, ("color",))(images, rng(1)))
    none = ada(0.8, color_share=0.0)(images, rng(1))
    assert torch.equal(none, ada(0.8, ("blit", "geometry"))(images, rng(1)))


def test_everything_is_drawn_from_the_given_rng():
    """The same seed gives the same images, another seed others; torch's own is idle."""
    images = torch.rand(8, 3, 16, 16, generator=rng())
    before = torch.get_rng_state()
    once, again, other = (ada(0.8)(images, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", [*((group,) for group in ALL), ALL])
def test_gradients_pass_as_through_an_affine_map(policy):
    """First and second derivatives against finite differences, in float64."""
    images = torch.rand(2, 3, 6, 5, dtype=torch.double, generator=rng())
    images.requires_grad_()
    augmentation = ada(1.0, policy).double()

    def changed(x):
        return augmentation(x, rng(1))

    def curved(x):
        return changed(x).square()

    assert torch.autograd.gradcheck(changed, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(curved, images, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_stay(dtype):
    """Grey, colour and transparency, any height and width."""
    for shape in [(2, 1, 8, 8), (2, 3, 9, 20), (3, 4, 1, 7), (0, 3, 8, 8)]:
        changed = ada(1.0)(torch.zeros(shape, dtype=dtype), rng())
        assert (changed.shape, changed.dtype) == (shape, dtype)


def test_what_it_cannot_change_is_refused_with_the_remedy():
    """The message names the shape that it got."""
    with pytest.raises(ValueError, match=r"images \(C, H, W\).*\(7,\).*leave"):
        Ada()(torch.zeros(2, 7), rng())
    with pytest.raises(ValueError, match=r"1, 3 or 4 channels.* has 2; leave 'color'"):
        Ada()(torch.zeros(2, 2, 8, 8), rng())
    ada(1.0, ("blit", "geometry"))(torch.zeros(2, 2, 8, 8), rng())
    with pytest.raises(ValueError, match=r"empty policy.*'geometry'"):
        Ada(policy=())


def test_a_probability_that_is_given_is_p_and_nothing_steers_it():
    """The option; and in its place what a schedule says in a step."""
    images = torch.rand(8, 3, 16, 16, generator=rng())
    steered = [ada(p)(images, rng(1)) for p in (0.25, 0.75)]
    given = Ada(probability=0.25)
    assert torch.equal(given(images, rng(1)), steered[0])
    assert torch.equal(given(images, rng(1), probability=0.75), steered[1])
    assert torch.equal(given(images, rng(1), probability=0.0), images)
    run = Played(given)
    run.after(*[1.0] * 8)
    assert run.measured == {}
    assert torch.equal(given(images, rng(1)), steered[0])


class Played:
    """A run as the augmentation sees it, step by step."""

    def __init__(self, augmentation, batch_size=10, updates=1):
        self.augmentation, self.step, self.measured = augmentation, 0, {}
        train = SimpleNamespace(
            batch_size=batch_size, discriminator_updates=updates, log_every=1
        )
        self.assembly = SimpleNamespace(train=train, loss=object())

    def due(self, every):
        """Whether it is time."""
        return self.step % every == 0

    def measure(self, name, value):
        """Take note."""
        self.measured[name] = value

    def after(self, *signs):
        """Play a step for each mean sign; return p."""
        for sign in signs:
            self.step += 1
            report = SimpleNamespace(measurements={"real sign": torch.tensor(sign)})
            self.augmentation.gankit_after_step(self, report)
        return self.augmentation.p.item()


def test_p_follows_the_mean_sign_of_the_real_logits():
    """Section 3: once every four minibatches by a fixed amount, up or down.

    Of 1,000 images in which it may rise to 1, four batches of 10 are 0.04.
    """
    run = Played(Ada(target=0.6, images=1000, every=4))
    assert run.after(1.0, 1.0, 1.0) == 0
    assert run.after(1.0) == pytest.approx(0.04)
    # the mean of four decides, 0.7 and then 0.5, not the last of them
    assert run.after(1.0, 1.0, 1.0, -0.2) == pytest.approx(0.08)
    assert run.after(0.0, 0.0, 1.0, 1.0) == pytest.approx(0.04)
    assert run.after(*[-1.0] * 40) == 0  # bounded from below
    assert run.after(*[1.0] * 96) == pytest.approx(24 * 0.04)
    assert run.after(*[1.0] * 8) == 1  # and from above
    assert run.measured["augmented"] == 1


def test_several_updates_of_the_discriminator_show_as_many_batches():
    """Images are counted as they are shown to it."""
    run = Played(Ada(images=1000, every=1), batch_size=10, updates=5)
    assert run.after(1.0) == pytest.approx(0.05)


def test_an_update_that_was_left_out_moves_nothing():
    """A sign that is no number counts as the target."""
    run = Played(Ada(target=0.5, images=40, every=2))
    assert run.after(math.nan, math.nan) == 0
    assert run.after(math.nan, 0.6) == pytest.approx(0.5)
    assert run.after(math.nan, 0.4) == 0


def test_a_loss_that_judges_by_no_logits_is_refused_with_the_remedy():
    """There is nothing to steer by."""
    run, report = Played(Ada()), SimpleNamespace(measurements={})
    with pytest.raises(UsageError, match=r"the loss object judges by none.*step\.rank"):
        run.augmentation.gankit_after_step(run, report)


@pytest.mark.parametrize(
    ("loss", "name"),
    [("relativistic", "Relativistic"), ("wasserstein", "Wasserstein")],
)
def test_a_loss_whose_signs_tell_nothing_steers_nothing(loss, name):
    """Refused in one sentence; p that is given is not steered, and has nothing to ask.

    A game that looks at differences alone is as good with all logits above 0.
    """
    steered = {**RECIPE, "loss": {"use": loss}}
    with pytest.raises(MisfitError) as error:
        gankit.assemble(gankit.read_recipe(steered))
    (said,) = error.value.problems
    assert said == (
        "augmentations.0: Ada follows the signs of logits, which tell nothing where "
        f"the loss is {name}, to which only their differences matter; leave it "
        "out, set augmentations.0.probability, or choose another loss"
    )
    gankit.assemble(gankit.read_recipe(steered, ["augmentations.0.probability=0.5"]))


RECIPE = {
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "generator": {"use": "dcgan", "width": 2},
    "discriminator": {"use": "dcgan", "width": 2, "norm": "none"},
    "loss": {"use": "non-saturating"},
    "penalties": [{"use": "r1", "every": 2}],
    "augmentations": [{"use": "ada", "target": 0.0, "images": 100, "every": 2}],
    "train": {"steps": 9, "batch_size": 8, "device": "cpu", "log_every": 1}
    | {"reduce": "exact", "checkpoint_every": 3, "samples": 4},
}


def test_p_of_a_run_goes_on_where_it_was_stopped(tmp_path):
    """Stopped between two moves, it has the bits of a run that was never stopped."""

    def strengths(run, until):
        for report in run.steps():
            yield run.assembly.augmentations[0].p.item()
            if report.step == until:
                return

    with gankit.starting(RECIPE, out=tmp_path / "whole") as run:
        whole = list(strengths(run, 9))
    with gankit.starting(RECIPE, out=tmp_path / "parts") as run:
        parts = list(strengths(run, 5))
    with gankit.resuming(tmp_path / "parts") as run:
        parts += list(strengths(run, 9))
    assert parts == whole
    assert len(set(whole)) > 2


def test_p_is_written_with_the_metrics(tmp_path):
    """And is what follows from the signs that are written beside it."""
    gankit.train(RECIPE, out=tmp_path / "run")
    lines = [line for line in metrics(tmp_path / "run") if "real sign" in line]
    assert len(lines) == 9
    p = 0.0
    for one, two in zip(lines[::2], lines[1::2], strict=False):
        over = one["real sign"] + two["real sign"]
        p = min(max(p + 0.16 * (over > 0) - 0.16 * (over < 0), 0.0), 1.0)
        assert two["augmented"] == pytest.approx(p)
