"""Reads a head out of a glTF 2.0 file: triangles, morph targets by name, eye nodes.

Only what a head needs (Khronos glTF 2.0 specification): .glb and .gltf, buffers inside, beside or as
data URIs, sparse and normalised accessors, node transforms. Compressed meshes are refused.
"""

import base64
import binascii
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import Array

_JSON_CHUNK: Final = 0x4E4F534A
_BIN_CHUNK: Final = 0x004E4942
_TYPES: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_COMPONENTS: Final = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_TRIANGLES: Final = 4
_READABLE_EXTENSIONS: Final = ("KHR_mesh_quantization", "KHR_materials_", "KHR_texture_", "EXT_texture_")
_EXPORT_HINT: Final = "export the head again as plain glTF 2.0 with shape keys, without mesh compression"


@dataclass(frozen=True)
class MorphMesh:
    """One mesh with morph targets, in the scene's frame (y up, face towards +z, as glTF says)."""

    points: Array  # [v, 3]
    triangles: NDArray[np.int64]  # [f, 3]
    targets: dict[str, Array]  # name as in the file -> [v, 3] displacement at value 1
    eyes: dict[str, Array] = field(default_factory=dict)  # 'left', 'right' -> [3] node position


def read_meshes(path: Path | str) -> list[MorphMesh]:
    """Every mesh of the file that has morph targets with names; InputError says what can't be read."""
    reader = _Reader(Path(path))
    eyes = reader.eye_nodes()
    found = [mesh for node, frame in reader.placed() if (mesh := reader.mesh(node, frame, eyes)) is not None]
    if not found:
        raise InputError(
            f"{path}: no mesh with named morph targets (extras.targetNames)",
            next_step="export shape keys with the mesh (Blender: Data > Shape Keys)",
        )
    return found


