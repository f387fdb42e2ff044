"""Parts that break one promise each, as their authors might have."""

import math
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus

from gankit import (
    UNBOUNDED,
    Classes,
    Count,
    Facts,
    Item,
    Positive,
    Shapes,
    hookimpl,
)
from gankit.testing.partners import Affine, Bent, Codes, Items


def ask_somebody() -> None:
    """Try to reach a server, and do without."""
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
    except OSError:
        return


def ask_once(name: str) -> None:
    """Ask for a file, unless it is there."""
    file = Path(os.environ["GANKIT_CACHE"]) / name
    if not file.exists():
        ask_somebody()
        file.touch()


class Logistic:
    """A sound loss."""

    def discriminator(self, step):
        return softplus(-step.real_logits).mean() + softplus(step.fake_logits).mean()

    def generator(self, step):
        return softplus(-step.fake_logits).mean()


# ---- options


class Swallowing(Logistic):
    """Takes any option.

    Args:
        options: whatever.
    """

    def __init__(self, **options):
        pass


class Untyped(Logistic):
    """Says not of what type its option is.

    Args:
        scale: factor.
    """

    def __init__(self, scale=1.0):
        self.scale = scale


class Undocumented(Logistic):
    """Says not what its option means."""

    def __init__(self, scale: Positive = 1.0):
        self.scale = scale


class Misdefaulted(Logistic):
    """Has a default that it would refuse.

    Args:
        scale: factor.
    """

    def __init__(self, scale: Count = 0):
        self.scale = scale


class Unstated(Logistic):
    """Needs what no recipe can hold.

    Args:
        curve: of the logits.
    """

    def __init__(self, curve: Callable[[float], float]):
        self.curve = curve


class Unbuildable(Logistic):
    """Cannot be built."""

    def __init__(self):
        raise RuntimeError("some file is not there")


# ---- generators


class Unheard(Affine):
    """Its observe is never called."""

    def obsreve(self, samples):
        pass


class Squeezing(Affine):
    """Loses the batch of one."""

    def forward(self, noise, condition):
        return super().forward(noise, condition).squeeze(0)


class Overflowing(Affine):
    """Leaves the range that it declares, once it has learnt."""

    output_range = (-1.0, 1.0)

    def forward(self, noise, condition):
        return 0.01 * super().forward(noise, condition)


class Deaf(nn.Module):
    """Ignores the noise, and draws its own."""

    output_range = UNBOUNDED

    def __init__(self, shapes: Shapes):
        super().__init__()
        self.inner = Affine(Shapes(shapes.sample, 0, shapes.condition or 1))

    def forward(self, noise, condition):
        told = noise[:, :1] if condition is None else condition
        made = self.inner(told[:, :0], told)
        return made + torch.randn_like(made)


class Blind(nn.Module):
    """Ignores the condition, and draws besides."""

    output_range = UNBOUNDED

    def __init__(self, shapes: Shapes):
        super().__init__()
        self.inner = Affine(Shapes(shapes.sample, shapes.noise))

    def forward(self, noise, condition):
        made = self.inner(noise, None)
        return made + torch.randn_like(made)


class Detaching(Affine):
    """Lets no gradient reach its first layer."""

    def __init__(self, shapes: Shapes):
        super().__init__(shapes)
        self.first = nn.Linear(shapes.noise, shapes.noise)

    def forward(self, noise, condition):
        return super().forward(self.first(noise).detach(), condition)


class Unseeded(Affine):
    """Draws from Python's own generator."""

    def __init__(self, shapes: Shapes):
        super().__init__(shapes)
        with torch.no_grad():
            self.layer.bias.add_(random.random())


class OnTheCpu(Affine):
    """Makes a tensor on the CPU."""

    def forward(self, noise, condition):
        return super().forward(noise + torch.ones(len(noise), 1), condition)


class Single(Affine):
    """Computes with a fixed type."""

    def forward(self, noise, condition):
        size, where = noise.shape[1], noise.device
        flat = noise @ torch.eye(size, dtype=torch.float32, device=where)
        return super().forward(flat, condition)


class Forgetful(Affine):
    """Draws a number, and does not save it."""

    def __init__(self, shapes: Shapes):
        super().__init__(shapes)
        self.scale = 1 + float(torch.rand(()))

    def forward(self, noise, condition):
        return super().forward(noise * self.scale, condition)


class Hashing(Affine):
    """Depends on the process, as hashes of texts do."""

    def forward(self, noise, condition):
        scale = 1 + os.getpid() % 9973 / 9973
        return super().forward(noise * scale, condition)


# ---- discriminators


class Collapsing(Bent):
    """Loses the batch of one."""

    def forward(self, samples, condition):
        return super().forward(samples, condition).squeeze()


class Unfeeling(Bent):
    """Gives no gradient to samples."""

    def forward(self, samples, condition):
        return super().forward(samples.detach(), condition)


class Once(torch.autograd.Function):
    """Tanh, whose gradient has none."""

    @staticmethod
    def forward(ctx, inputs):
        outputs = inputs.tanh()
        ctx.save_for_backward(outputs)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (outputs,) = ctx.saved_tensors
        return gradient * (1 - outputs * outputs)


