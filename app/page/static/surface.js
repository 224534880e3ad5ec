// The face's surface: Loop subdivision of the landmark mesh (Loop, "Smooth subdivision surfaces based on
// triangles", 1987) worked out once as weights, so that a frame is a sparse product; skull, mouth, teeth.

const PIVOT = [0, -85, -75], SKULL = [0, 26, -40], RADII = [78.5, 99, 92], BACK = [0, -0.0995, -0.995];
const OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
  152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109];
const LOFT = [0.07, 0.16, 0.28, 0.42, 0.58, 0.76, 0.93];
const SKIN = [0.74, 0.66, 0.61], LIP = [0.62, 0.33, 0.31], BROW = [0.2, 0.155, 0.14], METAL = [0.13, 0.16, 0.21];

export const pivot = PIVOT;

// Base vertices follow the landmarks: rows of [landmark, weight], plus a fixed part of its own.
export function buildSkin(mesh, levels) {
  const n = 468, x = mesh.neutral_mm;
  const rows = [], home = [], colours = [];
  for (let i = 0; i < n; i++) { rows.push([[i, 1]]); home.push([0, 0, 0]); colours.push(SKIN); }
  const triangles = mesh.triangles.map((t) => [...t]);
  let ring = [...OVAL];
  for (const share of LOFT) {
    const next = OVAL.map((v) => {
      const point = skullPoint(x[v], share), yields = Math.max(0, 1 - 3.2 * share) ** 1.5;
      rows.push([[v, yields]]);
      home.push(point.map((p, k) => p - yields * x[v][k]));
      const dark = Math.min(1, share / 0.16);
      colours.push(SKIN.map((c, k) => c + dark * (METAL[k] - c)));
      return rows.length - 1;
    });
    for (let k = 0; k < ring.length; k++) {
      const j = (k + 1) % ring.length;
      triangles.push([ring[k], next[k], ring[j]], [ring[j], next[k], next[j]]);
    }
    ring = next;
  }
  const rest = rows.map((row, i) => home[i].map((h, k) => h + row.reduce((s, [v, w]) => s + w * x[v][k], 0)));
  outwards(triangles, rest);
  let level = { weights: rows.map((_, i) => new Map([[i, 1]])), triangles };
  for (let k = 0; k < levels; k++) level = subdivide(level);
  return { base: { rows, home, triangles, count: rows.length }, ...sparse(level.weights), triangles: level.triangles, colours: paint(mesh, level.weights, spread(level.weights, colours)) };
}

const BROWS = [70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276];

// Paint with edges: each mask is spread by the subdivision and then sharpened.
function paint(mesh, weights, colours) {
  const lips = [...mesh.regions.upper_lip, ...mesh.regions.lower_lip, ...mesh.rings.mouth, 61, 291];
  const layers = [[mesh.regions.cheeks, [0.8, 0.55, 0.5], 0.16, 0, 1], [lips, LIP, 0.9, 0.3, 0.75], [BROWS, BROW, 0.92, 0.5, 0.92],
    [[...mesh.rings.eye_left, ...mesh.rings.eye_right], BROW, 0.6, 0.25, 0.9]];
  for (const [index, colour, share, from, to] of layers) {
    const mask = new Set(index);
    weights.forEach((row, v) => {
      let w = 0;
      for (const [i, part] of row) if (mask.has(i)) w += part;
      w = Math.max(0, Math.min(1, (w - from) / (to - from)));
      w = share * w * w * (3 - 2 * w);
      for (let k = 0; k < 3; k++) colours[3 * v + k] += w * (colour[k] - colours[3 * v + k]);
    });
  }
  return colours;
}

function skullPoint(start, share) {
  const rel = start.map((s, k) => s - SKULL[k]);
  const r0 = Math.hypot(...rel), a = rel.map((r) => r / r0);
  const angle = Math.acos(Math.max(-1, Math.min(1, a[0] * BACK[0] + a[1] * BACK[1] + a[2] * BACK[2])));
  const d = a.map((p, k) => (Math.sin((1 - share) * angle) * p + Math.sin(share * angle) * BACK[k]) / Math.sin(angle));
  const radius = 1 / Math.hypot(...d.map((v, k) => v / RADII[k]));
  let blend = Math.min(1, share * 3.2);
  blend = blend * blend * (3 - 2 * blend);
  return d.map((v, k) => SKULL[k] + v * (r0 + (radius - r0) * blend));
}

