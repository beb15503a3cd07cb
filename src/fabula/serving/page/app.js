// The page: joins the story, the settings and the writer.

import { connect, copies, healsPrompt, privacy, write } from "./writer.js";
import { readStory, Story } from "./story.js";
import { element } from "./element.js";
import { Settings } from "./settings.js";
import { themeButton } from "./theme.js";

const KEPT = "fabula.story"; // in the browser's own store
const COPIES_CHARS = 18000; // of the story's end that is compared with the training stories
const $ = (id) => document.getElementById(id);

const story = new Story({ keepsSpaces: healsPrompt });
let model = null;
let settings = null;
let writing = null; // AbortController of what is being written
let rewrites = 0; // since the last new passage; each uses the next seed
let copied = []; // {start, end, where} in the story
let continuations = []; // their texts, to choose from

// ---- what is shown ------------------------------------------------------------------------------------------------

function show({ keepField = false } = {}) {
  const field = $("story");
  if (!keepField && field.value !== story.text) field.value = story.text;
  drawMirror();
  const busy = writing !== null;
  const choosing = !$("continuations").hidden;
  field.readOnly = busy || choosing;
  $("openings").hidden = story.text.trim() !== "" || busy;
  $("go").textContent = busy ? "Stop" : story.text.trim() ? "Continue" : "Begin";
  $("go").disabled = !model || (choosing && !busy);
  $("three").disabled = !model || busy || choosing;
  $("again").disabled = !model || busy || choosing || !story.last;
  $("undo").disabled = busy || choosing || !story.canUndo;
  $("redo").disabled = busy || choosing || !story.canRedo;
  for (const button of $("continuations").querySelectorAll("button")) button.disabled = busy;
  $("count").textContent = `${story.numWords.toLocaleString("en")} ${story.numWords === 1 ? "word" : "words"}`;
  keep();
}

