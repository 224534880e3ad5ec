"""A user's own head: real .glb and .gltf files, written here byte by byte, laid over ours."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES
from animaface.robot.face.errors import InputError
from animaface.selfmodel.rig import FaceRig, default_rig, fields, load_head
from animaface.selfmodel.rig.agreement import REFERENCE_NAME
from animaface.selfmodel.rig.gltf import arkit_name

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / REFERENCE_NAME
Mesh = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


class Gltf:
    """Writes the few things of glTF a head needs."""

    def __init__(self) -> None:
        self.data = b""
        self.doc: dict[str, Any] = {
            "asset": {"version": "2.0"},
            "bufferViews": [],
            "accessors": [],
            "nodes": [],
        }

    def view(self, array: np.ndarray) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        self.doc["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        )
        self.data += array.tobytes()
        return len(self.doc["bufferViews"]) - 1

    def accessor(self, array: np.ndarray, kind: str, component: int) -> int:
        entry = {
            "bufferView": self.view(array),
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        self.doc["accessors"].append(entry)
        return len(self.doc["accessors"]) - 1

    def vec3(self, array: np.ndarray) -> int:
        return self.accessor(array.astype("<f4"), "VEC3", 5126)

    def sparse_vec3(self, array: np.ndarray) -> int:
        rows = np.flatnonzero(np.abs(array).max(axis=1) > 1e-9)
        entry: dict[str, Any] = {"componentType": 5126, "count": len(array), "type": "VEC3"}
        if len(rows):
            entry["sparse"] = {
                "count": len(rows),
                "indices": {"bufferView": self.view(rows.astype("<u2")), "componentType": 5123},
                "values": {"bufferView": self.view(array[rows].astype("<f4"))},
            }
        self.doc["accessors"].append(entry)
        return len(self.doc["accessors"]) - 1

    def head(self, mesh: Mesh, *, sparse: bool = False, **node: Any) -> "Gltf":
        points, triangles, targets = mesh
        put = self.sparse_vec3 if sparse else self.vec3
        self.doc["meshes"] = [{
            "primitives": [{
                "attributes": {"POSITION": self.vec3(points)},
                "indices": self.accessor(triangles.ravel().astype("<u4")[:, None], "SCALAR", 5125),
                "targets": [{"POSITION": put(t)} for t in targets.values()],
            }],
            "extras": {"targetNames": list(targets)},
        }]  # fmt: skip
        self.doc["nodes"].append({"mesh": 0, "name": "Head", **node})
        return self

    def glb(self, path: Path) -> Path:
        self.doc["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.doc).encode()
        text += b" " * (-len(text) % 4)
        body = self.data + b"\0" * (-len(self.data) % 4)
        chunks = (
            struct.pack("<II", len(text), 0x4E4F534A)
            + text
            + struct.pack("<II", len(body), 0x004E4942)
            + body
        )
        path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
        return path

    def gltf(self, path: Path, *, beside: bool) -> Path:
        uri = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        if beside:
            uri = "head data.bin"
            (path.parent / uri).write_bytes(self.data)
            uri = "head%20data.bin"
        self.doc["buffers"] = [{"byteLength": len(self.data), "uri": uri}]
        path.write_text(json.dumps(self.doc))
        return path


def _subdivided(points: np.ndarray, triangles: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, ...]:
    middle: dict[tuple[int, int], int] = {}
    pairs: list[tuple[int, int]] = []
    out = []
    for tri in triangles.tolist():
        m = []
        for a, b in ((tri[0], tri[1]), (tri[1], tri[2]), (tri[2], tri[0])):
            key = (min(a, b), max(a, b))
            if key not in middle:
                middle[key] = len(points) + len(pairs)
                pairs.append(key)
            m.append(middle[key])
        out += [(tri[0], m[0], m[2]), (tri[1], m[1], m[0]), (tri[2], m[2], m[1]), tuple(m)]
    i = np.array(pairs)
    more = 0.5 * (points[i[:, 0]] + points[i[:, 1]])
    more_moves = 0.5 * (moves[:, i[:, 0]] + moves[:, i[:, 1]])
    return np.concatenate([points, more]), np.array(out), np.concatenate([moves, more_moves], axis=1)


def _open_skin() -> np.ndarray:
    """[f, 3] triangles of the face mesh without those that close the eyes and the mouth."""
    twin = lm.mirror_index()
    eye = {*fields.RIM_UPPER_RIGHT, *fields.RIM_LOWER_RIGHT, *fields.EYE_CORNERS_RIGHT}
    holes = ({*lm.INNER_UPPER, *lm.INNER_LOWER, 78, 308}, eye, {int(twin[i]) for i in eye})
    return np.array([t for t in lm.triangles().tolist() if not any(set(t) <= h for h in holes)])


@pytest.fixture(scope="module")
def stranger() -> tuple[Mesh, np.ndarray]:
    """Another head: finer mesh, open eyes and mouth, other proportions, vertices in another order.

    With it the vertex of each of our 468 landmarks on that mesh.
    """
    rig = default_rig()
    points, triangles, moves = _subdivided(rig.neutral_m[:468], _open_skin(), rig.displacement_m[:, :468])
    stretch = np.array([1.06, 0.95, 1.03])
    points = points * stretch + 0.003 * np.sin(points[:, [1, 0, 0]] * 25.0)
    moves = 0.85 * moves * stretch
    order = np.random.default_rng(0).permutation(len(points))
    place = np.argsort(order)
    targets = {n: m[order] for n, m in zip(ARKIT_NAMES, moves, strict=True) if n != "tongueOut"}
    return (points[order], place[triangles], targets), place[:468]


def _apple(name: str) -> str:
    return "Face." + (
        name[:-4] + "_L" if name.endswith("Left") else name[:-5] + "_R" if name.endswith("Right") else name
    )


def _cosines(head: FaceRig) -> dict[str, float]:
    a, b = head.displacement_m[:, :468], default_rig().displacement_m[:, :468]
    out = {}
    for i, name in enumerate(ARKIT_NAMES):
        if name != "tongueOut":
            out[name] = float((a[i] * b[i]).sum() / np.linalg.norm(a[i]) / np.linalg.norm(b[i]))
    return out


def test_a_strangers_head_is_laid_over_ours(stranger: tuple[Mesh, np.ndarray], tmp_path: Path) -> None:
    """In centimetres, turned by 30 degrees, off its place, with Apple's _L and _R: found by its shapes alone."""
    (points, triangles, targets), _ = stranger
    mesh = (points, triangles, {_apple(n): t for n, t in targets.items()})
    turn = [0.0, float(np.sin(0.26)), 0.0, float(np.cos(0.26))]
    node = {"rotation": turn, "scale": [100.0, 100.0, 100.0], "translation": [3.0, 160.0, -7.0]}
    head: FaceRig = load_head(Gltf().head(mesh, **node).glb(tmp_path / "head.glb"))
    assert head.names == ARKIT_NAMES
    off_mm = 1e3 * np.linalg.norm(head.neutral_m[:468] - default_rig().neutral_m[:468], axis=1)
    assert np.median(off_mm) < 3.0
    cosines = _cosines(head)
    assert min(cosines.values()) > 0.7, sorted(cosines.items(), key=lambda kv: kv[1])[:5]
    assert np.mean(list(cosines.values())) > 0.9


