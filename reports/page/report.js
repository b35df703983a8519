"use strict";
// The keys of a report, one dot each. Without this script the page shows the same distributions as still figures.
// Other scripts learn of a chosen key by the event "wrongkey:key" on document; the address holds what is chosen.

const sections = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = { section: sections[0], hidden: new Set(), within: null, run: null, index: null };
const HEIGHT = 400, TOP = 22, BOTTOM = 92, LEFT = 46, NARROWEST = 84, MOST_BESIDE = 6, MANY = 2000;
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

function element(parent, name, attributes = {}, text = null) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  parent.append(made);
  return made;
}

function html(parent, name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const base = (scheme) => scheme.split("+")[0]; // without options
const schemeColour = (scheme) => (/^[a-z-]+$/.test(base(scheme)) && colour(`scheme-${base(scheme)}`)) || colour("other");
const optionDash = (scheme) => { // of an outline: schemes of one base are told apart by their options
  const alike = new Set(state.section.keys.map((run) => run.scheme).filter((other) => base(other) === base(scheme)));
  return DASHES[[...new Set([base(scheme), ...alike])].indexOf(scheme) % DASHES.length];
};
const shown = () => state.section.keys.filter((run) => !state.hidden.has(run.scheme));
const unit = () => (state.section.metric.unit === "%" ? "points" : state.section.metric.unit);
const words = (value) => `${value.toFixed(state.section.metric.decimals)} ${state.section.metric.unit}`.trim();
const dash = (run) => {
  const same = state.section.keys.filter((other) => base(other.scheme) === base(run.scheme));
  return DASHES[same.indexOf(run) % DASHES.length];
};

function within(run, score) { // as near to the plain model as the slider says, or better than it
  if (run.plain === null) return false;
  return (state.section.metric.higher_is_safer ? score - run.plain : run.plain - score) <= state.within + 1e-9;
}

function closeCount(run) { // of all keys: where some near ones are not shown, the rank of the last that is
  const close = run.rank.filter((_, k) => within(run, run.score[k])), last = close.reduce((a, b) => Math.max(a, b), 0);
  const about = close.length < last ? "about " : "";
  return `${about}${Math.max(close.length, last).toLocaleString("en")} of ${run.tried.toLocaleString("en")}`;
}

function ticks(low, high, wanted = 6) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) found.push(+tick.toPrecision(6));
  return found;
}

function sideways(run, k, half) { // a dot's place inside its violin: the same every time, as wide as the outline there
  const at = run.grid.length ? Math.min(run.grid.length - 1, Math.max(0, Math.round(
    (run.score[k] - run.grid[0]) / (run.grid.at(-1) - run.grid[0]) * (run.grid.length - 1)))) : 0;
  const wide = run.grid.length ? Math.max(run.density[at], 0.05) : 0.5;
  return ((Math.imul(run.index[k] + 1, 2654435761) >>> 0) / 2 ** 32 - 0.5) * 1.8 * half * wide;
}

function scale(runs) {
  const metric = state.section.metric, ends = runs.flatMap((run) => [run.plain ?? run.median, ...run.grid, ...run.score]);
  let high = ends.reduce((a, b) => Math.max(a, b)), low = Math.min(0, ends.reduce((a, b) => Math.min(a, b)));
  if (metric.chance !== null) high = Math.max(high, metric.chance);
  if (high <= low) high = low + 1;
  return { low, high, y: (value) => TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM) };
}