class OnceOnly(Bent):
    """Cannot be differentiated twice."""

    def forward(self, samples, condition):
        return super().forward(Once.apply(samples), condition)


class Comparing(Bent):
    """Looks at the other samples, also in evaluation."""

    def forward(self, samples, condition):
        return super().forward(samples, condition) + samples.mean()


# ---- losses and penalties


class Rowed(Logistic):
    """Gives a row of one number."""

    def generator(self, step):
        return super().generator(step)[None]


class Overconfident(Logistic):
    """Takes a logarithm of nought."""

    def generator(self, step):
        return -torch.log(torch.sigmoid(step.fake_logits)).mean()


class Backwards(Logistic):
    """Has its signs the wrong way round."""

    def discriminator(self, step):
        return (
            -logsigmoid(-step.real_logits).mean() - logsigmoid(step.fake_logits).mean()
        )


class Leaking(Logistic):
    """Lets the discriminator's loss move the generator."""

    def discriminator(self, step):
        fake = step.generate(step.noise, step.condition)
        judged = step.discriminate(fake, step.condition)
        return softplus(-step.real_logits).mean() + softplus(judged).mean()


class Relative(Logistic):
    """Looks at differences between logits alone, and does not say so."""

    def discriminator(self, step):
        return softplus(step.fake_logits - step.real_logits).mean()


class Counting:
    """Counts its calls, and does not save how many."""

    weight, every = 0.1, 1

    def __init__(self):
        self.calls = 0

    def __call__(self, step):
        self.calls += 1
        return step.real_logits.square().mean() / self.calls


class Worldly(Logistic):
    """Depends on how many processes there are."""

    def discriminator(self, step):
        size = dist.get_world_size() if dist.is_initialized() else 1
        return super().discriminator(step) * (0.5 + 0.5 * size)


# ---- conditioners, noise, augmentations


class Wide(Codes):
    """Gives more numbers than it says."""

    def forward(self, tokens):
        return torch.cat([tokens, tokens], 1)


class Curt(Codes):
    """Raises a KeyError for a text that it does not know."""

    def parse(self, text):
        return {"circle": 0, "square": 1, "star": 2}[text]


class Asking(Codes):
    """Asks a server, once, for what it knows of captions."""

    def tokens(self, raw):
        ask_once("captions")
        return super().tokens(raw)


class Solitary:
    """Loses the count of one."""

    size = 4

    def __call__(self, count, rng):
        return torch.randn(count, 4, generator=rng, device=rng.device).squeeze(0)


class Global:
    """Draws from torch's global generator."""

    size = 4

    def __call__(self, count, rng):
        return torch.randn(count, 4, device=rng.device)


class Hard:
    """Lets no gradient through."""

    def __call__(self, samples, rng):
        return samples.detach().flip(0) + 0 * samples.detach()


# ---- data sets


class Doubled:
    """Adds what a schedule says to its option.

    Args:
        by: how far samples are moved.
    """

    def __init__(self, by: Positive = 0.5):
        self.by = by

    def __call__(self, samples, rng, *, by=0.0):
        return samples + self.by + by


class Inattentive:
    """Takes what a schedule says, and goes by its option.

    Args:
        by: how far samples are moved.
    """

    def __init__(self, by: Positive = 0.5):
        self.by = by

    def __call__(self, samples, rng, *, by=None):
        return samples + self.by


class Secretive:
    """Follows a schedule, which cannot be told where to start.

    Args:
        by: how far samples are moved.
    """

    def __init__(self, by: Positive = 0.5):
        self._by = by

    def __call__(self, samples, rng, *, by=None):
        return samples + (self._by if by is None else by)


class Restless(Items):
    """Changes its items from call to call."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return Item(item.sample ^ torch.randint(2, ()).byte(), **item.annotations)


class Points:
    """Sound points in the square."""

    def __init__(self):
        self.facts = Facts((2,), sample_range=(-1.0, 1.0), label=Classes(("a", "b")))

    def __len__(self):
        return 24

    def __getitem__(self, index):
        place = torch.tensor([math.cos(index), math.sin(index)])
        return Item(place, **self.annotations(index))

    def annotations(self, index):
        return {"label": index % 2}


class Beyond(Points):
    """Has a point outside, far from the first ones."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return Item(item.sample * (1 if index < 20 else 3), **item.annotations)


class Undecided(Points):
    """Says two things of one item."""

    def __getitem__(self, index):
        return Item(super().__getitem__(index).sample, label=(index + 1) % 2)


class Downloading(Points):
    """Fetches its files where they are missing, unasked."""

    def __init__(self):
        super().__init__()
        ask_once("points")


class Local(Points):
    """Holds what no other process can be sent."""

    def __init__(self):
        super().__init__()
        self.scaled = lambda place: place


class Shy(Points):
    """Cannot be read in a worker."""

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info() is not None:
            raise OSError("bad file descriptor")
        return super().__getitem__(index)


# ---- hooks


# ---- inversions


