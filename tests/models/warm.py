"""A warm start: the generator begins where another run has ended."""

from pathlib import Path

import gankit
from gankit import Part, hookimpl


class WarmStart:
    """Take the generator's weights from another run's folder."""

    def __init__(self, *, run: Path):
        self.run = run

    @hookimpl
    def gankit_before_run(self, run):
        if run.step == 0:
            before = gankit.load(self.run).generator
            generator = run.game.generator.network
            generator.load_state_dict(before.state_dict())
            if run.game.average:
                run.game.average.restart(generator)


@hookimpl
def gankit_parts():
    yield Part("hook", "warm-start", WarmStart)
