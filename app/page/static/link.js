// The line to the face: one WebSocket that opens itself again, frames unpacked, answers to "are you there?".

const FRAME = 1, PICTURE = 2, LANDMARKS = 478;

export class Link extends EventTarget {
  constructor(path) {
    super();
    this.path = path;
    this.hello = null;
    this.wait = 300;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/${this.path}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.hear(event.data);
    socket.onopen = () => { this.wait = 300; };
    socket.onclose = () => {
      this.hello = null;
      this.tell("lost");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 1.6, 4000);
    };
    this.socket = socket;
  }

  get there() { return this.socket.readyState === WebSocket.OPEN && this.hello !== null; }

  say(type, fields = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify({ type, ...fields }));
    return true;
  }

  send(bytes) { this.socket.send(bytes); }

  hear(data) {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      // answered here and not on a timer: timers sleep in pages that are out of sight
      if (said.type === "ask") { this.say("alive", { n: said.n }); return; }
      if (said.type === "hello") this.hello = said;
      this.tell(said.type, said);
      return;
    }
    const kind = new DataView(data).getUint32(0, true);
    if (kind === FRAME && this.hello) this.tell("frame", unpack(data, this.hello.actuators.length));
    else if (kind === PICTURE) this.tell("picture", new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" }));
  }

  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

// See frames.py for what lies where.
function unpack(data, n) {
  let at = 16;
  const floats = (k) => { const out = new Float32Array(data, at, k); at += 4 * k; return out; };
  const head = floats(8);
  const frame = {
    time: new DataView(data).getFloat64(8, true), level: head[0], tick: head[1], late: head[2],
    head: head.subarray(3, 6), gap: head[6],
    applied: floats(n), requested: floats(n), measured: floats(n), values: floats(55),
  };
  frame.landmarks = new Int16Array(data, at, LANDMARKS * 3);
  return frame;
}
