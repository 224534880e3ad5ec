"""Who may open the page: this machine, or whoever shows the token; never another site's page.

A browser is an honest witness of two things that a foreign site cannot forge: `Host`, the name that was
typed (a name that was made to point here, DNS rebinding, shows its own), and `Origin`, the page that opens
a WebSocket. Everything that moves the face goes over the WebSocket; GET changes nothing, so no other
site's form or picture can.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from animaface.app.address import is_loopback
from animaface.robot.face.errors import ConfigError

COOKIE: Final = "animaface_token"
DEFAULT_PORT: Final = 8770
_SHORTEST: Final = 16


@dataclass(frozen=True)
class Refusal:
    """Why somebody is sent away."""

    status: HTTPStatus
    why: str


def parse_listen(text: str) -> tuple[str, int]:
    """'HOST', 'HOST:PORT', '[::1]:PORT' or ':PORT' -> (host, port). Raises ConfigError."""
    wanted = f"--listen {text!r}: wanted HOST:PORT, such as 127.0.0.1:{DEFAULT_PORT}"
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError as e:
        raise ConfigError(f"{wanted} ({e})") from e
    if parts.path or parts.query or parts.username:
        raise ConfigError(wanted)
    return host, DEFAULT_PORT if port is None else port


def token_for(host: str, given: str) -> str:
    """The token that pages must show: none on loopback unless given; else the given one or a new one.

    Raises ConfigError for one that is too short to be a secret.
    """
    if given and (len(given) < _SHORTEST or not given.isascii() or not given.isprintable()):
        raise ConfigError(
            f"the token has {len(given)} characters: wanted {_SHORTEST} or more, printable ASCII",
            next_step="set ANIMAFACE_TOKEN to a longer one, or unset it: one is made then",
        )
    return given or ("" if is_loopback(host) else secrets.token_urlsafe(24))


@dataclass(frozen=True)
class Door:
    """host: the address that is listened on; token: '' when none is wanted; names: host names (in lower
    case) by which this machine may be called beside its addresses."""

    host: str
    token: str = ""
    names: frozenset[str] = frozenset()

    def refuses(self, headers: Mapping[str, str], path: str, *, socket: bool) -> Refusal | None:
        """None admits. `headers`: as the browser sent them; `socket`: it wants the WebSocket."""
        host = headers.get("Host", "")
        if not self._is_ours(host):
            return Refusal(
                HTTPStatus.FORBIDDEN, "this name is not one of this face's: use its address, or --name"
            )
        origin = headers.get("Origin")
        if socket and origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return Refusal(HTTPStatus.FORBIDDEN, "a page of another site may not speak to the face")
        if headers.get("Sec-Fetch-Site", "none") == "cross-site" and (socket or urlsplit(path).path != "/"):
            return Refusal(HTTPStatus.FORBIDDEN, "a page of another site may not look at the face")
        if self.token and not self._shown(headers, path):
            return Refusal(
                HTTPStatus.UNAUTHORIZED, "wanted the token: open the address that the terminal shows"
            )
        return None

    def brings_token(self, path: str) -> bool:
        """Whether this path carries the right token, so that a cookie can take its place."""
        given = parse_qs(urlsplit(path).query).get("token", [""])[0]
        return bool(self.token) and _same(given, self.token)

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if is_loopback(name) or name in self.names:
            return True
        if is_loopback(self.host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _shown(self, headers: Mapping[str, str], path: str) -> bool:
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        cookies = dict(c.strip().partition("=")[::2] for c in headers.get("Cookie", "").split(";"))
        return self.brings_token(path) or any(_same(t, self.token) for t in (bearer, cookies.get(COOKIE, "")))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