function drawViolins() {
  const svg = byId("violins"), runs = shown(), metric = state.section.metric;
  svg.replaceChildren();
  if (!runs.length) return;
  byId("explore").classList.toggle("many", runs.length > MOST_BESIDE);
  const room = svg.closest("figure").clientWidth, each = Math.max(NARROWEST, (room - LEFT - 8) / runs.length);
  const width = LEFT + 8 + each * runs.length, half = Math.min(each * 0.42, 64), { low, high, y } = scale(runs);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.style.width = `${width}px`;
  element(svg, "text", { x: 2, y: 12 }, `${metric.axis}, ${metric.higher_is_safer ? "higher" : "lower"} is safer for the owner`);
  for (const tick of ticks(low, high)) {
    element(svg, "line", { x1: LEFT, x2: width, y1: y(tick), y2: y(tick), class: "grid" });
    element(svg, "text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick);
  }
  if (metric.chance !== null) {
    element(svg, "line", { x1: LEFT, x2: width, y1: y(metric.chance), y2: y(metric.chance), class: "ink", "stroke-dasharray": "2 4" });
    element(svg, "text", { x: width - 4, y: y(metric.chance) - 4, "text-anchor": "end" }, "chance");
  }
  runs.forEach((run, place) => drawRun(svg, run, LEFT + each * (place + 0.5), half, y, each));
  svg.setAttribute("aria-label", runs.map((run) => `${run.label}: median ${words(run.median)}, best wrong key ` +
    `${words(run.best.score)}, plain ${run.plain === null ? "not measured" : words(run.plain)}, ${closeCount(run)} close`).join(". "));
  byId("violins-words").textContent = "Star: plain model. Line: correct key. Bar: middle half and median. Shaded and red: " +
    "as near to plain as the slider says. Choose a dot to see its key" +
    (runs.some((run) => run.score.length < run.tried) ? "; all of the best 1 % and a sample of the others are drawn." : ".");
}

function drawRun(svg, run, x, half, y, each) {
  const metric = state.section.metric, own = schemeColour(run.scheme);
  if (run.grid.length) {
    const right = run.grid.map((score, k) => `${x + half * run.density[k]},${y(score)}`);
    const left = run.grid.map((score, k) => `${x - half * run.density[k]},${y(score)}`).reverse();
    element(svg, "polygon", { points: [...right, ...left].join(" "), fill: own, "fill-opacity": 0.16, stroke: own,
      "stroke-dasharray": optionDash(run.scheme) });
  }
  if (run.plain !== null) {
    const [upper, lower] = [y(run.plain + state.within), y(run.plain - state.within)];
    element(svg, "rect", { x: x - half, width: 2 * half, y: upper, height: lower - upper, fill: colour("bad"), "fill-opacity": 0.14 });
  }
  const spots = run.score.map((score, k) => ({ x: x + sideways(run, k, half), y: y(score), k }));
  const path = (some) => some.map((spot) => `M${spot.x.toFixed(1)},${spot.y.toFixed(1)}h0`).join("");
  const close = spots.filter((spot) => within(run, run.score[spot.k]));
  const far = spots.filter((spot) => !within(run, run.score[spot.k]));
  element(svg, "path", { d: path(far), class: "dots", stroke: own, "stroke-width": spots.length > MANY ? 1.5 : 3, "stroke-opacity": 0.55 });
  element(svg, "path", { d: path(close), class: "dots", stroke: colour("bad"), "stroke-width": 5 });
  element(svg, "line", { x1: x, x2: x, y1: y(run.q25), y2: y(run.q75), class: "ink", "stroke-width": 5 });
  element(svg, "circle", { cx: x, cy: y(run.median), r: 3.5, fill: colour("page"), class: "ink" });
  if (run.correct !== null) element(svg, "line", { x1: x - half, x2: x + half, y1: y(run.correct), y2: y(run.correct), class: "ink", "stroke-width": 1.5 });
  if (run.plain !== null) element(svg, "text", { x, y: y(run.plain) + 6, "text-anchor": "middle", style: "font-size:17px" }, "★");
  const best = spots.find((spot) => run.index[spot.k] === run.best.index);
  const mark = element(svg, "circle", { cx: best.x, cy: best.y, r: 5, fill: own, stroke: colour("page"), class: "best", tabindex: 0,
    role: "button", "aria-label": `${run.label}: best wrong key, number ${run.best.index}, ${words(run.best.score)}` });
  mark.dataset.run = run.run;
  mark.dataset.index = run.best.index;
  mark.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(run, run.best.index); } });
  const area = element(svg, "rect", { x: x - each / 2, width: each, y: 0, height: HEIGHT - BOTTOM + 4, fill: "transparent" });
  area.dataset.run = run.run;
  svg.append(mark);
  area.addEventListener("click", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const gap = (spot) => Math.hypot(spot.x - point.x, spot.y - point.y);
    const nearest = spots.reduce((a, b) => (gap(b) < gap(a) ? b : a));
    if (gap(nearest) < 24) choose(run, run.index[nearest.k]);
  });
  mark.addEventListener("click", () => choose(run, run.best.index));
  const kept = state.run === run.run ? spots.find((spot) => run.index[spot.k] === state.index) : null;
  if (kept) element(svg, "circle", { cx: kept.x, cy: kept.y, r: 7, class: "chosen" });
  const lines = [...run.short.split(", "), closeCount(run), "close"];
  lines.forEach((line, k) => {
    const text = element(svg, "text", { x, y: HEIGHT - BOTTOM + 22 + 15 * k, "text-anchor": "middle" }, line);
    if (text.getComputedTextLength() > each - 4) text.setAttribute("textLength", each - 4), text.setAttribute("lengthAdjust", "spacingAndGlyphs");
  });
}

