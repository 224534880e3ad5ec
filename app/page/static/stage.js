// The face in WebGL, drawn by hand: skin, eyes, mouth; light from a bench lamp and a cool window behind.

import { buildBall, buildMouth, buildNeck, buildSkin, buildTeeth, deform, deformMouth, makeScratch, pivot } from "./surface.js";

const VERTEX = `
attribute vec3 position; attribute vec3 normal; attribute vec3 colour;
uniform mat4 view; uniform mat4 project; uniform mat4 model;
varying vec3 N; varying vec3 P; varying vec3 C; varying vec3 M;
void main() {
  vec4 at = view * model * vec4(position, 1.0);
  N = mat3(view) * mat3(model) * normal; P = at.xyz; C = colour; M = position;
  gl_Position = project * at;
}`;
const FRAGMENT = `
precision highp float;
varying vec3 N; varying vec3 P; varying vec3 C; varying vec3 M;
uniform float shine; uniform vec3 eye; uniform float kind;
vec3 light(vec3 albedo, vec3 n, vec3 v, float gloss) {
  vec3 key = normalize(vec3(-0.5, 0.62, 0.75)), rim = normalize(vec3(0.75, 0.25, -0.55)), fill = normalize(vec3(0.8, -0.1, 0.6));
  float k = dot(n, key), wrap = max((k + 0.28) / 1.28, 0.0);
  vec3 lamp = vec3(1.18, 1.04, 0.86), cool = vec3(0.42, 0.66, 1.0);
  vec3 out_ = albedo * (lamp * wrap * 0.92 + cool * 0.20 * max(dot(n, fill), 0.0) + mix(vec3(0.05, 0.055, 0.07), vec3(0.13, 0.15, 0.19), n.y * 0.5 + 0.5));
  out_ += albedo * vec3(0.35, 0.06, 0.03) * smoothstep(0.0, 0.35, wrap) * (1.0 - smoothstep(0.15, 0.6, wrap)) * 0.35;
  float spec = pow(max(dot(n, normalize(key + v)), 0.0), 38.0) * gloss;
  float fresnel = pow(1.0 - max(dot(n, v), 0.0), 3.2);
  out_ += lamp * spec + cool * fresnel * (0.22 + 0.75 * max(dot(n, rim) * 0.5 + 0.5, 0.0)) * 0.55;
  return out_;
}
void main() {
  vec3 n = normalize(N), v = normalize(-P);
  if (kind > 1.5) { gl_FragColor = vec4(0.44, 0.76, 1.0, 0.55); return; }
  if (!gl_FrontFacing && kind < 0.1) n = -n;
  vec3 c = C; float gloss = shine;
  if (kind > 0.5) {
    float a = acos(clamp(dot(normalize(M), vec3(0.0, 0.0, 1.0)), -1.0, 1.0));
    vec3 white = vec3(0.82, 0.82, 0.80) * (1.0 - 0.35 * smoothstep(0.5, 1.1, a));
    float ray = 0.85 + 0.15 * sin(atan(M.y, M.x) * 24.0);
    vec3 iris = mix(vec3(0.10, 0.30, 0.42), vec3(0.24, 0.60, 0.75), smoothstep(0.16, 0.40, a)) * ray;
    c = mix(iris, white, smoothstep(0.47, 0.51, a));
    c *= mix(0.5, 1.0, smoothstep(0.0, 0.05, abs(a - 0.485)));
    c = mix(vec3(0.012), c, smoothstep(0.17, 0.20, a));
    gloss = 1.1;
  }
  vec3 lit = light(c, n, v, gloss);
  gl_FragColor = vec4(pow(lit, vec3(0.4545)) * 1.0 , 1.0);
}`;

