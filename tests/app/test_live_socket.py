"""The WebSocket of a live face, over real sockets: messages, admission, one agent at a time."""

import json
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest

from animaface.app.address import is_loopback
from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.protocol import Conversation, Facts
from animaface.app.live.server import LiveServer, parse_address
from animaface.robot.face.errors import ConfigError, TransportError
from animaface.speech.emotion import EmotionMix

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
TOKEN = "a-token-long-enough-to-count"


class _Face:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def interrupt(self) -> None:
        self.heard.append("interrupt")

    def set_emotion(self, emotion: EmotionMix) -> None:
        self.heard.append(str(emotion))

    def set_other(self, speaking: bool) -> None:
        self.heard.append(speaking)


class _Desk:
    def __init__(self, token: str = "") -> None:
        self.feed, self.face = Feed(), _Face()
        facts = Facts("hybrid", lambda: 0.225, True)
        self.server = LiveServer(
            "127.0.0.1", 0, lambda: Conversation(self.feed, self.face, facts), token=token
        )
        self.server.start()

    def connect(self, path: str = "", **more: object):
        return client.connect(f"ws://127.0.0.1:{self.server.port}{path}", **more)


@pytest.fixture
def desk() -> Iterator[_Desk]:
    made = _Desk()
    yield made
    made.server.stop()


def _ask(connection, message: object) -> dict[str, object]:
    connection.send(message if isinstance(message, bytes) else json.dumps(message))
    return json.loads(connection.recv(timeout=10))


def test_a_whole_utterance(desk: _Desk) -> None:
    with desk.connect() as agent:
        hello = json.loads(agent.recv(timeout=10))
        assert hello["type"] == "hello"
        assert hello["delay_ms"] == 225.0
        started = _ask(agent, {"type": "start", "rate_hz": 24000, "emotion": "happy:0.5"})
        assert started == {"type": "started", "played_by": "face", "delay_ms": 225.0}
        tone = (8000 * np.sin(np.arange(24000) * 0.05)).astype("<i2").tobytes()
        for k in range(0, len(tone), 960):
            agent.send(tone[k : k + 960])
        assert _ask(agent, {"type": "stop"}) == {"type": "stopped"}
    block = desk.feed.take(PLAY_RATE_HZ)
    assert block.audible
    assert np.abs(block.samples).max() == pytest.approx(8000 / 32768, rel=0.02)
    assert desk.face.heard == ["happiness:0.5"]


def test_sound_of_the_sender_is_not_played_by_us(desk: _Desk) -> None:
    with desk.connect() as agent:
        agent.recv(timeout=10)
        assert _ask(agent, {"type": "start", "rate_hz": 16000, "play": False})["played_by"] == "sender"
        agent.send(b"\x00\x10" * 16000)
        _ask(agent, {"type": "stop"})
    assert not desk.feed.take(480).audible


def test_an_interruption_drops_what_is_waiting(desk: _Desk) -> None:
    with desk.connect() as agent:
        agent.recv(timeout=10)
        _ask(agent, {"type": "start", "rate_hz": 16000})
        agent.send(b"\x00\x10" * 32000)
        assert _ask(agent, {"type": "interrupt"}) == {"type": "interrupted"}
        assert desk.feed.empty
        assert desk.face.heard == ["interrupt"]
        assert _ask(agent, b"\x00\x10" * 10)["type"] == "error"  # wants a new start


@pytest.mark.parametrize("message", [
    b"\x00\x00", {"type": "sing"}, {"type": "start"}, {"type": "start", "rate_hz": 8000},
    {"type": "start", "rate_hz": True}, {"type": "start", "rate_hz": 16000, "volume": 3}, ["stop"], "not json {",
    {"type": "emotion", "value": "hapy"}, {"type": "emotion"}, {"type": "other", "speaking": "yes"},
    {"type": "start", "rate_hz": 16000, "emotion": "happy:7"},
])  # fmt: skip
def test_what_is_wrong_is_answered_and_the_connection_stays(desk: _Desk, message: object) -> None:
    with desk.connect() as agent:
        agent.recv(timeout=10)
        answer = _ask(agent, message)
        assert answer["type"] == "error"
        assert answer["message"]
        assert _ask(agent, {"type": "stop"}) == {"type": "stopped"}
    assert desk.face.heard == []