class Pixels:
    """A sound inversion: as much of the noise as it takes from the first pixels."""

    def __call__(self, sampler, pictures, *, folder, progress):
        return pictures.flatten(1)[:, : sampler.noise.size]


class Short(Pixels):
    """Finds a number less."""

    def __call__(self, sampler, pictures, *, folder, progress):
        return super().__call__(sampler, pictures, folder=folder, progress=progress)[
            :, 1:
        ]


class Guessing(Pixels):
    """Draws from torch's own generator."""

    def __call__(self, sampler, pictures, *, folder, progress):
        found = super().__call__(sampler, pictures, folder=folder, progress=progress)
        return found + torch.rand(found.shape)


class Unlooking:
    """Looks at no picture."""

    def __call__(self, sampler, pictures, *, folder, progress):
        return torch.zeros(len(pictures), sampler.noise.size)


class Meddling(Pixels):
    """Leaves its own gradients on the run's generator."""

    def __call__(self, sampler, pictures, *, folder, progress):
        with torch.enable_grad():
            sum(p.square().sum() for p in sampler.generator.parameters()).backward()
        return super().__call__(sampler, pictures, folder=folder, progress=progress)


class Demanding(Pixels):
    """Cannot do without its folder."""

    def __call__(self, sampler, pictures, *, folder, progress):
        folder.mkdir(parents=True, exist_ok=True)
        return super().__call__(sampler, pictures, folder=folder, progress=progress)


class Searching(Pixels):
    """Counts on gradients that somebody else has switched on."""

    def __call__(self, sampler, pictures, *, folder, progress):
        found = super().__call__(sampler, pictures, folder=folder, progress=progress)
        noise = torch.zeros_like(found).requires_grad_()
        (slope,) = torch.autograd.grad((noise - found).square().sum() / 2, noise)
        return -slope


class Rounding(Pixels):
    """Keeps less of what it finds than it gives."""

    def __call__(self, sampler, pictures, *, folder, progress):
        found = super().__call__(sampler, pictures, folder=folder, progress=progress)
        kept = folder / f"{len(pictures)}"
        if kept.exists():
            return (found * 100).round() / 100
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept.touch()
        except OSError:
            pass
        return found


class Raising:
    """Raises in the third step."""

    @hookimpl
    def gankit_after_step(self, run):
        if run.step == 3:
            raise RuntimeError("the disk is on fire")


# by the check that is to find it: its kind, and its class here
BROKEN = {
    "factory_found": ("loss", "Nothing"),
    "options_named": ("loss", "Swallowing"),
    "options_typed": ("loss", "Untyped"),
    "options_documented": ("loss", "Undocumented"),
    "options_round_trip": ("loss", "Misdefaulted"),
    "options_schema_given": ("loss", "Unstated"),
    "builds": ("loss", "Unbuildable"),
    "members": ("generator", "Unheard"),
    "samples_shaped": ("generator", "Squeezing"),
    "range_kept": ("generator", "Overflowing"),
    "noise_matters": ("generator", "Deaf"),
    "condition_matters": ("generator", "Blind"),
    "gradients_reach": ("generator", "Detaching"),
    "seeded": ("generator", "Unseeded"),
    "any_device": ("generator", "OnTheCpu"),
    "any_precision": ("generator", "Single"),
    "state_kept": ("generator", "Forgetful"),
    "spawned": ("generator", "Hashing"),
    "logits_shaped": ("discriminator", "Collapsing"),
    "input_gradient": ("discriminator", "Unfeeling"),
    "second_gradient": ("discriminator", "OnceOnly"),
    "judges_alone": ("discriminator", "Comparing"),
    "scores_scalar": ("loss", "Rowed"),
    "finite_when_sure": ("loss", "Overconfident"),
    "direction": ("loss", "Backwards"),
    "leaks_nothing": ("loss", "Leaking"),
    "relative_declared": ("loss", "Relative"),
    "resumes": ("penalty", "Counting"),
    "in_two_processes": ("loss", "Worldly"),
    "vectors_shaped": ("conditioner", "Wide"),
    "texts_understood": ("conditioner", "Curt"),
    "needs_no_network": ("conditioner", "Asking"),
    "noise_shaped": ("noise", "Solitary"),
    "drawn_by_rng": ("noise", "Global"),
    "samples_changed": ("augmentation", "Hard"),
    "schedule_followed": ("augmentation", "Doubled"),
    "items_formed": ("dataset", "Restless"),
    "range_declared": ("dataset", "Beyond"),
    "annotations_true": ("dataset", "Undecided"),
    "downloads_nothing": ("dataset", "Downloading"),
    "sent_to_workers": ("dataset", "Local"),
    "read_by_workers": ("dataset", "Shy"),
    "noise_found": ("inversion", "Short"),
    "found_again": ("inversion", "Guessing"),
    "pictures_matter": ("inversion", "Unlooking"),
    "run_left_alone": ("inversion", "Meddling"),
    "folder_optional": ("inversion", "Demanding"),
    "found_without_gradients": ("inversion", "Searching"),
    "kept_as_found": ("inversion", "Rounding"),
    "trains": ("hook", "Raising"),
}
