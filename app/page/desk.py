"""What the pages' messages do to the face, and what the pages are told in words."""

import time
from collections.abc import Callable
from typing import Any, Final

from animaface.app.page.calibrating import Calibrating
from animaface.app.page.emotion_plane import PLACES, mix_at
from animaface.app.page.face import PageFace
from animaface.app.page.frames import vitals
from animaface.app.page.helm import Helm
from animaface.app.page.messages import FOR_EVERYBODY, Message
from animaface.app.page.projection import Projection, projection_of
from animaface.app.page.steering import HEAD_RANGE_RAD, MOST_STYLE, STYLES
from animaface.app.page.tapes import Replay, Tapes
from animaface.app.page.voice import Voice
from animaface.app.telemetry.reader import RunReader
from animaface.robot.face.arkit import ARKIT_NAMES, HEAD_NAMES
from animaface.robot.face.errors import InputError
from animaface.robot.gate import Reason
from animaface.speech.emotion import EmotionMix
from animaface.speech.expressions import kept_expressions

MOST_SOUND: Final = 32 << 20
"""Bytes of a sound file that a page may send."""


class Desk:
    """`act` on a page's message; `hello` and `vitals` for the pages. One thread."""

    def __init__(
        self, face: PageFace, helm: Helm, reader: RunReader, projection: Projection, tapes: Tapes,
        calibrating: Calibrating,
    ) -> None:  # fmt: skip
        self.face, self.helm = face, helm
        self.tapes, self.calibrating = tapes, calibrating
        self._reader, self.projection = reader, projection
        self._motion = face.motion
        self._awaited: dict[int, str] = {}
        self._styles = dict.fromkeys(STYLES, 1.0)
        self._can_say = Voice.has_synthesiser()

    def joined(self, page: int) -> dict[str, Any]:
        """`hello`: everything about the face that stays as it is."""
        config = self.face.config
        return {
            "type": "hello", "page": page, "face": config.id, "description": config.description,
            "motion": self.face.motion.source, "calibrated": self.face.motion.calibrated,
            "projection": self.projection.kind, "source": self.face.options.source, "can_say": self._can_say,
            "shapes": list(ARKIT_NAMES), "head": list(HEAD_NAMES), "head_range_rad": HEAD_RANGE_RAD,
            "styles": STYLES, "most_style": MOST_STYLE, "emotions": PLACES,
            "expressions": kept_expressions(),
            "reasons": {int(r): str(r.name).lower().replace("_", " ") for r in Reason if r},
            "actuators": [
                {
                    "name": name, "region": a.region, "drive": a.drive, "bus": a.bus, "model": a.model,
                    "neutral_u": a.neutral_u, "unit": "deg" if config.buses[a.bus].kind == "dynamixel" else "us",
                    "raw": [a.u_to_raw(0.0), a.u_to_raw(1.0)], "speed": round(a.speed_per_s, 2),
                }
                for name, a in config.actuators.items()
            ],
        }  # fmt: skip

    def renewed(self) -> bool:
        """Whether the face has another calibration since the last call; it is drawn by it from then on."""
        if self.face.motion is self._motion:
            return False
        self._motion = self.face.motion
        self.projection = projection_of(self.face.config, self._motion.folder)
        return True

    def left(self, page: int) -> None:
        """A page is gone: if it drove the face, the face rests."""
        self._awaited.pop(page, None)
        if self.helm.leave(page):
            self.face.stop("the connection to the page that drove the face was lost")

    def look_after(self) -> None:
        """The helm, also while the pipeline stands still."""
        lost = self.helm.overdue()
        if lost is not None:
            self.face.stop(f"page {lost}, which drove the face, does not answer any more")

    def act(self, page: int, message: Message, stops: int | None = None) -> None:
        """Do it. Raises InputError and what the face raises; what is SLOW may take a while.

        `stops`: of the face when the message came: a start that was overtaken by a STOP starts nothing.
        """
        if message.kind not in FOR_EVERYBODY and not self.helm.take(page):
            raise InputError("another page drives the face", next_step="take over first")
        if message.kind == "start":
            self._take(page, from_others=False)
            self.face.wake(stops)
            return
        handler: Callable[..., None] = getattr(self, f"_{message.kind}")
        handler(page, **message.fields)

    def sound(self, page: int, data: bytes) -> None:
        """The bytes of a file that was announced by `file`. Raises InputError."""
        name = self._awaited.pop(page, None)
        if name is None:
            raise InputError("sound came unannounced", next_step='send {"type": "file", "name": ...} first')
        if not self.helm.take(page):
            raise InputError("another page drives the face", next_step="take over first")
        self.face.voice.file(name, data)

    def vitals(self, pages: int) -> dict[str, Any]:
        """Four times a second, for everybody."""
        face = self.face
        counts = face.pipeline.counts
        return {
            "type": "vitals", **vitals(self._reader.snapshot()), "awake": face.awake,
            "why_at_rest": face.why_at_rest, "helm": self.helm.holder, "pages": pages,
            "mood": dict(face.mood.intensities), "heard": face.mood.heard, "by": face.mood.by, "styles": self._styles, "held": face.hand.held(),
            "saying": face.voice.title, "speaking": face.pipeline.state,
            "latency_ms": face.pipeline.latency_ms(),
            "recording": self.tapes.recording, "tapes": self.tapes.all(), "replaying": face.replaying,
            "calibration": self.calibrating.told(), "dropped_share": round(counts.dropped_share, 5), "at_s": time.monotonic(),
        }  # fmt: skip

    def news(self) -> list[str]:
        """What the person should hear of, since the last call."""
        told = list(self.face.told)
        self.face.told.clear()
        return told

    # ---- what may be said

    def _alive(self, page: int, n: float) -> None:
        self.helm.heard(page)

    def _stop(self, page: int) -> None:
        self.face.stop("stopped by hand")

    def _take(self, page: int, from_others: bool) -> None:
        if not self.helm.take(page, from_others=from_others):
            raise InputError("another page drives the face", next_step="take over")

    def _leave(self, page: int) -> None:
        if self.helm.leave(page):
            self.face.stop("the page that drove the face let go")

    def _watch(self, page: int, picture: bool) -> None:
        """The server keeps who wants pictures."""

    def _pad(self, page: int, valence: float, arousal: float) -> None:
        self.face.set_emotion(mix_at(valence, arousal))

    def _emotion(self, page: int, mix: dict[str, float], heard: float) -> None:
        self.face.set_emotion(EmotionMix(mix, heard))

    def _expressions(self, page: int, by: str) -> None:
        self.face.show_as(by)

    def _style(self, page: int, name: str, value: float) -> None:
        self.face.frames.set_style(name, value)
        self._styles[name] = value

    def _shape(self, page: int, name: str, value: float | None) -> None:
        self.face.hand.hold_shape(name, value)

    def _motor(self, page: int, name: str, value: float | None) -> None:
        self.face.hand.hold_motor(name, value)

    def _puppet(self, page: int, on: bool) -> None:
        self.face.hand.puppet(on)

    def _let_go(self, page: int) -> None:
        self.face.hand.let_go()

    def _demo(self, page: int) -> None:
        self.face.voice.demo()

    def _say(self, page: int, text: str) -> None:
        self.face.voice.say(text)

    def _file(self, page: int, name: str) -> None:
        self._awaited[page] = name

    def _record(self, page: int, on: bool) -> None:
        if on:
            self.tapes.start()
            return
        told = self.tapes.stop()
        if told:
            self.face.told.append(told)

    def _replay(self, page: int, name: str) -> None:
        self.face.replay(Replay(name, self.tapes.load(name), self.face.config.names))

    def _calibrate(self, page: int, quick: bool) -> None:
        if not self.calibrating.sim:  # it wants the ports that this face holds
            raise InputError(
                "a real face is calibrated by itself",
                next_step=f"end this, then animaface calibrate {self.face.config.id}",
            )
        self.face.stop("a calibration is under way")
        self.calibrating.start(quick=quick)

    def _calibrate_end(self, page: int) -> None:
        self.calibrating.end()

    def _hush(self, page: int) -> None:
        self.face.hush()
