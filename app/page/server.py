"""The page's server: its files over HTTP, everything that lives over one WebSocket. One address, one thread.

GET changes nothing. Frames that a slow connection or a slow browser can't take are left out for it, never queued.
"""

import asyncio
import itertools
import json
import logging
import mimetypes
import struct
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from animaface.app.page.admission import COOKIE, Door
from animaface.app.page.desk import MOST_SOUND, Desk
from animaface.app.page.frames import RATE_HZ, FramePacker, mesh
from animaface.app.page.helm import ASK_S
from animaface.app.page.messages import SLOW, Message, parse
from animaface.app.page.pictures import Pictures
from animaface.robot.face.errors import AnimafaceError, MissingDependencyError, TransportError

FRAME, PICTURE = 1, 2
"""Kinds of binary messages: u32 kind, u32 0, then the payload."""
VITALS_EVERY: Final = round(RATE_HZ / 4.0)
_FULL_BYTES: Final = 64 << 10
_MOST_UNANSWERED: Final = 2
"""Questions (ASK_S apart) that a page may owe an answer to and still be told everything. The system's own buffers hold
seconds of frames: a browser that draws without a GPU on a busy machine once showed the face as it had been long ago."""
_MOST_PAGES: Final = 12
_HEADERS: Final = {
    "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob: mediastream:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}  # fmt: skip
REPORT_CSP: Final = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'none'"
)


@dataclass
class _Page:
    connection: Any
    asked: int
    """The number of the last question it was asked; `answered`: of the last one that it answered."""
    answered: int
    wants_picture: bool = False

    @property
    def full(self) -> bool:
        """Whether its connection has not even taken what it got before."""
        return bool(self.connection.transport.get_write_buffer_size() > _FULL_BYTES)

    @property
    def behind(self) -> bool:
        """Whether it has more to read than it manages."""
        return self.asked - self.answered > _MOST_UNANSWERED or self.full

    def answers(self, n: float) -> None:
        """It has come as far as question `n`."""
        self.answered = max(self.answered, min(int(n), self.asked))


