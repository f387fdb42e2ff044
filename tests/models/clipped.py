"""The first WGAN (Arjovsky et al. 2017, algorithm 1): weights are clipped."""

from gankit import hookimpl

LIMIT = 0.05


@hookimpl
def gankit_after_update(run, update):
    if "discriminator" in update.players:
        for weight in run.game.discriminator.parameters:
            weight.data.clamp_(-LIMIT, LIMIT)
