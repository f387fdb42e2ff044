"""What a process knows of those started with it, before it meets them; without torch.

torchrun, or ``--processes N``, sets the environment variables that torch.distributed
knows (RANK, WORLD_SIZE, …).
"""

from __future__ import annotations

import os

ALIVE = "GANKIT_ALIVE_FD"  # a pipe that ends when the launcher does


def started_by_launcher() -> bool:
    """Tell whether torchrun or ``--processes`` has started this process."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def leads() -> bool:
    """Tell, before any contact, whether this process is to write and to speak."""
    return not started_by_launcher() or os.environ["RANK"] == "0"


def restartable() -> bool:
    """Tell whether torchrun starts this again after a failure, or has done so."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0
