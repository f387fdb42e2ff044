"""A penalty on the generator: mode seeking (Mao et al. 2019, eq. 3)."""

from gankit import NonNegative, Part, hookimpl


class ModeSeeking:
    """Samples of two noises should be as far apart as the noises are."""

    player, every = "generator", 1

    def __init__(self, *, weight: NonNegative = 1.0):
        self.weight = weight

    def __call__(self, step):
        other = step.draw_noise(step.size)
        made = step.generate(other, step.condition)
        moved = (made - step.fake).abs().mean()
        return (other - step.noise).abs().mean() / (moved + 1e-5)


@hookimpl
def gankit_parts():
    yield Part("penalty", "mode-seeking", ModeSeeking)
