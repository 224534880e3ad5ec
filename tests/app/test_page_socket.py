"""The page's server over real sockets, with a real face behind it: four servos on a virtual line."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animaface.app.motion import motion_of
from animaface.app.page.admission import COOKIE, Door
from animaface.app.page.face import Options, PageFace
from animaface.app.page.helm import PATIENCE_S, Helm
from animaface.app.page.running import RunningPage
from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock
from animaface.sim.process import SimProcess
from animaface.speech.expressions import OwnExpression, keep_expressions

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
pytestmark = pytest.mark.realtime
TOKEN = "a-token-long-enough-to-count"
FACE = "bench4"


class _Desk:
    """A served face. `open` gives a page."""

    def __init__(self, face: PageFace, helm: Helm, recordings: Path, token: str = "") -> None:
        self.face, self.token = face, token
        page = RunningPage(face, helm, Door("127.0.0.1", token), face=FACE, sim=True, recordings=recordings)
        self._stop, self._up = asyncio.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(page,))
        self._thread.start()
        assert self._up.wait(10.0)

    def _run(self, page: RunningPage) -> None:
        self._loop.run_until_complete(page.serve(0, self._stop, self._ready))

    def _ready(self, port: int) -> None:
        self.port = port
        self._up.set()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10.0)

    def get(self, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        opener = urllib.request.build_opener(_Stay())
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def open(self, **more: Any) -> "_Page":
        return _Page(client.connect(f"ws://127.0.0.1:{self.port}/socket", max_size=None, **more))


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _Page:
    """A page as the browser's script is one: it answers, until it is made `deaf`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection.__enter__()
        self.hello = json.loads(self._connection.recv(timeout=10))
        self.vitals: dict[str, Any] = {}
        self.errors: list[str] = []
        self.frames = 0
        self.applied = np.zeros(0)
        self.deaf = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def say(self, kind: str, **fields: Any) -> None:
        self._connection.send(json.dumps({"type": kind, **fields}))

    def send(self, data: bytes) -> None:
        self._connection.send(data)

    def wait(self, what: Callable[["_Page"], bool], timeout_s: float = 10.0) -> None:
        end_s = time.monotonic() + timeout_s
        while not what(self):
            assert time.monotonic() < end_s, f"{self.vitals} {self.errors} {self.applied}"
            time.sleep(0.02)

    def close(self) -> None:
        self._connection.close()
        self._thread.join(10.0)

    def cut(self) -> None:
        """The cable is out: no goodbye."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10.0)

    def _listen(self) -> None:
        try:
            for message in self._connection:
                self._hear(message)
        except exceptions.ConnectionClosed:
            pass

    def _hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            n = len(self.hello["actuators"])
            self.frames += 1
            self.applied = np.frombuffer(message, "<f4", n, 16 + 8 * 4)
            return
        said = json.loads(message)
        if said["type"] == "ask" and not self.deaf:
            self.say("alive", n=said["n"])
        elif said["type"] == "vitals":
            self.vitals = said
        elif said["type"] == "error":
            self.errors.append(said["message"])


@pytest.fixture(scope="module")
def face() -> Iterator[tuple[PageFace, Helm]]:
    config, helm = load_face(FACE), Helm(RealClock())
    with (
        SimProcess.start(FACE, plant="first-order") as sim,
        PageFace(config, motion_of(config, sim=True), sim.ports, helm, Options(sound=False)) as running,
    ):
        yield running, helm


@pytest.fixture
def desk(face: tuple[PageFace, Helm], tmp_path: Path) -> Iterator[_Desk]:
    made = _Desk(*face, tmp_path / "tapes")
    yield made
    made.close()
    face[0].stop("between tests")


def test_only_its_own_files_are_served_and_they_are_guarded(desk: _Desk) -> None:
    status, headers, body = desk.get()
    assert status == 200
    assert b"<title>Animaface</title>" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert desk.get("/main.js")[1]["Content-Type"].startswith("text/javascript")
    assert len(json.loads(desk.get("/mesh.json")[2])["neutral_mm"]) == 478
    for path in ("/../server.py", "/%2e%2e/server.py", "/static/main.js", "/etc/passwd", "//etc/passwd"):
        assert desk.get(path)[0] == 404


def test_other_names_and_other_sites_are_refused(desk: _Desk) -> None:
    assert desk.get(Host="rebound.example")[0] == 403
    assert desk.get("/mesh.json", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    for origin in ("https://elsewhere.example", "http://localhost:3000", "null"):
        with pytest.raises(exceptions.InvalidStatus, match="403"):
            desk.open(origin=origin)
    desk.open(origin=f"http://127.0.0.1:{desk.port}").close()


def test_with_a_token_nothing_is_served_without_it(face: tuple[PageFace, Helm], tmp_path: Path) -> None:
    desk = _Desk(*face, tmp_path, TOKEN)
    try:
        assert desk.get()[0] == 401
        assert desk.get("/main.js", Cookie=f"{COOKIE}=wrong")[0] == 401
        with pytest.raises(exceptions.InvalidStatus, match="401"):
            desk.open()
        status, headers, _ = desk.get(f"/?token={TOKEN}")
        assert (status, headers["Location"]) == (303, "/")  # the token leaves the address bar
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        shown = {"Cookie": cookie.partition(";")[0]}
        assert desk.get("/", **shown)[0] == 200
        desk.open(additional_headers=shown).close()
    finally:
        desk.close()


def test_a_driver_that_hangs_or_is_cut_off_leaves_a_face_at_rest(desk: _Desk) -> None:
    """The connection stays open, nobody answers; then a cable is pulled. A page that watches changes nothing."""
    watcher, driver = desk.open(), desk.open()
    neutral = np.array([a["neutral_u"] for a in driver.hello["actuators"]])
    far = int(np.argmax(np.abs(0.9 - neutral)))
    for lose in (lambda: setattr(driver, "deaf", True), driver.cut):
        driver.say("start")
        driver.wait(lambda p: p.vitals.get("awake", False))
        driver.say("motor", name=driver.hello["actuators"][far]["name"], value=0.9)
        for page in (driver, watcher):  # nobody judges by what was told before
            page.wait(lambda p: p.vitals["awake"] and abs(p.applied[far] - 0.9) < 0.02)
        began_s = time.monotonic()
        lose()
        watcher.wait(lambda p: not p.vitals["awake"])
        assert time.monotonic() - began_s < 3.0 * PATIENCE_S
        assert "drove the face" in watcher.vitals["why_at_rest"]
        watcher.wait(lambda p: np.abs(p.applied - neutral).max() < 0.01)
        assert watcher.vitals["helm"] is None
        driver.deaf = False
    other = desk.open()
    other.say("start")
    other.wait(lambda p: p.vitals.get("awake", False))
    watcher.close()
    time.sleep(0.5)
    assert other.vitals["awake"]
    other.close()
    driver.close()


def test_a_page_that_was_slow_is_shown_the_present_and_not_the_past(desk: _Desk) -> None:
    """The system's buffers hold seconds of frames; a browser on a busy machine once lagged behind by as much."""
    with client.connect(f"ws://127.0.0.1:{desk.port}/socket", max_size=None) as slow:
        began_s = time.monotonic()
        vitals = _until_vitals_of(slow, began_s)[0]
        time.sleep(4.0)  # what it does not read waits on the way
        old = _until_vitals_of(slow, time.monotonic())[1]
        assert old < 60
        for _ in range(8):  # it keeps up again: everything is told
            vitals = _until_vitals_of(slow, vitals + 0.1)[0]


