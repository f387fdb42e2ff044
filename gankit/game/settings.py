"""What a game is set to: training, optimisers."""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen

from gankit.contracts.limits import Count, NonNegative, Positive, Whole
from gankit.game.schedules import Schedule

PLAYERS = ("generator", "discriminator")
# both players' optimiser where nothing is said: Radford et al. 2015, section 4
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}


@frozen(kw_only=True)
class Train:
    """How to train.

    Args:
        steps: steps of the game: k discriminator updates and one generator update.
        epochs: passes over the data, instead of steps.
        batch_size: real samples in one update.
        accumulate: pieces in which a process takes its batch, one after the other, to
            save memory; gradients are added up before anybody moves.
        seed: with the recipe and the data, fixes every random number of the run.
        start_from: a run folder, checkpoint or .safetensors file whose weights, as far
            as they fit, the networks begin with; empty for none.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32; tf32 for its products; or autocast to bf16 or fp16.
        reduce: how shards of a batch are added up; exact gives the same bits for any
            number of processes.
        shards: logical shards of a batch in exact mode, a power of two.
        order: discriminator first, then generator; or both at once from one pass.
        discriminator_updates: k, the discriminator's updates in one step.
        fakes: samples of the generator's update: fresh, as in algorithm 1 of Goodfellow
            et al. 2014; or those that the discriminator has just judged, shared, which
            spares the generator a pass.
        ema: half-life of the generator's moving average, in samples; 0 for none.
        data: keep the data on the device, stream it, or decide by its size.
        memory_format: how weights of two-dimensional convolutions lie in memory; auto
            is channels-last where that is faster, and the parts can take it.
        compile: off, or networks: torch compiles those that nothing differentiates
            twice.
        graphs: auto records rounds as CUDA graphs where that can be; or off.
        workers: processes that read samples before they are needed: streamed ones, and
            resident ones in the first pass; 0 reads in the training process.
        log_every: steps between two lines of metrics.
        sample_every: steps between two sample grids; 0 for none.
        samples: samples in a grid.
        checkpoint_every: steps between two checkpoints; 0 for the last one only.
        keep: the newest checkpoints, so many, are kept.
        keep_every: and those of every so many steps; 0 for none.
        best: and the one that is best by this metric; empty for none.
        best_is: whether the lowest or the highest value of it is best.
    """

    steps: Count | None = None
    epochs: Positive | None = None
    batch_size: Count = 64
    accumulate: Count = 1
    seed: Whole = 0
    start_from: str = ""
    device: str = "auto"
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    reduce: Literal["fast", "exact"] = "fast"
    shards: Count = 4
    order: Literal["alternating", "simultaneous"] = "alternating"
    discriminator_updates: Count = 1
    fakes: Literal["fresh", "shared"] = "fresh"
    ema: Whole = 0
    data: Literal["auto", "resident", "streamed"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels-last"] = "auto"
    compile: Literal["off", "networks"] = "off"
    graphs: Literal["auto", "off"] = "auto"
    workers: Whole = 2
    log_every: Count = 50
    sample_every: Whole = 500
    samples: Count = 64
    checkpoint_every: Whole = 1000
    keep: Count = 2
    keep_every: Whole = 0
    best: str = ""
    best_is: Literal["lowest", "highest"] = "lowest"


@frozen(kw_only=True)
class Optimizer:
    """A class of torch.optim by name, or ``module:Class``; options and schedules."""

    use: str
    options: dict[str, Any]
    clip: NonNegative = 0.0  # largest norm of the gradient; 0 for none
    schedule: dict[str, Schedule] = field(factory=dict)