class _Reader:
    """One file: its JSON, its buffers, its nodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            raw = path.read_bytes()
        except OSError as e:
            raise InputError(f"{path}: can't be read: {e.strerror}") from e
        self.binary: bytes | None = None
        self.doc = self._container(raw)
        if not str(self.doc.get("asset", {}).get("version", "")).startswith("2"):
            raise self._error(
                "not glTF 2.0: asset.version says " + repr(self.doc.get("asset", {}).get("version"))
            )
        for name in self.doc.get("extensionsRequired", []):
            if not str(name).startswith(_READABLE_EXTENSIONS):
                raise self._error(f"needs the glTF extension {name}, which is not read here", _EXPORT_HINT)
        self.buffers = [self._buffer(b) for b in self.doc.get("buffers", [])]

    def _error(self, what: str, next_step: str = "") -> InputError:
        return InputError(f"{self.path}: {what}", next_step=next_step)

    def _container(self, raw: bytes) -> dict[str, Any]:
        text = raw
        if raw[:4] == b"glTF":
            if len(raw) < 20 or struct.unpack_from("<I", raw, 4)[0] != 2:
                raise self._error("a .glb of another version than 2, or cut short")
            at, text = 12, b""
            while at + 8 <= len(raw):
                size, kind = struct.unpack_from("<II", raw, at)
                if at + 8 + size > len(raw):
                    raise self._error("cut short: a chunk ends behind the end of the file")
                chunk = raw[at + 8 : at + 8 + size]
                if kind == _JSON_CHUNK:
                    text = chunk
                elif kind == _BIN_CHUNK and self.binary is None:
                    self.binary = chunk
                at += 8 + size
        try:
            doc = json.loads(text)
        except (ValueError, UnicodeDecodeError) as e:
            raise self._error("not a glTF file (neither .glb nor .gltf JSON)") from e
        if not isinstance(doc, dict) or "asset" not in doc:
            raise self._error("JSON, but not glTF: no 'asset'")
        return doc

    def _buffer(self, entry: dict[str, Any]) -> bytes:
        uri = entry.get("uri")
        if uri is None:
            if self.binary is None:
                raise self._error("a buffer without a URI, and no binary chunk")
            data = self.binary
        elif uri.startswith("data:"):
            try:
                data = base64.b64decode(uri.partition(",")[2], validate=True)
            except binascii.Error as e:
                raise self._error("a data URI that is not base64") from e
        else:
            try:
                data = (self.path.parent / unquote(uri)).read_bytes()
            except OSError as e:
                raise self._error(f"its buffer {uri!r} can't be read: {e.strerror}") from e
        if len(data) < int(entry.get("byteLength", 0)):
            raise self._error(f"a buffer of {entry['byteLength']} bytes holds only {len(data)}")
        return data

    def _view(self, view_index: int, at: int, count: int, dtype: np.dtype[Any], width: int) -> NDArray[Any]:
        view = self.doc["bufferViews"][view_index]
        start = int(view.get("byteOffset", 0)) + at
        stride = int(view.get("byteStride", dtype.itemsize * width))
        data = self.buffers[view["buffer"]]
        if start + (count - 1) * stride + dtype.itemsize * width > len(data):
            raise self._error("an accessor reaches behind the end of its buffer")
        strides = (stride, dtype.itemsize)
        return np.ndarray((count, width), dtype, buffer=data, offset=start, strides=strides).copy()

    def accessor(self, index: int) -> NDArray[Any]:
        """[count, width] numbers of an accessor, sparse parts filled in, normalised integers as floats."""
        entry = self.doc["accessors"][index]
        dtype, width = np.dtype(_COMPONENTS[entry["componentType"]]), _TYPES[entry["type"]]
        count = int(entry["count"])
        if "bufferView" in entry:
            out = self._view(entry["bufferView"], int(entry.get("byteOffset", 0)), count, dtype, width)
        else:
            out = np.zeros((count, width), dtype)
        if sparse := entry.get("sparse"):
            where, what, n = sparse["indices"], sparse["values"], int(sparse["count"])
            kind = np.dtype(_COMPONENTS[where["componentType"]])
            rows = self._view(where["bufferView"], int(where.get("byteOffset", 0)), n, kind, 1)[:, 0]
            out[rows] = self._view(what["bufferView"], int(what.get("byteOffset", 0)), n, dtype, width)
        if entry.get("normalized"):
            return np.maximum(out / np.float64(np.iinfo(dtype).max), -1.0)
        return out

    def placed(self) -> list[tuple[dict[str, Any], Array]]:
        """Every node of the scene with its transform [4, 4]."""
        nodes = self.doc.get("nodes", [])
        children = {c for n in nodes for c in n.get("children", [])}
        stack = [(i, np.eye(4), 0) for i in range(len(nodes)) if i not in children]
        out: list[tuple[dict[str, Any], Array]] = []
        while stack:
            i, above, depth = stack.pop()
            if depth > len(nodes):
                raise self._error("its nodes are their own ancestors")
            frame = above @ _local(nodes[i])
            out.append((nodes[i], frame))
            stack += [(c, frame, depth + 1) for c in nodes[i].get("children", [])]
        return out

    def eye_nodes(self) -> dict[str, Array]:
        """'left' and 'right' -> position of the eyeball's node, where both have a telling name."""
        out: dict[str, Array] = {}
        for node, frame in self.placed():
            name = "".join(c for c in str(node.get("name", "")).lower() if c.isalpha())
            for side, letter in (("left", "l"), ("right", "r")):
                if name in (
                    f"eye{side}",
                    f"{side}eye",
                    f"eye{letter}",
                    f"{letter}eye",
                    f"eyeball{side}",
                    f"{side}eyeball",
                ):
                    out.setdefault(side, frame[:3, 3])
        return out if len(out) == 2 else {}

    def mesh(self, node: dict[str, Any], frame: Array, eyes: dict[str, Array]) -> MorphMesh | None:
        """The node's mesh with its named morph targets, None if it has none."""
        if "mesh" not in node:
            return None
        entry = self.doc["meshes"][node["mesh"]]
        primitives = [p for p in entry["primitives"] if p.get("targets") and p.get("mode", 4) == _TRIANGLES]
        names = entry.get("extras", {}).get("targetNames") or next(
            (p["extras"]["targetNames"] for p in primitives if p.get("extras", {}).get("targetNames")), None
        )
        if not primitives or not names:
            return None
        # the place of a skinned mesh comes from its joints, not from its node
        m = np.eye(4) if "skin" in node else frame
        points: list[Array] = []
        triangles: list[NDArray[np.int64]] = []
        targets: list[list[Array]] = [[] for _ in names]
        start = 0
        for p in primitives:
            if len(p["targets"]) != len(names):
                raise self._error(f"{len(names)} targetNames for {len(p['targets'])} morph targets")
            xyz = self.accessor(p["attributes"]["POSITION"]).astype(np.float64)
            index = self.accessor(p["indices"])[:, 0] if "indices" in p else np.arange(len(xyz))
            points.append(xyz @ m[:3, :3].T + m[:3, 3])
            triangles.append(index.astype(np.int64).reshape(-1, 3) + start)
            for kept, target in zip(targets, p["targets"], strict=True):
                moved = (
                    self.accessor(target["POSITION"]).astype(np.float64)
                    if "POSITION" in target
                    else np.zeros_like(xyz)
                )
                kept.append(moved @ m[:3, :3].T)
            start += len(xyz)
        named = {str(n): np.concatenate(t) for n, t in zip(names, targets, strict=True)}
        return MorphMesh(np.concatenate(points), np.concatenate(triangles), named, eyes)


def _local(node: dict[str, Any]) -> Array:
    """[4, 4] transform of a node: its matrix (column-major), or translation, rotation (xyzw), scale."""
    if "matrix" in node:
        return np.asarray(np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T)
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    out = np.eye(4)
    out[:3, :3] = rotation * np.array(node.get("scale", (1.0, 1.0, 1.0)))
    out[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return out
