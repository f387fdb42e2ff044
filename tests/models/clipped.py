"""The first WGAN (Arjovsky et al. 2017, algorithm 1): weights are clipped."""

from gankit import Part, Positive, hookimpl


class Clipping:
    """Clip the critic's weights after each of its updates."""

    def __init__(self, *, limit: Positive = 0.01):
        self.limit = limit

    @hookimpl
    def gankit_after_update(self, run, update):
        if "discriminator" in update.players:
            for weight in run.game.discriminator.parameters:
                weight.data.clamp_(-self.limit, self.limit)


@hookimpl
def gankit_parts():
    yield Part("hook", "clipping", Clipping)
