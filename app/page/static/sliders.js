// Sliders of shapes and motors: they follow the face until a hand takes them, and then hold.

const SHAPE_GROUPS = [["eye", "Eyes and lids"], ["brow", "Brows"], ["nose", "Nose and cheeks"], ["cheek", "Nose and cheeks"], ["jaw", "Jaw and tongue"], ["tongue", "Jaw and tongue"], ["mouth", "Mouth"], ["head", "Head"]];

const make = (tag, fields = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(fields)) if (k in node) node[k] = v; else node.setAttribute(k, v);
  node.append(...children);
  return node;
};

// Tells at most thirty times a second, and always the last value.
function throttled(tell) {
  let timer = 0, wanted;
  return (value) => {
    wanted = value;
    if (timer) return;
    tell(value);
    timer = setTimeout(() => { timer = 0; if (wanted !== value) tell(wanted); }, 33);
  };
}

class Slider {
  constructor(name, label, input, onHold) {
    this.name = name; this.input = input; this.held = false; this.touched = 0;
    this.out = make("output", { "aria-live": "off" }, "–"); // an output is read aloud at every change, and this one never rests
    this.free = make("button", { type: "button", className: "free", "aria-label": `Let go of ${label}`, title: "Let go" }, "✕");
    const tell = throttled((value) => onHold(name, value));
    input.addEventListener("input", () => { this.touched = performance.now(); this.mark(true); this.out.value = Number(input.value).toFixed(2); tell(Number(input.value)); });
    const letGo = () => { this.touched = performance.now(); this.mark(false); onHold(name, null); };
    this.free.addEventListener("click", () => { letGo(); input.focus(); });
    input.addEventListener("keydown", (e) => { if (e.key === "Delete" || e.key === "Backspace") letGo(); });
    input.addEventListener("dblclick", letGo);
  }

  mark(held) { this.held = held; this.box.classList.toggle("held", held); this.free.tabIndex = held ? 0 : -1; }

  live(value) {
    if (this.held || performance.now() - this.touched < 400 || !Number.isFinite(value)) return;
    // keys start from what was read to their user, not from wherever the face has gone since
    if (document.activeElement === this.input && this.input.matches(":focus-visible")) return;
    const text = value.toFixed(2);
    if (this.out.value !== text) { this.input.value = value; this.out.value = text; }
  }

  told(value) {
    if (performance.now() - this.touched < 700) return;
    this.mark(value !== undefined);
    if (value !== undefined) { this.input.value = value; this.out.value = value.toFixed(2); }
  }
}

export class Shapes {
  constructor(box, hello, onHold) {
    this.all = [];
    const channels = [...hello.shapes, ...hello.head], groups = new Map();
    channels.forEach((name, i) => {
      const group = SHAPE_GROUPS.find(([stem]) => name.startsWith(stem))[1];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([name, i]);
    });
    box.replaceChildren();
    for (const [group, members] of groups) {
      const title = make("h3", { className: "group-name" }, group), section = make("section", {}, title);
      box.append(section);
      for (const [name, i] of members) {
        const range = name.startsWith("head") ? hello.head_range_rad : null;
        const input = make("input", { type: "range", min: range ? -range : 0, max: range ?? 1, step: 0.01, value: 0, id: `shape-${name}` });
        const slider = new Slider(name, name, input, onHold);
        slider.index = i;
        slider.box = make("div", { className: "slide" }, make("label", { htmlFor: input.id, title: name }, name), input, slider.out, slider.free);
        slider.section = section;
        slider.mark(false);
        section.append(slider.box);
        this.all.push(slider);
      }
    }
  }

  live(values) { for (const s of this.all) s.live(values[s.index]); }
  told(held) { for (const s of this.all) s.told(held[s.name]); }
  find(text) {
    const wanted = text.trim().toLowerCase(), sections = new Map();
    for (const s of this.all) {
      const fits = s.name.toLowerCase().includes(wanted);
      s.box.hidden = !fits;
      sections.set(s.section, sections.get(s.section) || fits);
    }
    for (const [section, any] of sections) section.hidden = !any;
  }
}

