"""Fitting the text encoder to a data set, jointly with an encoder of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from math import isfinite
from typing import Literal

import torch
from attrs import frozen
from torch import Tensor, nn

from gankit import Classes
from gankit.contracts import ReadData
from gankit_conditioners.alphabet import spell
from gankit_conditioners.captions import CaptionTable, Progress
from gankit_conditioners.encoders import ImageEncoder, TextEncoder
from gankit_conditioners.googlenet import FEATURES, features_of
from gankit_conditioners.joint import (
    contrastive_loss,
    pairs,
    retrieval_accuracy,
    structured_loss,
)

_EPOCHS = 200  # authors' code: 200 epochs of 150 updates, one for each class of CUB
_REPORTS = 100  # progress is told about as often

ImageFeatures = Literal["convnet", "googlenet"]
FitLoss = Literal["structured", "contrastive"]

_LOSSES = {"structured": structured_loss, "contrastive": contrastive_loss}


@frozen
class Settings:
    """How to fit; see the options of `gankit_conditioners.char_cnn_rnn.CharCNNRNN`."""

    steps: int
    batch: int
    lr: float
    decay: float
    image_features: ImageFeatures
    loss: FitLoss


def fit_text_encoder(
    build: Callable[[], TextEncoder],
    data: ReadData,
    table: CaptionTable,
    settings: Settings,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> TextEncoder:
    """Build a text encoder, fit it to images and their captions, and return it.

    It is left on ``device``. All randomness is from ``seed``, and torch's global
    generators are left as found.

    Raises:
        ValueError: fewer than two items have captions, all have the same one, the
            images' features cannot be had, or the loss is not finite.
    """
    captioned = int((table.counts > 0).sum())
    if captioned < 2:
        raise ValueError(
            f"{captioned} items of the data set have captions, and learning to tell "
            "captions apart takes at least 2; choose a data set with captions"
        )
    if len(table.distinct) < 2:
        raise ValueError(
            f"all items have one caption, {table.distinct[0]!r}, which tells none of "
            "them from another; choose a data set with captions of its items, or "
            "conditioner=none"
        )
    rng = torch.Generator().manual_seed(seed)
    # whoever is to tell captions of one class apart has to meet them
    apart = settings.loss == "structured"
    classed = apart and isinstance(data.facts.annotations.get("label"), Classes)
    labels = data.annotations["label"] if classed else None
    stream = pairs(table, labels, settings.batch, rng)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)  # weights are drawn on the CPU
        texts = build().requires_grad_(True).to(device)
        if settings.image_features == "googlenet":
            look, images = _pretrained(data, texts, device, progress)
        else:
            look, images = _learning(data, texts, device, seed)
        images.to(device)
        codes = spell(table.distinct, texts.length).to(device)

        def score(items: Tensor, picked: Tensor) -> Tensor:
            embedded: Tensor = texts(codes[picked.to(device)])
            return torch.mm(images(look(items)), embedded.T)

        parameters = [*texts.parameters(), *images.parameters()]
        _train(parameters, score, stream, settings, device, progress)
    return texts.requires_grad_(False)


def _learning(
    data: ReadData, texts: TextEncoder, device: torch.device, seed: int
) -> tuple[Callable[[Tensor], Tensor], nn.Module]:
    """Return how to look at items, and an encoder of what is seen that learns along."""
    rng = torch.Generator(device).manual_seed(seed)
    images = ImageEncoder(data.facts.sample_shape, texts.size)
    return (lambda items: data.samples(items, rng)), images


def _pretrained(
    data: ReadData, texts: TextEncoder, device: torch.device, progress: Progress
) -> tuple[Callable[[Tensor], Tensor], nn.Module]:
    """Return how to look up features of items, and their projection, if one is needed.

    The authors' code has none: texts have as many numbers as the features.
    """
    known = features_of(data, device, progress)
    if texts.size == FEATURES:
        return (lambda items: known[items].to(device)), nn.Identity()
    return (lambda items: known[items].to(device)), nn.Linear(FEATURES, texts.size)


def _train(
    parameters: list[nn.Parameter],
    score: Callable[[Tensor, Tensor], Tensor],
    stream: Iterator[tuple[Tensor, Tensor, Tensor]],
    settings: Settings,
    device: torch.device,
    progress: Progress,
) -> None:
    """Minimise the loss by RMSprop with a falling learning rate.

    Deviation: the mean of squared gradients is corrected for having started at zero,
    which is Adam without momentum. Uncorrected, RMSprop's first updates are ten times
    as long as the rest; where images learn along, texts then collapse to one point.
    """
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, betas=(0.0, 0.99))
    epoch = max(1, settings.steps // _EPOCHS)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, epoch, settings.decay)
    every = max(1, settings.steps // _REPORTS)
    tally = torch.zeros(3, device=device)  # loss, accuracy, steps since the last report
    batches = enumerate(islice(stream, settings.steps), start=1)
    for done, (items, picked, also_right) in batches:
        also_right = also_right.to(device)
        scores = score(items, picked)
        loss = _LOSSES[settings.loss](scores, also_right)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        accuracy = retrieval_accuracy(scores, also_right)
        tally += torch.stack([loss.detach(), accuracy, torch.ones_like(accuracy)])
        if done % every == 0 or done == settings.steps:
            progress(done, settings.steps, _report(tally, len(items), done, settings))
            tally.zero_()


def _report(tally: Tensor, batch: int, done: int, settings: Settings) -> str:
    """Say how the fit has gone since the last report."""
    loss, accuracy = (tally[:2] / tally[2]).tolist()
    if not isfinite(loss):
        raise ValueError(
            f"fitting the text encoder diverged by step {done} with "
            f"fit_lr = {settings.lr:g}; lower fit_lr"
        )
    return (
        f"text encoder: loss {loss:.3f}, own caption ranked first {accuracy:.0%} "
        f"(chance {1 / batch:.1%})"
    )
