// The page of a face: what it hears is shown, what a hand does is said. STOP comes first.

import { Curves } from "./curves.js";
import { Link } from "./link.js";
import { Pad } from "./pad.js";
import { Motors, Shapes, make } from "./sliders.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const link = new Link("socket");
const state = { hello: null, vitals: null, stage: null, shapes: null, motors: null, awake: false, mine: false, why: "", faults: null, frames: 0 };
const curves = new Curves($("curves"));
const pad = new Pad($("pad"), $("pad-canvas"), $("valence"), $("arousal"), (v, a) => act("pad", { valence: v, arousal: a }));
window.animaface = { link, state, curves }; // for the curious at the console, and for tests

// ---- STOP: before everything else, by pointer, Space or Escape

function stop() {
  const went = link.say("stop");
  alertTo(went ? "Stop. The face goes to rest." : "There is no connection; the face rests by itself when it is lost.");
}
$("stop").addEventListener("pointerdown", (e) => { if (e.button === 0) stop(); });
$("stop").addEventListener("click", (e) => { if (e.detail === 0) stop(); });
const types = (node) => node instanceof HTMLTextAreaElement || (node instanceof HTMLInputElement && ["text", "search"].includes(node.type)) || node?.isContentEditable;
window.addEventListener("keydown", (e) => {
  if (e.key !== "Escape" && !(e.code === "Space" && !types(e.target))) return;
  e.preventDefault();
  e.stopImmediatePropagation();
  if (!e.repeat) stop();
}, { capture: true });
window.addEventListener("keyup", (e) => { if (e.code === "Space" && !types(e.target)) e.preventDefault(); }, { capture: true });

// ---- saying

let lastPad = 0, padWaits = 0;
function act(type, fields = {}) {
  if (type === "pad") { // at most twenty a second, the last one always
    clearTimeout(padWaits);
    const wait = 50 - (performance.now() - lastPad);
    if (wait > 0) { padWaits = setTimeout(() => act(type, fields), wait); return; }
    lastPad = performance.now();
  }
  if (!link.say(type, fields)) note("No connection.");
}
$("start").addEventListener("click", () => act(state.awake ? "leave" : "start"));
$("take").addEventListener("click", () => act("take", { from_others: true }));
window.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.ctrlKey) act("start"); });
$("demo").addEventListener("click", () => act("demo"));
$("hush").addEventListener("click", () => act("hush"));
$("say-form").addEventListener("submit", (e) => {
  e.preventDefault();
  const text = $("say").value.trim();
  if (text) { act("say", { text }); $("say").value = ""; }
});
$("file-pick").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  const file = $("file").files[0];
  if (!file) return;
  act("file", { name: file.name.slice(0, 100) });
  link.send(await file.arrayBuffer());
  $("file").value = "";
});
$("record").addEventListener("click", () => act("record", { on: $("record").getAttribute("aria-pressed") !== "true" }));
$("calibrate-quick").addEventListener("click", () => act("calibrate", { quick: true }));
$("calibrate-full").addEventListener("click", () => act("calibrate", { quick: false }));
$("calibrate-end").addEventListener("click", () => act("calibrate_end"));
$("puppet").addEventListener("click", () => act("puppet", { on: $("puppet").getAttribute("aria-pressed") !== "true" }));
for (const id of ["let-go", "let-go-motors"]) $(id).addEventListener("click", () => act("let_go"));
$("find-shape").addEventListener("input", (e) => state.shapes?.find(e.target.value));
$("curve-motor").addEventListener("change", (e) => { curves.motor = Number(e.target.value); });
$("show-mesh").addEventListener("click", (e) => { if (state.stage) { state.stage.showMesh = press(e.currentTarget); state.stage.dirty = true; } });
$("show-picture").addEventListener("click", (e) => { $("view-picture").hidden = !press(e.currentTarget); look(); });
$("picture-from").addEventListener("change", look);
let camera = null;
async function look() {
  const open = !$("view-picture").hidden, from = $("picture-from").value;
  link.say("watch", { picture: open && from === "sim" });
  $("picture").hidden = from !== "sim";
  $("camera").hidden = from !== "camera";
  $("picture-note").textContent = open && from === "sim" && !$("picture").src ? "A first picture takes some seconds …" : "";
  if (camera && !(open && from === "camera")) { for (const track of camera.getTracks()) track.stop(); camera = null; }
  if (!open || from !== "camera" || camera) return;
  try {
    if (!navigator.mediaDevices) throw new Error("browsers give cameras to pages of their own machine or over https only");
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    $("camera").srcObject = camera;
    await $("camera").play();
  } catch (error) { $("picture-note").textContent = `No camera: ${error.message}`; }
}
link.addEventListener("picture", ({ detail }) => {
  URL.revokeObjectURL($("picture").src);
  $("picture").src = URL.createObjectURL(detail);
  $("picture-note").textContent = "";
});
$("expressions").addEventListener("change", (e) => act("expressions", { by: e.target.value }));
$("intensity").addEventListener("input", (e) => {
  $("intensity-value").value = Number(e.target.value).toFixed(2);
  const [name] = Object.entries(state.vitals?.mood ?? {}).sort((a, b) => b[1] - a[1])[0] ?? [];
  if (name) feel(name);
});
function feel(name) {
  const far = name === "neutral" ? 0 : Number($("intensity").value);
  const [v, a] = state.hello.emotions[name];
  pad.put(v * far, a * far);
  act("emotion", { mix: far > 0 ? { [name]: far } : {}, heard: 0 });
}
function press(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  return on;
}