export class Motors {
  constructor(box, hello, onHold, onPick) {
    this.all = [];
    this.reasons = hello.reasons;
    const groups = Map.groupBy ? Map.groupBy(hello.actuators, (a) => a.region) : groupBy(hello.actuators);
    box.replaceChildren();
    for (const [region, members] of groups) {
      const section = make("section", {}, make("h3", { className: "group-name" }, region));
      box.append(section);
      for (const a of members) section.append(this.row(a, hello.actuators.indexOf(a), onHold, onPick));
    }
  }

  row(a, index, onHold, onPick) {
    const input = make("input", { type: "range", min: 0, max: 1, step: 0.005, value: a.neutral_u, id: `motor-${a.name}`, "aria-describedby": `facts-${a.name}` });
    const slider = new Slider(a.name, a.name, input, onHold);
    const mark = (kind) => make("i", { className: kind });
    slider.applied = mark("applied"); slider.measured = mark("measured");
    const neutral = mark("neutral"), limits = make("span", { className: "limits", "aria-hidden": "true" }, make("span", {}, `${a.raw[0]} ${a.unit}`), make("span", {}, `${a.raw[1]} ${a.unit}`));
    const way = make("div", { className: "way" }, neutral, slider.measured, slider.applied, input, limits);
    slider.place = (node, u) => { node.style.left = `calc(8px + ${(100 * u).toFixed(2)}% - ${(16 * u).toFixed(2)}px)`; };
    slider.place(neutral, a.neutral_u);
    slider.facts = make("span", { className: "facts", id: `facts-${a.name}` }, "–");
    slider.why = make("p", { className: "why", hidden: true });
    slider.box = make("div", { className: "motor" }, make("label", { htmlFor: input.id, title: `${a.name}: ${a.model} on ${a.bus}, ${a.drive}` }, a.name), way, slider.out, slider.facts, slider.free, slider.why);
    slider.index = index;
    slider.mark(false);
    input.addEventListener("focus", () => onPick(index));
    this.all.push(slider);
    return slider.box;
  }

  live(frame, visible) {
    if (!visible) return;
    for (const s of this.all) {
      s.live(frame.applied[s.index]);
      s.place(s.applied, frame.applied[s.index]);
      const at = frame.measured[s.index];
      s.measured.hidden = !Number.isFinite(at);
      if (Number.isFinite(at)) s.place(s.measured, Math.max(0, Math.min(1, at)));
    }
  }

  told(vitals) {
    for (const s of this.all) {
      s.told(vitals.held.motors[s.name]);
      const warm = vitals.temperature_c[s.index], amps = vitals.current_a[s.index], volts = vitals.voltage_v[s.index], why = vitals.reasons[s.index];
      const parts = [warm === null ? "" : `${warm.toFixed(0)} °C`, amps === null ? "" : `${Math.abs(amps).toFixed(2)} A`, volts === null ? "" : `${volts.toFixed(1)} V`].filter(Boolean);
      s.facts.textContent = parts.join("  ") || "tells nothing";
      s.box.classList.toggle("hot", warm !== null && warm > 55);
      const fault = vitals.faults[s.name], held = Object.entries(this.reasons).filter(([bit]) => why & bit).map(([, name]) => name);
      s.box.classList.toggle("fault", fault !== undefined);
      const text = fault ?? (held.some((r) => r !== "speed" && r !== "acceleration" && r !== "ramp") ? held.join(", ") : "");
      if (s.why.textContent !== text) { s.why.textContent = text; s.why.hidden = !text; }
    }
  }
}

function groupBy(actuators) {
  const out = new Map();
  for (const a of actuators) { if (!out.has(a.region)) out.set(a.region, []); out.get(a.region).push(a); }
  return out;
}

export { make };