def test_lips_and_lids_find_their_own_side(stranger: tuple[Mesh, np.ndarray], tmp_path: Path) -> None:
    """Sealed lips lie on one another: only the way they move tells the upper from the lower one."""
    head = load_head(Gltf().head(stranger[0]).glb(tmp_path / "head.glb"))
    jaw = 1e3 * np.linalg.norm(head.displacement_m[ARKIT_INDEX["jawOpen"]], axis=1)
    assert jaw[list(lm.INNER_UPPER)].max() < 6.0 < 20.0 < jaw[list(lm.INNER_LOWER)].min()
    open_mouth = np.zeros(52)
    open_mouth[ARKIT_INDEX["jawOpen"]] = 0.5
    asked = float(default_rig().gap_m(open_mouth))
    assert float(head.gap_m(open_mouth)) == pytest.approx(0.85 * asked, rel=0.15)
    assert float(head.gap_m(np.zeros(52))) == 0.0


def test_named_vertices_are_taken_as_given(stranger: tuple[Mesh, np.ndarray], tmp_path: Path) -> None:
    mesh, vertices = stranger
    path = Gltf().head(mesh, sparse=True).gltf(tmp_path / "head.gltf", beside=True)
    as_list, as_object = tmp_path / "a.json", tmp_path / "b.json"
    as_list.write_text(json.dumps(vertices.tolist()))
    as_object.write_text(json.dumps({str(i): int(v) for i, v in enumerate(vertices)}))
    heads = [load_head(path, landmark_file=f) for f in (as_list, as_object)]
    assert np.array_equal(heads[0].displacement_m, heads[1].displacement_m)
    assert np.array_equal(heads[0].corner_vertices[:, 0], vertices)
    assert min(_cosines(heads[0]).values()) > 0.97


