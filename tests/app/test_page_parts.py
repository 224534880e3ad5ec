"""The page's parts that need neither face nor browser: who may enter, who drives, what may be said."""

import itertools
import math

import numpy as np
import pytest

from animaface.app.motion import motion_of
from animaface.app.page.admission import COOKIE, Door, parse_listen, token_for
from animaface.app.page.emotion_plane import PLACES, mix_at
from animaface.app.page.frames import mesh
from animaface.app.page.helm import PATIENCE_S, Helm
from animaface.app.page.messages import parse
from animaface.app.page.projection import ByRig, BySelfModel, projection_of
from animaface.app.page.steering import STYLES, WAKE_S, Hand, Styled
from animaface.robot.config import load_face
from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.errors import ConfigError, InputError
from animaface.robot.handmap import HandMap

TOKEN = "a-token-long-enough-to-count"


# ---- who may enter


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:9000", ("127.0.0.1", 9000)), ("0.0.0.0", ("0.0.0.0", 8770)), ("[::1]:1", ("::1", 1)),
     (":8000", ("127.0.0.1", 8000)), ("localhost:0", ("localhost", 0))],
)  # fmt: skip
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert parse_listen(text) == found


@pytest.mark.parametrize("text", ["host:port", "1.2.3.4:99999", "http://x", "a/b"])
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_listen(text)


def test_only_loopback_needs_no_token() -> None:
    assert token_for("127.0.0.1", "") == ""
    made = token_for("0.0.0.0", "")
    assert len(made) >= 24
    assert made != token_for("0.0.0.0", "")
    with pytest.raises(ConfigError, match="16"):
        token_for("0.0.0.0", "short")


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"Host": "127.0.0.1:8770", "Origin": "http://127.0.0.1:8770"}, True),
        ({"Host": "localhost:8770", "Origin": "http://localhost:8770"}, True),
        ({"Host": "127.0.0.1:8770"}, True),  # no browser
        ({"Host": "127.0.0.1:8770", "Origin": "https://elsewhere.example"}, False),
        ({"Host": "127.0.0.1:8770", "Origin": "http://localhost:3000"}, False),  # another server of this machine
        ({"Host": "127.0.0.1:8770", "Origin": "null"}, False),  # a sandboxed frame
        # a name that was made to point here: the browser believes both are one site
        ({"Host": "rebound.example:8770", "Origin": "http://rebound.example:8770"}, False),
        ({"Host": "192.168.1.5:8770", "Origin": "http://192.168.1.5:8770"}, False),
        ({"Host": "localhost.evil.example", "Origin": "http://localhost.evil.example"}, False),
        ({"Host": ""}, False),
        ({"Host": "127.0.0.1:8770", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)  # fmt: skip
def test_on_loopback(headers: dict[str, str], admitted: bool) -> None:
    assert (Door("127.0.0.1").refuses(headers, "/socket", socket=True) is None) == admitted


def test_an_open_address_wants_the_token_and_a_name_it_knows() -> None:
    door = Door("0.0.0.0", TOKEN, frozenset({"face.local"}))
    host = {"Host": "192.168.1.5:8770"}
    assert door.refuses(host, "/", socket=False) is not None
    assert door.refuses(host, "/?token=wrong", socket=False) is not None
    assert door.refuses(host, f"/?token={TOKEN}", socket=False) is None
    assert door.refuses({**host, "Cookie": f"x=1; {COOKIE}={TOKEN}"}, "/socket", socket=True) is None
    assert door.refuses({**host, "Authorization": f"Bearer {TOKEN}"}, "/socket", socket=True) is None
    named = {"Host": "face.local:8770", "Cookie": f"{COOKIE}={TOKEN}"}
    assert door.refuses(named, "/", socket=False) is None
    rebound = {"Host": "rebound.example", "Cookie": f"{COOKIE}={TOKEN}"}
    assert door.refuses(rebound, "/", socket=False) is not None


def test_a_token_beside_loopback_counts_too() -> None:
    assert Door("127.0.0.1", TOKEN).refuses({"Host": "localhost"}, "/", socket=False) is not None


# ---- who drives


def test_the_helm_is_empty_when_its_page_falls_silent() -> None:
    clock = LockStepClock()
    helm = Helm(clock)
    assert helm.take(1)
    assert not helm.take(2)
    assert helm.take(2, from_others=True)
    clock.sleep_until_s(0.9 * PATIENCE_S)
    helm.heard(1)  # the one that no longer drives: of no use
    assert helm.overdue() is None
    helm.heard(2)
    clock.sleep_until_s(1.8 * PATIENCE_S)
    assert helm.overdue() is None
    clock.sleep_until_s(2.0 * PATIENCE_S)
    assert helm.overdue() == 2
    assert helm.overdue() is None  # told once
    assert helm.holder is None
    assert helm.take(1)
    assert not helm.leave(2)
    assert helm.leave(1)


# ---- what may be said


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"type": "jump"}', '{"type": "motor", "name": "jaw_open"}', '{"type": "say", "text": " "}',
     '{"type": "motor", "name": "jaw_open", "value": NaN}', '{"type": "stop", "now": true}', '{"type": ["stop"]}',
     '{"type": "shape", "name": 3, "value": 0.5}', '{"type": "puppet", "on": 1}', "[" * 100000,
     '{"type": "pad", "valence": true, "arousal": 0}', '{"type": "emotion", "mix": {"anger": "much"}, "heard": 0}'],
)  # fmt: skip
def test_what_is_not_a_message_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse(text)


