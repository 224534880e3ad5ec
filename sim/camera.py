"""A camera that looks at the simulated face: really drawn, late, blurred, noisy, unevenly lit.

What a session gets are pictures and the times at which they arrived, as from a camera on a cable. How late
they are, how long the shutter is open, where the camera stands and how the light falls follow from a seed and
are nobody's business but a test's. Frames are remembered as snapshots and drawn only when somebody asks.
"""

from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.landmarks import neutral_m
from animaface.sim.body.face import SimFace
from animaface.sim.render.scene import Painter, View
from animaface.sim.render.video import open_painter

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

_DELAY_S: Final = (0.040, 0.110)
_EXPOSURE_S: Final = (0.006, 0.014)
_JITTER_S: Final = 0.001
_STILL: Final = 2e-4  # a snapshot (m and rad) that changes less while the shutter is open is drawn once
_SAME: Final = 1e-5  # what changed less since it was drawn (a sixtieth of a pixel) need not be drawn again
_LAMP: Final = 0.35


class SimCamera:
    """Pictures of a plant in lock-step time. Make it after the world of the plant, so that the plant moves first."""

    def __init__(
        self, plant: SimFace, clock: LockStepClock, *, seed: int = 0, size: tuple[int, int] = (640, 480),
        fps: float = 30.0, specks: bool = False,
    ) -> None:  # fmt: skip
        """specks: the skin is dabbed with specks that a camera can follow."""
        random = np.random.default_rng([seed, 40_110])
        self._plant, self._clock, self._random = plant, clock, random
        self.size = size
        self._period_s = 1.0 / fps
        self.hidden_delay_s = float(random.uniform(*_DELAY_S))
        self.hidden_exposure_s = float(random.uniform(*_EXPOSURE_S))
        self.view = replace(_view(random), specks=specks)
        self._optics = _Optics(random, size)
        self._painter: Painter | None = None
        self._drawn: tuple[Array, NDArray[np.float32]] | None = None
        self._waiting: deque[tuple[float, list[Array], float]] = deque(maxlen=256)
        self._lamp: list[tuple[float, bool]] = [(-np.inf, False)]
        self._before = (clock.now_s(), plant.snapshot())
        self._next_s = clock.now_s() + self._period_s * float(random.uniform(0.2, 1.0))
        self._open: list[tuple[float, Array]] = []
        clock.attach(self._advance)

    @property
    def name(self) -> str:
        """Named in the calibration."""
        return "simulated camera"

    @property
    def config(self) -> FaceConfig:
        """Of the face in front of it."""
        return self._plant.config

    @property
    def eyes_m(self) -> float:
        """What a person would measure from pupil to pupil with a ruler."""
        at_rest = self._plant.landmarks_of(np.zeros(len(self._plant.snapshot())))
        return float(np.linalg.norm(at_rest[468] - at_rest[473]))

    def flash(self, on: bool) -> None:
        """A lamp beside the face (a screen, the LED of a board) goes on or off, now."""
        self._lamp.append((self._clock.now_s(), on))

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, Picture] | None:
        """(arrival s, RGB [height, width, 3]) of the oldest picture that has arrived, None when there is none."""
        now_s = self._clock.now_s()
        while self._waiting and self._waiting[0][0] <= now_s:
            arrived_s, snapshots, lamp = self._waiting.popleft()
            if arrived_s >= not_before_s:
                return arrived_s, self._draw(snapshots, lamp)
        return None

    def close(self) -> None:
        """Free the graphics context."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    # ---- inside

    def _advance(self, to_s: float) -> None:
        from_s, before = self._before
        now = self._plant.snapshot()
        self._before = (to_s, now)
        while self._next_s + 0.5 * self.hidden_exposure_s <= to_s:
            instants = self._next_s + self.hidden_exposure_s * np.array([-0.25, 0.25])
            span = max(to_s - from_s, 1e-9)
            seen = [
                before + float(np.clip((t - from_s) / span, -1.0, 1.0)) * (now - before) for t in instants
            ]
            if np.abs(seen[1] - seen[0]).max() < _STILL:
                seen = [0.5 * (seen[0] + seen[1])]
            late_s = self.hidden_delay_s + abs(float(self._random.normal(0.0, _JITTER_S)))
            self._waiting.append((self._next_s + late_s, seen, self._lit(self._next_s)))
            self._next_s += self._period_s

    def _lit(self, middle_s: float) -> float:
        """Share of the exposure during which the lamp was on."""
        start, end = middle_s - 0.5 * self.hidden_exposure_s, middle_s + 0.5 * self.hidden_exposure_s
        share = 0.0
        for k, (since_s, on) in enumerate(self._lamp):
            until_s = self._lamp[k + 1][0] if k + 1 < len(self._lamp) else np.inf
            share += on * max(0.0, min(end, until_s) - max(start, since_s))
        return share / (end - start)

    def _draw(self, snapshots: list[Array], lamp: float) -> Picture:
        if self._painter is None:
            self._painter = open_painter(self._plant.config, self.size, samples=0, view=self.view)
        if len(snapshots) != 1 or self._drawn is None or np.abs(snapshots[0] - self._drawn[0]).max() > _SAME:
            light = np.mean([self._painter.draw(s).astype(np.float32) for s in snapshots], axis=0)
            self._drawn = (np.mean(snapshots, axis=0), light)
        return self._optics.picture(self._drawn[1], 1.0 + _LAMP * lamp)


class _Optics:
    """Uneven light over the picture, vignetting, noise of photons and of the amplifier."""

    def __init__(self, random: np.random.Generator, size: tuple[int, int]) -> None:
        width, height = size
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        slope = random.uniform(-0.15, 0.15, 2)
        gain = (1.0 + slope[0] * x + slope[1] * y) * (1.0 - random.uniform(0.05, 0.2) * (x * x + y * y) / 2.0)
        tint = 1.0 + random.uniform(-0.06, 0.06, 3)
        self._gain = (gain[..., None] * tint).astype(np.float32)
        self._size = float(random.uniform(1.2, 3.0))
        self._random = random
        # drawing a million normal numbers a picture would cost more than the picture
        self._noise = random.standard_normal((height + 64, width + 64, 3), dtype=np.float32)

    def picture(self, light: NDArray[np.float32], lamp: float) -> Picture:
        """What the sensor makes of linear light 0..255 [height, width, 3]."""
        height, width = light.shape[:2]
        dy, dx = self._random.integers(0, 64, 2)
        out = light * self._gain
        out *= np.float32(lamp)
        noise = self._noise[dy : dy + height, dx : dx + width]
        out += noise * (self._size * (0.4 + 0.6 * np.sqrt(np.maximum(out, 0.0) / 255.0)))
        return np.asarray(np.clip(out, 0.0, 255.0), dtype=np.uint8)


def _view(random: np.random.Generator) -> View:
    """A camera about in front of the face, about level; light from somewhere above."""
    middle = neutral_m()[:468].mean(axis=0)
    distance = float(random.uniform(0.5, 0.8))
    around = random.uniform(-0.06, 0.06, 2)  # rad beside and above straight in front
    camera = middle + distance * np.array([np.sin(around[0]), np.sin(around[1]), 1.0])
    height = float(random.uniform(0.24, 0.29))  # of the picture, at the face
    fovy = float(np.degrees(2 * np.arctan(0.5 * height / distance)))
    turn = (around[0] + random.normal(0, 0.01), -around[1] + random.normal(0, 0.01), random.normal(0.0, 0.03))
    side = random.uniform(-0.6, 0.6)
    return View(
        (float(camera[0]), float(camera[1]), float(camera[2])), fovy, (float(turn[0]), float(turn[1]), float(turn[2])),
        (float(side), float(random.uniform(-0.7, -0.2)), -0.86), float(random.uniform(0.75, 1.05)),
        float(random.uniform(0.5, 1.6)), float(random.uniform(0.85, 1.25)),
    )  # fmt: skip