function drawSurvival() {
  const svg = byId("survival"), names = new Set(shown().map((run) => run.run));
  const curves = state.section.survival.filter((curve) => names.has(curve.run));
  byId("survival-figure").hidden = !curves.length;
  svg.replaceChildren();
  if (!curves.length) return;
  const width = svg.closest("figure").clientWidth, far = Math.max(...curves.flatMap((curve) => curve.distance));
  const least = Math.min(...curves.flatMap((curve) => [...curve.share, ...curve.high].filter((share) => share > 0)));
  const decades = Math.ceil(-Math.log10(least) - 1e-9) || 1;
  const left = LEFT + 22, x = (distance) => left + distance / far * (width - left - 12);
  const y = (share) => TOP + Math.min(decades, -Math.log10(Math.max(share, 1e-12))) / decades * (HEIGHT - TOP - 44);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  element(svg, "text", { x: 2, y: 12 }, "share of random keys that come this close");
  for (let k = 0; k <= decades; k += 1) {
    element(svg, "line", { x1: left, x2: width - 12, y1: y(10 ** -k), y2: y(10 ** -k), class: "grid" });
    element(svg, "text", { x: left - 6, y: y(10 ** -k) + 4, "text-anchor": "end" }, k ? `1/${(10 ** k).toLocaleString("en")}` : "1");
  }
  for (const tick of ticks(0, far, 5)) element(svg, "text", { x: x(tick), y: HEIGHT - 24, "text-anchor": "middle" }, tick);
  element(svg, "text", { x: (width + left) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, `${unit()} from the plain model`.trim());
  const words = byId("survival-words");
  words.replaceChildren();
  const legend = html(words, "span", "", { class: "legend" });
  for (const curve of curves) {
    const run = state.section.keys.find((one) => one.run === curve.run), own = schemeColour(run.scheme);
    const line = (ends) => curve.distance.map((distance, k) => [x(distance), y(ends[k])].map((v) => v.toFixed(1)).join(","));
    element(svg, "polygon", { points: [...line(curve.high), ...line(curve.low).reverse()].join(" "), fill: own, "fill-opacity": 0.13 });
    const some = line(curve.share).filter((_, k) => curve.share[k] > 0);
    const style = { fill: "none", stroke: own, "stroke-width": 2, "stroke-dasharray": dash(run) };
    element(svg, "polyline", { points: some.join(" "), ...style });
    const entry = html(legend, "span");
    const sample = element(entry, "svg", { viewBox: "0 0 30 10", "aria-hidden": "true" });
    element(sample, "line", { x1: 0, x2: 30, y1: 5, y2: 5, ...style });
    entry.append(` ${run.short}`);
  }
  if (state.within <= far) element(svg, "line", { x1: x(state.within), x2: x(state.within), y1: TOP, y2: HEIGHT - 44, stroke: colour("bad"), "stroke-dasharray": "3 3" });
  svg.setAttribute("aria-label", "Survival curve: share of random keys against the distance to the plain model, with its 95 % band; the table “Keys that came close” has the numbers.");
  html(words, "span", "Shaded: 95 % band. One over the share is the expected number of guesses.");
}

function choose(run, index) {
  state.run = run.run;
  state.index = index;
  const k = run.index.indexOf(index), box = byId("key"), focused = document.activeElement;
  const again = box.contains(focused) ? focused.textContent : null, onMark = focused?.classList.contains("best");
  box.replaceChildren();
  const facts = html(box, "p");
  html(html(facts, "strong"), "bdi", `${run.label}, key ${index}`);
  const own = run.low.length ? ` [${run.low[k].toFixed(1)}, ${run.high[k].toFixed(1)}]` : "";
  const plain = run.plain === null ? "" : `; plain ${words(run.plain)}`;
  facts.append(`: ${state.section.metric.label} ${words(run.score[k])}${own}${plain}; rank ${run.rank[k].toLocaleString("en")} of ${run.tried.toLocaleString("en")}. `);
  const order = run.score.map((_, place) => place).sort((a, b) => run.rank[a] - run.rank[b] || a - b), at = order.indexOf(k);
  for (const [text, next] of [["Better for an attacker", order[at - 1]], ["Worse", order[at + 1]]]) {
    const button = html(facts, "button", text, { type: "button" });
    button.disabled = next === undefined;
    button.addEventListener("click", () => choose(run, run.index[next]));
    facts.append(" ");
  }
  html(html(box, "p", "Draw this key: "), "code", [...run.draw, index].map(quoted).join(" "));
  document.dispatchEvent(new CustomEvent("wrongkey:key", { detail: { run: run.run, index } }));
  drawViolins();
  keep();
  const same = (button) => button.textContent === again && !button.disabled; // what had the focus was made anew
  (onMark ? document.querySelector(`#violins .best[data-run="${CSS.escape(run.run)}"]`) : [...box.querySelectorAll("button")].find(same))?.focus();
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\"'\"'")}'`);