def test_messages() -> None:
    assert parse('{"type": "stop"}').kind == "stop"
    assert parse('{"type": "motor", "name": "jaw_open", "value": null}').fields == {
        "name": "jaw_open",
        "value": None,
    }


# ---- the pad


def test_the_pad_names_the_emotion_that_lies_there() -> None:
    for name, (valence, arousal) in PLACES.items():
        mix = mix_at(valence, arousal).intensities
        if name == "neutral":
            assert not mix
        else:
            assert max(mix, key=lambda k: mix[k]) == name
            assert mix[name] > 0.9
    assert not mix_at(0.0, 0.0).intensities
    assert sum(mix_at(0.3, 0.25).intensities.values()) < 0.5


def test_the_pad_has_no_jumps() -> None:
    ring = [mix_at(0.8 * math.cos(a), 0.8 * math.sin(a)).intensities for a in np.linspace(0, 2 * np.pi, 721)]
    for one, other in itertools.pairwise(ring):
        assert all(abs(one.get(n, 0.0) - other.get(n, 0.0)) < 0.05 for n in {*one, *other})


# ---- the hand


class _Held:
    """A hand over a hand-mapped face whose performance stands still at rest."""

    def __init__(self) -> None:
        config = load_face("bench4")
        motion = motion_of(config, sim=True, use_calibration=False)
        self.hand, self.map = Hand(config, motion, Styled(config, motion)), HandMap(config)
        self.neutral = self.map.neutral_u
        self.now_s = 0.0

    def run(self, seconds: float) -> np.ndarray:
        path = []
        for _ in range(round(seconds * 100)):
            self.now_s += 0.01
            path.append(self.hand.apply(self.neutral.copy(), self.now_s, self.now_s))
        return np.array(path)


def test_a_held_motor_goes_there_smoothly_and_back() -> None:
    held = _Held()
    held.run(WAKE_S)
    held.hand.hold_motor(held.hand.names[0], 0.9)
    there = held.run(1.0)
    assert there[-1, 0] == pytest.approx(0.9, abs=0.01)
    assert np.abs(np.diff(there[:, 0])).max() < 0.15
    assert np.abs(there[:, 1:] - held.neutral[1:]).max() < 1e-9
    held.hand.hold_motor(held.hand.names[0], None)
    back = held.run(1.5)
    assert back[-1] == pytest.approx(held.neutral, abs=0.01)
    assert np.abs(np.diff(back[:, 0])).max() < 0.15


def test_a_held_shape_is_what_the_solver_makes_of_it() -> None:
    held = _Held()
    held.hand.hold_shape("jawOpen", 0.8)
    values = np.zeros(N_CHANNELS)
    values[ARKIT_INDEX["jawOpen"]] = 0.8
    assert held.run(1.5)[-1] == pytest.approx(held.map(values), abs=0.01)
    held.hand.let_go()
    assert held.run(1.5)[-1] == pytest.approx(held.neutral, abs=0.01)