def test_half_a_sample_is_an_error(desk: _Desk) -> None:
    with desk.connect() as agent:
        agent.recv(timeout=10)
        _ask(agent, {"type": "start", "rate_hz": 16000})
        assert "whole samples" in str(_ask(agent, b"\x00\x00\x00")["message"])


def test_an_agent_that_vanishes_leaves_a_whole_utterance(desk: _Desk) -> None:
    with desk.connect() as agent:
        agent.recv(timeout=10)
        _ask(agent, {"type": "start", "rate_hz": 16000})
        agent.send(b"\x00\x10" * 100)
        agent.socket.shutdown(socket.SHUT_RDWR)
    for _ in range(100):  # the place becomes free
        with desk.connect() as second:
            try:
                assert json.loads(second.recv(timeout=10))["type"] == "hello"
                break
            except exceptions.ConnectionClosed:
                time.sleep(0.05)
    else:
        pytest.fail("the place did not become free")
    assert desk.feed.empty or desk.feed.take(PLAY_RATE_HZ).samples.any()
    assert desk.feed.empty


def test_the_second_agent_is_sent_away(desk: _Desk) -> None:
    with desk.connect() as first:
        first.recv(timeout=10)
        with desk.connect() as second, pytest.raises(exceptions.ConnectionClosed) as e:
            second.recv(timeout=10)
        assert e.value.rcvd.code == 1013


def test_news_reach_the_agent(desk: _Desk) -> None:
    desk.server.tell({"type": "state", "state": "idle"})  # nobody there: dropped
    with desk.connect() as agent:
        agent.recv(timeout=10)
        desk.server.tell({"type": "state", "state": "talking"})
        assert json.loads(agent.recv(timeout=10)) == {"type": "state", "state": "talking"}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://evil.example:8765"])
def test_a_page_of_another_host_is_refused(desk: _Desk, origin: str) -> None:
    with pytest.raises(exceptions.InvalidStatus) as e:
        desk.connect(additional_headers={"Origin": origin})
    assert e.value.response.status_code == 403


def test_a_page_of_this_machine_is_let_in(desk: _Desk) -> None:
    with desk.connect(additional_headers={"Origin": "http://127.0.0.1:8000"}) as agent:
        assert json.loads(agent.recv(timeout=10))["type"] == "hello"


def test_the_token_is_wanted_where_there_is_one() -> None:
    desk = _Desk(token=TOKEN)
    try:
        for path, headers in (("", {}), ("/?token=wrong", {}), ("", {"Authorization": "Bearer wrong"})):
            with pytest.raises(exceptions.InvalidStatus) as e:
                desk.connect(path, additional_headers=headers)
            assert e.value.response.status_code == 401
        for path, headers in ((f"/?token={TOKEN}", {}), ("", {"Authorization": f"Bearer {TOKEN}"})):
            with desk.connect(path, additional_headers=headers) as agent:
                assert json.loads(agent.recv(timeout=10))["type"] == "hello"
    finally:
        desk.server.stop()


def test_an_open_address_without_a_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="token"):
        LiveServer("0.0.0.0", 0, lambda: None)  # type: ignore[arg-type, return-value]


def test_a_taken_port_is_told(desk: _Desk) -> None:
    with pytest.raises(TransportError, match="listen"):
        LiveServer("127.0.0.1", desk.server.port, lambda: None)  # type: ignore[arg-type, return-value]


def test_addresses() -> None:
    assert parse_address("ws://127.0.0.1:9000") == ("127.0.0.1", 9000)
    assert parse_address("ws://localhost") == ("localhost", 8765)
    for bad in ("wss://x", "ws://", "ws://x:99999", "ws://x/path"):
        with pytest.raises(ConfigError):
            parse_address(bad)
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("robot.local")
