// The page: joins the story, the shelf, the settings and the writer.

import { connect, copies, hasBridges, healsPrompt, post, privacy, words, write } from "./writer.js";
import { element } from "./element.js";
import { docx, download, epub, markdown } from "./files.js";
import { showPair } from "./guess.js";
import { ending } from "./prompt.js";
import { newId, Shelf } from "./shelf.js";
import { difference, readStory, Story } from "./story.js";
import { Settings } from "./settings.js";
import { themeButton } from "./theme.js";
import { showWords, wordAt } from "./words.js";

const KEPT = "fabula.settings."; // and the model's name, in the browser's own store
const COPIES_CHARS = 18000; // of the story's end that is compared with the training stories
const FOLLOWING_CHARS = 1000; // of the text after the caret that a bridge leads to
const SAVE_MS = 400;
const LEAST_WORDS = 50; // of a story that the model shall learn
const $ = (id) => document.getElementById(id);

const story = new Story({ keepsSpaces: healsPrompt });
const shelf = new Shelf({ giveUp: async () => { await stopWriting(); await save(); }, onTaken: () => { isReader = true; show(); } });
let record = blank(); // what the shelf keeps of the story besides its text
let isReader = false; // another tab writes this story
let model = null;
let settings = null;
let writing = null; // AbortController of what is being written
let asked = Promise.resolve(); // settled when nothing is being written
let rewrites = 0; // since the last new passage; each uses the next seed
let copied = []; // {start, end, where} in the story
let continuations = []; // their texts, to choose from
let unread = 0; // characters of the story's beginning that the model did not read when it last wrote
let caret = { start: 0, end: 0 };
let isSaved = true;

function blank() { return { id: newId(), name: "", version: 0, memory: "", note: "" }; }

// ---- display -----------------------------------------------------------------------------------------------------

function show({ keepField = false } = {}) {
  const field = $("story");
  if (!keepField && field.value !== story.text) {
    field.value = story.text;
    if (!writing) field.setSelectionRange(caret.start, caret.end);
  }
  drawMirror();
  closeWords();
  const busy = writing !== null;
  const choosing = !$("continuations").hidden;
  const stays = busy || choosing || isReader;
  field.readOnly = stays;
  $("name").readOnly = $("memory").readOnly = $("note").readOnly = isReader;
  if (document.activeElement !== $("name")) $("name").value = record.name;
  $("elsewhere").hidden = !isReader;
  $("openings").hidden = story.text.trim() !== "" || busy || isReader;
  $("three").disabled = $("again").disabled = $("words-at-caret").disabled = !model || stays;
  $("undo").disabled = stays || !story.canUndo;
  $("redo").disabled = stays || !story.canRedo;
  for (const button of $("continuations").querySelectorAll("button")) button.disabled = busy;
  $("count").textContent = `${story.numWords.toLocaleString("en")} ${story.numWords === 1 ? "word" : "words"}`;
  showPlace();
}

// Update everything that depends on the position of the caret.
function showPlace() {
  const busy = writing !== null;
  const choosing = !$("continuations").hidden;
  const { start, end } = place();
  $("go").textContent = busy ? "Stop" : !story.text.trim() ? "Begin" : end < story.text.length ? "Insert" : "Continue";
  $("go").disabled = !model || isReader || (choosing && !busy);
  const passage = busy || choosing || isReader || end > start ? null : story.passageAt(start);
  $("alternatives").hidden = !passage || passage.alternatives.length < 2;
  if (passage) $("which").textContent = `${passage.index + 1}/${passage.alternatives.length}`;
}

// The place to write: the selection or the caret, or the end of the story if only white space follows.
function place() {
  const { start, end } = caret;
  return start === end && !story.text.slice(end).trim() ? { start: story.text.length, end: story.text.length } : { start, end };
}

let drawn = []; // what each line of the mirror shows: its text, or with marks the JSON of both

