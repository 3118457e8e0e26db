// The page: send a picture, draw the answer. Keys of the graph are other people's text, so they go in as text only.
"use strict";

const $ = (id) => document.getElementById(id);
const NUMBER_OF_CLASSES = 5;
const NUMBER_OF_ITEMS = 6;
let newest = 0; // answers to an older question are dropped

const make = (tag, text, className) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
};

const say = (text, wrong = false) => {
  $("message").textContent = text;
  $("message").className = wrong ? "wrong" : "quiet";
  $("message").hidden = !text;
};

const ask = async (path, options) => {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message || `the server answered ${answer.status}`);
  return body;
};

const clear = () => {
  $("classes").replaceChildren();
  $("source").textContent = "";
  for (const id of ["similar", "typical"]) $(id).hidden = true;
};

const drawClasses = (found) => {
  $("classes").replaceChildren(...found.classes.map((one) => {
    const percent = `${(100 * one.probability).toFixed(1)} %`;
    const row = make("div", undefined, "row");
    row.append(make("span", one.class), make("span", percent, "number"));
    const bar = make("meter");
    bar.value = one.probability;
    bar.setAttribute("aria-label", `${one.class}: ${percent}`);
    const line = make("li");
    line.append(row, bar);
    return line;
  }));
  $("source").textContent = `model version ${found.version}, embedding set ${found.embedding_set}`;
};

const drawItems = (id, title, items) => {
  $(id).hidden = items.length === 0;
  $(id).querySelector("h2").textContent = title;
  $(id).querySelector("ul").replaceChildren(...items.map((one) => {
    const picture = make("img");
    picture.src = `/images/${one.image_id}?px=240`;
    picture.alt = one.item;
    picture.loading = "lazy";
    const caption = make("figcaption", one.item);
    caption.append(make("span", `similarity ${one.score.toFixed(3)}`, "number"));
    const button = make("button");
    button.type = "button";
    button.title = `what looks like ${one.item}?`;
    button.append(picture, caption);
    button.addEventListener("click", () => showLike(one.item));
    const figure = make("figure");
    figure.append(button);
    const line = make("li");
    line.append(figure);
    return line;
  }));
};

const showLike = async (item) => {
  const turn = ++newest;
  try {
    const path = item.split("/").map(encodeURIComponent).join("/");
    const found = await ask(`/similar/${path}?graph=${$("graph").value}&k=${NUMBER_OF_ITEMS}`);
    if (turn !== newest) return;
    drawItems("similar", `Looks like ${item}`, found.items);
    $("typical").hidden = true;
  } catch (error) {
    say(error.message, true);
  }
};

const send = async (file) => {
  if (!file) return;
  const turn = ++newest;
  clear();
  if ($("preview").src) URL.revokeObjectURL($("preview").src);
  $("preview").src = URL.createObjectURL(file);
  $("preview").hidden = false;
  $("hint").hidden = true;
  say("looking …");
  const form = new FormData();
  form.append("file", file);
  try {
    const query = `graph=${$("graph").value}&k=${NUMBER_OF_CLASSES}&similar=${NUMBER_OF_ITEMS}&typical=${NUMBER_OF_ITEMS}`;
    const found = await ask(`/classify?${query}`, { method: "POST", body: form });
    if (turn !== newest) return;
    say("");
    drawClasses(found);
    drawItems("similar", "What in the graph looks most like this picture", found.similar);
    drawItems("typical", `What in the graph looks most like ${found.classes[0].class}`, found.typical);
  } catch (error) {
    if (turn === newest) say(error.message, true);
  }
};

const start = async () => {
  const answer = await fetch("/health");
  const health = await answer.json();
  const graphs = [...new Set(health.active.map((one) => one.graph))];
  $("graph").replaceChildren(...graphs.map((name) => make("option", name)));
  $("state").textContent = health.active.map((one) => `${one.graph}/${one.task}: ${one.recipe}, version ${one.version}`).join(" · ");
  if (!health.neo4j.ok) say(health.neo4j.message, true);
  else if (graphs.length === 0) say("Nothing is published yet: run korvai demo, or korvai retrain --graph NAME.", true);
};

$("preview").addEventListener("error", () => { $("preview").hidden = true; $("hint").hidden = false; });

const drop = $("drop");
for (const kind of ["dragover", "dragenter"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  send(event.dataTransfer.files[0]);
});
drop.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); $("file").click(); } });
$("file").addEventListener("change", () => send($("file").files[0]));
$("graph").addEventListener("change", () => send($("file").files[0]));
document.addEventListener("paste", (event) => send([...event.clipboardData.files].find((one) => one.type.startsWith("image/"))));
start().catch((error) => say(error.message, true));
