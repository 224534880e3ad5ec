"""The simulated face as a plant: servo angles in, servo angles and true landmarks out."""

from math import floor

import mujoco
import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.sim.body.ageing import Ageing
from animaface.sim.body.bones import Bones
from animaface.sim.body.chassis import N_BONES, build_chassis
from animaface.sim.body.mechanism import Tables
from animaface.sim.body.pose import Pose, Shape, jaw_motion
from animaface.sim.body.servo import Servos
from animaface.sim.body.soft import SoftTissue
from animaface.sim.generated import Build
from animaface.sim.plant import Drive, ShaftState

Array = NDArray[np.float64]

DEFAULT_TIMESTEP_S = 0.002
BABBLING_TIMESTEP_S = 0.004

_SOFT_STEP_S = 0.004  # skin is slow: it moves at most so often, servos and bones every step


class SimFace:
    """A MuJoCo face built from any face config.

    One shaft per actuator with its speed, torque, friction, dead band, play and quantisation; real
    linkages; condensed skin that stiffens, drags and creeps; tendons; lips in contact; gravity on jaw
    and head. Everything random (tolerances, where hobby servos stand at power-up) comes from `seed`:
    same config, seed, step and calls give the same bits.
    """

    def __init__(
        self,
        config: FaceConfig,
        *,
        seed: int = 0,
        timestep_s: float | None = None,
        ageing: Ageing | None = None,
        build: Build | None = None,
    ) -> None:
        """timestep_s: 0.002 unless told; 0.004 for babbling, 0.005 is the largest that does not ring.

        ageing: what time has done to it; the same seed is the same face in its youth. build: another geometry.
        """
        aged = ageing or Ageing()
        self._config = config
        self._dt = DEFAULT_TIMESTEP_S if timestep_s is None else float(timestep_s)
        if not 1e-4 <= self._dt <= 0.005:
            raise ConfigError(f"timestep_s: wanted 0.0001 to 0.005, found {self._dt:g}")
        acts = list(config.actuators.values())
        self._names = config.names
        self._row = {name: k for k, name in enumerate(self._names)}
        rng = np.random.default_rng(seed)
        self._servos = Servos(acts, rng)
        self._model = build_chassis(self._servos.motors, self._names, self._dt)
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        # Springs carry the weight of jaw and head at rest, as builders mount them.
        self._carried = np.array(self._data.qfrc_bias[:N_BONES])
        self._data.qpos[N_BONES:] = self._servos.motors.start_rad
        self._tables = Tables(acts, None if build is None else build.strokes)
        ratio = np.maximum(np.abs(self._servos.u_per_rad) * self._tables.steepest(), 1e-6)
        self._bones = Bones([a.part for a in acts], self._servos.motors.inertia / ratio**2)
        self._soft = SoftTissue(config, rng, aged, 1.0 if build is None else build.stiffness)
        # Where horns sit, in u: nothing of it shows in the servos' own sensors.
        self._u_at_zero = self._servos.u_at_zero + self._servos.u_per_rad * aged.horn_rad(self._names)
        self._soft_every = max(1, round(_SOFT_STEP_S / self._dt))
        self._soft_load = np.zeros(len(acts))
        self._load_nm = np.zeros(len(acts))
        self._steps = 0
        self._settle()

    @classmethod
    def shape_of(cls, config: FaceConfig) -> tuple[Shape, Array]:
        """(geometry, snapshot at rest) of a face, for drawing and for landmarks of logged snapshots."""
        face = cls(config)
        return face._soft.shape, np.zeros(len(face.snapshot()))

    def _settle(self) -> None:
        """Put skin and bones where the shafts stand, so that time starts without a jump."""
        u = self._u_at_zero + self._servos.u_per_rad * self._servos.horn
        place, _ = self._tables.look_up(u)
        self._data.qpos[:N_BONES] = self._bones.rest(place[:, 0])
        mujoco.mj_forward(self._model, self._data)
        self._soft.settle(u, place, jaw_motion(*self._data.qpos[3:5]))
        self._light = self._bones.light(place[:, 0])

    # --- Plant ----------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Actuators, in the order of the face config."""
        return self._names

    @property
    def config(self) -> FaceConfig:
        """The face this body was built from."""
        return self._config

    @property
    def timestep_s(self) -> float:
        """Physics step, s."""
        return self._dt

    @property
    def now_s(self) -> float:
        """Time of the last physics step, s."""
        return self._steps * self._dt

    def set_drive(self, name: str, drive: Drive) -> None:
        """Takes effect from the next physics step. A goal or share that is no number is refused."""
        if name not in self._row:
            raise ConfigError(unknown_name("actuator", name, self._names))
        k = self._row[name]
        goal = drive.goal_rad
        if (
            (goal is not None and not np.isfinite(goal))
            or not 0.0 <= drive.torque_share <= 1.0
            or not drive.max_speed_rad_s >= 0.0
        ):
            raise ConfigError(
                f"{name}: wanted a finite goal, a speed from 0 and a torque share in 0..1, found {drive}"
            )
        self._servos.drive(k, goal, drive.max_speed_rad_s)
        limit = self._servos.motors.stall_nm[k] * drive.torque_share
        self._model.actuator_forcerange[k] = (-limit, limit)

    def shaft(self, name: str) -> ShaftState:
        """Present state of a shaft."""
        if name not in self._row:
            raise ConfigError(unknown_name("actuator", name, self._names))
        k = self._row[name]
        return ShaftState(
            float(self._data.qpos[N_BONES + k]),
            float(self._data.qvel[N_BONES + k]),
            float(self._data.actuator_force[k]),
        )

    def angles_rad(self) -> Array:
        """[N] present angles of all shafts."""
        return np.array(self._data.qpos[N_BONES : N_BONES + len(self._names)])

    def advance(self, to_s: float) -> None:
        """Step the physics to the last whole step at or before `to_s`; time starts at 0."""
        target = floor(to_s / self._dt + 1e-6)
        while self._steps < target:
            self._step()
            self._steps += 1

    def landmarks_m(self) -> Array:
        """[478, 3] true landmarks in the head frame, m."""
        return self._soft.shape.landmarks_m(self._pose())

    def head_rad(self) -> Array:
        """[3] true head yaw, pitch, roll, rad."""
        return np.array(self._data.qpos[:3])

    # --- truth ----------------------------------------------------------------------------------

    def snapshot(self) -> Array:
        """Flat vector with all that is needed to draw this moment (see pose.Pose)."""
        return self._pose().pack()

    def landmarks_of(self, snapshot: Array) -> Array:
        """[478, 3] landmarks in the head frame of a snapshot of this face, m."""
        return self._soft.shape.landmarks_m(Pose.unpack(snapshot, self._soft.shape.skin))

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Bones and shafts, in the order of joint_angles."""
        return (
            "neck_yaw_rad",
            "neck_pitch_rad",
            "neck_roll_rad",
            "jaw_open_rad",
            "jaw_slide_m",
            *(f"shaft_{n}_rad" for n in self._names),
        )

    def joint_angles(self) -> Array:
        """[5 + N] neck yaw, pitch, roll, jaw opening (rad), jaw slide (m), then the shafts (rad)."""
        return np.array(self._data.qpos)

    def _pose(self) -> Pose:
        soft, light, bones = self._soft, self._light, np.array(self._data.qpos[:N_BONES])
        return Pose(
            soft.handles, soft.drawn_m, soft.shape.lids.meet(light[:4]), light[4:8].reshape(2, 2),
            bones[3:], light[8:], bones[:3],
        )  # fmt: skip

    def _step(self) -> None:
        d, s = self._data, self._servos
        angle, speed = d.qpos[N_BONES:], d.qvel[N_BONES:]
        u = self._u_at_zero + s.u_per_rad * s.take_up_play(angle, self._load_nm, self._dt)
        place, slope = self._tables.look_up(u)
        if self._steps % self._soft_every == 0:
            jaw = jaw_motion(d.qpos[3], d.qpos[4])
            self._soft_load = self._soft.step(u, place, slope, jaw, self._dt * self._soft_every)
            self._light = self._bones.light(place[:, 0])
        load = self._soft_load.copy()
        rate = slope[:, 0] * s.u_per_rad * speed
        bones = self._bones.step(load, place[:, 0], slope[:, 0], rate, d.qpos[:N_BONES], d.qvel[:N_BONES])
        self._load_nm = load * s.u_per_rad
        d.qfrc_applied[:N_BONES] = bones + self._carried
        d.qfrc_applied[N_BONES:] = self._load_nm
        d.ctrl[:] = s.control(angle, self._dt)
        mujoco.mj_step(self._model, d)