// ---- tabs

const tabs = [...document.querySelectorAll("[role=tab]")];
function show(tab) {
  for (const t of tabs) {
    const on = t === tab;
    t.setAttribute("aria-selected", on);
    t.tabIndex = on ? 0 : -1;
    $(t.getAttribute("aria-controls")).hidden = !on;
  }
  sessionStorage.setItem("tab", tab.id);
}
for (const [k, tab] of tabs.entries()) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (e) => {
    const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    next.focus();
    show(next);
  });
}
show($(sessionStorage.getItem("tab")) ?? tabs[0]);

// ---- hearing

link.addEventListener("hello", ({ detail: hello }) => {
  state.hello = hello;
  $("face-name").textContent = hello.face;
  document.title = `${hello.face} · Animaface`;
  $("picture-from").options[0].disabled = !hello.pictures;
  if (!hello.pictures) $("picture-from").value = "camera";
  look();
  $("projection").textContent = `by the ${hello.projection}`;
  calibrationNow();
  $("report").hidden = !hello.calibrated;
  $("voice-note").textContent = hello.source === "mic" ? "This face follows the microphone." : hello.can_say ? "" : "No speech synthesiser is installed there: no text can be said.";
  $("say").disabled = !hello.can_say;
  pad.places = hello.emotions;
  pad.draw();
  $("emotions").replaceChildren(...Object.keys(hello.emotions).map((name) => {
    const chip = make("button", { type: "button", "aria-pressed": "false" }, name);
    chip.dataset.emotion = name;
    chip.addEventListener("click", () => feel(name));
    return chip;
  }));
  const heard = make("button", { type: "button", id: "heard", "aria-pressed": "false", title: "What the voice itself sounds like" }, "from the voice");
  heard.addEventListener("click", () => { pad.put(0, 0); act("emotion", { mix: {}, heard: heard.getAttribute("aria-pressed") === "true" ? 0 : Number($("intensity").value) }); });
  $("emotions").append(heard);
  $("expressions").replaceChildren(...["", ...hello.expressions].map((name) => make("option", { value: name }, name || "everybody")));
  $("expressions-row").hidden = !hello.expressions.length;
  $("styles").replaceChildren(...Object.entries(hello.styles).map(([name, what]) => styleRow(name, what, hello.most_style)));
  $("curve-motor").replaceChildren(...hello.actuators.map((a, i) => make("option", { value: i }, a.name)));
  curves.motor ??= Math.max(0, hello.actuators.findIndex((a) => a.region === "jaw"));
  $("curve-motor").value = curves.motor;
  state.shapes = new Shapes($("shapes"), hello, (name, value) => act("shape", { name, value }));
  state.motors = new Motors($("motors"), hello, (name, value) => act("motor", { name, value }), (i) => { curves.motor = i; $("curve-motor").value = i; });
  banner("");
});

