"""The process that draws: ``python -m gankit_board.drawing``, one request at a time.

It has a low priority, so that a run that trains on the same machine is hardly
disturbed, and keeps what it has loaded last. A request is a line of JSON on standard
input; lines of JSON answer it, the last with ``"done"`` or ``"error"``.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gankit.errors import GankitError, UsageError, told

if TYPE_CHECKING:
    from gankit import Sampler, Samples
    from gankit_board.near import Near

# of a core that a training run wants too, Linux leaves it a tenth; the lowest, 19,
# would leave it a seventieth, and torch alone takes two seconds to import
_PRIORITY = 10
_EVERY = 0.2  # seconds between two words of progress
_KEPT = 24  # conditions that are suggested, at most
_OPTIONS = {"label": "--label", "captions": "--text"}  # of the command line

Tell = Callable[[dict[str, Any]], None]


class Drawing:
    """Draws from one run after another.

    Args:
        plugins: local plugin files.
        disable: plugins to leave out.
    """

    def __init__(self, plugins: list[str], disable: list[str]) -> None:
        self._how: dict[str, Any] = {"plugins": plugins, "disable": disable}
        self._loaded: tuple[Any, Sampler] | None = None
        self._drawn: tuple[str, Samples] | None = None  # from which folder, and what
        self._read: tuple[str, Near] | None = None

    def answer(self, asked: dict[str, Any], tell: Tell) -> None:
        """Do what a request asks for.

        Raises:
            GankitError: what it asks for cannot be.
        """
        {
            "open": self._open,
            "draw": self._draw,
            "style": self._style,
            "near": self._near,
            "recipe": self._recipe,
        }[asked["do"]](asked, tell)

    def _sampler(self, asked: dict[str, Any]) -> Sampler:
        from gankit import load

        folder, which = asked["folder"], asked["checkpoint"]
        newest = max(Path(folder, "checkpoints").glob("[0-9]*"), default=None)
        # another run may have taken the folder since
        written = newest.stat().st_mtime_ns if newest else 0
        key = (folder, which, asked["device"], str(newest), written)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # before another one is there too
            how = {"checkpoint": which, "device": asked["device"], **self._how}
            self._loaded = (key, load(folder, **how))
        return self._loaded[1]

    def _open(self, asked: dict[str, Any], tell: Tell) -> None:
        sampler = self._sampler(asked)
        said = _described(sampler)
        tell({"done": True, "inversions": self._inversions(), **said})

    def _inversions(self) -> list[str]:
        """Name the parts that find noise for pictures."""
        from gankit import Context

        context = Context()
        context.files, context.disable = self._how["plugins"], self._how["disable"]
        return [entry.name for entry in context.discover().entries("inversion")]

    def _draw(self, asked: dict[str, Any], tell: Tell) -> None:
        sampler = self._sampler(asked)
        how = {"seed": asked["seed"], **_conditions(sampler, asked)}
        if asked["what"] == "samples":
            drawn = sampler.sample(
                asked["count"],
                truncation=asked["truncation"],
                progress=lambda made: tell(_pictures(made)),
                **how,
            )
            side = 0
        else:
            walks = {
                "noises": sampler.interpolate,
                "conditions": sampler.interpolate_conditions,
            }
            side = max(2, round(asked["count"] ** 0.5))
            drawn = walks[asked["what"]](rows=side, steps=side, **how)
            tell(_pictures(drawn))
        self._end(asked, sampler, drawn, side, tell)

    def _style(self, asked: dict[str, Any], tell: Tell) -> None:
        """Draw as ``gankit sample --style`` does, in the same order."""
        from gankit import invert

        sampler = self._sampler(asked)
        conditions = _conditions(sampler, asked)
        # what is wrong with the conditions is said before minutes are spent
        sampler.sample(max(1, len(asked["conditions"])), **conditions)
        noise = invert(
            sampler,
            [asked["style"]],
            folder=asked["folder"],
            by=asked["by"],
            note=lambda text: tell({"note": text}),
            progress=_now_and_then(tell),
            **self._how,
        )
        drawn = sampler.restyle(noise, seed=asked["seed"], **conditions)
        tell(_pictures(drawn))
        self._end(asked, sampler, drawn, 0, tell)

    def _end(
        self,
        asked: dict[str, Any],
        sampler: Sampler,
        drawn: Samples,
        side: int,
        tell: Tell,
    ) -> None:
        """Say that all is drawn, with the grid, and keep it."""
        self._drawn = (asked["drawing"], drawn)
        file = io.BytesIO()
        drawn.picture().save(file, "png")
        tell({"done": True, "grid": _text(file.getvalue()), **_made(sampler, side)})

    def _near(self, asked: dict[str, Any], tell: Tell) -> None:
        """Find the training items nearest to a picture that was drawn last."""
        from gankit import Samples
        from gankit_board.near import Near

        if self._drawn is None or self._drawn[0] != asked["drawing"]:
            raise UsageError("it was drawn too long ago; draw it again")
        drawn, folder = self._drawn[1], asked["folder"]
        if asked["place"] >= len(drawn.samples) or not _are_pictures(
            drawn.samples.shape[1:]
        ):
            raise UsageError(f"there is no picture {asked['place']} in what was drawn")
        if self._read is None or self._read[0] != folder:
            self._read = None  # before another one is there too
            self._read = (folder, Near(folder, self._how))
        items, apart, looked = self._read[1].to(drawn.samples[asked["place"]])
        said = {"apart": apart.tolist(), "looked": looked, "of": len(self._read[1])}
        tell({"done": True, **_pictures(Samples(items, ())), **said})

    def _recipe(self, asked: dict[str, Any], tell: Tell) -> None:
        from gankit import read_recipe

        # a run's own word, which anybody may have written: a file of that name would be
        # read instead, and the plugins that it names would run
        if _is_file(asked["name"]):
            raise UsageError(f"no plugin brings a recipe named {asked['name']!r}")
        changes = asked.get("overrides", ())
        recipe = read_recipe(asked["name"], changes, **self._how)
        tell({"done": True, "table": recipe.as_table()})


def _is_file(recipe: str) -> bool:
    try:
        path = Path(recipe).expanduser()
        return path.suffix == ".toml" or path.exists()
    except (OSError, RuntimeError, ValueError):  # nor is it a name
        return True


def _described(sampler: Sampler) -> dict[str, Any]:
    """Say what a run can be asked for."""
    from gankit import Classes

    facts, read = sampler.facts, sampler.conditioner
    reads = read.reads if read else ""
    kind = facts.annotations[reads] if reads else None
    classes = list(kind.names) if isinstance(kind, Classes) else []
    own = [c for c in dict.fromkeys(map(_own, sampler.conditions)) if c]
    return {
        "reads": reads,
        "classes": classes,
        "suggested": [] if classes else own[:_KEPT],
        "truncates": hasattr(sampler.noise, "truncated"),
        "pictures": _are_pictures(facts.sample_shape),
        "notes": list(sampler.notes),
        **_made(sampler, 0),
    }


def _conditions(sampler: Sampler, asked: dict[str, Any]) -> dict[str, Any]:
    reads = sampler.conditioner.reads if sampler.conditioner else ""
    texts = asked["conditions"]
    return {reads or "a condition": texts} if texts else {}


def _now_and_then(tell: Tell) -> Callable[[int, int, str], None]:
    """Tell of progress, but not of each step of thousands."""
    before = 0.0

    def progress(done: int, total: int, text: str) -> None:
        nonlocal before
        now = time.monotonic()
        if done >= total or now - before > _EVERY:
            before = now
            tell({"doing": text, "steps": done, "of": total})

    return progress


def _own(condition: Any) -> str:
    return condition if isinstance(condition, str) else ""


def _made(sampler: Sampler, side: int) -> dict[str, Any]:
    reads = sampler.conditioner.reads if sampler.conditioner else ""
    option = _OPTIONS.get(reads, f"--set {reads}=")
    told = {"step": sampler.step, "device": str(sampler.device)}
    return {**told, "side": side, "option": option}


def _pictures(made: Samples) -> dict[str, Any]:
    """Give each picture by itself, or nothing of what is none, and the captions."""
    if not _are_pictures(made.samples.shape[1:]):
        return {"pictures": [], "captions": list(made.captions)}
    return {
        "pictures": [_text(png) for png in _pngs(made)],
        "captions": list(made.captions),
    }


def _pngs(made: Samples) -> Iterator[bytes]:
    from PIL import Image

    # as gankit's grids have them, pixel by pixel
    pixels = (made.samples * 255).round().clamp(0, 255).byte()  # (N, C, H, W)
    for one in pixels.permute(0, 2, 3, 1).contiguous().numpy():
        file = io.BytesIO()
        shown = one[..., 0] if one.shape[-1] == 1 else one
        Image.fromarray(shown).save(file, "png")
        yield file.getvalue()


def _are_pictures(shape: Any) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def serve(requests: TextIO, answers: TextIO, drawing: Drawing) -> None:
    """Answer requests until there are no more."""

    def tell(said: dict[str, Any]) -> None:
        answers.write(json.dumps(said, default=str) + "\n")
        answers.flush()

    for line in requests:
        try:
            drawing.answer(json.loads(line), tell)
        except GankitError as error:
            tell({"error": str(error)})
        except Exception as error:  # a stranger's part may raise anything
            tell({"error": f"the run cannot be drawn from: {told(error)}"})


def main() -> None:
    """Draw with a low priority, and keep what libraries print from the answers."""
    with suppress(OSError):
        os.nice(_PRIORITY)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    plugins, disable = json.loads(sys.argv[1])
    serve(sys.stdin, answers, Drawing(plugins, disable))


if __name__ == "__main__":
    main()
