"""A warm start: the generator begins where another run has ended."""

import os

import gankit
from gankit import hookimpl


@hookimpl
def gankit_before_run(run):
    if run.step == 0:
        before = gankit.load(os.environ["WARM_START"]).generator
        generator = run.game.generator.network
        generator.load_state_dict(before.state_dict())
        if run.game.average:
            run.game.average.restart(generator)
