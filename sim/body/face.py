"""The simulated face as a plant: servo angles in, servo angles and true landmarks out."""

from dataclasses import dataclass
from math import floor

import mujoco
import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.sim.body import anatomy
from animaface.sim.body.chassis import N_BONES, build_chassis
from animaface.sim.body.mechanism import Tables, corner_drives
from animaface.sim.body.pose import Pose, Shape, jaw_motion
from animaface.sim.body.servo import Servos
from animaface.sim.body.skin import build_skin, rides_on_jaw
from animaface.sim.body.tissue import Drag, Tendons, lip_bulge_m, stiffen
from animaface.sim.plant import Drive, ShaftState

Array = NDArray[np.float64]

DEFAULT_TIMESTEP_S = 0.002
BABBLING_TIMESTEP_S = 0.004

_SKIN_PARTS = ("brow_", "lip_")
_TENDON_PARTS = ("nose_wing_", "cheek_")
_JAW_ROD = np.array([9.0, 2500.0])  # N m/rad of the opening rods, N/m of the slide's
_JAW_ROD_DAMPING = np.array([0.08, 14.0])
_JAW_REST = np.array([0.9, 500.0])  # a jaw without servos hangs in its joint's springs
_TEETH, _BITE_RAD = 40.0, -0.012  # N m/rad of the rows of teeth, where they meet
_NECK_ROD, _NECK_ROD_DAMPING = 45.0, 0.9
_LID_SPRING, _EYE_SPRING = 0.03, 0.02  # N m/rad


@dataclass(frozen=True)
class _Roles:
    """Row numbers of the actuators by what they move."""

    jaw: NDArray[np.int64]  # opening
    slide: NDArray[np.int64]
    neck_left: NDArray[np.int64]
    neck_right: NDArray[np.int64]
    neck_yaw: NDArray[np.int64]
    tongue: tuple[NDArray[np.int64], NDArray[np.int64]]
    lids: tuple[NDArray[np.int64], ...]  # upper right, lower right, upper left, lower left
    eyes: tuple[NDArray[np.int64], ...]  # right yaw, right pitch, left yaw, left pitch


def _roles(parts: list[str]) -> _Roles:
    def of(*wanted: str) -> NDArray[np.int64]:
        return np.array([k for k, p in enumerate(parts) if p in wanted], dtype=np.int64)

    def eye(axis: str, side: str) -> NDArray[np.int64]:
        own = of(f"eye_{axis}_{side}")
        return own if len(own) else of(f"eyes_{axis}")

    return _Roles(
        of("jaw_open"), of("jaw_slide"), of("neck_left"), of("neck_right"), of("neck_yaw"),
        (of("tongue_out"), of("tongue_up")),
        tuple(of(f"lid_{row}_{side}") for side in ("right", "left") for row in ("upper", "lower")),
        tuple(eye(axis, side) for side in ("right", "left") for axis in ("yaw", "pitch")),
    )  # fmt: skip


def _mean_matrix(rows: list[NDArray[np.int64]], n: int) -> Array:
    """[R, N] averages over the actuators of each row; a row nobody drives is zero."""
    out = np.zeros((len(rows), n))
    for r, members in enumerate(rows):
        if len(members):
            out[r, members] = 1.0 / len(members)
    return out