// Behind the text field lies the same text, invisible, with the marks.
function drawMirror() {
  const text = story.text;
  const marks = copied.filter(({ end }) => end <= text.length).map((span) => ({ ...span, kind: "copied" }));
  const last = story.last;
  if (last) marks.push({ ...last, kind: "last" });
  const edges = [...new Set([0, text.length, ...marks.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i + 1 < edges.length; i++) {
    const kinds = marks.filter(({ start, end }) => start <= edges[i] && edges[i + 1] <= end).map(({ kind }) => kind);
    parts.push(element("span", { className: [...new Set(kinds)].join(" "), textContent: text.slice(edges[i], edges[i + 1]) }));
  }
  $("mirror").replaceChildren(...parts, "\u200b");
}

function say(text) { $("status").textContent = text; }

function showProblem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text;
}

function atEnd() { return window.innerHeight + window.scrollY > document.body.scrollHeight - 120; }

function toEnd() { window.scrollTo({ top: document.body.scrollHeight }); }

// ---- writing ------------------------------------------------------------------------------------------------------

const REASONS = {
  end: "The model ended the story.",
  length: "Press Continue, or type.",
  sentence: "Press Continue, or type.",
  time: "The time limit for one passage was reached. Press Continue for more.",
};

async function ask(count, on) {
  if (!model || writing) return false;
  const text = healsPrompt ? story.text : story.text.replace(/[ \t]+$/, "");
  if (text.length > model.limits.max_prompt_chars) {
    showProblem(`This story has ${text.length.toLocaleString("en")} characters; this page continues stories of at most ${model.limits.max_prompt_chars.toLocaleString("en")}. Save it, and begin a new story with its last part.`);
    return false;
  }
  showProblem("");
  writing = new AbortController();
  const seed = settings.seed === null ? null : settings.seed + rewrites;
  say("Waiting for the model …");
  let said = "";
  try {
    show();
    await write({ text, settings: settings.values, seed, count, signal: writing.signal }, {
      queue: (ahead) => say(ahead ? `${ahead} ${ahead === 1 ? "request is" : "requests are"} before yours.` : "Your request is next."),
      start: () => say("Writing …"),
      ...on,
    });
  } catch (error) {
    if (error.name === "AbortError") said = "Stopped.";
    else showProblem(error.message);
  }
  writing = null;
  say(said);
  return true;
}

async function continueStory() {
  if (writing) return writing.abort();
  rewrites = 0;
  await passage();
}

async function rewrite() {
  if (writing || !story.last) return;
  rewrites++;
  story.rewind();
  show();
  await passage({ isRewrite: true });
}

async function passage({ isRewrite = false } = {}) {
  if (!model || writing || !$("continuations").hidden) return;
  let begun = false;
  let reason = "";
  let words = 0;
  const answered = await ask(1, {
    start: () => { say("Writing …"); },
    piece: (_, text) => {
      if (!begun) { story.begin(); begun = true; }
      const follow = atEnd();
      story.add(text);
      show();
      if (follow) toEnd();
    },
    done: (_, why) => { reason = why; },
  });
  if (!answered) return;
  const stopped = $("status").textContent;
  if (begun) words = story.text.slice(story.last?.start ?? story.text.length).split(/\s+/).filter(Boolean).length;
  if (isRewrite && !begun) story.undo();
  if (!begun && reason === "end") say("For the model the story ends here. Type on, or press Rewrite.");
  else if (begun) say(`${words} ${words === 1 ? "word" : "words"} more. ${stopped || REASONS[reason] || ""}`.trim());
  show();
  $("story").setSelectionRange(story.text.length, story.text.length);
  findCopies();
}

async function threeContinuations() {
  if (!model || writing) return;
  rewrites = 0;
  continuations = ["", "", ""];
  const list = $("continuations").querySelector("ol");
  list.replaceChildren(...continuations.map((_, index) => {
    const button = element("button", { className: "continuation" });
    button.append(element("kbd", { textContent: index + 1 }), element("span"));
    button.addEventListener("click", () => choose(index));
    const item = element("li");
    item.append(button);
    return item;
  }));
  $("continuations").hidden = false;
  show();
  $("continuations").scrollIntoView({ block: "start" });
  const answered = await ask(3, {
    piece: (index, text) => {
      continuations[index] += text;
      list.children[index].querySelector("span").textContent = continuations[index].trim();
    },
    done: (index, why) => { if (why === "end") list.children[index].querySelector("button").append(element("em", { textContent: "The end." })); },
  });
  if (!answered || continuations.every((text) => !text)) return chooseNone();
  say("Choose one of the three continuations.");
  show();
  list.querySelector("button").focus({ preventScroll: true });
  $("continuations").scrollIntoView({ block: "start" });
}

function choose(index) {
  if (writing || $("continuations").hidden || !continuations[index]) return;
  story.begin();
  story.add(continuations[index]);
  closeContinuations("Inserted. Press Continue, or type.");
  findCopies();
}

function chooseNone() { closeContinuations(""); }

function closeContinuations(text) {
  $("continuations").hidden = true;
  continuations = [];
  say(text);
  show();
  $("story").focus({ preventScroll: true });
  $("story").setSelectionRange(story.text.length, story.text.length);
}

// ---- copied passages ----------------------------------------------------------------------------------------------

async function findCopies() {
  if (!model?.copies) return;
  const text = story.text;
  const skipped = Math.max(0, text.length - COPIES_CHARS);
  try {
    const found = await copies(text.slice(skipped));
    if (text !== story.text) return;
    copied = found.map(({ start, end, where }) => ({ start: start + skipped, end: end + skipped, where }));
  } catch { copied = []; } // the page works without the marks
  $("copied").hidden = copied.length === 0;
  $("copied").querySelector("summary").textContent = copied.length === 1
    ? "One passage is copied from a training story" : `${copied.length} passages are copied from training stories`;
  $("copied").querySelector("ul").replaceChildren(...copied.map(({ start, end, where }) => {
    const item = element("li");
    item.append(element("q", { textContent: shorten(text.slice(start, end)) }), " ", element("span", { className: "quiet", textContent: `${end - start} characters, ${where}` }));
    return item;
  }));
  drawMirror();
}

function shorten(text) { return text.length > 160 ? `${text.slice(0, 100)} … ${text.slice(-40)}` : text; }

let typing = 0;
function findCopiesSoon() {
  clearTimeout(typing);
  typing = setTimeout(findCopies, 900);
}

// ---- files, and what the browser stores ----------------------------------------------------------------------------

function keep() {
  try { localStorage.setItem(KEPT, JSON.stringify({ ...story.toJSON(), settings: { ...settings?.values, seed: settings?.seed ?? null } })); }
  catch { /* a browser that stores nothing, or a full store */ }
}

function recall() {
  try { return JSON.parse(localStorage.getItem(KEPT)); } catch { return null; }
}

function fileName() {
  const words = story.text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.slice(0, 5).join("-").slice(0, 40) || "story";
}

function download(name, content, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`Saved as ${name}.`);
}