// An invisible copy of the text lies behind the text field and carries the marks. Each line is an element, and only those that
// changed are replaced, so that the browser does not lay out a whole book at each key.
function drawMirror() {
  const { text } = story;
  const marks = copied.filter(({ end }) => end <= text.length).map(({ start, end }) => ({ start, end, kind: "copied" }));
  const last = story.passageAt(place().start);
  if (last) marks.push({ start: last.start, end: last.end, kind: "last" });
  if (unread > 0 && unread < text.length) marks.push({ start: unread, end: unread, kind: "from" });
  let begin = 0;
  const lines = text.split("\n").map((line, index, all) => {
    const whole = line + (index + 1 < all.length ? "\n" : "\u200b"); // an empty last line has a height, too
    const here = marks.filter(({ start, end }) => start < begin + whole.length && (begin <= start || begin < end))
      .map(({ start, end, kind }) => ({ start: Math.max(0, start - begin), end: Math.min(whole.length, end - begin), kind }));
    begin += whole.length;
    return { whole, here, shown: here.length ? JSON.stringify([whole, here]) : whole };
  });
  const shown = lines.map((line) => line.shown);
  const { start, removed, inserted } = difference(drawn, shown);
  const elements = [...$("mirror").children];
  const after = elements[start + removed.length] ?? null;
  for (const old of elements.slice(start, start + removed.length)) old.remove();
  for (const { whole, here } of lines.slice(start, start + inserted.length)) $("mirror").insertBefore(element("div", {}, ...spans(whole, here)), after);
  drawn = shown;
}