function outwards(triangles, x) {
  for (const t of triangles) {
    const [a, b, c] = t.map((i) => x[i]);
    const n = cross(b.map((v, k) => v - a[k]), c.map((v, k) => v - a[k]));
    const away = [0, 1, 2].map((k) => (a[k] + b[k] + c[k]) / 3 - (k === 2 ? -40 : 0));
    if (n[0] * away[0] + n[1] * away[1] + n[2] * away[2] < 0) t.reverse();
  }
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

function subdivide({ weights, triangles }) {
  const edges = new Map(), around = weights.map(() => new Set()), rim = weights.map(() => new Set());
  const key = (a, b) => (a < b ? a * 65536 + b : b * 65536 + a);
  for (const t of triangles) {
    for (let k = 0; k < 3; k++) {
      const a = t[k], b = t[(k + 1) % 3], id = key(a, b);
      if (!edges.has(id)) edges.set(id, { a, b, across: [] });
      edges.get(id).across.push(t[(k + 2) % 3]);
      around[a].add(b); around[b].add(a);
    }
  }
  const out = [];
  const add = (into, from, share) => { for (const [i, w] of from) into.set(i, (into.get(i) ?? 0) + share * w); };
  for (const { a, b, across } of edges.values()) if (across.length === 1) { rim[a].add(b); rim[b].add(a); }
  weights.forEach((own, v) => {
    const sum = new Map();
    if (rim[v].size === 2) {
      add(sum, own, 0.75);
      for (const o of rim[v]) add(sum, weights[o], 0.125);
    } else if (rim[v].size > 0) add(sum, own, 1);
    else {
      const n = around[v].size, beta = n === 3 ? 3 / 16 : 3 / (8 * n);
      add(sum, own, 1 - n * beta);
      for (const o of around[v]) add(sum, weights[o], beta);
    }
    out.push(sum);
  });
  for (const edge of edges.values()) {
    const sum = new Map();
    if (edge.across.length === 2) {
      add(sum, weights[edge.a], 0.375); add(sum, weights[edge.b], 0.375);
      for (const o of edge.across) add(sum, weights[o], 0.125);
    } else { add(sum, weights[edge.a], 0.5); add(sum, weights[edge.b], 0.5); }
    edge.at = out.push(sum) - 1;
  }
  const finer = [];
  for (const [a, b, c] of triangles) {
    const ab = edges.get(key(a, b)).at, bc = edges.get(key(b, c)).at, ca = edges.get(key(c, a)).at;
    finer.push([a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]);
  }
  return { weights: out, triangles: finer };
}

function sparse(weights) {
  const total = weights.reduce((s, w) => s + w.size, 0);
  const starts = new Uint32Array(weights.length + 1), index = new Uint16Array(total), share = new Float32Array(total);
  let at = 0;
  weights.forEach((row, v) => {
    starts[v] = at;
    for (const [i, w] of row) { index[at] = i; share[at++] = w; }
  });
  starts[weights.length] = at;
  return { starts, index, share, count: weights.length };
}

function spread(weights, colours) {
  const out = new Float32Array(weights.length * 3);
  weights.forEach((row, v) => { for (const [i, w] of row) for (let k = 0; k < 3; k++) out[3 * v + k] += w * colours[i][k]; });
  return out;
}

// Landmarks (mm, flat) -> positions and normals of the fine surface, interleaved [x y z nx ny nz].
export function deform(skin, landmarks, out, scratch) {
  const { base } = skin, x = scratch.x, normal = scratch.normal;
  for (let i = 0; i < base.count; i++) {
    const [v, w] = base.rows[i][0], h = base.home[i];
    for (let k = 0; k < 3; k++) x[3 * i + k] = h[k] + w * landmarks[3 * v + k];
  }
  normal.fill(0);
  for (const [a, b, c] of base.triangles) {
    const ax = x[3 * a], ay = x[3 * a + 1], az = x[3 * a + 2];
    const ux = x[3 * b] - ax, uy = x[3 * b + 1] - ay, uz = x[3 * b + 2] - az;
    const vx = x[3 * c] - ax, vy = x[3 * c + 1] - ay, vz = x[3 * c + 2] - az;
    const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    for (const i of [a, b, c]) { normal[3 * i] += nx; normal[3 * i + 1] += ny; normal[3 * i + 2] += nz; }
  }
  const { starts, index, share } = skin;
  for (let v = 0; v < skin.count; v++) {
    let px = 0, py = 0, pz = 0, nx = 0, ny = 0, nz = 0;
    for (let k = starts[v]; k < starts[v + 1]; k++) {
      const i = 3 * index[k], w = share[k];
      px += w * x[i]; py += w * x[i + 1]; pz += w * x[i + 2];
      nx += w * normal[i]; ny += w * normal[i + 1]; nz += w * normal[i + 2];
    }
    const o = 6 * v;
    out[o] = px; out[o + 1] = py; out[o + 2] = pz; out[o + 3] = nx; out[o + 4] = ny; out[o + 5] = nz;
  }
}

export function makeScratch(skin) {
  return { x: new Float32Array(3 * skin.base.count), normal: new Float32Array(3 * skin.base.count) };
}

// The dark behind the lips, from their inner ring backwards.
const DEPTHS = [[0, 0], [2.2, -4], [6, -10], [13, -45]];
export function buildMouth(mesh) {
  const ring = mesh.rings.mouth, k = ring.length, triangles = [];
  for (let r = 0; r + 1 < DEPTHS.length; r++) {
    for (let j = 0; j < k; j++) {
      const a = r * k + j, b = r * k + (j + 1) % k, c = a + k, d = b + k;
      triangles.push([a, c, b], [b, c, d]);
    }
  }
  const colours = new Float32Array(3 * k * DEPTHS.length);
  DEPTHS.forEach((_, r) => { for (let j = 0; j < k; j++) colours.set([0.4, 0.15, 0.15].map((c) => c * [0.75, 0.4, 0.16, 0.02][r]), 3 * (r * k + j)); });
  return { ring, triangles, colours, count: k * DEPTHS.length };
}

export function deformMouth(mouth, landmarks, out) {
  const k = mouth.ring.length;
  DEPTHS.forEach(([lift, back], r) => {
    mouth.ring.forEach((v, j) => {
      const up = j > 0 && j < 10 ? lift : j > 10 ? -lift : 0, o = 6 * (r * k + j);
      out[o] = landmarks[3 * v]; out[o + 1] = landmarks[3 * v + 1] + up; out[o + 2] = landmarks[3 * v + 2] + back;
      out[o + 3] = 0; out[o + 4] = 0; out[o + 5] = 1;
    });
  });
}

export function buildTeeth(gumY, edgeY, frontZ) {
  const columns = 33, vertices = [], triangles = [], colours = [];
  for (const [y, tone] of [[gumY, 0.14], [0.5 * (gumY + edgeY), 0.42], [edgeY, 0.55]]) {
    for (let c = 0; c < columns; c++) {
      const turn = -1.15 + (2.3 * c) / (columns - 1);
      vertices.push([(20 * Math.sin(turn)) / Math.sin(1.15), y, frontZ - 30 * (1 - Math.cos(turn))]);
      const gapped = tone * (c % 3 === 0 ? 0.82 : 1);
      colours.push(gapped, gapped * 0.96, gapped * 0.88);
    }
  }
  for (let r = 0; r < 2; r++) {
    for (let c = 0; c + 1 < columns; c++) {
      const a = r * columns + c;
      triangles.push([a, a + 1, a + columns], [a + 1, a + columns + 1, a + columns]);
    }
  }
  return { vertices, triangles, colours: new Float32Array(colours), count: vertices.length };
}

export function buildBall(radius, rows = 20, columns = 28) {
  const vertices = [], triangles = [];
  for (let r = 0; r <= rows; r++) {
    for (let c = 0; c <= columns; c++) {
      const lat = (Math.PI * r) / rows, lon = (2 * Math.PI * c) / columns;
      vertices.push([Math.sin(lat) * Math.cos(lon), Math.sin(lat) * Math.sin(lon), Math.cos(lat)].map((v) => v * radius));
    }
  }
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const a = r * (columns + 1) + c, b = a + columns + 1;
      triangles.push([a, b, a + 1], [a + 1, b, b + 1]);
    }
  }
  return { vertices, triangles, count: vertices.length };
}

