"""Paths of motor commands: what a face babbles to be learned, and the fixed paths it is tested on.

Both are smooth and come from one seed each, from generators that have nothing in common. Commands are
u[T, N] every TICK_S; the gate may still slow them down, so what counts is what was applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.handmap import HandMap
from animaface.selfmodel.expressions import spoken_take
from animaface.selfmodel.history import TICK_S
from animaface.selfmodel.limits import CommandLimits

Array = NDArray[np.float64]

CALM_SHARE: Final = 0.2
_SPELL_S: Final = (1.5, 4.0)
"""Share of the spells of babbling in which most regions stay at home, and how long a spell is."""


@dataclass(frozen=True)
class Body:
    """What a path must know of a face: limits on commands, regions and left-right twins by index."""

    limits: CommandLimits
    regions: Mapping[str, Sequence[int]]
    twins: Mapping[int, int]

    @property
    def neutral_u(self) -> Array:
        """[N] the neutral pose."""
        return self.limits.neutral_u

    @classmethod
    def of(cls, config: FaceConfig) -> Self:
        """Read from a face config."""
        names = config.names
        regions: dict[str, list[int]] = {}
        for i, a in enumerate(config.actuators.values()):
            region = {"jaw": "mouth", "eyes": "lids"}.get(a.region, a.region)  # what must be met together
            regions.setdefault(region, []).append(i)
        twins = {}
        for i, name in enumerate(names):
            other = name.replace("left", "right") if "left" in name else name.replace("right", "left")
            if other != name and other in names:
                twins[i] = names.index(other)
        return cls(command_limits(config), regions, twins)


def command_limits(config: FaceConfig) -> CommandLimits:
    """The limits of a face config as plain arrays, for the parts that may not read configs."""
    names, actuators = config.names, list(config.actuators.values())
    rows = np.array([[c.terms.get(n, 0.0) for n in names] for c in config.collisions.values()])
    return CommandLimits(
        np.array([a.neutral_u for a in actuators]),
        [[names.index(m) for m in g.members] for g in config.groups.values() if g.agree == "equal"],
        rows.reshape(-1, len(names)),
        np.array([c.at_most for c in config.collisions.values()]),
        np.array([a.speed_per_s for a in actuators]),
        np.array([a.acceleration_per_s2 for a in actuators]),
    )


def babbling_path(body: Body, duration_s: float, seed: int, calm: float = CALM_SHARE) -> Array:
    """Each region goes from key pose to key pose on its own time, by smooth moves of many speeds.

    A key pose moves a whole region, a left-right pair or one actuator; a third of the moves turn round and
    go back part of the way, so that every actuator is seen coming from both sides. For a share `calm` of the time only
    one or two regions move and the others stay at home: a face in use is mostly near rest, and there cables
    are slack and skin has crept back.
    """
    random = np.random.default_rng([seed, 1])
    frames = round(duration_s / TICK_S)
    u = np.tile(body.neutral_u, (frames, 1))
    at_home = _at_home(len(body.regions), frames, calm, random)
    for members, home in zip(body.regions.values(), at_home.T, strict=True):
        u[:, members] = _region_path(body, list(members), home, random)
    for (
        equal
    ) in body.limits.equal:  # those that agree follow the first, or their mean would stay in the middle
        u[:, equal] = u[:, [equal[0]]]
    return body.limits.made_legal(u)


def _at_home(regions: int, frames: int, calm: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """[frames, regions] when a region stays at home."""
    out = np.zeros((frames, regions), dtype=np.bool_)
    k = 0
    while k < frames:
        length = round(random.uniform(*_SPELL_S) / TICK_S)
        if random.random() < calm:
            out[k : k + length] = True
            out[k : k + length, random.choice(regions, min(regions, 2), replace=False)] = False
        k += length
    return out


def _region_path(
    body: Body, members: list[int], home: NDArray[np.bool_], random: np.random.Generator
) -> Array:
    neutral = body.neutral_u[members]
    here = neutral.copy()
    before = here.copy()
    rows: list[Array] = []
    count = 0
    while count < len(home):
        goal = _goal(body, members, here, before, random)
        if home[count]:
            goal = neutral + random.choice([0.0, 0.15]) * (goal - neutral)
        travel = float(np.abs(goal - here).max())
        move = max(2, round((0.06 + travel * random.uniform(0.12, 0.5)) / TICK_S))
        hold = round(random.choice([0.0, 0.05, 0.15, 0.5], p=[0.5, 0.3, 0.15, 0.05]) / TICK_S)
        s = np.arange(1, move + 1) / move
        ease = s**3 * (10.0 - 15.0 * s + 6.0 * s**2)  # minimum jerk
        rows.append(here + ease[:, None] * (goal - here))
        rows.append(np.tile(goal, (hold, 1)))
        count += move + hold
        before, here = here, goal
    return np.concatenate(rows)[: len(home)]


def _goal(body: Body, members: list[int], here: Array, before: Array, random: np.random.Generator) -> Array:
    """The next key pose of a region that is `here` and came from `before`."""
    goal = here.copy()
    kind = random.random()
    if kind < 0.3:  # turn round
        return np.asarray(here + random.uniform(0.2, 1.0) * (before - here))
    levels = _levels(body.neutral_u[members], random)
    if kind < 0.75:
        moved = random.random(len(members)) < random.uniform(0.4, 1.0)
        goal = np.where(moved, levels, here)
        return _mirrored(body, members, goal) if random.random() < 0.3 else goal
    one = int(random.integers(len(members)))
    goal[one] = levels[one]
    twin = body.twins.get(members[one])
    if twin in members and random.random() < 0.5:
        goal[members.index(twin)] = levels[one]
    return goal


def _levels(neutral: Array, random: np.random.Generator) -> Array:
    """One level for each actuator: anywhere, at an end, or near neutral."""
    n = len(neutral)
    kind = random.random(n)
    ends = (random.random(n) < 0.5).astype(float)
    near = np.clip(neutral + random.normal(0.0, 0.15, n), 0.0, 1.0)
    return np.where(kind < 0.6, random.random(n), np.where(kind < 0.72, ends, near))


def _mirrored(body: Body, members: list[int], goal: Array) -> Array:
    out = goal.copy()
    for at, i in enumerate(members):
        if body.twins.get(i, -1) in members:
            out[members.index(body.twins[i])] = goal[at]
    return out


def exam_path(config: FaceConfig, seed: int, *, swing_s: float = 30.0, takes: int = 10) -> Array:
    """The fixed path a model is scored on: every actuator swinging over its range, then spoken takes.

    Swings: each actuator follows a wandering chirp of .3-3 Hz through its own range (80 % and more of it),
    reversals at the speed of speech. Takes: ten synthetic spoken takes through the hand map.
    """
    body = Body.of(config)
    random = np.random.default_rng([seed, 2])
    n = len(body.neutral_u)
    t = np.arange(round(swing_s / TICK_S)) * TICK_S
    hz = (
        0.3
        + 2.7
        * (0.5 + 0.5 * np.sin(2 * np.pi * (random.uniform(0.03, 0.12, n) * t[:, None] + random.random(n))))
        ** 2
    )
    size = 0.5 + 0.5 * np.cos(2 * np.pi * (random.uniform(0.05, 0.2, n) * t[:, None] + random.random(n)))
    wave = np.sin(2 * np.pi * (np.cumsum(hz, axis=0) * TICK_S + random.random(n)))
    slow = np.minimum(1.0, 1.0 / hz)  # a servo can't swing over its whole range three times a second
    swing = 0.5 + 0.5 * wave * (0.35 + 0.65 * size) * (0.3 + 0.7 * slow)
    rise = np.clip(t / 0.5, 0.0, 1.0)[:, None]
    parts = [body.neutral_u + rise * (swing - body.neutral_u)]
    hand = HandMap(config)
    for k in range(takes):
        take = spoken_take(1000 * seed + k, 3.0)
        grid = np.arange(0.0, take.time_s[-1], TICK_S)
        u = np.asarray(hand(take.values))
        parts.append(np.column_stack([np.interp(grid, take.time_s, u[:, i]) for i in range(n)]))
    joined: list[Array] = []
    for part in parts:
        if joined:
            bridge = np.linspace(0.0, 1.0, round(0.3 / TICK_S))[:, None]
            joined.append(joined[-1][-1] + bridge * (part[0] - joined[-1][-1]))
        joined.append(part)
    return body.limits.made_legal(np.concatenate(joined))
