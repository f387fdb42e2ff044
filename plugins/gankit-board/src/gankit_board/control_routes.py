"""What the page may change, where ``--control`` allows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gankit_board.control import Control, RefusedError, overrides, shown
from gankit_board.drawn_routes import as_json, asked, once

if TYPE_CHECKING:
    from gankit_board.app import Board

Answer = Callable[[Request], Awaitable[Response]]


def routes(board: Board, control: Control) -> list[Route]:
    """Return what changes runs."""

    async def stop(request: Request) -> Response:
        """Stop a run as Ctrl-C does."""
        control.stop(board.run(_text(await asked(request), "run")))
        return as_json({"stopping": True})

    async def resume(request: Request) -> Response:
        """Go on with a run."""
        told = await asked(request)
        begun = control.resume(board.run(_text(told, "run")), _changes(told))
        return as_json(begun.told())

    async def start(request: Request) -> Response:
        """Start a recipe, once it has been checked as the command line checks it."""
        told = await asked(request)
        recipe, changes = _text(told, "recipe"), _changes(told)
        if recipe not in {one["long_name"] for one in await control.recipes()}:
            raise HTTPException(422, f"there is no recipe {recipe!r}")
        words = overrides(changes)
        await once(board, {"do": "recipe", "name": recipe, "overrides": words})
        return as_json(control.start(recipe, changes).told())

    async def begun(request: Request) -> Response:
        """How those are that were started from the page."""
        return as_json({"begun": shown(control.begun)})

    async def recipes(request: Request) -> Response:
        """The recipes that there are."""
        return as_json({"recipes": await control.recipes()})

    async def form(request: Request) -> Response:
        """All of a recipe, and the schema of which a form is made."""
        name = request.query_params.get("recipe", "")
        if name not in {one["long_name"] for one in await control.recipes()}:
            raise HTTPException(404, f"there is no recipe {name!r}")
        told = await once(board, {"do": "recipe", "name": name})
        said = {"table": told["table"], "schema": await control.schema()}
        return as_json(said | {"how": board.plugin_words})

    return [
        Route("/api/stop", _refusing(stop), methods=["POST"]),
        Route("/api/resume", _refusing(resume), methods=["POST"]),
        Route("/api/start", _refusing(start), methods=["POST"]),
        Route("/api/begun", begun),
        Route("/api/recipes", _refusing(recipes)),
        Route("/api/form", _refusing(form)),
    ]


def _refusing(answer: Answer) -> Answer:
    async def refusing(request: Request) -> Response:
        try:
            return await answer(request)
        except (RefusedError, ProcessLookupError, PermissionError) as error:
            raise HTTPException(422, str(error)) from error

    return refusing


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise HTTPException(422, f"{name}: give a text")
    return value


def _changes(told: Mapping[str, Any]) -> dict[str, str]:
    changes = told.get("changes", {})
    if not isinstance(changes, dict):
        raise HTTPException(422, "changes: give each by its name, as train.steps")
    return changes