class PageServer:
    """`serve` until its stop event. The desk acts; the packer tells."""

    def __init__(
        self, desk: Desk, packer: FramePacker, door: Door, *, report: Callable[[], bytes | None],
        pictures: Pictures | None = None,
    ) -> None:  # fmt: skip
        """Raises MissingDependencyError without the package websockets."""
        try:
            from websockets.asyncio.server import serve
            from websockets.datastructures import Headers
            from websockets.exceptions import ConnectionClosed
            from websockets.http11 import Response
        except ImportError as e:
            raise MissingDependencyError(
                "the page needs the package websockets", next_step="pip install 'animaface[page]'"
            ) from e
        self._serve, self._response, self._headers, self._closed = serve, Response, Headers, ConnectionClosed
        self._desk, self._packer, self._door, self._report = desk, packer, door, report
        self._pictures, self._painted = pictures, 0
        self._files = _static_files()
        self._pages: dict[int, _Page] = {}
        self._numbers = itertools.count(1)
        self._question = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def serve(self, port: int, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
        """Listen; `ready` hears of the port. Raises TransportError when it is taken."""
        silent = logging.getLogger("animaface.page.server")
        silent.setLevel(logging.CRITICAL)  # somebody who knocks without a WebSocket is no event
        try:
            server = await self._serve(
                self._converse, self._door.host, port, process_request=self._answer, max_size=MOST_SOUND,
                compression=None, ping_interval=None, logger=silent, close_timeout=1.0,
            )  # fmt: skip
        except OSError as e:
            raise TransportError(
                f"can't listen on {self._door.host}:{port}: {e.strerror or e}",
                next_step="choose another port: --listen 127.0.0.1:0 takes a free one",
            ) from e
        self.port = int(server.sockets[0].getsockname()[1])
        ready(self.port)
        tasks = [asyncio.create_task(self._tell_frames()), asyncio.create_task(self._ask())]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()
            await server.wait_closed()

    # ---- HTTP

    def _answer(self, connection: Any, request: Any) -> Any:
        """None lets a WebSocket in; else a file or a refusal."""
        path = urlsplit(request.path).path
        socket = path == "/socket"
        refusal = self._door.refuses(request.headers, request.path, socket=socket)
        if refusal is not None:
            return self._reply(refusal.status, refusal.why.encode() + b"\n", "text/plain; charset=utf-8")
        if self._door.brings_token(request.path) and path == "/":
            cookie = f"{COOKIE}={self._door.token}; Path=/; HttpOnly; SameSite=Strict"
            return self._reply(
                HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": cookie}
            )
        if socket:
            if len(self._pages) >= _MOST_PAGES:
                return self._reply(HTTPStatus.SERVICE_UNAVAILABLE, b"too many pages\n", "text/plain")
            return None
        if path == "/report":
            body = self._report()
            if body is not None:
                extra = {"Content-Security-Policy": REPORT_CSP}
                return self._reply(HTTPStatus.OK, body, "text/html; charset=utf-8", extra)
        found = self._files.get("/index.html" if path == "/" else path)
        if found is None:
            return self._reply(HTTPStatus.NOT_FOUND, b"no such page\n", "text/plain")
        body, kind = found
        return self._reply(HTTPStatus.OK, body, kind)

    def _reply(self, status: HTTPStatus, body: bytes, kind: str, extra: dict[str, str] | None = None) -> Any:
        headers = self._headers(
            {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close",
             **(extra or {})}
        )  # fmt: skip
        return self._response(status.value, status.phrase, headers, body)

    # ---- the WebSocket

    async def _converse(self, connection: Any) -> None:
        number, page = next(self._numbers), _Page(connection, self._question, self._question)
        try:
            await connection.send(self._hello(number))
            self._pages[number] = page
            async for message in connection:
                await self._hear(number, page, message)
        except self._closed:
            pass  # gone without a goodbye
        finally:
            self._pages.pop(number, None)
            self._desk.left(number)

    def _hello(self, number: int) -> str:
        return json.dumps({**self._desk.joined(number), "pictures": self._pictures is not None})

    async def _hear(self, number: int, page: _Page, said: str | bytes) -> None:
        try:
            if isinstance(said, bytes):
                self._desk.sound(number, said)
                return
            message = parse(said)
            if message.kind == "alive":
                page.answers(message.fields["n"])
            if message.kind == "watch":
                page.wants_picture = bool(message.fields["picture"])
            if message.kind in SLOW:  # a STOP must get through meanwhile
                self._beside(self._act_slowly(number, page, message, self._desk.face.stops))
                return
            self._desk.act(number, message)
        except AnimafaceError as e:
            await page.connection.send(_error(e))

    async def _act_slowly(self, number: int, page: _Page, message: Message, stops: int) -> None:
        try:
            await asyncio.to_thread(self._desk.act, number, message, stops)
        except AnimafaceError as e:
            await self._send(page, _error(e))

    async def _send(self, page: _Page, message: str | bytes) -> None:
        try:
            await page.connection.send(message)
        except self._closed:
            return

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a task that nobody holds may be collected
        task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        """Whether the pages still live; a browser answers from its message handler, in the background too."""
        while True:
            self._desk.look_after()
            if self._desk.renewed():
                self._packer.use(self._desk.projection)
                for number, page in list(self._pages.items()):
                    self._beside(self._send(page, self._hello(number)))
            self._question += 1
            for page in list(self._pages.values()):
                if not page.full:
                    page.asked = self._question
                    self._beside(self._send(page, json.dumps({"type": "ask", "n": page.asked})))
            await asyncio.sleep(ASK_S)

    async def _tell_frames(self) -> None:
        due_s, period_s = time.monotonic(), 1.0 / RATE_HZ
        for k in itertools.count():
            due_s = max(due_s + period_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            if not self._pages:
                continue
            self._broadcast(struct.pack("<II", FRAME, 0) + self._packer.frame(time.monotonic()))
            self._show_picture()
            if k % VITALS_EVERY == 0:
                self._broadcast(json.dumps(self._desk.vitals(len(self._pages))))
                for text in self._desk.news():
                    for page in list(self._pages.values()):  # also one that is behind: it is told once
                        self._beside(self._send(page, json.dumps({"type": "news", "text": text})))

    def _show_picture(self) -> None:
        lookers = [p for p in self._pages.values() if p.wants_picture]
        if not lookers or self._pictures is None:
            return
        self._pictures.want()
        number, picture = self._pictures.newest
        if number == self._painted:
            return
        self._painted = number
        for page in lookers:
            if not page.behind:
                self._beside(self._send(page, struct.pack("<II", PICTURE, 0) + picture))

    def _broadcast(self, message: str | bytes) -> None:
        for page in list(self._pages.values()):
            if not page.behind:
                self._beside(self._send(page, message))


def _error(error: AnimafaceError) -> str:
    return json.dumps({"type": "error", "message": error.message, "next": error.next_step})


def _static_files() -> dict[str, tuple[bytes, str]]:
    """Path -> (bytes, type), read once: nothing of the disk is reachable by a path."""
    found = {"/mesh.json": (json.dumps(mesh(), separators=(",", ":")).encode(), "application/json")}
    for item in files("animaface.app.page").joinpath("static").iterdir():
        kind = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind.endswith("javascript"):
            kind += "; charset=utf-8"
        found[f"/{item.name}"] = (item.read_bytes(), kind)
    return found
