"""The web application: which address gives what. All answers about data need the token."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from terrapatch.errors import TerrapatchError
from terrapatch.viewer.errors import StaleError, ViewError
from terrapatch.viewer.files import folder_files, page_file, read_file
from terrapatch.viewer.pictures import Picture
from terrapatch.viewer.security import Guard
from terrapatch.viewer.study import Study

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["make_app"]

_log = logging.getLogger(__name__)
_INDEX = "index.html"


def make_app(study: Study, token: str, port: int, framed: bool = False) -> ASGIApp:
    """Make the application that shows one result.

    Args:
        study: The result.
        token: What requests for data have to carry.
        port: Port the server listens on.
        framed: Whether a notebook on this machine may show the page in a frame.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    cell = "{row:int}/{col:int}"
    routes = [
        Route("/", _plain(lambda _: page_file(_INDEX))),
        Route("/favicon.ico", _plain(lambda _: (b"", "image/x-icon"))),
        Route("/static/{name:path}", _plain(lambda ask: page_file(ask["name"]))),
        Route("/api/study", _json(lambda _: study.describe())),
        Route("/api/state", _json(lambda _: _state(study))),
        Route("/api/cells", _plain(lambda _: (study.cells(), "application/octet-stream"))),
        Route("/api/cluster/{id:int}", _json(lambda ask: study.cluster(ask["id"]))),
        Route(f"/api/cell/{cell}", _json(lambda ask: study.cell(ask["row"], ask["col"]))),
        Route(f"/api/similar/{cell}", _plain(lambda ask: _scores(study, ask))),
        Route(
            f"/api/patch/{cell}", _plain(lambda ask: _image(study.patch(ask["row"], ask["col"])))
        ),
        Route(
            "/tiles/scene/{z:int}/{x:int}/{y:int}", _plain(lambda ask: _image(_tile(study, ask)))
        ),
        Route("/api/names", _saving(study), methods=["POST"]),
        Route("/api/files", _json(lambda _: {"files": folder_files(study.folder.path)})),
        Route("/files/{name:path}", _plain(lambda ask: _file(study, ask["name"]))),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _lost, 405: _lost})
    return Guard(app, token, port, framed)


def _state(study: Study) -> dict[str, str]:
    study.check()
    return {"names_stamp": study.names_stamp()}


def _tile(study: Study, ask: dict[str, Any]) -> Picture:
    return study.tile(ask["z"], ask["x"], ask["y"])


def _image(picture: Picture) -> tuple[bytes, str]:
    return picture.data, picture.kind


def _scores(study: Study, ask: dict[str, Any]) -> tuple[bytes, str]:
    scores = study.scores(ask["row"], ask["col"])
    return scores.astype("<f4").tobytes(), "application/octet-stream"


def _file(study: Study, name: str) -> tuple[bytes, str]:
    return read_file(study.folder.path, name), "application/octet-stream"


def _plain(make: Callable[[dict[str, Any]], tuple[bytes, str]]) -> Callable[[Request], Response]:
    """Return an endpoint that answers bytes of a media type."""

    def answer(request: Request) -> Response:
        from starlette.responses import Response

        def made() -> Response:
            data, kind = make(dict(request.path_params))
            return Response(data, media_type=kind)

        return _told(made)

    return answer


def _json(make: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Response]:
    """Return an endpoint that answers a JSON object."""

    def answer(request: Request) -> Response:
        from starlette.responses import JSONResponse

        return _told(lambda: JSONResponse(make(dict(request.path_params))))

    return answer


def _saving(study: Study) -> Callable[[Request], Any]:
    """Return the endpoint that takes the table of names."""

    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        body = await request.body()
        return await run_in_threadpool(_told, lambda: JSONResponse(study.save(*_names_of(body))))

    return answer


def _names_of(body: bytes) -> tuple[list[dict[str, Any]], str]:
    """Take the table of names out of a request.

    Raises:
        ViewError: If it is none.
    """
    try:
        content = json.loads(body)
        rows, stamp = content["names"], content["names_stamp"]
    except (ValueError, KeyError, TypeError) as fault:
        raise ViewError(f"the table of names cannot be read ({fault}); reload the page") from fault
    whole = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not whole or not isinstance(stamp, str):
        raise ViewError("the table of names is no list of names; reload the page")
    return rows, stamp


def _told(make: Callable[[], Response]) -> Response:
    """Answer, or say in one sentence why not."""
    try:
        return make()
    except ViewError as fault:
        return _sentence(str(fault), fault.status)
    except TerrapatchError as fault:
        return _sentence(str(fault), 400)
    except OSError as fault:
        _log.exception("a file could not be read")
        return _sentence(f"a file could not be read ({fault.strerror or fault})", 500)


def _lost(_: Request, fault: Exception) -> Response:
    """Answer for an address that does not exist."""
    return _sentence("there is nothing at this address", getattr(fault, "status_code", 404))


def _sentence(text: str, status: int) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": text, "stale": status == StaleError.status}, status)