def test_waking_leads_in_from_rest() -> None:
    held = _Held()
    held.hand.hold_motor(held.hand.names[0], 1.0)
    held.hand.wake(0.3)
    path = held.run(0.3 + WAKE_S)
    assert np.abs(path[:29] - held.neutral).max() < 1e-9
    assert path[-1, 0] > held.neutral[0] + 0.8 * (1.0 - held.neutral[0])


def test_what_cannot_be_held_is_refused_with_the_valid_names() -> None:
    hand = _Held().hand
    with pytest.raises(InputError, match="jaw"):
        hand.hold_motor("jaw_opne", 0.5)
    with pytest.raises(InputError, match="0 to 1"):
        hand.hold_motor(hand.names[0], 1.2)
    with pytest.raises(InputError, match="jawOpen"):
        hand.hold_shape("jawOpne", 0.5)
    with pytest.raises(InputError):
        hand.hold_shape("jawOpen", -0.1)


def test_style_scales_its_part_of_the_face_only() -> None:
    config = load_face("bench4")
    frames = Styled(config, motion_of(config, sim=True, use_calibration=False))
    frames.set_style("articulation", 0.5)
    frames.push(np.array([0.0]), np.full((1, N_CHANNELS), 0.4), np.zeros(1, dtype=bool))
    shown = frames.values_at(0.1)
    assert shown[ARKIT_INDEX["jawOpen"]] == pytest.approx(0.2)
    assert shown[ARKIT_INDEX["browInnerUp"]] == pytest.approx(0.4)
    with pytest.raises(InputError, match=", ".join(STYLES)):
        frames.set_style("speed", 1.0)


# ---- what is drawn


def test_without_calibration_the_rig_draws_what_the_hand_map_does() -> None:
    config = load_face("hybrid")
    drawn, hand = ByRig(config), HandMap(config)
    nobody = np.full(len(config.names), np.nan)
    drawn.follow(hand.neutral_u, nobody)
    rest = drawn.landmarks()[0]
    assert np.abs(rest - lm.neutral_m()).max() < 1e-4
    values = np.zeros(N_CHANNELS)
    values[ARKIT_INDEX["jawOpen"]] = 0.7
    drawn.follow(hand(values), nobody)
    assert lm.lip_gap_m(drawn.landmarks()[0]) - lm.lip_gap_m(rest) > 0.005


def test_the_self_model_draws_streaming_what_it_says_at_rest_and_open() -> None:
    config = load_face("hybrid")
    motion = motion_of(config, sim=True)
    drawn = projection_of(config, motion.folder)
    assert isinstance(drawn, BySelfModel)
    neutral = np.array([a.neutral_u for a in config.actuators.values()])
    unknown, u = np.full(len(neutral), np.nan), neutral.copy()
    for _ in range(50):
        drawn.follow(u, unknown)
    rest, head = drawn.landmarks()
    assert np.abs(rest - lm.neutral_m()).mean() < 0.004
    assert np.abs(head).max() < 0.05
    jaw = config.names.index("jaw_open")
    u[jaw] = 0.8
    gaps = []
    for _ in range(50):
        drawn.follow(u, unknown)
        gaps.append(lm.lip_gap_m(drawn.landmarks()[0]))
    assert gaps[0] - lm.lip_gap_m(rest) < 0.001  # the servo's lag is in it
    assert gaps[-1] - lm.lip_gap_m(rest) > 0.004
    stuck = unknown.copy()
    stuck[jaw] = neutral[jaw]
    for _ in range(50):
        drawn.follow(u, stuck)
    assert lm.lip_gap_m(drawn.landmarks()[0]) - lm.lip_gap_m(rest) < 0.002  # it says where it stands


def test_the_mesh_is_open_at_mouth_and_eyes() -> None:
    shape = mesh()
    assert len(shape["neutral_mm"]) == lm.N_LANDMARKS
    mouth = set(shape["rings"]["mouth"])
    assert not any(set(t) <= mouth for t in shape["triangles"])
    assert 840 < len(shape["triangles"]) < 898