def test_sparse_plain_inline_and_binary_files_are_one_head(
    stranger: tuple[Mesh, np.ndarray], tmp_path: Path
) -> None:
    mesh, vertices = stranger
    named = tmp_path / "v.json"
    named.write_text(json.dumps(vertices.tolist()))
    heads = [
        load_head(path, landmark_file=named)
        for path in (
            Gltf().head(mesh).glb(tmp_path / "a.glb"),
            Gltf().head(mesh, sparse=True).glb(tmp_path / "b.glb"),
            Gltf().head(mesh).gltf(tmp_path / "c.gltf", beside=False),
        )
    ]
    for other in heads[1:]:
        assert np.allclose(other.displacement_m, heads[0].displacement_m, atol=1e-9)


def test_eye_nodes_place_the_irises_and_gaze_turns_them(
    stranger: tuple[Mesh, np.ndarray], tmp_path: Path
) -> None:
    file = Gltf().head(stranger[0])
    for side in ("left", "right"):
        centre = lm.eye_centre_m(side) * [1.06, 0.95, 1.03] + [0.0, 0.0, -0.002]
        file.doc["nodes"].append({"name": f"{side.capitalize()}Eye", "translation": centre.tolist()})
    head = load_head(file.glb(tmp_path / "head.glb"))
    for k, iris in enumerate((lm.IRIS_LEFT, lm.IRIS_RIGHT)):
        assert np.linalg.norm(head.neutral_m[iris[0]] - head.eye_centre_m[k]) == pytest.approx(
            lm.EYEBALL_RADIUS_M
        )
    v = np.zeros(52)
    v[ARKIT_INDEX["eyeLookOutLeft"]] = 1.0
    moved = head.landmarks_m(v)[473] - head.neutral_m[473]
    assert moved[0] == pytest.approx(lm.EYEBALL_RADIUS_M * np.sin(0.61), rel=0.02)
    plain = load_head(Gltf().head(stranger[0]).glb(tmp_path / "plain.glb"))
    assert np.linalg.norm(plain.neutral_m[473] - head.neutral_m[473]) > 1e-3


def test_a_users_head_meets_its_lips(stranger: tuple[Mesh, np.ndarray], tmp_path: Path) -> None:
    head = load_head(Gltf().head(stranger[0]).glb(tmp_path / "head.glb"))
    v = np.zeros((2, 52))
    v[:, ARKIT_INDEX["mouthClose"]] = 0.5
    v[1, ARKIT_INDEX["mouthShrugLower"]] = 1.0
    out = head.landmarks_m(v, lips_meet=True)
    assert (out[:, list(lm.INNER_LOWER), 1] - out[:, list(lm.INNER_UPPER), 1]).max() < 1e-9


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("jawOpen", "jawOpen"), ("browDown_L", "browDownLeft"), ("Head.eyeBlink_R", "eyeBlinkRight"),
        ("MOUTHSMILELEFT", "mouthSmileLeft"), ("blendShape1:mouth_funnel", "mouthFunnel"), ("viseme_aa", None),
    ],
)  # fmt: skip
def test_names_of_other_makers(name: str, meaning: str | None) -> None:
    assert arkit_name(name) == meaning