// From under the skull to the bench: dark, it carries the head and doesn't turn with it.
export function buildNeck() {
  const vertices = [], triangles = [], colours = [], columns = 32;
  const rings = [[-62, 50, 46, -58], [-95, 47, 44, -62], [-125, 52, 47, -64], [-150, 66, 54, -66], [-172, 96, 66, -68], [-190, 132, 78, -70], [-214, 150, 84, -72]];
  rings.forEach(([y, wide, deep, z], r) => {
    for (let c = 0; c < columns; c++) {
      const turn = (2 * Math.PI * c) / columns, tone = 1 - 0.8 * Math.max(0, (r - 2) / 4);
      vertices.push([wide * Math.cos(turn), y, z + deep * Math.sin(turn)]);
      colours.push(...METAL.map((v) => 0.85 * v * tone * (r % 2 ? 0.86 : 1)));
    }
  });
  for (let r = 0; r + 1 < rings.length; r++) {
    for (let c = 0; c < columns; c++) {
      const a = r * columns + c, b = r * columns + ((c + 1) % columns);
      triangles.push([a, b, a + columns], [b, b + columns, a + columns]);
    }
  }
  const normals = vertices.map(([x, , z]) => { const n = Math.hypot(x, z + 64); return [x / n, 0.25, (z + 64) / n]; });
  return { vertices, triangles, colours: new Float32Array(colours), normals, count: vertices.length };
}
