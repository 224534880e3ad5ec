"""What the page lets the face say: the recording that comes along, a text, a file sent by the page."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import soundfile

from animaface.app.live.feed import HIGHEST_HZ, LOWEST_HZ, Feed
from animaface.app.live.synthesiser import speak, template
from animaface.app.source import DEMO, DEMO_PATH
from animaface.robot.face.errors import AnimafaceError, InputError

_BLOCK_S: Final = 0.1
_AHEAD_S: Final = 1.0
_PREBUFFER_S: Final = 0.5


class Voice:
    """One utterance at a time; a new one, or `hush`, ends the one before. From any thread."""

    def __init__(self, feed: Feed, on_error: Callable[[str], None]) -> None:
        self._feed, self._on_error = feed, on_error
        self._lock = threading.Lock()
        self._turn = 0
        self._thread: threading.Thread | None = None
        self.title = ""
        """What is being said; '' when nothing is."""

    @staticmethod
    def has_synthesiser() -> bool:
        """Whether `say` can work."""
        try:
            template()
        except AnimafaceError:
            return False
        return True

    def demo(self) -> None:
        """The recording that comes along."""
        self._begin(DEMO, lambda folder: DEMO_PATH)

    def say(self, text: str) -> None:
        """Through the first synthesiser that is installed. Raises MissingDependencyError."""
        command = template()
        self._begin(text[:60], lambda folder: speak(text, folder, command))

    def file(self, name: str, data: bytes) -> None:
        """A sound file that libsndfile knows."""

        def kept(folder: Path) -> Path:
            path = folder / "sent"
            path.write_bytes(data)
            return path

        self._begin(name, kept)

    def hush(self) -> None:
        """Nothing more of it."""
        with self._lock:
            self._turn += 1
            self.title = ""
            self._feed.drop()

    def _begin(self, title: str, make: Callable[[Path], Path]) -> None:
        self.hush()
        with self._lock:
            self.title = title
            before = self._thread
            self._thread = threading.Thread(
                target=self._speak, args=(self._turn, make, before), name="page voice", daemon=True
            )
            self._thread.start()

    def _speak(self, turn: int, make: Callable[[Path], Path], before: threading.Thread | None) -> None:
        folder = Path(tempfile.mkdtemp(prefix="animaface-voice-"))
        try:
            path = make(folder)
            if before is not None:
                before.join()  # so that nothing of it gets among this one
            self._feed_in(turn, path)
        except (OSError, soundfile.LibsndfileError) as e:
            self._on_error(f"this sound can't be read: {e}")
        except AnimafaceError as e:
            if turn == self._turn:  # else it was ended by the next one
                self._on_error(str(e))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with self._lock:
                if turn == self._turn:
                    self._feed.complete()
                    self.title = ""

    def _feed_in(self, turn: int, path: Path) -> None:
        with soundfile.SoundFile(path) as f:
            rate_hz = int(f.samplerate)
            if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
                raise InputError(f"wanted sound of {LOWEST_HZ} to {HIGHEST_HZ} Hz, found {rate_hz} Hz")
            with self._lock:
                if turn != self._turn:
                    return
                self._feed.begin(rate_hz, prebuffer_s=_PREBUFFER_S)
            while turn == self._turn:
                block = f.read(round(_BLOCK_S * rate_hz), dtype="float32", always_2d=True)
                if not len(block):
                    return
                self._feed.put(block, wait_above_s=_AHEAD_S)
