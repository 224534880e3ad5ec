"""Drawing with MuJoCo's offscreen renderer: one skin per part, its vertices written every frame."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from animaface.sim.body.pose import Shape
from animaface.sim.render import paint
from animaface.sim.render.figure import Figure, Part
from animaface.sim.render.gl import open_context
from animaface.sim.render.surface import Normals

Array = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """Where the camera stands (m), its upright angle of view (deg), how it is turned (rad: to the left, up,
    about its axis) and the light: direction of the main light and strengths of main, fill, rim and all round.
    specks: the skin is dabbed with specks."""

    camera_m: tuple[float, float, float] = (0.0, -0.004, 0.64)
    fovy_deg: float = 25.0
    turn_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    main_dir: tuple[float, float, float] = (0.42, -0.48, -0.86)
    main: float = 1.0
    fill: float = 1.0
    ambient: float = 1.0
    specks: bool = False

    def axes(self) -> str:
        """MuJoCo's xyaxes of the camera."""
        (cy, cx, cz), (sy, sx, sz) = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
            [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]
        )
        turn = turn @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        return _numbers(turn[:, :2].T)


def _numbers(x: Array) -> str:
    return " ".join(f"{v:.6g}" for v in np.asarray(x).ravel())


def _skin_xml(part: Part, vertices: Array) -> str:
    n = len(vertices)
    return (
        f'<skin name="{part.name}" material="{part.name}" vertex="{_numbers(vertices)}" '
        f'face="{" ".join(map(str, part.triangles.ravel().tolist()))}" texcoord="{_numbers(part.uv)}">'
        f'<bone body="world_anchor" bindpos="0 0 0" bindquat="1 0 0 0" '
        f'vertid="{" ".join(map(str, range(n)))}" vertweight="{" ".join(["1"] * n)}"/></skin>'
    )


def _scene_xml(
    parts: tuple[Part, ...], vertices: list[Array], size: tuple[int, int], samples: int, view: View
) -> str:
    assets, skins = [], []
    for part, x in zip(parts, vertices, strict=True):
        h, w = part.texture.shape[:2]
        assets.append(
            f'<texture name="{part.name}" type="2d" builtin="flat" width="{w}" height="{h}" rgb1="1 1 1"/>'
            f'<material name="{part.name}" texture="{part.name}" specular="{part.shine}" '
            f'shininess="{0.25 + 0.7 * part.shine:.3g}" rgba="1 1 1 1"/>'
        )
        skins.append(_skin_xml(part, x))
    main, fill = view.main, view.fill
    return f"""
<mujoco model="figure">
  <compiler angle="radian"/>
  <visual>
    <global offwidth="{size[0]}" offheight="{size[1]}" fovy="24"/>
    <quality offsamples="{samples}" shadowsize="1024"/>
    <headlight ambient="{_numbers(view.ambient * np.array([0.30, 0.30, 0.31]))}" diffuse="0.16 0.16 0.16" specular="0.05 0.05 0.05"/>
    <map znear="0.05" zfar="30"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" rgb1="0.56 0.60 0.66" rgb2="0.26 0.29 0.34" width="256" height="256"/>
    {"".join(assets)}
  </asset>
  <worldbody>
    <body name="world_anchor"/>
    <light pos="-0.45 0.55 0.9" dir="{_numbers(np.array(view.main_dir))}" directional="true" diffuse="{_numbers(main * np.array([0.66, 0.63, 0.59]))}" specular="{_numbers(main * np.full(3, 0.35))}" castshadow="false"/>
    <light pos="0.8 0.1 0.6" dir="-0.85 -0.05 -0.5" directional="true" diffuse="{_numbers(fill * np.array([0.17, 0.18, 0.20]))}" specular="0.1 0.1 0.1" castshadow="false"/>
    <light pos="0.3 0.6 -0.8" dir="-0.2 -0.5 0.8" directional="true" diffuse="0.16 0.17 0.19" specular="0.1 0.1 0.1" castshadow="false"/>
    <camera name="front" pos="{_numbers(np.array(view.camera_m))}" xyaxes="{view.axes()}" fovy="{view.fovy_deg:.6g}"/>
  </worldbody>
  <deformable>{"".join(skins)}</deformable>
</mujoco>"""


class Painter:
    """Draws snapshots of one face. `close` it, or use it as a context manager."""

    def __init__(
        self,
        shape: Shape,
        neutral: Array,
        size: tuple[int, int],
        *,
        samples: int = 4,
        view: View | None = None,
    ) -> None:
        """size is (width, height) in pixels, samples per pixel 0, 2 or 4. Raises MissingDependencyError."""
        self._figure = Figure(shape)
        vertices = self._figure.vertices(neutral)
        self._model = mujoco.MjModel.from_xml_string(
            _scene_xml(self._figure.parts, vertices, size, samples, view or View())
        )
        for k, part in enumerate(self._figure.parts):
            start = int(self._model.tex_adr[k + 1])
            dabbed = view is not None and view.specks and part.name == "face"
            texture = paint.speckled_face_texture() if dabbed else part.texture
            self._model.tex_data[start : start + texture.size] = texture.ravel()
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        self._normals = [
            Normals(len(x), p.triangles) for x, p in zip(vertices, self._figure.parts, strict=True)
        ]
        self._size = size
        self._gl = open_context(*size)
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(model=self._model, maxgeom=100)
        camera = mujoco.MjvCamera()
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED.value, 0
        option = mujoco.MjvOption()
        mujoco.mjv_updateScene(
            self._model, self._data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )

    def draw(self, snapshot: Array) -> Image:
        """[height, width, 3] picture of one moment."""
        start = 0
        for x, normals in zip(self._figure.vertices(snapshot), self._normals, strict=True):
            end = start + x.size
            self._scene.skinvert[start:end] = x.ravel()
            self._scene.skinnormal[start:end] = normals.of(x).ravel()
            start = end
        self._gl.make_current()
        area = mujoco.MjrRect(0, 0, *self._size)
        mujoco.mjr_render(area, self._scene, self._context)
        out = np.empty((self._size[1], self._size[0], 3), np.uint8)
        mujoco.mjr_readPixels(out, None, area, self._context)
        return out[::-1].copy()

    def close(self) -> None:
        """Free the graphics context."""
        self._context.free()
        self._gl.free()

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
