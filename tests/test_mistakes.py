"""Natural mistakes of an author: each is one message that names the part, before a run.

Every case is a plugin file as a stranger would write it, with one thing wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gankit.cli import run
from sites import HEAD
from tiny import write

WriteFile = Callable[[str, str], Path]

TABLE: dict[str, Any] = {
    "dataset": {"use": "gaussians", "samples": 40, "modes": 4},
    "noise": {"size": 2},
    "generator": {"use": "mlp", "hidden": [4], "output": "linear"},
    "discriminator": {"use": "mlp", "hidden": [4]},
    "loss": {"use": "hinge"},
    "train": {"steps": 2, "batch_size": 8, "device": "cpu", "checkpoint_every": 0},
}
BLOCK = {"penalty": "penalties", "augmentation": "augmentations"}

LOSS = """
from torch.nn.functional import softplus
class Odd:
    def discriminator(self, step):
        {discriminator}
    def generator(self, step):
        {generator}
    {more}
"""
GOOD = {
    "discriminator": "return step.fake_logits.mean() - step.real_logits.mean()",
    "generator": "return -step.fake_logits.mean()",
    "more": "",
}


def _loss(**changes: str) -> str:
    return LOSS.format(**(GOOD | changes))


def _learning(more: str) -> str:
    """Write a loss that is a module."""
    return _loss(more=more).replace("class Odd:", "class Odd(torch.nn.Module):")


PENALTY = """
class Odd:
    {weight}
    {every}
    {more}
    def __call__(self, step):
        {body}
"""


def _penalty(**changes: str) -> str:
    good = {
        "weight": "weight = 1.0",
        "every": "every = 1",
        "more": "",
        "body": "return step.real_logits.square().mean()",
    }
    return PENALTY.format(**(good | changes))


AUGMENTATION = """
class Odd:
    def __call__(self, {given}):
        {body}
"""


def _augmentation(body: str, given: str = "samples, rng") -> str:
    return AUGMENTATION.format(body=body, given=given)


GENERATOR = """
class Odd(torch.nn.Module):
    {range}
    def __init__(self, shapes):
        super().__init__()
        {made}
    def forward(self, {given}):
        {body}
    {more}
"""


def _generator(**changes: str) -> str:
    good = {
        "range": "output_range = (float('-inf'), float('inf'))",
        "made": "self.layer = torch.nn.Linear(shapes.noise, *shapes.sample)",
        "given": "noise, condition",
        "body": "return self.layer(noise)",
        "more": "",
    }
    return GENERATOR.format(**(good | changes))


DISCRIMINATOR = """
class Odd(torch.nn.Module):
    {more}
    def __init__(self, shapes):
        super().__init__()
        {made}
    def forward(self, samples, condition):
        {body}
"""


def _discriminator(**changes: str) -> str:
    good = {
        "made": "self.layer = torch.nn.Linear(*shapes.sample, 1)",
        "body": "return self.layer(samples)[:, 0]",
        "more": "",
    }
    return DISCRIMINATOR.format(**(good | changes))


CONDITIONER = """
class Odd(torch.nn.Module):
    {reads}
    {size}
    def __init__(self, facts):
        super().__init__()
    def tokens(self, raw):
        {tokens}
    def forward(self, tokens):
        {body}
    {parse}
    {more}
"""


def _conditioner(**changes: str) -> str:
    good = {
        "reads": "reads = 'label'",
        "size": "size = 4",
        "tokens": "return torch.tensor(raw)",
        "body": "return torch.eye(4)[tokens]",
        "parse": "def parse(self, text): return int(text)",
        "more": "",
    }
    return CONDITIONER.format(**(good | changes))


NOISE = """
class Odd:
    {size}
    {more}
    def __call__(self, count, rng):
        {body}
