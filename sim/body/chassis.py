"""The rigid body in MuJoCo: head on its neck, jaw on its joint, one geared motor per servo."""

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from animaface.sim.body import anatomy

Array = NDArray[np.float64]

N_BONES: Final = 5
"""qpos starts with neck yaw, pitch, roll, jaw opening, jaw slide; the shafts follow."""


@dataclass(frozen=True)
class MotorBank:
    """Per servo: stiffness of the position loop (N m/rad), damping, rotor inertia seen at the shaft
    (kg m^2), dry friction and stall torque (N m), hard stops [N, 2] (rad), where the shaft stands [N]."""

    stiffness: Array
    damping: Array
    inertia: Array
    friction_nm: Array
    stall_nm: Array
    stops_rad: Array
    start_rad: Array


def _vec(v: Array) -> str:
    return " ".join(f"{x:.6g}" for x in v)


def build_chassis(motors: MotorBank, names: tuple[str, ...], timestep_s: float) -> Any:
    """Compile the MjModel."""
    shafts = "".join(
        f'<body name="shaft_{name}" pos="{0.03 * k:.3g} -1 0"><joint name="{name}" axis="0 0 1" '
        f'range="{motors.stops_rad[k, 0]:.6g} {motors.stops_rad[k, 1]:.6g}" solreflimit="0.02 1" '
        f'armature="{motors.inertia[k]:.6g}" frictionloss="{motors.friction_nm[k]:.6g}" ref="0"/>'
        f'<inertial pos="0 0 0" mass="0.001" diaginertia="1e-8 1e-8 1e-8"/></body>'
        for k, name in enumerate(names)
    )
    drives = "".join(
        f'<position name="{name}" joint="{name}" kp="{motors.stiffness[k]:.6g}" kv="{motors.damping[k]:.6g}" '
        f'forcerange="{-motors.stall_nm[k]:.6g} {motors.stall_nm[k]:.6g}"/>'
        for k, name in enumerate(names)
    )
    jaw_at = anatomy.JAW_HINGE_M - anatomy.NECK_PIVOT_M
    xml = f"""
<mujoco model="animaface">
  <compiler angle="radian"/>
  <option timestep="{timestep_s:.6g}" integrator="implicitfast" solver="Newton" jacobian="dense"
          gravity="0 -9.81 0" iterations="20"><flag contact="disable"/></option>
  <worldbody>
    <body name="head" pos="{_vec(anatomy.NECK_PIVOT_M)}">
      <joint name="neck_yaw_joint" axis="0 1 0" armature="0.004" damping="0.05"/>
      <joint name="neck_pitch_joint" axis="1 0 0" armature="0.004" damping="0.05"/>
      <joint name="neck_roll_joint" axis="0 0 -1" armature="0.004" damping="0.05"/>
      <inertial pos="0 0.10 0.045" mass="1.3" diaginertia="0.006 0.004 0.006"/>
      <body name="jaw" pos="{_vec(jaw_at)}">
        <joint name="jaw_open_joint" axis="1 0 0" armature="0.0003" damping="0.03"/>
        <joint name="jaw_slide_joint" type="slide" axis="1 0 0" armature="0.05" damping="1.0"/>
        <inertial pos="0 -0.055 0.055" mass="0.12" diaginertia="2e-4 2e-4 2e-4"/>
      </body>
    </body>
    {shafts}
  </worldbody>
  <actuator>{drives}</actuator>
</mujoco>"""
    return mujoco.MjModel.from_xml_string(xml)