export class Stage {
  constructor(canvas, mesh) {
    this.canvas = canvas;
    this.turn = { yaw: 0, pitch: 0.03, far: 1 };
    this.showMesh = false;
    this.detail = 1;
    this.drawn = 0;
    this.neutral = Float32Array.from(mesh.neutral_mm.flat());
    this.landmarks = Float32Array.from(this.neutral);
    this.head = [0, 0, 0];
    this.mesh = mesh;
    this.dirty = true;
    this.emulated = emulated();
    this.gl = canvas.getContext("webgl", { antialias: !this.emulated, alpha: true, powerPreference: "low-power" });
    if (this.gl) this.prepare();
    this.listen();
  }

  get works() { return this.gl !== null; }

  prepare() {
    const gl = this.gl, mesh = this.mesh;
    this.program = link(gl);
    this.skin = buildSkin(mesh, this.emulated ? 1 : 2);
    this.scratch = makeScratch(this.skin);
    this.mouth = buildMouth(mesh);
    const ball = buildBall(mesh.eyeball_mm);
    const bulge = ball.vertices.map((v) => {
      const a = Math.acos(Math.max(-1, Math.min(1, v[2] / mesh.eyeball_mm)));
      return v.map((c) => c * (1 + 0.045 * Math.exp(-((a / 0.42) ** 2))));
    });
    this.parts = {
      skin: part(gl, this.skin.count, this.skin.triangles, this.skin.colours),
      mouth: part(gl, this.mouth.count, this.mouth.triangles, this.mouth.colours),
      eye: fixed(gl, { ...ball, vertices: bulge }, [0.8, 0.8, 0.8], true),
      upper: fixed(gl, buildTeeth(-32.5, -47, 46.2), null, false),
      neck: fixed(gl, buildNeck(), null, false),
      lower: fixed(gl, buildTeeth(-59, -48.8, 44.5), null, false),
    };
    const edges = new Set();
    for (const t of mesh.triangles) for (let k = 0; k < 3; k++) { const a = t[k], b = t[(k + 1) % 3]; edges.add(a < b ? a * 65536 + b : b * 65536 + a); }
    this.lines = new Uint16Array([...edges].flatMap((e) => [e >> 16, e & 65535]));
    this.lineIndex = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.lineIndex);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.lines, gl.STATIC_DRAW);
    this.lineData = new Float32Array(468 * 6);
    this.lineBuffer = gl.createBuffer();
  }

  // A slow machine gets fewer pixels, a quick one gets them back.
  adapt(fps, wanted) {
    const before = this.detail;
    if (fps < 0.75 * wanted) this.detail = Math.max(0.35, this.detail * (fps < 0.3 * wanted ? 0.45 : 0.75));
    else if (fps > 0.95 * wanted) this.detail = Math.min(1, this.detail * 1.06);
    if (this.detail !== before) this.dirty = true;
  }

  show(frame) {
    for (let i = 0; i < this.landmarks.length; i++) this.landmarks[i] = frame.landmarks[i] * 0.01;
    this.head = frame.head;
    this.dirty = true;
  }

  draw() {
    const canvas = this.canvas, ratio = this.detail * Math.min(window.devicePixelRatio || 1, 2);
    const w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (!w || !h || !this.dirty) return;
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    this.dirty = false;
    this.drawn++;
    if (this.gl) this.drawSolid(w, h);
  }

  drawSolid(w, h) {
    const gl = this.gl, p = this.program;
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(p.id);
    const portrait = Math.max(1, (0.86 * h) / w);
    gl.uniformMatrix4fv(p.project, false, perspective(0.42, w / h, 100, 3000));
    gl.uniformMatrix4fv(p.view, false, orbit(this.turn, 640 * portrait));
    gl.uniform1f(p.kind, 0.25);
    gl.uniformMatrix4fv(p.model, false, moved([0, 0, 0]));
    this.put(this.parts.neck, 0.12, false);
    gl.uniform1f(p.kind, 0);
    const model = headPose(this.head);
    gl.uniformMatrix4fv(p.model, false, model);
    deform(this.skin, this.landmarks, this.parts.skin.data, this.scratch);
    this.put(this.parts.skin, 0.22, true);
    deformMouth(this.mouth, this.landmarks, this.parts.mouth.data);
    this.put(this.parts.mouth, 0.08, true);
    gl.uniform1f(p.kind, 0.25);
    this.put(this.parts.upper, 0.15, false);
    const drop = this.landmarks[3 * 152 + 1] - this.neutral[3 * 152 + 1], back = this.landmarks[3 * 152 + 2] - this.neutral[3 * 152 + 2];
    gl.uniformMatrix4fv(p.model, false, times(model, moved([0, 0.85 * drop, 0.85 * back])));
    this.put(this.parts.lower, 0.15, false);
    gl.uniform1f(p.kind, 1);
    for (const [side, iris] of [["right", 468], ["left", 473]]) {
      const centre = this.mesh.eye_centre_mm[side];
      const gaze = [0, 1, 2].map((k) => this.landmarks[3 * iris + k] - centre[k]);
      gl.uniformMatrix4fv(p.model, false, times(model, times(moved(centre), facing(gaze))));
      this.put(this.parts.eye, 1, false);
    }
    if (this.showMesh) this.drawLines(model);
  }

  drawLines(model) {
    const gl = this.gl, p = this.program;
    for (let i = 0; i < 468; i++) for (let k = 0; k < 3; k++) this.lineData[6 * i + k] = this.landmarks[3 * i + k] + (k === 2 ? 0.7 : 0);
    gl.uniform1f(p.kind, 2);
    gl.uniformMatrix4fv(p.model, false, model);
    gl.enable(gl.BLEND); gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.lineBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.lineData, gl.DYNAMIC_DRAW);
    gl.vertexAttribPointer(p.position, 3, gl.FLOAT, false, 24, 0);
    gl.disableVertexAttribArray(p.colour);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.lineIndex);
    gl.drawElements(gl.LINES, this.lines.length, gl.UNSIGNED_SHORT, 0);
    gl.disable(gl.BLEND);
  }

  put(part, shine, fresh) {
    const gl = this.gl, p = this.program;
    gl.bindBuffer(gl.ARRAY_BUFFER, part.vertices);
    if (fresh) gl.bufferData(gl.ARRAY_BUFFER, part.data, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(p.position); gl.enableVertexAttribArray(p.normal); gl.enableVertexAttribArray(p.colour);
    gl.vertexAttribPointer(p.position, 3, gl.FLOAT, false, 24, 0);
    gl.vertexAttribPointer(p.normal, 3, gl.FLOAT, false, 24, 12);
    gl.bindBuffer(gl.ARRAY_BUFFER, part.colours);
    gl.vertexAttribPointer(p.colour, 3, gl.FLOAT, false, 0, 0);
    gl.uniform1f(p.shine, shine);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, part.index);
    gl.drawElements(gl.TRIANGLES, part.size, gl.UNSIGNED_SHORT, 0);
  }

  listen() {
    const canvas = this.canvas, held = new Map();
    const turned = () => { this.dirty = true; };
    canvas.addEventListener("pointerdown", (e) => { held.set(e.pointerId, e); canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointermove", (e) => {
      const before = held.get(e.pointerId);
      if (!before) return;
      this.turn.yaw = clamp(this.turn.yaw + (e.clientX - before.clientX) * 0.008, 1.5);
      if (e.pointerType !== "touch") this.turn.pitch = clamp(this.turn.pitch + (e.clientY - before.clientY) * 0.006, 0.9);
      held.set(e.pointerId, e);
      turned();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => held.delete(e.pointerId));
    canvas.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && document.activeElement !== canvas) return;
      e.preventDefault();
      this.turn.far = Math.min(1.8, Math.max(0.5, this.turn.far * Math.exp(e.deltaY * 0.001)));
      turned();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.turn = { yaw: 0, pitch: 0.03, far: 1 }; turned(); });
    canvas.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08] }[e.key];
      if (e.key === "Home") this.turn = { yaw: 0, pitch: 0.03, far: 1 };
      else if (!step) return;
      else { this.turn.yaw = clamp(this.turn.yaw + step[0], 1.5); this.turn.pitch = clamp(this.turn.pitch + step[1], 0.9); }
      e.preventDefault();
      turned();
    });
    new ResizeObserver(turned).observe(canvas);
  }
}