function styleRow(name, what, most) {
  const input = make("input", { type: "range", min: 0, max: most, step: 0.05, value: 1, id: `style-${name}`, title: what });
  const out = make("output", { "aria-live": "off" }, "1.00");
  input.addEventListener("input", () => { out.value = Number(input.value).toFixed(2); input.dataset.touched = performance.now(); act("style", { name, value: Number(input.value) }); });
  return make("label", { className: "row", htmlFor: input.id, title: what }, name, input, out);
}

link.addEventListener("frame", ({ detail: frame }) => {
  state.frames++;
  state.frame = frame;
  curves.add(frame);
});

link.addEventListener("vitals", ({ detail: v }) => {
  state.vitals = v;
  state.mine = v.helm === state.hello?.page;
  if (v.awake !== state.awake || v.why_at_rest !== state.why) {
    state.awake = v.awake;
    state.why = v.why_at_rest;
    politely(v.awake ? "The face is alive." : `The face is at rest: ${v.why_at_rest}.`);
  }
  lamp(v.awake ? "alive" : "rest", v.awake ? { talking: "Talking", listening: "Listening", idle: "Idle" }[v.speaking] ?? "Alive" : "At rest");
  $("helm").textContent = state.mine ? "This page drives the face." : v.helm === null ? (v.awake ? "" : capital(v.why_at_rest) + ".") : "Another page drives the face; this one watches.";
  $("take").hidden = v.helm === null || state.mine;
  $("start").disabled = v.helm !== null && !state.mine;
  $("start").textContent = v.awake ? "Rest" : "Start";
  $("start").classList.toggle("go", !v.awake);
  document.body.classList.toggle("asleep", !v.awake);
  const still = !v.awake || !state.mine;
  for (const input of document.querySelectorAll("#pane-shapes input[type=range], #pane-motors input[type=range]")) input.disabled = still;
  $("puppet").setAttribute("aria-pressed", v.held.puppet);
  state.shapes.told(v.held.shapes);
  state.motors.told(v);
  for (const chip of $("emotions").children) chip.setAttribute("aria-pressed", chip.id === "heard" ? v.heard > 0 : chip.dataset.emotion in v.mood);
  if (document.activeElement !== $("expressions")) $("expressions").value = v.by;
  pad.mood = v.mood;
  for (const [name, value] of Object.entries(v.styles)) {
    const input = $(`style-${name}`);
    if (performance.now() - (Number(input.dataset.touched) || -1e9) > 900) { input.value = value; input.nextElementSibling.value = value.toFixed(2); }
  }
  if (v.saying) $("voice-note").textContent = `Saying: ${v.saying}`;
  else if ($("voice-note").textContent.startsWith("Saying")) $("voice-note").textContent = "";
  moodPoint(v.mood);
  latency(v);
  recordings(v);
  calibration(v.calibration);
  faults(v);
});

// The pad follows what the face feels, whoever asked for it, unless a hand is on it.
function moodPoint(mood) {
  if (performance.now() - lastPad < 900 || document.activeElement === $("valence") || document.activeElement === $("arousal")) return;
  let [v, a] = [0, 0];
  for (const [name, share] of Object.entries(mood)) { v += share * state.hello.emotions[name][0]; a += share * state.hello.emotions[name][1]; }
  if (Math.hypot(v - pad.point[0], a - pad.point[1]) > 0.02) pad.put(v, a);
}