function csv() {
  const cell = (text) => (/^[-\w. ]*$/.test(text) ? text : `"${String(text).replaceAll('"', '""')}"`);
  const rows = shown().flatMap((run) => run.index.map((index, k) => [cell(run.run), run.seed, index, state.section.metric.name, run.score[k], run.rank[k]].join(",")));
  const link = html(document.body, "a", "", { download: "wrongkey-keys.csv" });
  link.href = URL.createObjectURL(new Blob([["run,key_seed,key_index,metric,value,rank", ...rows].join("\n")], { type: "text/csv" }));
  link.click();
  link.remove();
}

function keep() { // the choices, in the address
  const said = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""); // with what others keep there
  said.set("section", state.section.anchor);
  said.set("within", state.within);
  said.delete("hide");
  if (state.hidden.size) said.set("hide", [...state.hidden].join(","));
  if (state.run !== null) said.set("run", state.run), said.set("key", state.index);
  history.replaceState(null, "", `#${said}`);
}

function draw() {
  byId("within-words").textContent = `${state.within} ${state.within === 1 ? unit().replace(/s$/, "") : unit()} of plain`;
  drawViolins();
  drawSurvival();
}

function open(section, distance) { // a task's keys, and the controls that fit them
  state.section = section;
  const [nearest, , farthest] = section.metric.distances, slider = byId("within");
  slider.step = nearest / 4;
  slider.max = 2 * farthest;
  slider.value = distance ?? nearest;
  state.within = Number(slider.value);
  byId("section").value = section.anchor;
  const box = byId("schemes");
  box.replaceChildren();
  for (const scheme of new Set(section.keys.map((run) => run.scheme))) {
    const label = html(box, "label"), tick = html(label, "input", "", { type: "checkbox" });
    tick.checked = !state.hidden.has(scheme);
    label.append(` ${section.keys.find((run) => run.scheme === scheme).scheme_label || scheme} `);
    tick.addEventListener("change", () => { state.hidden[tick.checked ? "delete" : "add"](scheme); draw(); keep(); });
  }
  draw();
}

function start() {
  document.documentElement.classList.add("js");
  byId("explore").hidden = false;
  for (const section of sections) html(byId("section"), "option", section.heading, { value: section.anchor });
  byId("section").addEventListener("change", (event) => { open(sections.find((one) => one.anchor === event.target.value)); keep(); });
  byId("within").addEventListener("input", (event) => { state.within = Number(event.target.value); draw(); keep(); });
  byId("csv").addEventListener("click", csv);
  const said = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const scheme of (said.get("hide") ?? "").split(",").filter(Boolean)) state.hidden.add(scheme);
  open(sections.find((one) => one.anchor === said.get("section")) ?? sections[0], said.get("within") ?? undefined);
  const run = state.section.keys.find((one) => one.run === said.get("run")), index = Number(said.get("key"));
  if (run && run.index.includes(index)) choose(run, index);
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

start();