// A line of the mirror in parts, each with its marks.
function spans(line, marks) {
  const edges = [...new Set([0, line.length, ...marks.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  const kinds = (wanted) => [...new Set(marks.filter(wanted).map(({ kind }) => kind))].join(" ");
  return edges.slice(0, -1).flatMap((start, index) => {
    const end = edges[index + 1];
    const isFrom = marks.some((mark) => mark.kind === "from" && mark.start === start);
    return [isFrom && element("span", { className: "from" }),
      element("span", { className: kinds((mark) => mark.start <= start && end <= mark.end), textContent: line.slice(start, end) })];
  });
}

function say(text) { $("status").textContent = text; }

function showProblem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text;
}

function atEnd() { return window.innerHeight + window.scrollY > document.body.scrollHeight - 120; }

function toEnd() { window.scrollTo({ top: document.body.scrollHeight }); }

function putCaret(start, end = start) {
  caret = { start, end };
  $("story").setSelectionRange(start, end);
  showPlace();
}

const firstWords = () => story.text.trim().split(/\s+/, 7).join(" ").slice(0, 60);
const title = () => record.name || firstWords() || "Untitled";

// ---- writing ------------------------------------------------------------------------------------------------------

const REASONS = {
  end: "The model ended the story.",
  length: "Press Continue, or type.",
  sentence: "Press Continue, or type.",
  time: "The time limit for one passage was reached. Press Continue for more.",
};

// Ask for text between two places of the story.
function ask(count, start, end, on) {
  if (!model || writing || isReader) return false;
  return asked = request(count, start, end, on);
}

// Another story comes: end what is being written in this one, and what can be chosen for it.
async function stopWriting() {
  writing?.abort();
  await asked;
  if (!$("continuations").hidden) chooseNone();
}

async function request(count, start, end, on) {
  const values = { ...settings.values, memory: record.memory, note: record.note };
  const before = healsPrompt ? story.text.slice(0, start) : story.text.slice(0, start).replace(/[ \t]+$/, "");
  const text = ending(before, model.limits.max_prompt_chars);
  const following = story.text.slice(end);
  if (hasBridges && following.trim()) Object.assign(values, { following: following.slice(0, FOLLOWING_CHARS) }, count > 1 ? { best_of: 3 } : {});
  const banned = $("bans").value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (banned.length) values.banned_phrases = banned.slice(0, 100);
  showProblem("");
  writing = new AbortController();
  const seed = settings.seed === null ? null : settings.seed + rewrites;
  say("Waiting for the model …");
  let said = "";
  try {
    show();
    await write({ text, settings: values, seed, count, signal: writing.signal }, {
      queue: (ahead) => say(ahead ? `${ahead} ${ahead === 1 ? "request is" : "requests are"} before yours.` : "Your request is next."),
      start: (more = 0) => {
        unread = before.length - text.length + more;
        say(values.following ? "Writing several bridges, of which the best is kept. This takes longer than to continue …" : "Writing …");
      },
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

function go() {
  if (writing) return writing.abort();
  rewrites = 0;
  const { start, end } = place();
  return passage(end, end, () => story.begin(end)); // a selection stays; writing goes on after it
}

async function rewrite() {
  if (writing || isReader) return;
  const { start, end } = place();
  const old = end > start ? null : story.passageAt(start);
  if (!old && start === end) return say("There is no passage by the model at the caret. Select the text that you want to rewrite.");
  rewrites++;
  if (old) await passage(old.start, old.end, () => { story.beginAgain(old); return old; });
  else await passage(start, end, () => story.begin(start, end));
}

// Write between two places; `begin` makes the passage when the first words come.
async function passage(start, end, begin) {
  if (!model || writing || isReader || !$("continuations").hidden) return;
  let written = null;
  let reason = "";
  let frame = 0;
  const isAtEnd = !story.text.slice(end).trim();
  const answered = await ask(1, start, end, {
    piece: (_, text) => {
      written ??= begin();
      story.add(written, text);
      changed();
      frame ||= requestAnimationFrame(() => { // in a long story, tokens come faster than they can be shown
        frame = 0;
        const follow = isAtEnd && atEnd();
        show();
        if (follow) toEnd();
      });
    },
    done: (_, why) => { reason = why; },
  });
  if (!answered) return;
  const stopped = $("status").textContent;
  const words = written ? story.text.slice(written.start, written.end).split(/\s+/).filter(Boolean).length : 0;
  if (written) {
    const { end: after } = written;
    story.finish(written);
    caret = { start: Math.min(after, story.text.length), end: Math.min(after, story.text.length) };
  }
  if (!written && reason === "end") say("The model ends the story here. Continue typing, or press Rewrite.");
  else if (written) say(`${words} ${words === 1 ? "word" : "words"} more. ${stopped || (isAtEnd ? REASONS[reason] : "") || ""}`.trim());
  show();
  putCaret(caret.start);
  changed();
  findCopies();
}

async function threeContinuations() {
  if (!model || writing || isReader) return;
  rewrites = 0;
  continuations = ["", "", ""];
  const list = $("continuations").querySelector("ol");
  list.replaceChildren(...continuations.map((_, index) => element("li", {},
    element("button", { className: "continuation", onclick: () => choose(index) }, element("kbd", { textContent: index + 1 }), element("span")))));
  $("continuations").hidden = false;
  show();
  $("continuations").scrollIntoView({ block: "start" }); // its scroll margin leaves the last lines of the story in view
  const { end } = place();
  const answered = await ask(3, end, end, {
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
  const { end } = place();
  const made = story.begin(end);
  story.add(made, continuations[index]);
  const { end: after } = made;
  story.finish(made);
  made.alternatives = continuations.filter((text, other) => text && other !== index).concat(continuations[index]); // the others stay available
  made.index = made.alternatives.length - 1;
  caret = { start: after, end: after };
  closeContinuations("Inserted. Press Continue, or type.");
  changed();
  findCopies();
}

function chooseNone() { closeContinuations(""); }

function closeContinuations(text) {
  $("continuations").hidden = true;
  continuations = [];
  say(text);
  show();
  $("story").focus({ preventScroll: true });
  putCaret(caret.start, caret.end);
}

function another(step) {
  const { start, end } = place();
  const passage = end > start ? null : story.passageAt(start);
  if (!passage || passage.alternatives.length < 2 || writing || isReader || !$("continuations").hidden) return;
  const count = passage.alternatives.length;
  story.choose(passage, (passage.index + step + count) % count);
  caret = { start: passage.end, end: passage.end };
  copied = [];
  show();
  putCaret(caret.start);
  changed();
  findCopiesSoon();
}

// ---- words --------------------------------------------------------------------------------------------------------

let asking = null; // AbortController of the request for likely words

// Offer what else the model would have written in place of the word at the caret.
async function offerWords({ takesFocus = true } = {}) {
  closeWords();
  if (!words || !model || writing || isReader || !$("continuations").hidden) return;
  const word = wordAt(story.text, caret);
  if (!word) return takesFocus && say("There is no word at the caret. Select one word, or put the caret into it.");
  asking = new AbortController();
  const { signal } = asking;
  say("Asking the model for other words …");
  try {
    const text = ending(story.text.slice(0, word.start), model.limits.max_prompt_chars);
    const found = await words({ text, word: word.text, settings: { ...settings.values, memory: record.memory, note: record.note } }, signal);
    if (signal.aborted || story.text.slice(word.start, word.end) !== word.text) return;
    say("");
    showWords($("words"), found, (text) => replaceWord(word, text), () => closeWords({ isBack: true }));
    $("words").hidden = false;
    placeUnder($("words"), word);
    if (takesFocus) $("words").querySelector("li button").focus({ preventScroll: true });
    $("words").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error.name !== "AbortError") { say(""); showProblem(error.message); }
  }
}

function closeWords({ isBack = false } = {}) {
  asking?.abort();
  asking = null;
  $("words").hidden = true;
  if (!isBack) return;
  $("story").focus({ preventScroll: true });
  putCaret(caret.start, caret.end);
}

function replaceWord({ start, end, text: old }, text) {
  story.step();
  story.type(story.text.slice(0, start) + text + story.text.slice(end), performance.now());
  story.step(); // what is typed next is another step
  caret = { start: start + text.length, end: start + text.length };
  show();
  closeWords({ isBack: true });
  say(`“${old}” is now “${text}”.`);
  changed();
  findCopiesSoon();
}

// Put a panel below a part of the story.
function placeUnder(panel, { start, end }) {
  const range = document.createRange();
  let passed = 0;
  const texts = document.createTreeWalker($("mirror"), NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (passed <= start) range.setStart(node, Math.min(start - passed, node.length));
    if (passed <= end) range.setEnd(node, Math.min(end - passed, node.length));
    passed += node.length;
  }
  const word = range.getBoundingClientRect(), sheet = $("story").getBoundingClientRect();
  panel.style.top = `${word.bottom - sheet.top + 6}px`;
  panel.style.left = `${Math.max(12, Math.min(word.left - sheet.left - 12, sheet.width - panel.offsetWidth - 12))}px`;
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
  $("copied").querySelector("ul").replaceChildren(...copied.map(({ start, end, where }) => element("li", {},
    element("q", { textContent: shorten(text.slice(start, end)) }), " ", element("span", { className: "quiet", textContent: `${end - start} characters, ${where}` }))));
  drawMirror();
}

function shorten(text) { return text.length > 160 ? `${text.slice(0, 100)} … ${text.slice(-40)}` : text; }

let typing = 0;
function findCopiesSoon() {
  clearTimeout(typing);
  typing = setTimeout(findCopies, 900);
}

// ---- the shelf ----------------------------------------------------------------------------------------------------

let saving = 0;
let saved = Promise.resolve();

// The story changed: save it soon.
function changed() {
  isSaved = false;
  saving ||= setTimeout(() => { saving = 0; save(); }, SAVE_MS);
}

function save() {
  saved = saved.then(store).catch((error) => { isSaved = false; showProblem(error.message); });
  return saved;
}

async function store() {
  if (isSaved || isReader) return;
  isSaved = true;
  const version = await shelf.write({ ...record, ...story.toJSON(), words: story.numWords });
  if (version !== null) { record.version = version; return; }
  isReader = true; // another tab has saved this story since this one read it
  show();
  const name = `${title()} (from another tab)`;
  try {
    await shelf.write({ ...record, ...story.toJSON(), words: story.numWords, id: newId(), version: 0, name });
  } catch (error) {
    isReader = false; // the text is only here, so leaving the page must warn
    show();
    throw error;
  }
  say(`Another tab has changed this story. Your version is on the shelf as “${name}”.`);
}

// Whether the text would be lost if the page were closed.
const isLost = () => story.text.trim() !== "" && !isReader && (!shelf.isKept || (!isSaved && !saving));

async function openStory(id, { take = false } = {}) {
  await stopWriting();
  await save();
  const found = await shelf.read(id);
  if (!found) return false;
  become(found);
  isReader = !await shelf.hold(id, { take });
  if (take) become(await shelf.read(id) ?? found); // with what the other tab saved when it gave the story up
  shelf.current = id;
  if (!isSaved) changed();
  show();
  findCopies();
  return true;
}

function become(found) {
  const { draft } = found;
  record = { ...blank(), ...pick({ ...found, ...draft }) };
  story.load(draft?.past ? draft : found);
  if (draft && !draft.past) story.replace(draft.text, draft.passages);
  copied = [];
  unread = 0;
  isSaved = !draft;
  $("copied").hidden = true;
  $("memory").value = record.memory;
  $("note").value = record.note;
  caret = { start: story.text.length, end: story.text.length };
  showProblem("");
}

const pick = ({ id, name, version, memory = "", note = "" }) => ({ id, name, version, memory, note });

async function beginStory(content = {}) {
  await stopWriting();
  await save();
  become({ ...blank(), ...content });
  isReader = false;
  await shelf.hold(record.id);
  shelf.current = record.id;
  if (story.text) changed();
  show();
}

let deleted = []; // since the page was loaded: {row, found}, the last one first

async function drawShelf() {
  const wanted = $("find").value.trim().toLowerCase();
  const rows = (await shelf.list()).filter(({ name, beginning }) => `${name} ${beginning}`.toLowerCase().includes(wanted));
  $("shelf-kept").textContent = shelf.isKept ? "Your browser stores these stories on this machine. Save important ones as files too." : "This browser stores no stories. Save yours as a file.";
  $("shelf").replaceChildren(...rows.map((row) => element("li", { className: row.id === record.id ? "current" : "" },
    element("button", { className: "open", onclick: async () => { await openStory(row.id); openTab("write"); } },
      element("strong", { textContent: row.name || row.beginning || "Untitled" }),
      element("span", { className: "quiet", textContent: `${row.words.toLocaleString("en")} ${row.words === 1 ? "word" : "words"}, ${new Date(row.changed).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}` })),
    element("button", { className: "delete", textContent: "Delete", ariaLabel: `Delete ${row.name || row.beginning || "the story"}`, onclick: () => remove(row) }))));
  if (!rows.length) $("shelf").replaceChildren(element("li", { className: "quiet", textContent: wanted ? "No name or beginning of a story matches." : "No stories yet." }));
  $("shelf").prepend(...deleted.map((one) => element("li", { className: "deleted" }, element("span", { textContent: `“${one.row.name || one.row.beginning || "Untitled"}” is deleted. ` }),
    element("button", { textContent: "Put it back", onclick: async () => {
      deleted = deleted.filter((other) => other !== one);
      await shelf.write({ ...one.found, words: one.row.words, version: 0 });
      drawShelf();
    } }))));
}

// Delete a story, and offer to undo this.
async function remove(row) {
  if (row.id === record.id) await stopWriting();
  await save();
  deleted.unshift({ row, found: await shelf.read(row.id) });
  await shelf.remove(row.id);
  if (row.id === record.id) await beginStory();
  await drawShelf();
  $("shelf").querySelector("button").focus();
}

// ---- files --------------------------------------------------------------------------------------------------------

function fileName() {
  const words = title().toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.slice(0, 6).join("-").slice(0, 40) || "story";
}

function saveAs(ending, content, type) {
  const name = `${fileName()}.${ending}`;
  download(name, content, type);
  say(`Saved as ${name}.`);
}

async function openFile(file) {
  try {
    if (file.size > 4e6) throw new Error(`${file.name} is too large for a story (over 4 MB).`);
    const { settings: values, name, ...content } = readStory(file.name, await file.arrayBuffer());
    await beginStory({ ...content, name: name || file.name.replace(/\.[^.]*$/, "") });
    if (values) settings?.set(values);
    showSettings();
    openTab("write");
    say(`${file.name} is open, as a new story on your shelf.`);
    findCopies();
  } catch (error) { showProblem(error.message); }
}

// ---- settings -----------------------------------------------------------------------------------------------------

function showSettings() {
  for (const button of $("presets").querySelectorAll("button")) button.setAttribute("aria-pressed", String(settings?.preset === button.dataset.preset));
}

function keepSettings() {
  showSettings();
  try { localStorage.setItem(KEPT + model.name, JSON.stringify({ ...settings.values, seed: settings.seed, bans: $("bans").value })); }
  catch { /* the browser does not store data, or its storage is full */ }
}

function recallSettings() {
  try { return JSON.parse(localStorage.getItem(KEPT + model.name)); } catch { return null; }
}

// ---- events -------------------------------------------------------------------------------------------------------

function on(id, action) {
  $(id).addEventListener("click", () => { $("menu").open = false; action(); });
}

function step(action) {
  action();
  copied = [];
  say("");
  caret = { start: Math.min(caret.start, story.text.length), end: Math.min(caret.end, story.text.length) };
  show();
  changed();
  findCopiesSoon();
}

on("go", go);
on("three", threeContinuations);
on("words-at-caret", offerWords);
on("again", rewrite);
on("previous", () => another(-1));
on("next", () => another(1));
on("undo", () => step(() => story.undo()));
on("redo", () => step(() => story.redo()));
on("other-continuations", threeContinuations);
on("choose-none", chooseNone);
on("copy", async () => {
  try { await navigator.clipboard.writeText(story.text); say("Copied."); }
  catch { $("story").select(); document.execCommand("copy"); say("Copied."); }
});
on("as-text", () => saveAs("txt", `${story.text.trim()}\n`, "text/plain"));
on("as-markdown", () => saveAs("md", markdown(story.text), "text/markdown"));
on("as-docx", () => saveAs("docx", docx(title(), story.text), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"));
on("as-epub", () => saveAs("epub", epub(title(), story.text), "application/epub+zip"));
on("save", () => {
  const { text, passages } = story.toJSON();
  saveAs("json", JSON.stringify({ model: model?.name, name: record.name, text, passages, memory: record.memory, note: record.note, settings: { ...settings?.values, seed: settings?.seed ?? null } }, null, 1), "application/json");
});
on("teach", async () => {
  if (story.numWords < LEAST_WORDS) return say(`The story needs at least ${LEAST_WORDS} words to be used for training.`);
  try {
    await save();
    const { name } = await (await post(model.learn, { name: title(), text: story.text })).json();
    location.href = `../../#/${encodeURIComponent(name)}`;
  } catch (error) { showProblem(error.message); }
});
on("open", () => $("file").click());
for (const id of ["new", "new-story"]) on(id, async () => {
  await beginStory();
  openTab("write");
  say("This is a new story. Your other stories are under Stories.");
  $("story").focus();
});
on("take", () => openStory(record.id, { take: true }));
on("other-story", () => openTab("stories"));
on("own-settings", () => { settings?.reset(); keepSettings(); });
for (const button of $("presets").querySelectorAll("button")) button.addEventListener("click", () => { if (settings) { settings.preset = button.dataset.preset; keepSettings(); } });
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) openFile(file);
  $("file").value = "";
});

$("story").addEventListener("input", () => {
  const field = $("story");
  const same = story.type(field.value, performance.now());
  caret = { start: field.selectionStart, end: field.selectionEnd };
  copied = copied.filter(({ end }) => end <= same);
  if (same < unread) unread = 0;
  showProblem("");
  show({ keepField: true });
  changed();
  findCopiesSoon();
});
document.addEventListener("selectionchange", () => {
  const field = $("story");
  if (document.activeElement !== field || writing || field.value !== story.text) return;
  if (caret.start === field.selectionStart && caret.end === field.selectionEnd) return;
  caret = { start: field.selectionStart, end: field.selectionEnd };
  closeWords();
  drawMirror();
  showPlace();
});
$("story").addEventListener("dblclick", () => {
  caret = { start: $("story").selectionStart, end: $("story").selectionEnd };
  offerWords({ takesFocus: false });
});
$("name").addEventListener("input", () => { record.name = $("name").value.trim(); changed(); });
for (const id of ["memory", "note"]) $(id).addEventListener("input", () => { record[id] = $(id).value; changed(); });
$("find").addEventListener("input", drawShelf);
$("settings").addEventListener("input", keepSettings);

// While the page closes, the database may refuse writes, so the last words are saved immediately.
function leave() {
  if (!isSaved && !isReader) shelf.leave({ ...record, ...story.toJSON() });
  save();
}
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });
addEventListener("beforeunload", (event) => { if (isLost()) event.preventDefault(); });

addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
addEventListener("drop", (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  openFile(file);
});

document.addEventListener("keydown", (event) => {
  const mod = event.ctrlKey || event.metaKey;
  const inOther = event.target.closest("input, textarea:not(#story)");
  const act = (action) => { event.preventDefault(); action(); };
  if (!$("guess").hidden && "12".includes(event.key) && !mod) return $("guess").querySelectorAll(".passage:not(:disabled)")[Number(event.key) - 1]?.click();
  if ($("write").hidden) return;
  if (!$("words").hidden && event.key === "Escape") return act(() => closeWords({ isBack: true }));
  if ($("words").contains(document.activeElement) && !mod && "12345678".includes(event.key)) return act(() => $("words").querySelectorAll("li button")[Number(event.key) - 1]?.click());
  if (mod && event.shiftKey && event.key === "Enter") act(threeContinuations);
  else if (mod && event.key === "Enter") act(() => { if (!writing) go(); });
  else if (event.altKey && event.key === "Enter") act(rewrite);
  else if (event.altKey && !mod && !inOther && event.key === "ArrowDown") act(() => offerWords());
  else if (event.altKey && !mod && !inOther && event.key === "ArrowLeft") act(() => another(-1));
  else if (event.altKey && !mod && !inOther && event.key === "ArrowRight") act(() => another(1));
  else if (event.key === "Escape") {
    const open = [$("menu"), $("settings")].find((menu) => menu.open);
    if (writing) act(() => writing.abort());
    else if (open) act(() => { open.open = false; open.querySelector("summary").focus(); });
    else if (!$("continuations").hidden) act(chooseNone);
  } else if (!$("continuations").hidden && "123".includes(event.key) && !mod && !inOther) act(() => choose(Number(event.key) - 1));
  else if (mod && !inOther && event.key.toLowerCase() === "z") act(() => $(event.shiftKey ? "redo" : "undo").click());
  else if (mod && !inOther && event.key.toLowerCase() === "y") act(() => $("redo").click());
});

document.addEventListener("click", (event) => {
  for (const id of ["menu", "settings"]) if (!event.target.closest(`#${id}`)) $(id).open = false;
});

// ---- tabs, start --------------------------------------------------------------------------------------------------

const TABS = ["write", "stories", "guess", "about"];

function openTab(name) {
  for (const each of TABS) {
    $(each).hidden = each !== name;
    $(`tab-${each}`).setAttribute("aria-selected", String(each === name));
    $(`tab-${each}`).tabIndex = each === name ? 0 : -1;
  }
  if (name === "stories") save().then(drawShelf);
  if (name === "guess") showPair($("guess"));
}

for (const name of TABS) {
  $(`tab-${name}`).addEventListener("click", () => openTab(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const there = TABS.filter((each) => !$(`tab-${each}`).hidden);
    const other = there[(there.indexOf(name) + step + there.length) % there.length];
    openTab(other);
    $(`tab-${other}`).focus();
  });
}

themeButton($("theme"));

function about(sections) {
  $("facts").replaceChildren(...sections.flatMap(({ title, facts }) => [element("h2", { textContent: title }),
    element("dl", {}, facts.flatMap(([label, value]) => [element("dt", { textContent: label }), element("dd", { textContent: value })]))]));
}

async function openShelf() {
  await shelf.open();
  if (!shelf.current || !await openStory(shelf.current)) await beginStory();
}

async function start() {
  $("privacy").textContent = privacy;
  for (const id of ["words-at-caret", "words-key"]) $(id).hidden = !words;
  await openShelf();
  say("The model is loading …");
  if (!shelf.isKept) showProblem("This browser stores no stories. Save yours as a file before you close the page.");
  try {
    model = await connect((share, text) => {
      $("loading").hidden = share === null;
      $("loading-text").textContent = text;
      if (share !== null) $("loading-bar").value = share;
    });
  } catch (error) {
    showProblem(error.message);
    return;
  } finally { $("loading").hidden = true; say(""); }
  document.title = `${model.name} · fabula`;
  settings = new Settings($("settings").querySelector(".fields"), model.settings, model.limits);
  const kept = recallSettings();
  if (kept) { settings.set(kept); $("bans").value = kept.bans ?? ""; }
  showSettings();
  about(model.about);
  $("tab-guess").hidden = !model.guess;
  $("teach").hidden = !model.learn;
  $("openings").querySelector("ul").replaceChildren(...model.openings.map((opening) => element("li", {},
    element("button", { className: "opening", textContent: opening, onclick: () => {
      story.replace(opening);
      caret = { start: opening.length, end: opening.length };
      show();
      go();
    } }))));
  show();
  $("model-name").textContent = model.name;
  findCopies();
}

start();
