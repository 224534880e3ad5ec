"""The WebSocket of a live face: one agent at a time, loopback unless there is a token."""

import hmac
import json
import logging
import queue
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from animaface.app.address import is_loopback
from animaface.app.live.protocol import Conversation
from animaface.robot.face.errors import ConfigError, MissingDependencyError, TransportError

DEFAULT_PORT: Final = 8765
_MOST_BYTES: Final = 1 << 20
_NEWS: Final = 256
_BUSY, _GONE = 1013, 1001


def parse_address(url: str) -> tuple[str, int]:
    """ws://HOST:PORT -> (host, port). Raises ConfigError."""
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError as e:
        raise ConfigError(f"{url!r}: {e}", next_step=f"--source ws://127.0.0.1:{DEFAULT_PORT}") from e
    if parts.scheme != "ws" or not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError(
            f"{url!r}: wanted ws://HOST:PORT", next_step=f"--source ws://127.0.0.1:{DEFAULT_PORT}"
        )
    return parts.hostname, port


def _silent() -> logging.Logger:
    """Somebody who knocks without a WebSocket is no event for the person at the terminal."""
    log = logging.getLogger("animaface.live.server")
    log.setLevel(logging.CRITICAL)
    return log


class LiveServer:
    """start, tell ..., stop. Each connection has a thread; the second at a time is sent away."""

    def __init__(
        self, host: str, port: int, converse: Callable[[], Conversation], *, token: str = ""
    ) -> None:
        """`token`: what a client must show. Raises ConfigError for an open address without one,
        MissingDependencyError without the package websockets, TransportError when the port is taken."""
        if not is_loopback(host) and len(token) < 16:
            raise ConfigError(
                f"{host} can be reached by others: wanted a token of 16 characters or more",
                next_step="set ANIMAFACE_TOKEN, or listen on 127.0.0.1",
            )
        try:
            from websockets.exceptions import ConnectionClosed
            from websockets.sync.server import serve
        except ImportError as e:
            raise MissingDependencyError(
                "a WebSocket source needs the package websockets", next_step="pip install 'animaface[live]'"
            ) from e
        self._closed = ConnectionClosed
        self._converse = converse
        self._token = token
        self._taken = threading.Lock()
        self._news: queue.Queue[dict[str, Any] | None] = queue.Queue(_NEWS)
        try:
            self._server = serve(
                self._handle, host, port, process_request=self._admit, max_size=_MOST_BYTES, logger=_silent()
            )
        except OSError as e:
            raise TransportError(f"can't listen on {host}:{port}: {e.strerror or e}",
                                 next_step="choose another port") from e  # fmt: skip
        self.host = host
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="live server", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def tell(self, news: dict[str, Any]) -> None:
        """Something for the client; without one, or with one that doesn't read, it is dropped. Never waits."""
        if self._taken.locked():
            try:
                self._news.put_nowait(news)
            except queue.Full:
                return

    def stop(self) -> None:
        """Close everything. Fine when it was never started."""
        if self._thread.ident is None:
            self._server.socket.close()
            return
        self._server.shutdown()
        self._thread.join(5.0)

    # ---- inside

    def _admit(self, connection: Any, request: Any) -> Any:
        """None admits. A browser tells its page's origin: pages of other hosts may not steer the face.

        A page of our own host may when there is a token; by name alone it could be another's (a name
        that was made to point here).
        """
        origin = request.headers.get("Origin")
        ours = origin is None or is_loopback(urlsplit(origin).hostname or "")
        if not ours and not (self._token and urlsplit(origin).netloc == request.headers.get("Host")):
            return connection.respond(HTTPStatus.FORBIDDEN, "this page may not speak to the face\n")
        if self._token:
            given = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
            bearer = request.headers.get("Authorization", "")
            given = given or bearer.removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return connection.respond(HTTPStatus.UNAUTHORIZED, "wanted the token\n")
        return None

    def _handle(self, connection: Any) -> None:
        if not self._taken.acquire(blocking=False):
            connection.close(_BUSY, "somebody else is speaking through this face")
            return
        conversation = self._converse()
        sender = threading.Thread(target=self._send_news, args=(connection,), daemon=True)
        try:
            while not self._news.empty():
                self._news.get_nowait()
            connection.send(json.dumps(conversation.hello()))
            sender.start()
            for message in connection:
                for answer in conversation.receive(message):
                    connection.send(json.dumps(answer))
        except self._closed:
            pass  # gone without a goodbye
        finally:
            conversation.leave()
            if sender.ident is not None:
                self._end_news()
                sender.join(5.0)
            self._taken.release()

    def _end_news(self) -> None:
        while True:
            try:
                self._news.put_nowait(None)
            except queue.Full:
                self._news.get_nowait()
                continue
            return

    def _send_news(self, connection: Any) -> None:
        while (news := self._news.get()) is not None:
            try:
                connection.send(json.dumps(news))
            except self._closed:
                continue  # wait for the end