class SimFace:
    """A MuJoCo face built from any face config.

    One shaft per actuator with its speed, torque, friction, dead band, play and quantisation; real
    linkages; condensed skin that stiffens, drags and creeps; tendons; lips in contact; gravity on jaw
    and head. Everything random (tolerances, where hobby servos stand at power-up) comes from `seed`:
    same config, seed, step and calls give the same bits.
    """

    def __init__(self, config: FaceConfig, *, seed: int = 0, timestep_s: float | None = None) -> None:
        """timestep_s: 0.002 unless told; 0.004 for babbling, 0.005 is the largest that does not ring."""
        self._config = config
        self._dt = DEFAULT_TIMESTEP_S if timestep_s is None else float(timestep_s)
        if not 1e-4 <= self._dt <= 0.005:
            raise ConfigError(f"timestep_s: wanted 0.0001 to 0.005, found {self._dt:g}")
        acts = list(config.actuators.values())
        self._parts = [a.part for a in acts]
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
        self._tables = Tables(acts)
        self._roles = _roles(self._parts)
        self._corners = corner_drives(config)
        self._build_tissue(rng)
        self._steps = 0
        self._settle()

    @classmethod
    def shape_of(cls, config: FaceConfig) -> tuple[Shape, Array]:
        """(geometry, snapshot at rest) of a face, for drawing and for landmarks of logged snapshots."""
        face = cls(config)
        pose = Pose.unpack(np.zeros(len(face.snapshot())), face._shape.skin)
        return face._shape, pose.pack()

    # --- building -------------------------------------------------------------------------------

    def _build_tissue(self, rng: np.random.Generator) -> None:
        n = len(self._parts)
        driven = sorted({p for p in self._parts if p.startswith(_SKIN_PARTS)})
        handles = (*driven, *(f"corner_{c.side}" for c in self._corners))
        tendons = tuple(sorted({p for p in self._parts if p.startswith(_TENDON_PARTS)}))
        skin = build_skin(handles, tendons)
        of = [
            np.array([k for k, p in enumerate(self._parts) if p == h], dtype=np.int64)
            for h in (*handles, *tendons)
        ]
        self._to_handle = _mean_matrix(of[: len(handles)], n)
        self._to_tendon = _mean_matrix(of[len(handles) :], n)
        r = self._roles
        self._to_joint = _mean_matrix([*r.lids, *r.eyes, *r.tongue, r.neck_left, r.neck_right, r.neck_yaw], n)
        self._corner_rows = np.array(
            [handles.index(f"corner_{c.side}") for c in self._corners], dtype=np.int64
        )
        self._on_jaw = np.array([rides_on_jaw(h) for h in handles], dtype=bool)
        self._bulge = np.array(
            [(1.0 if h.endswith("middle") else 0.7) if h.startswith("lip_") else 0.0 for h in handles]
        )
        self._neighbours = _neighbour_matrix(handles)
        pull = np.array([_pull(t) for t in tendons]).reshape(-1, 3)
        self._shape = Shape(skin, pull)
        width = np.array([2.2e-4 if h.startswith("brow") else 1.3e-4 for h in handles])
        self._drag = Drag(len(handles), width * rng.uniform(0.7, 1.3, len(handles)),
                          np.full(len(handles), 0.045) * rng.uniform(0.8, 1.2, len(handles)), 0.7)  # fmt: skip
        t = len(tendons)
        self._tendons = Tendons(
            skin.tendon_stiffness, 0.12 * rng.uniform(0.8, 1.2, t), 0.07 * rng.uniform(0.8, 1.2, t)
        )
        self._load_nm = np.zeros(n)

    def _settle(self) -> None:
        """Put skin and bones where the shafts stand, so that time starts without a jump."""
        u = self._servos.u_at_zero + self._servos.u_per_rad * self._servos.horn
        place, _ = self._tables.look_up(u)
        joint = self._to_joint @ place[:, 0]
        self._data.qpos[:3] = _head_rad(joint[10:13])
        for k, rows in enumerate((self._roles.jaw, self._roles.slide)):
            self._data.qpos[3 + k] = place[rows, 0].mean() if len(rows) else 0.0
        mujoco.mj_forward(self._model, self._data)
        raw, _ = self._handles(u, place, jaw_motion(*self._data.qpos[3:5]))
        self._drag.held[:] = raw
        self._drag.crept[:] = raw
        self._skin_at = raw
        self._joint = joint
        self._pose_tendons = self._tendons.drawn

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

    def advance(self, to_s: float) -> None:
        """Step the physics to the last whole step at or before `to_s`; time starts at 0."""
        target = floor(to_s / self._dt + 1e-6)
        while self._steps < target:
            self._step()
            self._steps += 1

    def landmarks_m(self) -> Array:
        """[478, 3] true landmarks in the head frame, m."""
        return self._shape.landmarks_m(self._pose())

    def head_rad(self) -> Array:
        """[3] true head yaw, pitch, roll, rad."""
        return np.array(self._data.qpos[:3])

    # --- truth ----------------------------------------------------------------------------------

    def snapshot(self) -> Array:
        """Flat vector with all that is needed to draw this moment (see pose.Pose)."""
        return self._pose().pack()

    def landmarks_of(self, snapshot: Array) -> Array:
        """[478, 3] landmarks in the head frame of a snapshot of this face, m."""
        return self._shape.landmarks_m(Pose.unpack(snapshot, self._shape.skin))

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
        j = self._joint
        return Pose(
            self._skin_at, self._pose_tendons, self._shape.lids.meet(j[:4]), j[4:8].reshape(2, 2),
            np.array(self._data.qpos[3:5]), j[8:10], np.array(self._data.qpos[:3]),
        )  # fmt: skip

    # --- physics --------------------------------------------------------------------------------

    def _handles(self, u: Array, place: Array, jaw: Array) -> tuple[Array, list[tuple[float, float]]]:
        """([H, 3] where the links hold the skin, in the head frame; corners' (outwards, up))."""
        raw = self._to_handle @ place
        corners = [c.point(u) for c in self._corners]
        inward = 0.0
        for row, drive, (x, y) in zip(self._corner_rows, self._corners, corners, strict=True):
            raw[row] = ((x if drive.side == "left" else -x), y, _arch_z(x))
            inward -= x
        raw = stiffen(raw, self._neighbours)
        raw[:, 2] += self._bulge * lip_bulge_m(inward)
        raw[self._on_jaw] += raw[self._on_jaw] @ jaw[:, :3].T
        return raw, corners

    def _step(self) -> None:
        d, s, dt = self._data, self._servos, self._dt
        angle, speed = d.qpos[N_BONES:], d.qvel[N_BONES:]
        horn = s.take_up_play(angle, self._load_nm, dt)
        u = s.u_at_zero + s.u_per_rad * horn
        place, slope = self._tables.look_up(u)
        jaw = jaw_motion(d.qpos[3], d.qpos[4])
        raw, corners = self._handles(u, place, jaw)
        skin = self._drag.follow(raw, dt)
        per_u = np.zeros(len(u))
        force = self._skin_force(skin, jaw)
        per_u += ((self._to_handle.T @ force) * slope).sum(axis=1)
        self._corner_loads(per_u, u, corners, force)
        self._pull_tendons(per_u, place, slope, skin, jaw)
        self._joint = self._to_joint @ place[:, 0]
        per_u -= self._to_joint[:8].T @ (self._joint[:8] * _JOINT_SPRING) * slope[:, 0]
        rate = slope[:, 0] * s.u_per_rad * speed
        self._move_jaw(per_u, place[:, 0], rate, slope[:, 0])
        self._move_neck(per_u, rate, slope[:, 0])
        d.qfrc_applied[:N_BONES] += self._carried
        self._skin_at = skin
        self._load_nm = per_u * s.u_per_rad
        d.qfrc_applied[N_BONES:] = self._load_nm
        d.ctrl[:] = s.control(angle, dt)
        mujoco.mj_step(self._model, d)

    def _skin_force(self, skin: Array, jaw: Array) -> Array:
        """[H, 3] forces of skin and lip contact on the links, N."""
        k = self._shape.skin
        force = -(k.handle_stiffness @ skin + k.handle_jaw @ jaw.T)
        press = self._shape.contact(skin, jaw).force_n
        lips = self._shape.lip_by_handle
        force[:, 1] += lips[:9].T @ press - lips[9:].T @ press
        return force

    def _corner_loads(self, per_u: Array, u: Array, corners: list[tuple[float, float]], force: Array) -> None:
        for row, drive, (x, y) in zip(self._corner_rows, self._corners, corners, strict=True):
            out = force[row, 0] if drive.side == "left" else -force[row, 0]
            out -= force[row, 2]  # the arch turns a push from the front into one to the side
            for k in (drive.a, drive.b):
                if k is not None:
                    moved = u.copy()
                    moved[k] += 1e-3
                    x1, y1 = drive.point(moved)
                    per_u[k] += (out * (x1 - x) + force[row, 1] * (y1 - y)) * 1e3

    def _pull_tendons(self, per_u: Array, place: Array, slope: Array, skin: Array, jaw: Array) -> None:
        k, pull = self._shape.skin, self._shape.pull
        if not len(pull):
            return
        passive = ((k.tendon_by_handle @ skin + k.tendon_by_jaw @ jaw.T) * pull).sum(axis=1)
        tension = self._tendons.step(self._to_tendon @ place[:, 0], passive, self._dt)
        self._pose_tendons = self._tendons.drawn
        per_u -= (self._to_tendon.T @ tension) * slope[:, 0]

    def _move_jaw(self, per_u: Array, place: Array, rate: Array, slope: Array) -> None:
        d = self._data
        for k, rows in enumerate((self._roles.jaw, self._roles.slide)):
            q, v = d.qpos[3 + k], d.qvel[3 + k]
            skin = (0.12 * q + 1.2 * q**3 - _TEETH * max(0.0, _BITE_RAD - q)) if k == 0 else 60.0 * q
            if not len(rows):
                d.qfrc_applied[3 + k] = -_JAW_REST[k] * q - _JAW_ROD_DAMPING[k] * v - skin
                continue
            share = 1.0 / len(rows)
            rods = share * (_JAW_ROD[k] * (place[rows] - q) + _JAW_ROD_DAMPING[k] * (rate[rows] - v))
            per_u[rows] -= rods * slope[rows]
            d.qfrc_applied[3 + k] = rods.sum() - skin

    def _move_neck(self, per_u: Array, rate: Array, slope: Array) -> None:
        """Both rods nod, their difference tilts; the third servo turns."""
        d = self._data
        target = _head_rad(self._joint[10:13])
        speed = _head_rad(self._to_joint[10:13] @ rate)
        torque = _NECK_ROD * (target - d.qpos[:3]) + _NECK_ROD_DAMPING * (speed - d.qvel[:3])
        d.qfrc_applied[:3] = torque
        rods = np.array([0.5 * (torque[1] + torque[2]), 0.5 * (torque[1] - torque[2]), torque[0]])
        per_u -= (self._to_joint[10:13].T @ rods) * slope


