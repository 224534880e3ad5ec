// The emotion pad: valence across, arousal up, intensity by the distance from the middle.

const TONES = { happiness: "#ffcf5c", surprise: "#ff9edb", fear: "#b79cff", anger: "#ff6b5d", disgust: "#8fd06a", contempt: "#c9a98a", sadness: "#6ca8ff", neutral: "#93a0b4" };

export class Pad {
  // onPoint(valence, arousal) hears of every move
  constructor(box, canvas, valence, arousal, onPoint) {
    this.canvas = canvas; this.valence = valence; this.arousal = arousal;
    this.point = [0, 0]; this.places = {}; this.mood = {};
    const tell = () => onPoint(...this.point);
    const at = (e) => {
      const r = box.getBoundingClientRect();
      const x = ((e.clientX - r.left) / r.width) * 2 - 1, y = 1 - ((e.clientY - r.top) / r.height) * 2, far = Math.max(1, Math.hypot(x, y));
      this.put(x / far, y / far);
      tell();
    };
    let held = false;
    box.addEventListener("pointerdown", (e) => { held = true; box.setPointerCapture(e.pointerId); at(e); });
    box.addEventListener("pointermove", (e) => { if (held) at(e); });
    for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => { held = false; });
    for (const axis of [valence, arousal]) axis.addEventListener("input", () => { this.put(Number(valence.value), Number(arousal.value)); tell(); });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  put(valence, arousal) {
    this.point = [valence, arousal];
    this.valence.value = valence; this.arousal.value = arousal;
    this.draw();
  }

  draw() {
    const canvas = this.canvas, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w) return;
    canvas.width = w * ratio; canvas.height = h * ratio;
    const g = canvas.getContext("2d", { willReadFrequently: true });
    g.scale(ratio, ratio);
    const x = (v) => ((v + 1) / 2) * w, y = (a) => ((1 - a) / 2) * h;
    g.fillStyle = "#0c1119"; g.fillRect(0, 0, w, h);
    for (const [name, [v, a]] of Object.entries(this.places)) {
      const glow = g.createRadialGradient(x(v), y(a), 0, x(v), y(a), 0.42 * w);
      glow.addColorStop(0, TONES[name] + "38"); glow.addColorStop(1, TONES[name] + "00");
      g.fillStyle = glow; g.fillRect(0, 0, w, h);
    }
    g.strokeStyle = "#2a3648"; g.lineWidth = 1;
    for (const r of [0.33, 0.66, 0.98]) { g.beginPath(); g.ellipse(w / 2, h / 2, (r * w) / 2, (r * h) / 2, 0, 0, 7); g.stroke(); }
    g.beginPath(); g.moveTo(w / 2, 0); g.lineTo(w / 2, h); g.moveTo(0, h / 2); g.lineTo(w, h / 2); g.stroke();
    g.font = "12px system-ui, sans-serif"; g.textAlign = "center";
    for (const [name, [v, a]] of Object.entries(this.places)) {
      const label = name === "neutral" ? "calm" : name, half = g.measureText(label).width / 2 + 6;
      g.fillStyle = TONES[name];
      g.globalAlpha = 0.6 + 0.4 * (this.mood[name] ?? 0);
      g.fillText(label, Math.max(half, Math.min(w - half, x(0.86 * v))), y(0.88 * a) + 4);
      g.globalAlpha = 1;
    }
    const [v, a] = this.point;
    g.strokeStyle = "#ffb45488"; g.lineWidth = 2;
    g.beginPath(); g.moveTo(w / 2, h / 2); g.lineTo(x(v), y(a)); g.stroke();
    g.fillStyle = "#ffb454"; g.beginPath(); g.arc(x(v), y(a), 8, 0, 7); g.fill();
    g.strokeStyle = "#1a1206"; g.lineWidth = 2; g.beginPath(); g.arc(x(v), y(a), 8, 0, 7); g.stroke();
  }
}
