// What needs Python: the facts and the sound of the key that was picked on the page, beside one that was kept.
// It is a module: its names are its own, beside those of the page's script.

const USES = { encrypt: "Speech encrypted with this key", decrypt: "Encrypted speech, decrypted with this key" };
const PICTURE = "The keys of this run encrypt a spectrogram, which can be seen and not heard.";

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function table(caption, heads, rows) {
  const made = element("table");
  made.append(element("caption", caption));
  const head = made.createTHead().insertRow();
  for (const text of heads) head.append(element("th", text, { scope: "col" }));
  const body = made.createTBody();
  for (const [first, ...others] of rows) {
    const row = body.insertRow();
    row.append(element("th", first, { scope: "row" }));
    for (const text of others) row.append(element("td", text));
  }
  const cue = element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
  cue.append(made);
  return cue;
}

function player(address, label) { // fetched whole: of a stream without an end it would not know how long it is
  const made = element("audio", undefined, { controls: "", "aria-label": label });
  fetch(address).then((answer) => answer.blob()).then((blob) => { made.src = URL.createObjectURL(blob); }, () => {});
  return made;
}

function sound(key, use) {
  const address = `/sound/${encodeURIComponent(key.run)}/${key.index}/${use}`;
  const figure = element("figure");
  figure.append(
    element("img", undefined, { src: `${address}.png`, alt: `Spectrogram. ${USES[use]}`, loading: "lazy" }),
    element("figcaption", USES[use]),
  );
  if (key.sound) figure.append(player(`${address}.opus`, USES[use]));
  return figure;
}

function scores(key) {
  const rows = key.scores.map((score) => [
    score.metric,
    score.value + (score.interval ? ` [${score.interval.join(", ")}]` : ""),
    `${score.rank} of ${score.of}` + (score.ties ? ` (${score.ties} tied)` : ""),
  ]);
  return table("Scores, with their interval over speakers", ["Metric", "Value", "Rank for an attacker"], rows);
}

function neighbours(key) {
  const list = element("p", "Nearest by score: ");
  for (const near of key.neighbours) {
    const button = element("button", `${near.index}: ${near.value}`, { type: "button" });
    button.disabled = near.index === key.index;
    button.addEventListener("click", () => pick({ run: key.run, index: near.index }));
    list.append(button, " ");
  }
  return list;
}

function measures(key) {
  const folded = element("details");
  const from = key.keyed ? "the correct key" : "the identity, which changes nothing";
  folded.append(element("summary", `How far it is from ${from}: ${key.measures.length} measures`));
  const rows = key.measures.map((measure) => [measure.label, measure.value?.toPrecision(3) ?? "–", measure.meaning]);
  folded.append(table("Measures of the key", ["Measure", "Value", "Meaning"], rows));
  return folded;
}

function card(key, button) {
  const made = element("section", undefined, { "aria-label": `${key.run}, key ${key.index}` });
  made.append(element("h3", `${key.run}, key ${key.index}`), button);
  const clips = element("div", undefined, { class: "clips" });
  clips.append(...key.uses.map((use) => sound(key, use)));
  made.append(clips, scores(key));
  if (key.silence) made.append(element("p", key.silence));
  else if (!key.sound) made.append(element("p", PICTURE));
  if (key.transcripts.length) {
    const rows = key.transcripts.map((one) => [one.utterance, one.reference, one.hypothesis || "(nothing)"]);
    made.append(table("What was heard", ["Utterance", "Said", "Heard under this key"], rows));
  }
  made.append(neighbours(key), measures(key), element("pre", key.command));
  return made;
}

const panel = element("div", undefined, { id: "view", class: "two" });
const shown = { key: null, beside: null };
const asked = { key: null, beside: null }; // last, so that a slow answer does not replace a later one

// The address holds the key that was picked ("run", "key", written by the page) and the one beside it.
const PLACES = { key: ["run", "key"], beside: ["beside-run", "beside-key"] };

function inAddress() {
  return new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
}

function remember() {
  const said = inAddress();
  for (const [name, value] of [["beside-run", shown.beside?.run], ["beside-key", shown.beside?.index]]) {
    if (value === undefined) said.delete(name);
    else said.set(name, value);
  }
  history.replaceState(null, "", `#${said}`);
}

function draw() {
  panel.replaceChildren();
  for (const [place, other, text] of [["key", "beside", "Keep beside the next key"], ["beside", null, "Put away"]]) {
    if (!shown[place]) continue;
    const button = element("button", text, { type: "button" });
    button.addEventListener("click", () => {
      if (other) shown[other] = shown[place];
      else shown[place] = null;
      remember();
      draw();
    });
    panel.append(card(shown[place], button));
  }
}

async function load(place, key) {
  asked[place] = key;
  try {
    const answer = await fetch(`/key/${encodeURIComponent(key.run)}/${key.index}`);
    if (!answer.ok) throw new Error(await answer.text());
    const facts = await answer.json();
    if (asked[place] !== key) return;
    shown[place] = facts;
    remember();
    draw();
  } catch (error) {
    const gone = error instanceof TypeError; // which is what fetch throws without an answer
    panel.replaceChildren(element("p", gone ? "The server has stopped: start wrongkey view again." : error.message, { role: "alert" }));
  }
}

function pick(key) {
  document.dispatchEvent(new CustomEvent("wrongkey:key", { detail: key }));
}

document.getElementById("key").after(panel);
document.addEventListener("wrongkey:key", (event) => load("key", event.detail));
for (const [place, [run, index]] of Object.entries(PLACES)) {
  const said = inAddress();
  if (said.has(run) && /^\d+$/.test(said.get(index))) load(place, { run: said.get(run), index: Number(said.get(index)) });
}