_JOINT_SPRING = np.array([_LID_SPRING] * 4 + [_EYE_SPRING] * 4)


def _head_rad(rods: Array) -> Array:
    """(yaw, pitch, roll) of (left, right, yaw) neck rods."""
    left, right, yaw = rods
    return np.array([yaw, 0.5 * (left + right), 0.5 * (left - right)])


def _arch_z(outwards_m: float) -> float:
    """The corner runs on the arch of the teeth: outwards is backwards, ever more."""
    return -0.95 * outwards_m - 9.0 * outwards_m * outwards_m


def _pull(tendon: str) -> Array:
    stem, side = tendon.rpartition("_")[0], anatomy.side_sign(tendon)
    v = np.array(anatomy.PULL_DIRECTION[stem]) * [side, 1.0, 1.0]
    return np.asarray(v / np.linalg.norm(v), dtype=np.float64)


_NEIGHBOURS = (
    ("brow_inner_left", "brow_outer_left"), ("brow_inner_right", "brow_outer_right"),
    ("corner_left", "lip_upper_left"), ("lip_upper_left", "lip_upper_middle"),
    ("lip_upper_middle", "lip_upper_right"), ("lip_upper_right", "corner_right"),
    ("corner_left", "lip_lower_left"), ("lip_lower_left", "lip_lower_middle"),
    ("lip_lower_middle", "lip_lower_right"), ("lip_lower_right", "corner_right"),
)  # fmt: skip


def _neighbour_matrix(handles: tuple[str, ...]) -> Array:
    """[E, H] differences between handles that share a strip of skin."""
    pairs = [(a, b) for a, b in _NEIGHBOURS if a in handles and b in handles]
    out = np.zeros((len(pairs), len(handles)))
    for e, (a, b) in enumerate(pairs):
        out[e, handles.index(a)], out[e, handles.index(b)] = 1.0, -1.0
    return out