def test_missing_shapes_are_named_and_can_be_let_go(
    stranger: tuple[Mesh, np.ndarray], tmp_path: Path
) -> None:
    (points, triangles, targets), _ = stranger
    few = {n: t for n, t in targets.items() if n not in ("cheekPuff", "mouthClose")}
    path = Gltf().head((points, triangles, few)).glb(tmp_path / "head.glb")
    with pytest.raises(InputError, match=r"2 of the 52.*mouthClose, cheekPuff"):
        load_head(path)
    head = load_head(path, may_lack=("tongueOut", "cheekPuff", "mouthClose"))
    assert not head.displacement_m[ARKIT_INDEX["cheekPuff"]].any()


def test_files_that_are_no_readable_head_say_why(stranger: tuple[Mesh, np.ndarray], tmp_path: Path) -> None:
    mesh, vertices = stranger

    def refused(path: Path, why: str, **more: Any) -> None:
        with pytest.raises(InputError, match=why):
            load_head(path, **more)

    refused(tmp_path / "none.glb", "can't be read")
    (tmp_path / "a.glb").write_bytes(b"\x89PNG not a head")
    refused(tmp_path / "a.glb", "not a glTF file")
    (tmp_path / "b.gltf").write_text('{"meshes": []}')
    refused(tmp_path / "b.gltf", "no 'asset'")
    (tmp_path / "c.gltf").write_text('{"asset": {"version": "1.0"}}')
    refused(tmp_path / "c.gltf", "2.0")
    whole = Gltf().head(mesh).glb(tmp_path / "d.glb").read_bytes()
    (tmp_path / "d.glb").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "d.glb", "cut short")
    draco = Gltf().head(mesh)
    draco.doc["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    refused(draco.glb(tmp_path / "e.glb"), "KHR_draco_mesh_compression")
    flat = Gltf().head(mesh)
    del flat.doc["meshes"][0]["extras"]
    refused(flat.glb(tmp_path / "f.glb"), "targetNames")
    other = Gltf().head((mesh[0], mesh[1], {f"shape{i}": t for i, t in enumerate(mesh[2].values())}))
    refused(other.glb(tmp_path / "g.glb"), "ARKit name")
    reaching = Gltf().head(mesh)
    reaching.doc["accessors"][0]["count"] = 10**7
    refused(reaching.glb(tmp_path / "h.glb"), "behind the end")
    good = Gltf().head(mesh).glb(tmp_path / "i.glb")
    short = tmp_path / "short.json"
    short.write_text(json.dumps(vertices.tolist()[:100]))
    refused(good, "468", landmark_file=short)
    short.write_text(json.dumps([10**6] * 468))
    refused(good, "1000000", landmark_file=short)


@pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference basis is training data, not part of the product"
)
def test_a_really_different_head_keeps_its_shapes(tmp_path: Path) -> None:
    """A published head at 17 times the size, laid over ours by its shapes: each shape lands where it is ours."""
    with np.load(REFERENCE) as z:
        neutral, names, moves = (
            z["neutral"][:468].astype(float),
            [str(n) for n in z["names"]],
            z["displacement"],
        )
    points, triangles, fine = _subdivided(17.0 * neutral, _open_skin(), 17.0 * moves.astype(float))
    mesh = (points, triangles, dict(zip(names, fine, strict=True)))
    head = load_head(Gltf().head(mesh).glb(tmp_path / "head.glb"))
    cosines = []
    for i, name in enumerate(names):
        a, b = head.displacement_m[ARKIT_INDEX[name], :468], moves[i]
        if name != "tongueOut":
            cosines.append(float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)))
    assert min(cosines) > 0.8
    assert np.mean(cosines) > 0.94