// Whether WebGL is drawn by the processor: then edges are left rough.
function emulated() {
  const gl = document.createElement("canvas").getContext("webgl"), told = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software/i.test(name);
}

const clamp = (x, most) => Math.max(-most, Math.min(most, x));

function link(gl) {
  const id = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(id, shader);
  }
  gl.linkProgram(id);
  if (!gl.getProgramParameter(id, gl.LINK_STATUS)) throw new Error(`shader: ${gl.getProgramInfoLog(id)}`);
  const out = { id };
  for (const name of ["position", "normal", "colour"]) out[name] = gl.getAttribLocation(id, name);
  for (const name of ["view", "project", "model", "shine", "kind"]) out[name] = gl.getUniformLocation(id, name);
  return out;
}

function part(gl, count, triangles, colours) {
  const index = gl.createBuffer(), tint = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, index);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint16Array(triangles.flat()), gl.STATIC_DRAW);
  gl.bindBuffer(gl.ARRAY_BUFFER, tint);
  gl.bufferData(gl.ARRAY_BUFFER, colours, gl.STATIC_DRAW);
  return { index, colours: tint, vertices: gl.createBuffer(), data: new Float32Array(count * 6), size: triangles.length * 3 };
}

function fixed(gl, shape, colour, round) {
  const colours = shape.colours ?? Float32Array.from(shape.vertices.flatMap(() => colour));
  const made = part(gl, shape.count, shape.triangles, colours);
  shape.vertices.forEach((v, i) => made.data.set([...v, ...(shape.normals?.[i] ?? (round ? v : [0.25 * v[0] / 20, 0, 1]))], 6 * i));
  gl.bindBuffer(gl.ARRAY_BUFFER, made.vertices);
  gl.bufferData(gl.ARRAY_BUFFER, made.data, gl.STATIC_DRAW);
  return made;
}

