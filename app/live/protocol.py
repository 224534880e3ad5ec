"""What a voice agent and the face say to each other over a WebSocket (docs/live.md): JSON texts and PCM."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from animaface.app.live.feed import Feed
from animaface.app.live.readers import pcm16
from animaface.robot.face.errors import AnimafaceError, InputError, unknown_name
from animaface.speech.emotion import EmotionMix, parse_emotion

LOWEST_HZ, HIGHEST_HZ = 16_000, 48_000
MESSAGES: Final = ("start", "stop", "interrupt", "emotion", "other")
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "start": ("rate_hz", "channels", "play", "emotion"), "stop": (), "interrupt": (), "emotion": ("value",),
    "other": ("speaking",),
}  # fmt: skip


class Face(Protocol):
    """What an agent can ask of a running face, from any thread."""

    def interrupt(self) -> None:
        """Voice and mouth stop."""
        ...

    def set_emotion(self, emotion: EmotionMix) -> None:
        """From now on."""
        ...

    def set_other(self, speaking: bool) -> None:
        """Somebody else speaks, or has ended."""
        ...


@dataclass(frozen=True)
class Facts:
    """What the face tells a client at the beginning."""

    face: str
    delay_s: Callable[[], float]
    has_speaker: bool


class Conversation:
    """One client: `receive` its messages -> the answers. Errors are answers too, the connection stays."""

    def __init__(self, feed: Feed, face: Face, facts: Facts) -> None:
        self._feed, self._face, self._facts = feed, face, facts
        self._channels = 0
        """0: no utterance is under way."""

    def hello(self) -> dict[str, Any]:
        """The first thing a client hears."""
        return {
            "type": "hello", "face": self._facts.face, "delay_ms": round(1e3 * self._facts.delay_s(), 1),
            "speaker": self._facts.has_speaker, "rate_hz": [LOWEST_HZ, HIGHEST_HZ],
        }  # fmt: skip

    def receive(self, message: str | bytes) -> list[dict[str, Any]]:
        """One message of the client."""
        try:
            if isinstance(message, bytes):
                return self._sound(message)
            return self._text(message)
        except AnimafaceError as e:
            return [{"type": "error", "message": e.message, "next": e.next_step}]

    def leave(self) -> None:
        """The client is gone: what it sent is still spoken, its utterance is whole."""
        if self._channels:
            self._channels = 0
            self._feed.complete()

    def _sound(self, data: bytes) -> list[dict[str, Any]]:
        if not self._channels:
            raise InputError(
                "sound came before a start message",
                next_step='send {"type": "start", "rate_hz": 24000} first',
            )
        self._feed.put(pcm16(data, self._channels))
        return []

    def _text(self, text: str) -> list[dict[str, Any]]:
        try:
            message = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as e:
            raise InputError(f"not JSON: {e}") from e
        if not isinstance(message, dict):
            raise InputError('wanted an object such as {"type": "stop"}')
        kind = message.pop("type", None)
        if kind not in MESSAGES:
            raise InputError(unknown_name("message type", str(kind), MESSAGES))
        for name in message:
            if name not in _FIELDS[kind]:
                raise InputError(unknown_name(f"field of {kind}", name, _FIELDS[kind] or ("(none)",)))
        return getattr(self, f"_{kind}")(message)  # type: ignore[no-any-return]

    def _start(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        rate_hz, channels, play = (
            message.get("rate_hz"),
            message.get("channels", 1),
            message.get("play", True),
        )
        if type(rate_hz) is not int or not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
            raise InputError(f"start: wanted rate_hz from {LOWEST_HZ} to {HIGHEST_HZ}, found {rate_hz!r}")
        if type(channels) is not int or channels not in (1, 2):
            raise InputError(f"start: wanted channels 1 or 2, found {channels!r}")
        if type(play) is not bool:
            raise InputError(f"start: wanted play true or false, found {play!r}")
        emotion = _emotion(message["emotion"]) if "emotion" in message else None
        if self._channels:
            self._feed.complete()
        self._feed.begin(rate_hz, audible=play)
        self._channels = channels
        if emotion is not None:
            self._face.set_emotion(emotion)
        played_by = "sender" if not play else "face" if self._facts.has_speaker else "nobody"
        return [
            {"type": "started", "played_by": played_by, "delay_ms": round(1e3 * self._facts.delay_s(), 1)}
        ]

    def _stop(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        self._channels = 0
        self._feed.complete()
        return [{"type": "stopped"}]

    def _interrupt(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        self._channels = 0
        self._feed.drop()
        self._face.interrupt()
        return [{"type": "interrupted"}]

    def _emotion(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        emotion = _emotion(message.get("value"))
        self._face.set_emotion(emotion)
        return [{"type": "emotion", "value": str(emotion)}]

    def _other(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        speaking = message.get("speaking")
        if type(speaking) is not bool:
            raise InputError(f"other: wanted speaking true or false, found {speaking!r}")
        self._face.set_other(speaking)
        return []


def _emotion(value: object) -> EmotionMix:
    if not isinstance(value, str):
        raise InputError(f"wanted an emotion such as 'happy:0.7', found {value!r}")
    return parse_emotion(value)