def _until_vitals_of(connection: Any, at_s: float) -> tuple[float, int]:
    """Read and answer until the vitals are newer than that -> (their time, frames before)."""
    frames, end_s = 0, time.monotonic() + 20.0
    while time.monotonic() < end_s:
        message = connection.recv(timeout=20.0)
        if isinstance(message, bytes):
            frames += 1
            continue
        said = json.loads(message)
        if said["type"] == "ask":
            connection.send(json.dumps({"type": "alive", "n": said["n"]}))
        elif said["type"] == "vitals" and said["at_s"] > at_s:
            return said["at_s"], frames
    raise AssertionError(f"{frames} frames, and nothing of the present")


def test_who_only_watches_moves_nothing_but_may_stop(desk: _Desk) -> None:
    driver, watcher = desk.open(), desk.open()
    driver.say("start")
    watcher.wait(lambda p: p.vitals.get("awake", False))
    name = watcher.hello["actuators"][0]["name"]
    watcher.say("motor", name=name, value=0.9)
    watcher.wait(lambda p: p.errors == ["another page drives the face"])
    assert driver.vitals["held"]["motors"] == {}
    watcher.say("stop")
    driver.wait(lambda p: not p.vitals["awake"])
    assert driver.vitals["why_at_rest"] == "stopped by hand"
    watcher.say("take", from_others=True)
    watcher.say("start")
    watcher.wait(lambda p: p.vitals["awake"] and p.vitals["helm"] == watcher.hello["page"])
    watcher.say("leave")
    watcher.wait(lambda p: not p.vitals["awake"])
    for page in (driver, watcher):
        page.close()