// ---- 4x4, column by column

function perspective(angle, aspect, near, far) {
  const f = 1 / Math.tan(angle / 2), d = 1 / (near - far);
  return new Float32Array([f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) * d, -1, 0, 0, 2 * far * near * d, 0]);
}

function times(a, b) {
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) { let s = 0; for (let k = 0; k < 4; k++) s += a[4 * k + r] * b[4 * c + k]; out[4 * c + r] = s; }
  return out;
}

const moved = ([x, y, z]) => new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1]);
const rotated = (m) => new Float32Array([m[0], m[3], m[6], 0, m[1], m[4], m[7], 0, m[2], m[5], m[8], 0, 0, 0, 0, 1]);

// Yaw about y, pitch about x, roll about -z, in this order, about the neck.
function headPose([yaw, pitch, roll]) {
  const [cy, cp, cr] = [yaw, pitch, roll].map(Math.cos), [sy, sp, sr] = [yaw, pitch, roll].map(Math.sin);
  const turn = rotated([cy, 0, sy, 0, 1, 0, -sy, 0, cy]), nod = rotated([1, 0, 0, 0, cp, -sp, 0, sp, cp]), tilt = rotated([cr, sr, 0, -sr, cr, 0, 0, 0, 1]);
  return times(times(moved(pivot), times(turn, times(nod, tilt))), moved(pivot.map((v) => -v)));
}

function facing(gaze) {
  const n = Math.hypot(...gaze) || 1, [x, y, z] = gaze.map((v) => v / n);
  const yaw = Math.atan2(x, z), pitch = Math.asin(-y);
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return times(rotated([cy, 0, sy, 0, 1, 0, -sy, 0, cy]), rotated([1, 0, 0, 0, cp, -sp, 0, sp, cp]));
}

function orbit({ yaw, pitch, far }, distance) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  const turn = times(rotated([1, 0, 0, 0, cp, -sp, 0, sp, cp]), rotated([cy, 0, sy, 0, 1, 0, -sy, 0, cy]));
  return times(moved([0, 0, -distance * far]), times(turn, moved([0, 14, 0])));
}