// Markdown joins lines, so each line of the story becomes a paragraph; Markdown's own characters are escaped.
function markdown(text) {
  return text.trim().split(/\n+/).map((line) => line.trim().replace(/[\\`*_[\]<>]/g, "\\$&").replace(/^(#|>|[-+](?=\s)|\d+[.)](?=\s)|={2,}|-{2,})/, "\\$1")).join("\n\n") + "\n";
}

async function openFile(file) {
  try {
    if (file.size > 4e6) throw new Error(`${file.name} is too large for a story (over 4 MB).`);
    const { text, passages, settings: values } = readStory(file.name, await file.text());
    story.replace(text, passages);
    if (values) settings?.set(values);
    copied = [];
    showProblem("");
    show();
    say(`${file.name} is open. Undo brings the other story back.`);
    findCopies();
  } catch (error) { showProblem(error.message); }
}

// ---- events -------------------------------------------------------------------------------------------------------

function on(id, action) {
  $(id).addEventListener("click", () => { $("menu").open = false; action(); });
}

on("go", continueStory);
on("three", threeContinuations);
on("again", rewrite);
on("undo", () => { story.undo(); copied = []; say(""); show(); findCopiesSoon(); });
on("redo", () => { story.redo(); copied = []; say(""); show(); findCopiesSoon(); });
on("other-continuations", threeContinuations);
on("choose-none", chooseNone);
on("copy", async () => {
  try { await navigator.clipboard.writeText(story.text); say("Copied."); }
  catch { $("story").select(); document.execCommand("copy"); say("Copied."); }
});
on("as-text", () => download(`${fileName()}.txt`, `${story.text.trim()}\n`, "text/plain"));
on("as-markdown", () => download(`${fileName()}.md`, markdown(story.text), "text/markdown"));
on("save", () => download(`${fileName()}.json`, JSON.stringify({ model: model?.name, ...story.toJSON(), settings: { ...settings?.values, seed: settings?.seed ?? null } }, null, 1), "application/json"));
on("open", () => $("file").click());
on("new", () => {
  if (!story.text) return;
  story.replace("");
  copied = [];
  $("copied").hidden = true;
  say("A new story. Undo brings the old one back.");
  show();
  $("story").focus();
});
on("own-settings", () => { settings?.reset(); keep(); });
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) openFile(file);
  $("file").value = "";
});

$("story").addEventListener("input", () => {
  const before = story.text;
  story.type($("story").value, performance.now());
  let same = 0;
  while (same < before.length && before[same] === story.text[same]) same++;
  copied = copied.filter(({ end }) => end <= same);
  showProblem("");
  show({ keepField: true });
  findCopiesSoon();
});

$("settings").addEventListener("input", keep);

document.addEventListener("keydown", (event) => {
  const mod = event.ctrlKey || event.metaKey;
  const act = (action) => { event.preventDefault(); action(); };
  if ($("write").hidden) return;
  if (mod && event.shiftKey && event.key === "Enter") act(threeContinuations);
  else if (mod && event.key === "Enter") act(() => { if (!writing) continueStory(); });
  else if (event.altKey && event.key === "Enter") act(rewrite);
  else if (event.key === "Escape") {
    if (writing) act(() => writing.abort());
    else if (!$("continuations").hidden) act(chooseNone);
    else if ($("menu").open) act(() => { $("menu").open = false; $("menu").querySelector("summary").focus(); });
  } else if (!$("continuations").hidden && "123".includes(event.key) && !mod && !event.target.closest("input")) act(() => choose(Number(event.key) - 1));
  else if (mod && !event.target.closest("input") && event.key.toLowerCase() === "z") act(() => $(event.shiftKey ? "redo" : "undo").click());
  else if (mod && !event.target.closest("input") && event.key.toLowerCase() === "y") act(() => $("redo").click());
});

document.addEventListener("click", (event) => { if (!event.target.closest("#menu")) $("menu").open = false; });

// ---- tabs, theme, start -------------------------------------------------------------------------------------------

function openTab(name) {
  for (const each of ["write", "about"]) {
    $(each).hidden = each !== name;
    $(`tab-${each}`).setAttribute("aria-selected", String(each === name));
    $(`tab-${each}`).tabIndex = each === name ? 0 : -1;
  }
}

for (const [name, other] of [["write", "about"], ["about", "write"]]) {
  $(`tab-${name}`).addEventListener("click", () => openTab(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") { openTab(other); $(`tab-${other}`).focus(); }
  });
}

themeButton($("theme"));

function about(sections) {
  $("facts").replaceChildren(...sections.flatMap(({ title, facts }) => {
    const list = element("dl");
    list.append(...facts.flatMap(([label, value]) => [element("dt", { textContent: label }), element("dd", { textContent: value })]));
    return [element("h2", { textContent: title }), list];
  }));
}

async function start() {
  $("privacy").textContent = privacy;
  const kept = recall();
  if (typeof kept?.text === "string" && kept.text) ({ text: story.text, passages: story.passages } = { text: kept.text, passages: kept.passages ?? [] });
  show();
  try {
    model = await connect((share, text) => {
      $("loading").hidden = share === null;
      $("loading-text").textContent = text;
      if (share !== null) $("loading-bar").value = share;
    });
  } catch (error) {
    showProblem(error.message);
    return;
  } finally { $("loading").hidden = true; }
  $("model-name").textContent = model.name;
  document.title = `${model.name} · fabula`;
  settings = new Settings($("settings").querySelector(".fields"), model.settings, model.limits);
  if (kept?.settings) settings.set(kept.settings);
  about(model.about);
  $("openings").querySelector("ul").replaceChildren(...model.openings.map((opening) => {
    const item = element("li");
    const button = element("button", { className: "opening", textContent: opening });
    button.addEventListener("click", () => { story.replace(opening); show(); continueStory(); });
    item.append(button);
    return item;
  }));
  show();
  findCopies();
}

start();
