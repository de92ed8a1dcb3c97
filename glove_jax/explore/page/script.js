// The page. Words are only ever set as text, so that none is read as markup.

import { WordMap } from "./map.js";

const $ = (id) => document.getElementById(id);
const METHODS = { tsne: "t-SNE", pca: "PCA" };
let runs = []; // of the answer to "runs"
const maps = [];
let asked = []; // the last answers about neighbours

function make(tag, text = "", kind = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

async function get(question, query, signal) {
  const url = `api/${question}?${new URLSearchParams(query)}`;
  try {
    return await (await fetch(url, { signal })).json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return { error: "The program that serves this page does not answer: is it "
      + "still running?", near: {} };
  }
}

function wordButton(word, act = ask) {
  const button = make("button", "", "word");
  button.type = "button";
  button.append(make("bdi", word));
  button.addEventListener("click", () => act(word));
  return button;
}

// The place of a column for each run.
function columns(id) {
  const all = runs.map((run) => {
    const column = make("div");
    if (runs.length > 1) column.append(make("h3", run.name));
    column.append(make("div"));
    return column;
  });
  $(id).replaceChildren(...all);
  return all.map((column) => column.lastChild);
}

// Answers as bars; or what is wrong, and words of similar spelling.
function listed(answer, others, sure, retry) {
  if (answer.error) return problem(answer, retry);
  const list = make("ol", "", sure ? "answers sure" : "answers");
  const percent = (x) => `${100 * Math.min(1, Math.max(0, x))}%`;
  for (const { word, cosine, count, interval } of answer.answers) {
    const item = make("li");
    const track = make("div", "", "track");
    const bar = make("div", "", "bar");
    bar.style.width = percent(cosine);
    track.append(bar);
    const number = make("span", cosine.toFixed(3), "number");
    if (interval) {
      const [low, high] = interval.map((end) => Math.max(0, end));
      const ends = make("div", "", "ends");
      ends.style.left = percent(low);
      ends.style.width = percent(high - low);
      track.append(ends);
      const text = interval.map((end) => end.toFixed(2)).join(" to ");
      number.append(" ", make("small", text));
    }
    const button = wordButton(word);
    if (count !== undefined)
      button.title = `${count.toLocaleString("en")} occurrences`;
    item.append(button, track, number);
    item.classList.toggle("only", Boolean(others) && !others.has(word));
    list.append(item);
  }
  const out = make("div");
  out.append(list);
  if (answer.note) out.append(make("p", answer.note, "note"));
  return out;
}

function problem(answer, retry) {
  const out = make("div");
  out.append(make("p", answer.error, "error"));
  for (const [lost, near] of Object.entries(answer.near ?? {})) {
    if (!near.length) continue;
    const line = make("p", "Did you mean ", "note chips");
    for (const word of near)
      line.append(wordButton(word, () => retry(lost, word)));
    out.append(line, make("br"));
  }
  return out;
}

// Asks every run, shows the answers, then asks again for their intervals.
const pending = {};
async function question(name, query, retry) {
  pending[name]?.abort();
  const { signal } = (pending[name] = new AbortController());
  const places = columns(`${name}-answers`);
  places.forEach((place) => place.append(make("p", "…", "note")));
  const answers = [];
  const sure = $("neighbors").elements.intervals.checked;
  const show = () => places.forEach((place, i) => {
    if (!answers[i]) return;
    const other = answers[1 - i];
    const compare = runs.length > 1 && name !== "similarity" && other?.answers;
    const words = compare && new Set(other.answers.map(({ word }) => word));
    const space = sure && runs[i].intervals && !answers[i].note;
    place.replaceChildren(listed(answers[i], words, space, retry));
  });
  const ask = async (i, more) => {
    const answer = await get(name, { run: i, ...query, ...more }, signal);
    if (signal.aborted) return;
    answers[i] = answer;
    show();
  };
  try {
    await Promise.all(runs.map((_, i) => ask(i)));
    if (name === "neighbors") marks((asked = answers));
    await Promise.all(runs.map((run, i) =>
      sure && run.intervals && !answers[i].error && ask(i, { intervals: 1 })));
    if (name === "neighbors")
      $("interval-note").hidden =
        !$("neighbors-answers").querySelector(".ends");
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

function marks(answers) {
  const both = answers.filter((answer) => answer.answers).length > 1;
  $("legend").hidden = !both;
  maps.forEach((map, i) => {
    const { words = [], answers: found = [] } = answers[i] ?? {};
    map.mark(words, found.map(({ word }) => word));
  });
}

// Puts a question into the address, which then asks it.
function ask(text) {
  const hash = `#${new URLSearchParams({ q: text })}`;
  if (location.hash === hash) neighbors();
  else location.hash = hash;
}

function neighbors() {
  const text = new URLSearchParams(location.hash.slice(1)).get("q");
  const { q, k } = $("neighbors").elements;
  if (!text) return;
  q.value = text;
  document.title = `${text} - Word vectors`;
  // An unknown word is replaced where it stands alone in a sum.
  question("neighbors", { q: text, k: k.value }, (lost, word) =>
    ask(text.split(" ").map((x) => (x === lost ? word : x)).join(" ")));
}

function fields(form) {
  return Object.fromEntries(
    [...new FormData(form)].map(([name, value]) => [name, value.trim()]));
}

// A form of several words: an unknown one is replaced in its field.
function threeWords(name) {
  const form = $(name);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    question(name, { ...fields(form), k: 5 }, (lost, word) => {
      for (const field of form.querySelectorAll("input"))
        if (field.value.trim() === lost) field.value = word;
      form.requestSubmit();
    });
  });
}

async function drawMaps() {
  const query = fields($("map"));
  const places = columns("map-answers");
  maps.length = 0;
  await Promise.all(places.map(async (place, i) => {
    const busy = make("p", "Computing the map…", "busy");
    const canvas = make("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Map of ${runs[i].name}`);
    place.className = "map";
    place.append(canvas, busy);
    const map = (maps[i] = new WordMap(canvas, ask));
    const answer = await get("map", { run: i, ...query });
    busy.textContent = answer.error ?? "";
    if (!answer.error) map.show(answer);
  }));
  marks(asked);
}

async function drawChanges() {
  const answer = await get("changes", { k: 25 });
  const { shared = 0, mean, k, words = [] } = answer;
  $("changes-note").textContent = answer.error ??
    `Of the ${k} nearest neighbours of a word among the ` +
    `${shared.toLocaleString("en")} most frequent words that both runs have, ` +
    `${(k * mean).toFixed(1)} are the same on average. The frequent words ` +
    "with the fewest:";
  $("changes-answers").append(...words.slice(0, 30).map(({ word, common }) => {
    const item = make("li");
    const track = make("div", "", "track");
    const bar = make("div", "", "bar");
    bar.style.width = `${(100 * common) / k}%`;
    track.append(bar);
    item.append(wordButton(word), track,
      make("span", `${common} of ${k}`, "number"));
    return item;
  }));
}

async function start() {
  const answer = await get("runs", {});
  if (answer.error) {
    $("runs").append(make("li", answer.error));
    return;
  }
  ({ runs } = answer);
  $("runs").append(...runs.map(({ name, words, dim }) => make("li",
    `${name}: ${words.toLocaleString("en")} words, ${dim} dimensions`)));
  $("intervals").hidden = !runs.some((run) => run.intervals);
  $("examples").append("For example ",
    ...runs[0].examples.flatMap((word) => [wordButton(word), " "]));
  $("examples").classList.add("chips");
  $("map").elements.method.append(...runs[0].methods.map((method) => {
    const option = make("option", METHODS[method]);
    option.value = method;
    return option;
  }));
  $("neighbors").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("neighbors").elements.q.value.trim();
    if (text) ask(text);
  });
  $("neighbors").addEventListener("change", ({ target }) => {
    if (target.name !== "q") neighbors();
  });
  ["analogy", "similarity"].forEach(threeWords);
  $("map").addEventListener("submit", (event) => event.preventDefault());
  $("map").addEventListener("change", drawMaps);
  addEventListener("hashchange", neighbors);
  neighbors();
  drawMaps();
  if (runs.length > 1) {
    $("changes").hidden = false;
    drawChanges();
  }
}

start();