def test_a_stop_that_overtakes_a_start_wins(desk: _Desk) -> None:
    """`start` may take seconds and is done beside; a STOP sent right behind it was once undone by it."""
    page, before = desk.open(), desk.face.stops
    for _ in range(30):
        page.say("start")
        page.say("stop")
    page.wait(lambda p: desk.face.stops == before + 30)
    time.sleep(1.0)
    assert not desk.face.awake
    page.say("start")
    page.wait(lambda p: p.vitals.get("awake", False))
    page.close()


def test_a_dead_control_process_means_rest_and_start_brings_it_back(desk: _Desk) -> None:
    page = desk.open()
    page.say("start")
    page.wait(lambda p: p.vitals.get("awake", False))
    os.kill(desk.face.control.pid, signal.SIGKILL)
    page.wait(lambda p: not p.vitals["awake"])
    assert "control process" in page.vitals["why_at_rest"]
    page.say("start")
    page.wait(lambda p: p.vitals["awake"], 20.0)
    page.say("puppet", on=True)
    page.say("motor", name=page.hello["actuators"][0]["name"], value=0.8)
    page.wait(lambda p: abs(p.applied[0] - 0.8) < 0.02)
    page.close()


def test_nonsense_is_answered_in_words_and_the_page_stays(desk: _Desk) -> None:
    page = desk.open()
    for text in (
        "nonsense",
        '{"type": "motor", "name": "nose", "value": 0.5}',
        '{"type": "say", "text": ""}',
    ):
        page.send(text)
    page.send(b"\x00" * 100)
    page.wait(lambda p: len(p.errors) == 4)
    assert "jaw" in page.errors[1]
    page.wait(lambda p: p.frames > 3)
    page.close()


def test_a_run_is_recorded_and_replayed(desk: _Desk) -> None:
    pytest.importorskip("mcap")
    page = desk.open()
    neutral = np.array([a["neutral_u"] for a in page.hello["actuators"]])
    jaw = next(i for i, a in enumerate(page.hello["actuators"]) if a["region"] == "jaw")
    name = page.hello["actuators"][jaw]["name"]
    page.say("start")
    page.say("puppet", on=True)
    page.wait(lambda p: p.vitals.get("awake", False))
    page.say("record", on=True)
    page.wait(lambda p: p.vitals["recording"] != "")
    page.say("motor", name=name, value=0.9)
    page.wait(lambda p: p.applied[jaw] > 0.85)
    time.sleep(0.7)
    page.say("record", on=False)
    page.wait(lambda p: p.vitals["recording"] == "" and len(p.vitals["tapes"]) == 1)
    page.say("let_go")
    page.say("puppet", on=True)
    page.wait(lambda p: p.applied[jaw] < neutral[jaw] + 0.1)
    page.say("replay", name=page.vitals["tapes"][0]["name"])
    page.wait(lambda p: p.vitals["replaying"] != "" and p.applied[jaw] > 0.8)
    page.say("replay", name="../../etc/passwd")
    page.wait(lambda p: len(p.errors) == 1)
    page.close()


def test_the_face_feels_as_somebody_does(
    desk: _Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept expressions are offered, chosen, and stay chosen when the feeling changes; a name that nobody kept is refused."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keep_expressions({"happiness": OwnExpression(np.full(52, 0.1), np.zeros(3), 1.0)}, "anna")
    page = desk.open()
    assert page.hello["expressions"] == ["anna"]
    page.say("start")
    page.wait(lambda p: p.vitals.get("awake", False))
    page.say("emotion", mix={"happiness": 0.5}, heard=0)
    page.say("expressions", by="anna")
    page.wait(lambda p: p.vitals["by"] == "anna" and p.vitals["mood"] == {"happiness": 0.5})
    page.say("pad", valence=-0.8, arousal=-0.6)
    page.wait(lambda p: "sadness" in p.vitals["mood"])
    page.say("expressions", by="bert")
    page.wait(lambda p: bool(p.errors))
    assert "anna" in page.errors[0]
    assert page.vitals["by"] == "anna"
    page.say("expressions", by="")
    page.wait(lambda p: p.vitals["by"] == "")
    page.close()
