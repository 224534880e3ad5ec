// Strip charts of the last seconds, on one canvas.

const SPAN_S = 10, RATE = 30, KEPT = SPAN_S * RATE + 30;
const INK = "#93a0b4", LAMP = "#ffb454", COOL = "#6cc7ff", LILAC = "#b79cff", GRID = "#1d2634", DIM = "#5b6880";

export class Curves {
  constructor(canvas) {
    this.canvas = canvas;
    this.motor = null; // until somebody picks one
    this.frames = [];
  }

  add(frame) {
    this.frames.push({ time: frame.time, level: frame.level, gap: frame.gap, tick: frame.tick, applied: frame.applied, requested: frame.requested, measured: frame.measured });
    if (this.frames.length > KEPT) this.frames.splice(0, this.frames.length - KEPT);
  }

  draw() {
    const canvas = this.canvas, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w || !this.frames.length) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    const g = canvas.getContext("2d", { willReadFrequently: true }); // thin lines are drawn quicker by the processor than by a GPU that is emulated
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "11px system-ui, sans-serif";
    const left = 62, right = w - 6, now = this.frames.at(-1).time, x = (t) => right - ((now - t) / SPAN_S) * (right - left);
    const rows = [[0.0, 0.27], [0.31, 0.55], [0.59, 1.0]].map(([a, b]) => [a * (h - 16), b * (h - 16)]);
    this.grid(g, left, right, rows, h);
    const m = this.motor ?? 0;
    this.area(g, x, rows[0], (f) => Math.min(1, f.level * 3.2));
    this.line(g, x, rows[1], (f) => f.gap / this.most(), LILAC, 1.6);
    this.line(g, x, rows[2], (f) => f.requested[m], DIM, 1.2, [4, 3]);
    this.line(g, x, rows[2], (f) => f.applied[m], LAMP, 1.7);
    this.line(g, x, rows[2], (f) => f.measured[m], COOL, 1.4);
    const last = this.frames.at(-1);
    this.label(g, rows[0], "sound", `${decibel(last.level)} dB`, COOL);
    this.label(g, rows[1], "lips", `${last.gap.toFixed(1)} mm`, LILAC);
    this.label(g, rows[2], "motor u", last.applied[m].toFixed(3), LAMP);
  }

  most() { return Math.max(8, ...this.frames.map((f) => f.gap)); }

  grid(g, left, right, rows, h) {
    g.strokeStyle = GRID; g.fillStyle = DIM; g.lineWidth = 1;
    for (let s = 0; s <= SPAN_S; s += 2) {
      const at = Math.round(right - (s / SPAN_S) * (right - left)) + 0.5;
      g.beginPath(); g.moveTo(at, 0); g.lineTo(at, h - 16); g.stroke();
      g.textAlign = s === 0 ? "right" : "center";
      g.fillText(s === 0 ? "now" : `-${s} s`, at, h - 3);
    }
    for (const [, bottom] of rows) { g.beginPath(); g.moveTo(left, Math.round(bottom) + 0.5); g.lineTo(right, Math.round(bottom) + 0.5); g.stroke(); }
    g.textAlign = "left";
  }

  line(g, x, [top, bottom], value, colour, width, dash = []) {
    g.strokeStyle = colour; g.lineWidth = width; g.setLineDash(dash); g.lineJoin = "round";
    g.beginPath();
    let pen = false;
    for (const f of this.frames) {
      const v = value(f), at = x(f.time);
      if (!Number.isFinite(v) || at < 62) { pen = false; continue; }
      const y = bottom - 2 - Math.max(-0.05, Math.min(1.05, v)) * (bottom - top - 6);
      if (pen) g.lineTo(at, y); else g.moveTo(at, y);
      pen = true;
    }
    g.stroke();
    g.setLineDash([]);
  }

  area(g, x, [top, bottom], value) {
    const middle = (top + bottom) / 2, half = (bottom - top) / 2 - 2;
    g.fillStyle = "#6cc7ff55"; g.strokeStyle = COOL; g.lineWidth = 1;
    g.beginPath();
    const seen = this.frames.filter((f) => x(f.time) >= 62);
    seen.forEach((f, k) => { const y = middle - value(f) * half - 0.5; if (k) g.lineTo(x(f.time), y); else g.moveTo(x(f.time), y); });
    for (const f of seen.reverse()) g.lineTo(x(f.time), middle + value(f) * half + 0.5);
    g.closePath(); g.fill(); g.stroke();
  }

  label(g, [top, bottom], name, value, colour) {
    const middle = (top + bottom) / 2;
    g.fillStyle = INK; g.fillText(name, 0, middle - 4);
    g.fillStyle = colour; g.fillText(value, 0, middle + 11);
  }
}

const decibel = (level) => (level > 1e-4 ? (20 * Math.log10(level)).toFixed(0) : "–");
