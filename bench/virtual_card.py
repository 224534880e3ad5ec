"""A virtual sound card for benches and tests: a PulseAudio server of our own, a null sink, and what leaves it."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

CARD, MONITOR = "virtual_card", "virtual_monitor"
RATE_HZ: Final = 48_000
_PIECE, _ASTRAY, _AROUND = 3 * RATE_HZ // 2, RATE_HZ // 2, 40
_ALSA = """
pcm.{card} {{ type pulse server "unix:{socket}" device "{card}" hint {{ show on description "{card}" }} }}
pcm.{monitor} {{ type pulse server "unix:{socket}" device "{card}.monitor" hint {{ show on description "{monitor}" }} }}
"""


def missing() -> str:
    """What this machine lacks for it; empty: nothing."""
    plugin = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if shutil.which("pulseaudio") is None or not plugin:
        return "pulseaudio with its ALSA plugin (scripts/system-packages test)"
    return ""


@contextmanager
def virtual_card() -> Iterator[Mapping[str, str]]:
    """The environment of processes that are to find the devices CARD (plays) and MONITOR (hears what it plays)."""
    with tempfile.TemporaryDirectory(prefix="animaface-pulse-") as folder:
        home = Path(folder)
        socket, config = home / "native", home / "asound.conf"
        config.write_text(_ALSA.format(card=CARD, monitor=MONITOR, socket=socket))
        environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_DATA_HOME": str(home / "data"),
                       "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{config}", "PULSE_SERVER": f"unix:{socket}"}  # fmt: skip
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm", "--use-pid-file=no",
                 "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
                 "-L", f"module-null-sink sink_name={CARD} rate={RATE_HZ}"],
                env=environment, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        try:
            end_s = time.monotonic() + 20.0
            while not socket.exists():
                if server.poll() is not None or time.monotonic() > end_s:
                    raise RuntimeError((home / "log").read_text())
                time.sleep(0.05)
            time.sleep(0.2)
            _as_we_are(server.pid)
            yield environment
        finally:
            server.terminate()
            server.wait(10)


def _as_we_are(pid: int) -> None:
    """The sound server forgets the scheduling that it inherits: a card is not to wait for who plays on it."""
    policy = os.sched_getscheduler(0)
    if policy != os.SCHED_OTHER:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), policy, os.sched_getparam(0))


class Capture:
    """What leaves the card, by `parec` and not by our own code: start, stop, then `samples` [n] at RATE_HZ and
    `start_s`, the monotonic time of the first one (the earliest that every arrival allows)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._child = subprocess.Popen(
            ["parec", f"--device={CARD}.monitor", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1",
             "--latency-msec=5", "--raw"],
            env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._parts: list[bytes] = []
        self._starts: list[float] = []
        self._counts: list[int] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        count = 0
        out = self._child.stdout
        while out is not None and (data := os.read(out.fileno(), 4096)):
            now_s = time.monotonic()
            self._parts.append(data)
            count += len(data) // 2
            self._starts.append(now_s - count / RATE_HZ)
            self._counts.append(count)

    def stop(self) -> None:
        """No more."""
        self._child.terminate()
        self._child.wait(10)
        self._thread.join(5)

    @property
    def samples(self) -> np.ndarray:
        """[n] all that was captured so far, full scale 1, at RATE_HZ."""
        data = b"".join(self._parts)
        return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0

    @property
    def start_s(self) -> float:
        """By the arrivals of the second half: a monitor settles after others begin to play."""
        return float(np.min(self._starts[len(self._starts) // 2 :]))

    @property
    def lost_s(self) -> float:
        """How much the capture itself lost or was late, in a second as a whole: it judges nothing when that is much."""
        starts = np.array(self._starts[len(self._starts) // 4 :])
        pieces = np.array_split(starts, max(1, len(starts) // 50))
        earliest = [float(p.min()) for p in pieces]
        return max(earliest) - min(earliest)

    def heard_at_s(self, sound: np.ndarray) -> float:
        """Monotonic time at which `sound` [m] at RATE_HZ began to leave the card."""
        return self.start_s + _found(self.samples, sound) / RATE_HZ

    def heard_by_pieces(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(position_s[K] in `sound`, at_s[K] when that was heard), each piece sought by itself: a card that runs dry on a
        busy machine plays the rest later, and a capture that loses a piece must not move the ones after it."""
        heard = self.samples
        first = _found(heard, sound)
        position_s, at_s = [], []
        for begin in range(0, len(sound) - _PIECE // 2, _PIECE):
            piece = sound[begin : begin + _PIECE]
            low = max(0, first + begin - _ASTRAY)
            where = low + _found(heard[low : first + begin + len(piece) + _ASTRAY], piece)
            middle = len(piece) // 2
            position_s.append((begin + middle) / RATE_HZ)
            at_s.append(self._at_s(where + middle))
        return np.array(position_s), np.array(at_s)

    def _at_s(self, index: int) -> float:
        """When sample `index` was there, by the earliest of the arrivals around it."""
        k = int(np.searchsorted(self._counts, index))
        return min(self._starts[max(0, k - _AROUND) : k + _AROUND]) + index / RATE_HZ


def _found(heard: np.ndarray, sound: np.ndarray) -> int:
    """The sample of heard[n] from which sound[m] fits best."""
    n = 1 << int(np.ceil(np.log2(len(heard) + len(sound))))
    likeness = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(sound, n)), n)[: len(heard)]
    return int(np.argmax(likeness))
