"""The same game written out by hand in plain torch: the floor for gankit's overhead.

    python by_hand.py {layers,small,official} DATA [--bf16]

DATA is a file of uint8 pixels (N, C, H, W) that ``torch.save`` has written. The loop
has what makes it fast: pixels resident and scaled by the batch, fused optimisers,
channels last, no gradient of a player that stands still, and the allocator of the C
library told to keep what is freed. It has no watchers, guards or checkpoints; every 50
steps it reads its two losses.
"""

from __future__ import annotations

import argparse
import ctypes
from contextlib import nullcontext
from typing import Any

import torch
from networks import NETWORKS
from torch import Tensor
from torch.nn.functional import softplus

from gankit import Shapes

_NOISE = 100


def main() -> None:
    """Train until somebody ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", choices=NETWORKS)
    parser.add_argument("data")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--scale", type=float, default=1.0, help="of D's loss")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    if told.device == "cpu":
        for option, value in ((-4, 0), (-1, 1 << 30)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(option, value)
    device = torch.device(told.device)
    data: Tensor = torch.load(told.data, weights_only=True).to(device)
    shapes = Shapes(tuple(data.shape[1:]), _NOISE)
    generator, discriminator = (
        network(shapes).to(device) for network in NETWORKS[told.networks]
    )
    options: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    moves_g = torch.optim.Adam(generator.parameters(), **options)
    moves_d = torch.optim.Adam(discriminator.parameters(), **options)
    half = told.bf16
    step = 0
    while True:
        order = torch.randperm(len(data)).split(told.batch)
        for rows in order:
            if len(rows) < told.batch:
                break
            real = data[rows.to(device)].float().mul_(2 / 255).sub_(1)
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                noise = torch.randn(told.batch, _NOISE, device=device)
                fake = generator(noise, None)
                on_real = discriminator(real, None).float()
                on_fake = discriminator(fake.detach(), None).float()
            loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
            (told.scale * loss_d).backward()
            moves_d.step()
            moves_d.zero_grad()
            discriminator.requires_grad_(False)
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                judged = discriminator(fake, None).float()
            loss_g = softplus(-judged).mean()
            loss_g.backward()
            moves_g.step()
            moves_g.zero_grad()
            discriminator.requires_grad_(True)
            step += 1
            if step % 50 == 0:
                print(step, float(loss_d), float(loss_g), flush=True)


if __name__ == "__main__":
    main()
