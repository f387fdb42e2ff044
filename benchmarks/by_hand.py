"""The same game written out by hand in plain torch: the floor for gankit's overhead.

    python by_hand.py {layers,small,official,labelled} DATA [--bf16]
    python by_hand.py labelled DATA --conditions FILE --loss squares
    python by_hand.py texts DATA --conditions FILE --loss matching

DATA is a file of uint8 pixels (N, C, H, W) that ``torch.save`` has written, and
``--conditions`` one of a vector for each, (N, c). The loop has what makes it fast:
pixels resident and scaled by the batch, fused optimisers, channels last, no gradient of
a player that stands still, and the allocator of the C library told to keep what is
freed. It has no watchers, guards or checkpoints; every 50 steps it reads two losses.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from networks import NETWORKS
from torch import Tensor, nn
from torch.nn.functional import softplus

from gankit import Shapes

_NOISE = 100


def _logistic(real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _squares(real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _matching(real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
    """Judge real samples with wrong conditions too: GAN-CLS of Reed et al. 2016."""
    assert wrong is not None
    return softplus(-real).mean() + (softplus(wrong).mean() + softplus(fake).mean()) / 2


# of the discriminator, and of the generator
LOSSES: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor], Tensor]]] = {
    "logistic": (_logistic, lambda judged: softplus(-judged).mean()),
    "squares": (_squares, lambda judged: (judged - 1).square().mean() / 2),
    "matching": (_matching, lambda judged: softplus(-judged).mean()),
}


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", choices=NETWORKS)
    parser.add_argument("data")
    parser.add_argument("--conditions", help="a file of vectors (N, c)")
    parser.add_argument("--loss", choices=LOSSES, default="logistic")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--scale", type=float, default=1.0, help="of D's loss")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def _made(
    networks: str, shapes: Shapes, device: torch.device
) -> list[tuple[nn.Module, torch.optim.Optimizer]]:
    """Make the generator and the discriminator, each with its optimiser."""
    options: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
    players = [network(shapes).to(device) for network in NETWORKS[networks]]
    for network in players:
        network.to(memory_format=torch.channels_last)
    return [(n, torch.optim.Adam(n.parameters(), **options)) for n in players]


def main() -> None:
    """Train until somebody ends it."""
    told = _told()
    if told.device == "cpu":
        for option, value in ((-4, 0), (-1, 1 << 30)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(option, value)
    device = torch.device(told.device)
    data: Tensor = torch.load(told.data, weights_only=True).to(device)
    vectors: Tensor | None = None
    if told.conditions:
        vectors = torch.load(told.conditions, weights_only=True).to(device)
    width = 0 if vectors is None else vectors.shape[1]
    shapes = Shapes(tuple(data.shape[1:]), _NOISE, width)
    (generator, moves_g), (discriminator, moves_d) = _made(
        told.networks, shapes, device
    )
    of_d, of_g = LOSSES[told.loss]

    def passing() -> AbstractContextManager[object]:
        half = torch.autocast(device.type, torch.bfloat16)
        return half if told.bf16 else nullcontext()

    step = 0
    while True:
        order = torch.randperm(len(data)).split(told.batch)
        for rows in order:
            if len(rows) < told.batch:
                break
            rows = rows.to(device)
            real = data[rows].float().mul_(2 / 255).sub_(1)
            condition = None if vectors is None else vectors[rows]
            on_wrong = None
            with passing():
                noise = torch.randn(told.batch, _NOISE, device=device)
                fake = generator(noise, condition)
                on_real = discriminator(real, condition).float()
                on_fake = discriminator(fake.detach(), condition).float()
                if told.loss == "matching":
                    assert vectors is not None
                    further = torch.randint(1, len(data), rows.shape, device=device)
                    wrong = vectors[(rows + further) % len(data)]
                    on_wrong = discriminator(real, wrong).float()
            loss_d = of_d(on_real, on_fake, on_wrong)
            (told.scale * loss_d).backward()
            moves_d.step()
            moves_d.zero_grad()
            discriminator.requires_grad_(False)
            with passing():
                judged = discriminator(fake, condition).float()
            loss_g = of_g(judged)
            loss_g.backward()
            moves_g.step()
            moves_g.zero_grad()
            discriminator.requires_grad_(True)
            step += 1
            if step % 50 == 0:
                print(step, float(loss_d), float(loss_g), flush=True)


if __name__ == "__main__":
    main()