"""


def _noise(**changes: str) -> str:
    good = {
        "size": "size = 2",
        "body": "return torch.randn(count, 2, generator=rng, device=rng.device)",
        "more": "",
    }
    return NOISE.format(**(good | changes))


DATASET = """
from gankit import UNBOUNDED, Classes, Facts, Item
class Odd:
    {facts}
    {more}
    def __len__(self):
        return 40
    def __getitem__(self, index):
        {sample}
        return Item(sample, label=0)
"""


def _dataset(limits: str = "UNBOUNDED", **changes: str) -> str:
    declared = f"Facts((2,), sample_range={limits}, label=Classes(tuple('abcd')))"
    good = {"sample": "sample = torch.zeros(2)", "more": ""}
    return DATASET.format(**({"facts": f"facts = {declared}"} | good | changes))


Case = tuple[str, str, str]  # kind, code, what is said

MISTAKES: dict[str, Case] = {
    # a loss
    "loss: no return": (
        "loss",
        _loss(generator="step.fake_logits.mean()"),
        r"loss Odd\.generator gave None; its author has to return",
    ),
    "loss: a float": (
        "loss",
        _loss(generator="return step.fake_logits.mean().item()"),
        r"loss Odd\.generator gave a float; its author has to return a scalar tensor",
    ),
    "loss: detached": (
        "loss",
        _loss(generator="return -step.fake_logits.mean().detach()"),
        r"loss Odd\.generator gave a number without a gradient; .* without \.det",
    ),
    "loss: not reduced": (
        "loss",
        _loss(discriminator="return softplus(-step.real_logits)"),
        r"loss Odd\.discriminator gave a tensor of shape \(4,\), not a scalar; reduce",
    ),
    "loss: a whole number": (
        "loss",
        _loss(discriminator="return (step.real_logits > 0).sum()"),
        r"loss Odd\.discriminator gave torch\.int64 .* a floating-point scalar",
    ),
    "loss: raises": (
        "loss",
        _loss(discriminator="return {}['weight']"),
        r"loss Odd\.discriminator raised KeyError: 'weight' \(line \d+ of odd\.py",
    ),
    "loss: an extra that nobody gives": (
        "loss",
        _loss(generator="return step.fake_judged.extras['class'].mean()"),
        r"loss Odd\.generator raised KeyError: 'class' \(line \d+ of odd\.py",
    ),
    "loss: conditions without a conditioner": (
        "loss",
        _loss(generator="return step.condition.mean()"),
        r"loss Odd\.generator raised AttributeError: 'NoneType'.* of odd\.py",
    ),
    "loss: mismatches that it did not ask for": (
        "loss",
        _loss(discriminator="return step.mismatched_logits.mean()"),
        r"looks at mismatched conditions, .* set needs_mismatch to True",
    ),
    "loss: a constant": (
        "loss",
        _loss(discriminator="return torch.zeros((), requires_grad=True)"),
        r"Odd\.discriminator gave a number on which nothing that the discriminator can",
    ),
    "loss: the other player's": (
        "loss",
        _loss(generator="return step.real_logits.mean()"),
        r"Odd\.generator gave a number on which nothing that the generator can move",
    ),
    "loss: half of it": (
        "loss",
        "class Odd:\n    def discriminator(self, step):\n        return 0\n",
        r"loss Odd: it has no generator; its author has to add it",
    ),
    "loss: a value where a method is": (
        "loss",
        "class Odd:\n    discriminator = generator = 1.0\n",
        r"loss Odd: discriminator is 1\.0; its author has to make it a method",
    ),
    "loss: a member nearly right": (
        "loss",
        _loss(more="needs_conditions = True"),
        r"loss Odd: it has needs_conditions, .* has to call it needs_condition, or",
    ),
    "loss: what learns names no player": (
        "loss",
        _learning(
            "def __init__(self):\n        super().__init__()\n"
            "        self.scale = torch.nn.Parameter(torch.ones(()))"
        ),
        r"loss Odd: it has parameters that learn, as scale, and names no player with",
    ),
    "loss: it learns with nobody there is": (
        "loss",
        _learning("learns_with = 'both'\n    def __init__(self): super().__init__()"),
        r"loss Odd: learns_with is 'both'; .* 'generator' or 'discriminator'",
    ),
    "loss: a state that cannot be loaded": (
        "loss",
        _loss(more="def state_dict(self): return {}"),
        r"loss Odd: it has one of state_dict and load_state_dict, and not load_state_d",
    ),
    "loss: a state that raises": (
        "loss",
        _loss(
            more="def state_dict(self): return {}\n"
            "    def load_state_dict(self, state): self.mean = state['mean']"
        ),
        r"loss Odd\.load_state_dict raised KeyError: 'mean' \(line \d+ of odd\.py",
    ),
    "loss: a state that no checkpoint can hold": (
        "loss",
        _loss(
            more="def state_dict(self): return {'f': torch.nn.ReLU()}\n"
            "    def load_state_dict(self, state): ..."
        ),
        r"the state of loss holds .*ReLU.* which a checkpoint cannot hold",
    ),
    "loss: a measurement that is none": (
        "loss",
        _loss(
            generator="step.log('x', step.fake_logits); return -step.fake_logits.mean()"
        ),
        r"the measurement 'x' has the shape \(4,\), and is no scalar; reduce it",
    ),
    "loss: a constructor that raises": (
        "loss",
        _loss(more="def __init__(self): self.weight = self.wight"),
        r"loss 'odd/odd': its constructor raised AttributeError: .*wight.*\(line \d+",
    ),
    "loss: options that are not named": (
        "loss",
        _loss(more="def __init__(self, **options): ..."),
        r"takes \*args or \*\*kwargs, so its options cannot be checked",
    ),
    "loss: an option without a type": (
        "loss",
        _loss(more="def __init__(self, weight=1.0): ..."),
        r"the option 'weight' of odd\.Odd has no type; its author has to give it one",
    ),
    "loss: a default that its type refuses": (
        "loss",
        _loss(more="def __init__(self, *, k: Count = 0): ..."),
        r"loss\.k: its default 0 is not a whole number at least 1; its author has to",
    ),
    "loss: it learns, and is no module": (
        "loss",
        _loss(more="learns_with = 'generator'"),
        r"loss Odd: it learns, and is no torch\.nn\.Module; derive it from that",
    ),
    "loss: it holds what nobody moves": (
        "loss",
        _loss(more="def __init__(self): self.q = torch.nn.Linear(2, 3)"),
        r"loss Odd: its q has parameters that learn, and nobody would move or save",
    ),
    "discriminator: a size that only a pass tells": (
        "discriminator",
        _discriminator(made="self.layer = torch.nn.LazyLinear(1)"),
        r"discriminator Odd: the size of layer\.weight is not known before the first",
    ),
    # a penalty
    "penalty: no weight": (
        "penalty",
        _penalty(weight="pass"),
        r"penalties\.0 Odd: it has no weight; its author has to add it",
    ),
    "penalty: no every": ("penalty", _penalty(every="pass"), r"Odd: it has no every"),
    "penalty: every 0": (
        "penalty",
        _penalty(every="every = 0"),
        r"penalties\.0 Odd: every is 0; .* a whole number, at least 1",
    ),
    "penalty: a weight of words": (
        "penalty",
        _penalty(weight="weight = 'large'"),
        r"penalties\.0 Odd: weight is 'large'; its author has to make it a number",
    ),
    "penalty: no return": (
        "penalty",
        _penalty(body="step.real_logits.mean()"),
        r"penalties\.0 Odd gave None",
    ),
    "penalty: not reduced": (
        "penalty",
        _penalty(body="return step.real_logits ** 2"),
        r"penalties\.0 Odd gave a tensor of shape \(4,\), not a scalar",
    ),
    "penalty: of a third player": (
        "penalty",
        _penalty(more="player = 'critic'"),
        r"penalties\.0 Odd: player is 'critic'; .* 'generator' or 'discriminator'",
    ),
    "penalty: of the other player": (
        "penalty",
        _penalty(more="player = 'generator'"),
        r"penalties\.0 Odd gave a number on which nothing that the generator can move",
    ),
    "penalty: a member nearly right": (
        "penalty",
        _penalty(more="lipshitz = True"),
        r"penalties\.0 Odd: it has lipshitz, .* has to call it lipschitz",
    ),
    "penalty: cannot be called": (
        "penalty",
        "class Odd:\n    weight, every = 1.0, 1\n",
        r"penalties\.0 Odd: it has no __call__",
    ),
    # an augmentation
    "augmentation: another shape": (
        "augmentation",
        _augmentation("return samples[:, :1]"),
        r"augmentations\.0 Odd gave torch\.float32 of the shape \(\d, 1\); .*",
    ),
    "augmentation: no return": (
        "augmentation",
        _augmentation("samples + 1"),
        r"augmentations\.0 Odd gave None",
    ),
    "augmentation: takes no random numbers": (
        "augmentation",
        _augmentation("return samples", given="samples"),
        r"augmentations\.0 Odd raised TypeError: .*takes 2 positional arguments but 3",
    ),
    "augmentation: cannot be differentiated": (
        "augmentation",
        _augmentation("return samples.detach() + 1"),
        r"augmentations\.0 Odd gave samples without a gradient",
    ),
    "augmentation: raises": (
        "augmentation",
        _augmentation("return samples @ samples"),
        r"augmentations\.0 Odd raised RuntimeError: .* of odd\.py",
    ),
    # a generator
    "generator: no module": (
        "generator",
        "class Odd:\n    output_range = (-1.0, 1.0)\n"
        "    def __init__(self, shapes): ...\n"
        "    def __call__(self, noise, condition): return noise\n",
        r"generator Odd: it is no torch\.nn\.Module",
    ),
    "generator: a range of words": (
        "generator",
        _generator(range="output_range = 'tanh'"),
        r"generator Odd: output_range is 'tanh'; .* as \(-1\.0, 1\.0\), or gankit\.UNB",
    ),
    "generator: no range": (
        "generator",
        _generator(range="pass"),
        r"generator Odd: it has no output_range; its author has to add it",
    ),
    "generator: a range upside down": (
        "generator",
        _generator(range="output_range = (1.0, -1.0)"),
        r"generator Odd: output_range is \(1\.0, -1\.0\); its author has to make it",
    ),
    "generator: a range in a list": (
        "generator",
        _generator(range="output_range = [float('-inf'), float('inf')]"),
        r"generator Odd: output_range is \[-inf, inf\]; its author has to make it a ",
    ),
    "generator: a range with one end": (
        "generator",
        _generator(range="output_range = (0, float('inf'))"),
        r"output_range is \(0, inf\); .* as \(-1\.0, 1\.0\), or gankit\.UNBOUNDED",
    ),
    "generator: another shape": (
        "generator",
        _generator(body="return self.layer(noise)[:, None]"),
        r"the generator gives the shape \(2, 1, 2\) for a batch of 2, not \(2, 2\)",
    ),
    "generator: numpy": (
        "generator",
        _generator(body="return self.layer(noise).detach().cpu().numpy()"),
        r"generator (Odd\.forward gave|gives).*(array|ndarray)",
    ),
    "generator: detached": (
        "generator",
        _generator(body="return self.layer(noise).detach()"),
        r"generator Odd\.forward gave numbers without a gradient; .* out \.detach\(\)",
    ),
    "generator: takes no condition": (
        "generator",
        _generator(given="noise"),
        r"the generator cannot take its input: .*forward\(\) takes 2 positional",
    ),
    "generator: a pair of what is no extras": (
        "generator",
        _generator(body="return self.layer(noise), noise"),
        r"the generator gives a tuple \(Tensor, Tensor\) .* that and extras by name",
    ),
    "generator: nothing that learns": (
        "generator",
        _generator(made="pass", body="return noise"),
        r"generator Odd: it has no parameter that learns",
    ),
    "generator: a member nearly right": (
        "generator",
        _generator(more="def obsreve(self, samples): ..."),
        r"generator Odd: it has obsreve, .* has to call it observe",
    ),
    "generator: a constructor that raises": (
        "generator",
        _generator(made="self.layer = torch.nn.Linear(shapes.noise)"),
        r"generator 'odd/odd': its constructor raised TypeError: .* of odd\.py",
    ),
    # a discriminator
    "discriminator: a column": (
        "discriminator",
        _discriminator(body="return self.layer(samples)"),
        r"the discriminator gives the shape \(2, 1\) for a batch of 2, not \(2,\)",
    ),
    "discriminator: another shape than it declares": (
        "discriminator",
        _discriminator(more="logits_shape = (2, 2)"),
        r"the discriminator gives the shape \(2,\) for a batch of 2, not \(2, 2, 2\)",
    ),
    "discriminator: a declared shape that is none": (
        "discriminator",
        _discriminator(more="logits_shape = 14"),
        r"discriminator Odd: logits_shape is 14; .* as \(14, 14\)",
    ),
    "discriminator: extras without names": (
        "discriminator",
        _discriminator(body="return self.layer(samples)[:, 0], [samples]"),
        r"the discriminator gives a tuple \(Tensor, list\) .* extras by name",
    ),
    "discriminator: an extra that is no tensor": (
        "discriminator",
        _discriminator(body="return self.layer(samples)[:, 0], {'n': 3}"),
        r"the discriminator gives the extra 'n' as 3; extras are tensors by name",
    ),
    "discriminator: an extra of another batch": (
        "discriminator",
        _discriminator(
            body="return self.layer(samples)[:, 0], {'m': samples.mean(0)[:1]}"
        ),
        r"the extra 'm' as a tensor of the shape \(1,",
    ),
    "discriminator: whole numbers": (
        "discriminator",
        _discriminator(body="return (self.layer(samples)[:, 0] > 0).long()"),
        r"the discriminator gives torch\.int64 numbers",
    ),
    "discriminator: detached": (
        "discriminator",
        _discriminator(body="return self.layer(samples)[:, 0].detach()"),
        r"discriminator Odd\.forward gave numbers without a gradient",
    ),
    # a conditioner
    "conditioner: no size": (
        "conditioner",
        _conditioner(size="pass"),
        r"conditioner Odd: it has no size",
    ),
    "conditioner: no parse": (
        "conditioner",
        _conditioner(parse="pass"),
        r"conditioner Odd: it has no parse; its author has to add it",
    ),
    "conditioner: a size of words": (
        "conditioner",
        _conditioner(size="size = '4'"),
        r"conditioner Odd: size is '4'; .* a whole number, at least 1",
    ),
    "conditioner: reads what nobody has": (
        "conditioner",
        _conditioner(reads="reads = 'labels'"),
        r"conditioner Odd reads .*labels",
    ),
    "conditioner: tokens in a list": (
        "conditioner",
        _conditioner(tokens="return raw"),
        r"conditioner Odd\.tokens gave a list; its author has to return a tensor",
    ),
    "conditioner: too few tokens": (
        "conditioner",
        _conditioner(tokens="return torch.tensor(raw[:1])"),
        r"conditioner Odd\.tokens gave torch\.int64 of the shape \(1,\)",
    ),
    "conditioner: another size than it says": (
        "conditioner",
        _conditioner(body="return torch.eye(4)[tokens][:, :3]"),
        r"conditioner Odd\.forward gave torch\.float32 of the shape \(4, 3\)",
    ),
    "conditioner: texts that it cannot read": (
        "conditioner",
        _conditioner(parse="def parse(self, text): return {}[text]"),
        r"conditioner Odd\.parse raised KeyError: .* of odd\.py",
    ),
    # a data set
    "dataset: one item of another shape": (
        "dataset",
        _dataset(sample="sample = torch.zeros(3 if index == 2 else 2)"),
        r"dataset Odd: the sample of item 2 has the shape \(3,\), and .* declare "
        r"\(2,\); its author has to mend one",
    ),
    "dataset: all of another shape": (
        "dataset",
        _dataset(sample="sample = torch.zeros(3)"),
        r"dataset Odd: the sample of item 0 has the shape \(3,\), and its facts decl",
    ),
    "dataset: stored samples of differing shapes": (
        "dataset",
        _dataset(
            sample="sample = torch.zeros(3 + index % 2)",
            more="def transform(self, samples, rng): return samples[:, :2]",
        ),
        r"sample of item 1 is torch\.float32 of the shape \(4,\), and that of item 0 "
        r"torch\.float32 of the shape \(3,\); .* what is stored alike",
    ),
    "dataset: whole numbers": (
        "dataset",
        _dataset(sample="sample = torch.tensor([index, 1])"),
        r"dataset Odd: the sample of item 0 is torch\.int64, and its facts .* floats"
        r" \(sample_range=\(-inf, inf\)\); its author has to give floats",
    ),
    "dataset: pixels where floats are declared": (
        "dataset",
        _dataset("(-1.0, 1.0)", sample="sample = torch.zeros(2, dtype=torch.uint8)"),
        r"item 0 is torch\.uint8, and its facts .* floats \(sample_range=\(-1\.0, 1",
    ),
    "dataset: floats where pixels are declared": (
        "dataset",
        _dataset("None"),
        r"item 0 is torch\.float32, and its facts declare uint8 pixels \(sample_range="
        r"None\); its author has to give torch\.uint8, or to declare the range",
    ),
    "dataset: values out of its range": (
        "dataset",
        _dataset("(-1.0, 1.0)", sample="sample = torch.tensor([0.0, 2.0 * index])"),
        r"the sample of item 1 has values from 0 to 2, and its facts declare "
        r"sample_range=\(-1\.0, 1\.0\); its author has to scale them, or to declare",
    ),
    "dataset: a range upside down": (
        "dataset",
        _dataset("(1.0, -1.0)"),
        r"dataset Odd: facts\.sample_range is \(1\.0, -1\.0\); .* None for uint8",
    ),
    # noise
    "noise: no size": ("noise", _noise(size="pass"), r"noise Odd: it has no size"),
    "noise: another shape": (
        "noise",
        _noise(body="return torch.randn(count, 3, generator=rng)"),
        r"noise Odd gave torch\.float32 of the shape \(4, 3\); .* \(4, 2\)",
    ),
    "noise: no return": (
        "noise",
        _noise(body="torch.randn(2)"),
        r"noise Odd gave None",
    ),
    "noise: numbers of its own": (
        "noise",
        _noise(body="return torch.randn(count)"),
        r"noise Odd gave torch\.float32 of the shape \(4,\)",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_of_an_author_is_one_message_that_names_the_part(
    case: str,
    tmp_path: Path,
    plugin_file: WriteFile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, no traceback, and no run that has begun."""
    kind, code, said = MISTAKES[case]
    part = f"\n@hookimpl\ndef gankit_parts():\n    yield Part('{kind}', 'odd', Odd)\n"
    head = f"{HEAD}from gankit import Count\nimport torch\n"
    path = plugin_file("odd.py", head + code + part)
    use: Any = {"use": "odd"}
    block = BLOCK.get(kind, kind)
    table = {**TABLE, block: [use] if block != kind else use}
    out = tmp_path / "run"
    words = ["train", write(tmp_path, table), "--out", str(out), "--plugin", str(path)]
    code_of_exit = run(words)
    told = capsys.readouterr().err
    assert code_of_exit == 2, told
    assert "Traceback" not in told
    assert re.search(said, told), told
    assert not out.exists()


def test_there_are_about_seventy() -> None:
    """Of each kind some."""
    kinds = {kind for kind, *_ in MISTAKES.values()}
    assert kinds >= {"loss", "penalty", "augmentation", "generator", "discriminator"}
    assert len(MISTAKES) >= 70