function recordings(v) {
  const on = v.recording !== "";
  $("record").setAttribute("aria-pressed", on);
  $("record").textContent = on ? "Stop recording" : "Record";
  $("record-note").textContent = on ? `writing ${v.recording}` : v.replaying ? `replaying ${v.replaying}` : "";
  const now = JSON.stringify([v.tapes.filter((t) => t.name !== v.recording), v.replaying, v.awake && state.mine]);
  if (now === state.tapes) return;
  state.tapes = now;
  $("recordings").replaceChildren(...v.tapes.filter((t) => t.name !== v.recording).slice(0, 30).map((t) => {
    const play = make("button", { type: "button", disabled: !(v.awake && state.mine), "aria-label": `Replay ${t.name}` }, v.replaying === t.name ? "Replaying" : "Replay");
    play.addEventListener("click", () => act("replay", { name: t.name }));
    return make("li", {}, make("span", {}, t.name), make("small", { className: "dim" }, `${t.when} · ${t.mb} MB`), play);
  }));
  if (!v.tapes.length) $("recordings").replaceChildren(make("li", { className: "note" }, "Nothing is recorded yet. A recording holds sound, shapes, commands, feedback and faults; it opens in Foxglove and PlotJuggler."));
}

function calibrationNow() {
  const ended = state.vitals?.calibration.ended, by = `This face moves by its ${state.hello.motion}.`;
  $("calibration-now").textContent = !ended ? by : ended === "done" ? `The calibration is done. ${by}` : `The calibration ended: ${ended}. ${by}`;
}

function calibration(c) {
  const now = JSON.stringify(c);
  if (now === state.calibration) return;
  const ended = c.ended && state.calibration && JSON.parse(state.calibration).ended !== c.ended;
  state.calibration = now;
  $("calibrate-end").hidden = !c.running;
  $("calibrate-quick").disabled = $("calibrate-full").disabled = c.running;
  $("calibration-progress").hidden = !c.running;
  if (c.running && c.step) {
    const left = c.remaining_s ? `, about ${c.remaining_s < 90 ? `${Math.ceil(c.remaining_s)} s` : `${Math.ceil(c.remaining_s / 60)} min`} left of this step` : "";
    $("calibration-step").textContent = `${c.step}: ${c.done} of ${c.total}${left}`;
    $("calibration-bar").value = c.done / Math.max(1, c.total);
  }
  $("calibration-log").replaceChildren(...c.said.map((text) => make("li", {}, text)));
  $("calibration-numbers").replaceChildren(...Object.entries(c.numbers).map(([name, x]) => make("div", {}, make("dt", {}, name), make("dd", {}, x.toFixed(3)))));
  if (c.ended === "done") $("report").hidden = false;
  calibrationNow();
  if (ended) politely($("calibration-now").textContent);
}

link.addEventListener("lost", () => {
  if (!state.hello) return;
  lamp("lost", "No connection");
  state.awake = false;
  banner("The connection is lost. A face that this page drove goes to rest by itself. Trying again …");
  alertTo("The connection to the face is lost. A face that this page drove goes to rest by itself.");
  $("start").disabled = true;
});
link.addEventListener("error", ({ detail }) => { note(detail.next ? `${detail.message} (${detail.next})` : detail.message); });
link.addEventListener("news", ({ detail }) => logLine($("faults"), detail.text, "bad"));

// ---- showing

const LATENCY = { capture: ["sound card", "#6cc7ff"], "look-ahead": ["look-ahead of the networks", "#5aa2e8"], inference: ["inference", "#b79cff"], "due ahead": ["sent ahead of time", "#8fd0a8"], servos: ["servos", "#ffb454"], room: ["room for a busy machine", "#39475e"] };

