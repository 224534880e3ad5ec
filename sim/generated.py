"""Faces that nobody drew, from seeds: random parts, servos, limits, neutrals, directions, strokes and skin."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig, parse_face
from animaface.robot.parts import PARTS

Array = NDArray[np.float64]


def generated_config(seed: int, share: float = 0.6) -> FaceConfig:
    """About this share of all parts, on Dynamixel or PWM servos of any model, mounted anyhow."""
    rng = np.random.default_rng(seed)
    lines = [
        "id: generated",
        "buses: {b: {kind: servo_board, port: x, board_id: 1}, d: {kind: dynamixel, port: y}}",
        "actuators:",
    ]
    for k, (name, part) in enumerate(PARTS.items()):
        if rng.random() > share:
            continue
        direction = int(rng.choice([1, -1]))
        neutral = float(rng.uniform(0.0, 1.0)) if part.drive == "rigid" else 0.0
        at = neutral if direction == 1 else 1.0 - neutral
        if rng.random() < 0.5:
            low, high = rng.uniform(120, 165), rng.uniform(195, 240)
            model = rng.choice(["xl330-m288", "xl330-m077", "xm430-w350"])
            where, unit = f"bus: d, id: {k + 1}, model: {model}", "deg"
        else:
            low, high = rng.uniform(900, 1300), rng.uniform(1700, 2100)
            model = rng.choice(["pwm-9g-metal", "pwm-9g-digital", "pwm-20kg"])
            where, unit = f"bus: b, channel: {k}, model: {model}", "us"
        lines.append(
            f"  a{k}: {{part: {name}, {where}, limits_{unit}: [{low}, {high}], "
            f"neutral_{unit}: {low + (high - low) * at}, direction: {direction}}}"
        )
    return parse_face("\n".join(lines), source="generated")


@dataclass(frozen=True)
class Build:
    """How a body differs from the study's: strokes [N] of its linkages and stiffness of its skin, as factors."""

    strokes: Array
    stiffness: float = 1.0

    @classmethod
    def of(cls, config: FaceConfig, seed: int) -> Self:
        """Strokes between 75 and 115 %, skin between 70 and 140 %, left and right of a part alike or nearly."""
        rng = np.random.default_rng([seed, 31])
        stems: dict[str, float] = {}
        strokes = [
            stems.setdefault(a.part.removesuffix("_left").removesuffix("_right"), float(rng.uniform(0.75, 1.15)))
            * float(rng.uniform(0.97, 1.03))
            for a in config.actuators.values()
        ]  # fmt: skip
        return cls(np.array(strokes), float(rng.uniform(0.7, 1.4)))
