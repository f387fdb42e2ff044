"""Fitting the network of the features `classifier`, and its accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gankit.contracts import ReadData
from gankit.errors import UsageError
from gankit_metrics.features import Progress
from gankit_metrics.features.embedding import real_samples
from gankit_metrics.features.networks import Network, as_seen, shifted

_REPORTS = 100  # progress is told about as often
_OBSERVED = 4096  # samples whose mean and deviation all are standardised by
_CHUNK = 256  # samples judged together


def fit(
    network: Network,
    data: ReadData,
    places: Tensor,
    *,
    side: int,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    progress: Progress,
) -> None:
    """Minimise the cross-entropy of some items' labels, and leave it in eval mode.

    AdamW with a learning rate that rises and falls once (Smith and Topin 2018,
    "Super-convergence").

    Args:
        network: on the device of the data.
        data: samples and their labels.
        places: which items, (N,).
        side: of pictures as the network sees them.
        steps: updates.
        batch: samples of each.
        lr: the highest learning rate.
        seed: of the order of items, of the data's own transform and of shifts.
        progress: told how many steps have been made.

    Raises:
        UsageError: the loss is not finite.
    """
    device = network.mean.device
    rng = torch.Generator(device).manual_seed(seed)
    labels = data.annotations["label"].to(device)

    def seen(positions: Tensor) -> Tensor:
        return as_seen(real_samples(data, positions, rng), side)

    network.observe(seen(places[:_OBSERVED]))
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    every = max(1, steps // _REPORTS)
    batches = islice(_orders(places, batch, seed), steps)
    progress(0, steps, "fitting the classifier")
    with torch.enable_grad(), torch.backends.cudnn.flags(deterministic=True):
        for done, positions in enumerate(batches, start=1):
            samples = seen(positions)
            samples = shifted(samples, rng) if samples.ndim == 4 else samples
            loss = cross_entropy(network(samples), labels[positions.to(device)])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            if done % every == 0 or done == steps:
                progress(done, steps, _report(loss))
    network.eval()


def _orders(places: Tensor, batch: int, seed: int) -> Iterator[Tensor]:
    """Give batches of shuffled items for ever; the rest of a shuffle is left out."""
    rng = torch.Generator().manual_seed(seed)
    batch = min(batch, len(places))
    while True:
        order = places[torch.randperm(len(places), generator=rng)]
        yield from torch.split(order[: len(order) // batch * batch], batch)


def _report(loss: Tensor) -> str:
    if not isfinite(value := loss.item()):
        raise UsageError("fitting the classifier diverged; lower its option lr")
    return f"classifier: loss {value:.3f}"


@torch.no_grad()
def accuracy_of(
    network: Network, data: ReadData, places: Tensor, *, side: int
) -> Tensor:
    """Return which part of some items' classes the network finds, a scalar."""
    rng = torch.Generator(network.mean.device).manual_seed(0)
    labels, right = data.annotations["label"], 0
    for positions in torch.split(places, _CHUNK):
        logits = network(as_seen(real_samples(data, positions, rng), side))
        right += int((logits.argmax(1).cpu() == labels[positions]).sum())
    return torch.tensor(right / len(places))