function latency(v) {
  const parts = Object.entries(v.latency_ms).map(([key, ms]) => ({ ms: Math.max(0, ms), name: LATENCY[key]?.[0] ?? key, colour: LATENCY[key]?.[1] ?? "#7a889e" })).filter((p) => p.ms > 0.05);
  const total = parts.reduce((s, p) => s + p.ms, 0), mic = state.hello.source === "mic";
  $("latency-total").replaceChildren(`${total.toFixed(0)} ms`, make("small", {}, mic ? "from the microphone to the lips" : "the sound is held back by this much, so that the lips are on time"));
  const bar = $("latency-bar");
  while (bar.children.length < parts.length) bar.append(make("i"));
  while (bar.children.length > parts.length) bar.lastChild.remove();
  parts.forEach((p, k) => { bar.children[k].style.flexGrow = p.ms; bar.children[k].style.flexBasis = 0; bar.children[k].style.background = p.colour; bar.children[k].title = `${p.name}: ${p.ms} ms`; });
  bar.setAttribute("aria-label", parts.map((p) => `${p.name} ${p.ms} milliseconds`).join(", "));
  $("latency-legend").replaceChildren(...parts.map((p) => {
    const key = make("i");
    key.style.background = p.colour;
    return make("li", {}, key, p.name, make("b", {}, `${p.ms.toFixed(1)}`));
  }));
  const loop = v.loop;
  $("loop-numbers").textContent = loop ? `Control loop: ${loop.ticks} ticks, ${loop.missed} deadlines missed (${(100 * loop.missed_share).toFixed(2)} %), a tick takes ${loop.tick_p50_ms} ms, 99 % under ${loop.tick_p99_ms} ms. Frames dropped: ${(100 * v.dropped_share).toFixed(2)} %.` : "";
}

function faults(v) {
  const before = state.faults ?? {}, fresh = Object.entries(v.faults).filter(([name, text]) => before[name] !== text);
  const gone = Object.keys(before).filter((name) => !(name in v.faults));
  if (state.faults === null || gone.length) logLine($("faults"), gone.length ? `back again: ${gone.join(", ")}` : "everything answers", "calm");
  for (const [name, text] of fresh) logLine($("faults"), `${name}: ${text}`, "bad");
  if (fresh.length) alertTo(`Fault: ${fresh.map(([n, t]) => `${n}, ${t}`).join("; ")}`);
  state.faults = v.faults;
}

function logLine(list, text, kind) {
  list.prepend(make("li", {}, make("time", {}, new Date().toLocaleTimeString([], { hour12: false })), make("span", { className: kind }, text)));
  while (list.children.length > 60) list.lastChild.remove();
}

function lamp(kind, text) { $("state").dataset.state = kind; if ($("state-text").textContent !== text) $("state-text").textContent = text; }
function politely(text) { $("polite").textContent = text; }
function alertTo(text) { $("alert").textContent = text; }
function banner(text, calm = false) { $("banner").hidden = !text; $("banner").textContent = text; $("banner").classList.toggle("calm", calm); }
let noteEnds = 0;
function note(text) {
  banner(text, true);
  politely(text);
  clearTimeout(noteEnds);
  noteEnds = setTimeout(() => { if ($("banner").textContent === text) banner(""); }, 6000);
}
const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);

// ---- drawing: as often as the screen allows, only what has changed

let drawn = 0, since = performance.now(), slow = 0;
function draw() {
  requestAnimationFrame(draw);
  const frame = state.frame;
  if (frame && state.stage) {
    state.frame = null;
    state.stage.show(frame);
    if (slow % (state.stage.emulated ? 3 : 1) === 0) curves.draw();
    if (!$("pane-motors").hidden) state.motors?.live(frame, true);
    if (slow % 3 === 0) {
      if (!$("pane-shapes").hidden) state.shapes?.live(frame.values);
      $("gap").value = (Math.abs(frame.gap) < 0.05 ? 0 : frame.gap).toFixed(1); // never -0.0
      $("tick").value = frame.tick.toFixed(1);
    }
  }
  if (frame) slow++;
  const before = state.stage?.drawn;
  state.stage?.draw();
  if (before !== undefined && state.stage.drawn > before) drawn++;
  const passed = performance.now() - since;
  if (passed > 1000) {
    state.fps = (1000 * drawn) / passed;
    $("fps").value = state.fps.toFixed(0);
    if (state.vitals && document.visibilityState === "visible") state.stage?.adapt(state.fps, 30);
    drawn = 0;
    since = performance.now();
  }
}
requestAnimationFrame(draw);

const mesh = await (await fetch("mesh.json", { credentials: "same-origin" })).json();
await new Promise((then) => requestAnimationFrame(() => setTimeout(then))); // the first view before the first shader
state.stage = new Stage($("face"), mesh);
if (!state.stage.works) note("This browser draws no WebGL: the face is not shown, everything else works.");
