// The steps of a project, from the files to the results. Each has a key, and is drawn again when the key changes.

import { post } from "./calls.js";
import { curve } from "./curve.js";
import { element } from "./element.js";

const number = (value, digits = 0) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const quiet = (textContent) => element("p", { className: "quiet", textContent });
const button = (textContent, onclick, properties = {}) => element("button", { textContent, onclick, ...properties });
const hasRun = ({ data }) => !["empty", "unread", "reading", "ready"].includes(data.phase);
const needsStories = ({ data }) => data.summary ? "" : "The stories must be read first.";
const needsModel = ({ data }) => data.has_model ? "" : "This is available when the model has been trained.";

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
}

function tiles(...pairs) {
  return element("dl", { className: "tiles" }, pairs.filter(Boolean).map(([label, value]) => element("div", {}, element("dt", { textContent: label }), element("dd", { textContent: value }))));
}

// ---- 1, the stories -----------------------------------------------------------------------------------------------

const SPLITS = [["", "as found"], ["chapters", "at chapters"], ["scenes", "at scene breaks"], ["blank-lines", "after blank lines"], ["lines", "on each line"], ["files", "with each file"], ["own", "at a line that I name"]];

const stories = {
  id: "stories",
  title: "Stories",
  waits: () => "",
  isDone: ({ data }) => Boolean(data.summary),
  short: ({ data }) => data.summary ? `${counted(data.summary.num_kept, "story", "stories")}, ${counted(data.summary.num_words, "word")}` : "",
  key: (page) => [page.data.summary, page.data.phase, page.question, page.busy, page.isReading && page.progress, page.problem],
  draw(page) {
    const { data } = page;
    if (page.isReading) return reading(page);
    if (page.question) return question(page);
    if (!data.summary) return data.num_files
      ? [quiet(`${counted(data.num_files, "file")}: ${data.files.slice(0, 5).join(", ")}${data.num_files > 5 ? " …" : ""}`), otherwise(page)]
      : quiet(hasRun(page) ? "The record of its stories does not exist yet." : "There are no files in this project.");
    const { summary } = data;
    return [
      tiles(["stories", number(summary.num_kept)], ["words", number(summary.num_words)], ["words per story (median)", number(summary.median_words)],
        ["held out to measure", number(Object.entries(summary.splits).filter(([name]) => name !== "train").reduce((sum, [, count]) => sum + count, 0))]),
      quiet(summary.format),
      summary.warnings.length > 0 && element("ul", { className: "warnings" }, summary.warnings.map((textContent) => element("li", { textContent }))),
      element("h3", { textContent: "The first stories, as the model will read them" }),
      element("div", { className: "beginnings" }, summary.beginnings.map(({ title, text, place, num_words, is_whole }) => element("article", {},
        title && element("h4", { textContent: title }),
        element("p", { className: "prose", textContent: text + (is_whole ? "" : " …") }),
        quiet(`${counted(num_words, "word")}, from ${place}`)))),
      !hasRun(page) && otherwise(page),
    ];
  },
};

function reading({ progress }) {
  const share = progress?.stage === "clean" && progress.total ? progress.done / progress.total : null;
  const bar = element("progress", { max: 1, ariaLabel: "Reading" });
  if (share !== null) bar.value = share;
  return [quiet("Reading and cleaning the files …"), bar];
}

function question(page) {
  return [
    element("p", {}, element("strong", { textContent: "Where does a story begin? " }), "These files can be read in two ways. Choose the one that looks right."),
    element("div", { className: "readings" }, page.question.readings.map((one) => element("article", {},
      element("h3", { textContent: one.description }),
      quiet(`${counted(one.num_stories, "story", "stories")}, ${counted(one.num_words, "word")}`),
      element("ol", {}, one.beginnings.map((textContent) => element("li", { className: "prose", textContent: `${textContent} …` }))),
      button("Read it this way", () => page.read({ ...page.data.reading, split_at: one.split_at }), { className: "primary" })))),
    otherwise(page),
  ];
}

function otherwise(page) {
  const { reading: chosen } = page.data;
  const isOwn = chosen.split_at && !SPLITS.some(([value]) => value === chosen.split_at);
  const split = element("select", { id: "split-at" }, SPLITS.map(([value, textContent]) => element("option", { value, textContent, selected: value === (isOwn ? "own" : chosen.split_at ?? "") })));
  const own = element("input", { id: "split-line", value: isOwn ? chosen.split_at : "", hidden: !isOwn, placeholder: "a line, or a regular expression for one", ariaLabel: "The line between two stories" });
  split.addEventListener("change", () => { own.hidden = split.value !== "own"; });
  const field = (id, label, value, placeholder) => element("label", {}, label, element("input", { id, value: value ?? "", placeholder }));
  const column = field("column", "Column that holds the text", chosen.column, "found");
  const encoding = field("encoding", "Encoding", chosen.encoding, "found");
  const form = element("form", { className: "fields-row" }, element("label", {}, "Stories begin", split), own, column, encoding, button("Read again", () => {}, { type: "submit" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    page.read({ ...chosen, split_at: split.value === "own" ? own.value : split.value, column: column.lastChild.value, encoding: encoding.lastChild.value });
  });
  return element("details", { id: "otherwise", open: Boolean(page.problem) }, element("summary", { textContent: "Read it another way" }), form);
}

// ---- 2, cleaning --------------------------------------------------------------------------------------------------

const cleaning = {
  id: "cleaning",
  title: "What cleaning took out",
  waits: needsStories,
  isDone: () => true,
  short: ({ data: { summary } }) => `${counted(summary.num_removals, "passage")}, ${counted(summary.words_removed, "word")}`,
  key: (page) => [page.data.summary, page.removals, page.numRemovals, hasRun(page), page.data.num_decisions],
  draw(page) {
    const { data: { summary, num_decisions: count }, removals } = page;
    const dropped = Object.entries(summary.num_dropped);
    const made = [quiet("Author’s notes, promotions and similar text are not part of a story, so they are left out."
      + (summary.num_removals ? " The least certain removals come first; check those." + (hasRun(page) ? "" : " Put back what belongs to a story.") : "") + ` Rules: ${summary.rules}.`)];
    if (count && !page.data.improves && !hasRun(page)) made.push(element("p", { className: "told", textContent: `You decided on ${counted(count, "removal")}; the training uses your ${count === 1 ? "decision" : "decisions"}.` }));
    made.push(element("div", { className: "removals" }, (removals?.rows ?? []).slice(0, page.numRemovals).map((row) => removal(page, row))));
    if (removals && page.numRemovals < removals.num_rows)
      made.push(button(`Show more (${number(removals.num_rows - page.numRemovals)})`, () => page.moreRemovals(), { id: "more-removals" }));
    if (removals && !removals.num_rows) made.push(element("p", { textContent: "Nothing was removed from the stories." }));
    if (dropped.length) made.push(element("details", { id: "dropped" },
      element("summary", { textContent: `${counted(dropped.reduce((sum, [, each]) => sum + each, 0), "story was", "stories were")} dropped: ${dropped.map(([reason, each]) => `${number(each)} ${reason.replaceAll("_", " ")}`).join(", ")}` }),
      element("ul", {}, (removals?.dropped ?? []).map(({ reason, place, text }) => element("li", {}, `${reason.replaceAll("_", " ")}, ${place}: `, element("q", { textContent: text }))))));
    made.push(element("p", {}, element("a", { href: page.file("review.html"), target: "_blank", textContent: "The whole review, with figures for each rule" })));
    return made;
  },
};

function removal(page, row) {
  const isBack = row.decision === "undo";
  const text = element("p", { className: "prose" }, element("span", { className: "context", textContent: cutLeft(row.before) }),
    element(isBack ? "ins" : "del", { textContent: row.text }), element("span", { className: "context", textContent: cutRight(row.after) }));
  const act = button(isBack ? "Leave it out again" : "Put it back", () => page.decide(row, isBack ? "" : "undo"), { id: `removal-${row.story.slice(0, 12)}-${row.start}`, ariaPressed: String(isBack) });
  return element("article", { className: isBack ? "back" : "" }, text,
    element("footer", {}, element("span", { className: "quiet", textContent: [(row.why || row.rule).replace(/\.$/, ""), row.place, `${Math.floor(1000 * row.confidence) / 10} % certain`].join(" · ") }), !hasRun(page) && act));
}

const cutLeft = (text) => text.length > 160 ? `… ${text.slice(-160).replace(/^\S*\s/, "")}` : text;
const cutRight = (text, most = 160) => text.length > most ? `${text.slice(0, most).replace(/\s\S*$/, "")} …` : text;

// ---- 3, the model and the time ------------------------------------------------------------------------------------

const MINUTES = [[2, "2 minutes: a first look"], [10, "10 minutes"], [30, "30 minutes"], [60, "1 hour"], [240, "4 hours"], [null, "as long as the recipe takes"]];

const model = {
  id: "model",
  title: "Model and time",
  waits: needsStories,
  isDone: (page) => hasRun(page),
  short: ({ data }) => `${baseName(data)}, ${data.max_minutes === null ? "no time limit" : `${Number(data.max_minutes.toFixed(1))} min`}`,
  key: (page) => [page.data.base, page.data.max_minutes, hasRun(page), page.busy === "predicting", page.prediction, page.bases === null],
  draw(page) {
    const { data, bases } = page;
    if (hasRun(page)) return quiet(`It starts from ${baseName(data)}; ${data.max_minutes === null ? "there is no time limit." : `${Number(data.max_minutes.toFixed(1))} minutes in all.`} For another base or time, make a new project.`);
    const choice = page.choice ??= { base: data.base, max_minutes: data.max_minutes };
    return [
      ...(data.improves
        ? [quiet(`Training continues from ${baseName(data)}, with its stories and the one that you added. The same stories are held out, and the new model is kept only if it predicts them at least as well.`)]
        : [quiet(`A base model can already write; training teaches it your stories. This machine has ${number(bases?.free_gb ?? 0, 1)} GB of memory free.`), baseTable(page, choice)]),
      minutes(choice),
      element("div", { className: "row" },
        button("Train", () => page.act(async () => { await post(page.path("/start"), choice); }), { className: "primary", id: "start" }),
        button(page.busy === "predicting" ? "Measuring …" : "How long will it take?", () => page.predict(choice), { id: "predict", disabled: page.busy === "predicting" })),
      prediction(page),
    ];
  },
};

const baseName = ({ base, improves }) => improves ? `the model of ${improves}` : base;

function baseTable({ bases }, choice) {
  const rows = bases?.bases ?? [];
  const known = rows.some(({ name }) => name === choice.base);
  const own = element("input", { id: "own-base", value: known ? "" : choice.base, placeholder: "a name on the Hugging Face hub, a folder or a GGUF file", ariaLabel: "Another base", oninput: () => { choice.base = own.value || bases.default; } });
  const row = (base) => {
    const fits = base.training_gb <= bases.free_gb;
    const radio = element("input", { type: "radio", name: "base", id: `base-${base.name}`, checked: base.name === choice.base, onchange: () => { choice.base = base.name; own.value = ""; } });
    const size = base.num_parameters * 2; // the hub keeps 2 bytes a weight
    const note = base.name === "tiny" ? "on this machine; a toy" : base.is_at_hand ? "on this machine" : `to be downloaded, ${size < 1e9 ? `${number(size / 1e6)} MB` : `${number(size / 1e9, 1)} GB`}`;
    return element("tr", { className: fits ? "" : "too-large" },
      element("th", { scope: "row" }, element("label", {}, radio, " ", base.name)),
      element("td", { textContent: `${number(base.num_parameters / 1e6)} M` }), element("td", { textContent: `${number(base.training_gb, 1)} GB${fits ? "" : ": too much"}` }),
      element("td", { textContent: base.licence }), element("td", { textContent: note }));
  };
  const fitting = rows.filter(({ training_gb: size, is_at_hand: here }) => here || size <= bases.free_gb);
  const others = rows.filter((base) => !fitting.includes(base)).map(row);
  const hidden = others.filter((made) => !made.querySelector("input").checked);
  for (const made of hidden) made.hidden = true;
  const all = hidden.length > 0 && button(`Also show ${counted(hidden.length, "base")} too large for the free memory`, () => { for (const made of hidden) made.hidden = false; all.remove(); }, { className: "small" });
  const head = element("thead", {}, element("tr", {}, ["base", "parameters", "memory to train", "licence", "where it is"].map((textContent) => element("th", { scope: "col", textContent }))));
  return element("div", { className: "table", tabIndex: 0, role: "region", ariaLabel: "Bases" }, element("table", {}, head, element("tbody", {}, fitting.map(row), others)), element("div", { className: "row" }, all), own);
}

function minutes(choice) {
  const select = element("select", { id: "minutes" }, MINUTES.map(([value, textContent]) => element("option", { value: String(value), textContent, selected: value === choice.max_minutes })));
  if (!MINUTES.some(([value]) => value === choice.max_minutes)) select.append(element("option", { value: String(choice.max_minutes), textContent: `${choice.max_minutes} minutes`, selected: true }));
  select.addEventListener("change", () => { choice.max_minutes = select.value === "null" ? null : Number(select.value); });
  return element("div", {}, element("label", {}, "Finish in about ", select), quiet("At least four fifths of this time are for training, the rest for the evaluation."));
}

function prediction({ prediction: found }) {
  if (!found) return null;
  return element("div", {},
    tiles(["to train all epochs", found.time], ["tokens/s, measured", number(found.tokens_per_second)], ["peak memory", `${number(found.memory_gb, 1)} GB`], ["disk space during training", `${number(found.disk_gb, 1)} GB`]),
    quiet(`${found.base} on ${found.device.replace(/^1 CPU threads$/, "1 CPU thread")}: ${counted(found.num_steps, "step")} without a time limit.`),
    found.memory_gb > found.free_memory_gb && element("p", { className: "warnings", textContent: "This machine has less free memory than that. Choose a smaller base model." }));
}

// ---- 4, training --------------------------------------------------------------------------------------------------

const STAGES = { clean: "Cleaning the stories", save: "Saving the stories", train: "Training the model", tune: "Choosing the sampling settings", evaluate: "Evaluating the model", write: "Writing stories", run: "Starting the run" };

const training = {
  id: "training",
  title: "Training",
  waits: (page) => hasRun(page) ? "" : "It begins when you press Train.",
  isDone: ({ data }) => data.has_model,
  short: ({ data, progress }) => data.phase === "working" ? `${progress?.total ? `${Math.round(100 * progress.done / progress.total)} %` : ""}` : { queued: "waits", stopped: "stopped", failed: "stopped by an error" }[data.phase] ?? "",
  key: (page) => [page.data.phase, page.asked, page.progress, page.data.steps.length, page.data.validations.length, page.samples, page.messages.length],
  draw(page) {
    const { data, samples } = page;
    const speed = data.steps.at(-1)?.[2], first = data.validations[0], best = data.validations.reduce((least, row) => !least || row[2] < least[2] ? row : least, null);
    return [
      working(page),
      data.steps.length + data.validations.length > 1 && curve(data.steps, data.validations),
      data.validations.length > 0 && tiles(["bits per byte, before", number(first[2], 3)], ["bits per byte, best so far", number(best[2], 3)], ["step of the best", number(best[0])], speed && ["tokens/s", number(speed)]),
      samples.length > 0 && element("div", { className: "samples" }, element("h3", { textContent: "What it writes at each validation" }),
        samples.slice(0, 3).map(sample), samples.length > 3 && element("details", { id: "earlier" }, element("summary", { textContent: "Earlier ones" }), samples.slice(3).map(sample))),
      page.messages.length > 0 && element("details", { id: "messages" }, element("summary", { textContent: "Messages" }), element("ul", { className: "messages" }, page.messages.map(({ stage, text }) => element("li", { textContent: `${stage}: ${text}` })))),
    ];
  },
};

function working(page) {
  const { data, progress } = page;
  const stop = (label, title) => button(label, () => page.ask("stop"), { id: "stop", title, disabled: page.asked === "stop" });
  const goOn = button("Go on", () => page.act(() => post(page.path("/start"), { base: data.base })), { className: "primary", id: "go-on" });
  if (data.phase === "queued") return element("div", { className: "row" }, element("p", { textContent: "Another task is running. This one begins when that is done." }), stop("Do not wait", "Remove it from the queue"));
  if (data.phase === "stopped") return element("div", { className: "row" }, element("p", { textContent: "Stopped. Nothing is lost: it can continue from the last checkpoint." }), goOn);
  if (data.phase === "failed") return element("div", { className: "row" }, element("p", { textContent: "An error stopped it. Fix the cause, and it can continue from the last checkpoint." }), goOn);
  if (data.phase !== "working") return null;
  const bar = element("progress", { max: 1, ariaLabel: "Progress of this stage" });
  if (progress?.total) bar.value = progress.done / progress.total;
  const unit = progress?.unit === "seconds" ? `${duration(progress.done)} of ${duration(progress.total)}` : progress?.total ? `${number(progress.done)} of ${number(progress.total)} ${progress.unit}` : "";
  const left = progress?.seconds_left ? `, about ${duration(progress.seconds_left)} left` : "";
  return element("div", {},
    element("p", { textContent: `${STAGES[progress?.stage] ?? "Working"}${unit ? `: ${unit}` : ""}${left}.` }), bar,
    element("div", { className: "row" }, stop("Pause", "Stop after a checkpoint; Go on continues from there"),
      progress?.stage === "train" && button("End the training now and keep the best", () => page.ask("finish"), { id: "finish", disabled: page.asked === "finish" })),
    quiet({ stop: "It stops after a checkpoint …", finish: "The training ends after this step; then the best weights are evaluated …" }[page.asked]
      ?? "You can close this page and stop the studio; the training continues."));
}

const sample = ({ step, text }) => element("article", {}, element("h4", { textContent: `After step ${number(step)}` }), element("p", { className: "prose", textContent: text }));

// ---- 5 to 7, the results ------------------------------------------------------------------------------------------

const result = {
  id: "result",
  title: "What it learned",
  waits: needsModel,
  isDone: ({ data }) => data.verdict.length > 0,
  short: () => "",
  key: ({ data }) => [data.has_model, data.verdict, data.guesses, data.samples, data.has_report, data.improves, data.validations.length],
  draw: (page) => [
    page.data.improves && improvement(page),
    ...page.data.verdict.map((sentence, index) => element("p", { className: index ? "" : "headline", textContent: sentence.replace(/ \(--[a-z-]+\)/g, "") })), // the page has no options
    page.data.guesses && element("p", { textContent: page.data.guesses }),
    !page.data.verdict.length && quiet("The evaluation is not finished yet."),
    page.data.samples.length > 0 && element("details", { id: "written", open: true }, element("summary", { textContent: "Stories that it wrote in its evaluation" }),
      page.data.samples.map(({ prompt, text }) => element("article", {}, element("p", { className: "prose" }, element("b", { textContent: prompt }), cutRight(text, 500))))),
    page.data.has_report && element("p", {}, element("a", { className: "button", href: page.file("report.html"), target: "_blank", textContent: "Open the report" })),
  ],
};

// What training a model further has brought, and how to undo it.
function improvement(page) {
  const { improves, validations } = page.data;
  const undo = button(`Undo: return to ${improves}`, () => page.remove(`The improvement is undone; this is ${improves} as before.`, improves), { id: "undo-improvement" });
  if (!validations.length) return element("div", { className: "row" }, undo);
  const before = validations[0][2], best = Math.min(...validations.map((row) => row[2]));
  return element("div", { className: "confirm" },
    element("p", { textContent: best < before
      ? `On the held-out stories, ${number(before, 3)} bits per byte became ${number(best, 3)} (fewer are better), so the new model is kept.`
      : `On the held-out stories the new model was no better than ${number(before, 3)} bits per byte, so this project keeps the model of ${improves} unchanged.` }),
    element("div", { className: "row" }, undo));
}

const writing = {
  id: "writing",
  title: "Write",
  waits: needsModel,
  isDone: ({ data }) => data.has_model,
  short: () => "",
  key: ({ data }) => [data.has_model],
  draw: (page) => [
    element("p", { textContent: "This page lets you write together with your model." }),
    element("p", {}, element("a", { className: "button primary", id: "desk", href: `desk/${encodeURIComponent(page.name)}/`, textContent: "Write with it" })),
  ],
};

const FORMATS = [["gguf", "GGUF, for Ollama, LM Studio and llama.cpp"], ["onnx", "ONNX, for browsers and ONNX Runtime"]];

const share = {
  id: "share",
  title: "Take it elsewhere",
  waits: needsModel,
  isDone: ({ data }) => data.exports.length > 0,
  short: () => "",
  key: ({ data, publishing: { account, anyway } }) => [data.has_model, data.exports, data.work, data.has_report, data.has_dry_run, data.phase, account, anyway],
  draw(page) {
    const { data } = page;
    const link = (file, textContent) => element("li", {}, element("a", { href: `${page.file(file)}?download`, textContent }));
    return [
      element("h3", { textContent: "Download" }),
      element("ul", {}, link("model.zip", "the model (.zip)"), link("stories.jsonl", "the cleaned stories (.jsonl)"), link("ledger.jsonl", "everything that cleaning removed (.jsonl)"),
        data.has_report && link("report.html", "the report (.html)"), data.exports.map((name) => link(`${name}.zip`, `the export to ${name.toUpperCase()} (.zip)`)),
        data.has_dry_run && !data.work.publish.is_working && link("publish.zip", "what publishing would upload (.zip)")),
      element("h3", { textContent: "For other programs" }),
      element("div", { className: "row" }, FORMATS.map(([to, title]) => button(`Export to ${to.toUpperCase()}`, () => page.act(() => post(page.path("/export"), { to })), { title, id: `export-${to}`, disabled: busyWith(data.work.export) }))),
      output(data.work.export, "Comparing the export with the original …"),
      element("h3", { textContent: "Publish on the Hugging Face hub" }),
      ...publishing(page),
    ];
  },
};

const busyWith = (work) => work.is_working || work.is_waiting;

function output(work, textContent) {
  if (!work.output && !busyWith(work)) return null;
  return element("div", {}, busyWith(work) && quiet(work.is_waiting ? "It begins when the current task is done." : textContent), work.output && element("pre", { tabIndex: 0, textContent: inPage(work.output) }));
}

// What a command printed, without what only applies to a terminal.
const inPage = (printed) => printed.replace(/^fabula: error: /gm, "").replace(/; to publish it anyway, add --anyway; .*/, ". To publish it anyway, tick the box above; its card then says so.");

// ---- publishing ---------------------------------------------------------------------------------------------------

function publishing(page) {
  const { publish, upload } = page.data.work;
  const isTried = page.data.has_dry_run && !busyWith(publish);
  const said = publish.output.match(/^The Space works; it wrote: ([^]*?)\nModel repository: /m);
  return [
    quiet("First, everything that would be uploaded is written into the project’s folder and checked: the model with its card, and a Space, which is a page on the hub where visitors write with the model. Nothing is uploaded yet."),
    tryForm(page),
    said && !busyWith(publish) ? [element("p", { className: "told", textContent: "Everything is written and checked. The Space was started here and wrote:" }), element("blockquote", { className: "prose", textContent: said[1] })]
      : output(publish, "Starting the Space and testing it …"),
    isTried && uploadForm(page),
    output(upload, "Uploading …"),
    busyWith(upload) ? null : [...upload.output.matchAll(/^Published: (https?:\S+)$/gm)].map(([, href]) => element("p", { className: "told" }, "Published: ", element("a", { href, target: "_blank", rel: "noopener", textContent: href }))),
  ].flat();
}

// A field of the form that keeps its value while the page is drawn anew.
function kept(form, id, label, properties = {}) {
  const input = element("input", { id, ...properties });
  if (input.type === "checkbox") { input.checked = Boolean(form[id]); input.addEventListener("change", () => { form[id] = input.checked; }); }
  else { input.value = form[id] ?? ""; input.addEventListener("input", () => { form[id] = input.value.trim(); }); }
  return element("label", {}, ...(input.type === "checkbox" ? [input, ` ${label}`] : [label, input]));
}

function tryForm(page) {
  const form = page.publishing;
  const isRefused = page.data.work.publish.output.includes("--anyway") || form.anyway;
  const made = element("form", { className: "fields-row" },
    kept(form, "licence", "Licence of the model", { required: true, placeholder: "such as cc-by-4.0" }),
    kept(form, "corpus-licence", "Licence of the stories", { required: true, placeholder: "such as cc-by-4.0" }),
    isRefused && kept(form, "anyway", "Publish although the evaluation shows no improvement", { type: "checkbox" }),
    button("Try it out", () => {}, { type: "submit", id: "try", disabled: busyWith(page.data.work.publish) || busyWith(page.data.work.upload) }));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    page.act(() => post(page.path("/publish"), licences(form)));
  });
  return made;
}

const licences = (form) => ({ license: form.licence, corpus_license: form["corpus-licence"], anyway: Boolean(form.anyway) });

function uploadForm(page) {
  const form = page.publishing;
  if (form.account) return confirmation(page, form);
  const made = element("form", { className: "fields-row", id: "upload-form" },
    kept(form, "repo", "Repository of the model", { required: true, placeholder: "your-name/tales", pattern: "[\\w.\\-]+/[\\w.\\-]+", title: "a name and a slash: your-name/tales" }),
    kept(form, "space", "Space (may be empty)", { placeholder: "your-name/tales-page", pattern: "[\\w.\\-]+/[\\w.\\-]+", title: "a name and a slash: your-name/tales-page" }),
    kept(form, "token", "Access token with write permission", { type: "password", autocomplete: "off", placeholder: "empty: the one saved by hf auth login" }),
    kept(form, "private", "Private: only you can see it", { type: "checkbox" }),
    button("Upload …", () => {}, { type: "submit", id: "upload", disabled: busyWith(page.data.work.upload) }));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.licence || !form["corpus-licence"]) return page.say("State both licences first, above.");
    page.act(async () => { form.account = (await post(page.path("/account"), { token: form.token ?? "" })).name; });
  });
  return [element("h4", { textContent: "Upload" }),
    quiet("The token is used for this upload alone. It is neither saved nor logged. You are asked once more before anything is sent."), made];
}

// The account and the repositories, to be confirmed before anything is uploaded.
function confirmation(page, form) {
  const leave = () => { form.account = form.token = ""; };
  const names = form.space ? [element("strong", { textContent: form.repo }), " and the Space ", element("strong", { textContent: form.space })] : [element("strong", { textContent: form.repo })];
  return element("div", { className: "confirm", role: "group", ariaLabel: "Confirm the upload" },
    element("p", {}, "Upload the model to ", ...names, " as ", element("strong", { textContent: form.account }), "? ",
      form.private ? "Only this account will see it." : "Everyone will be able to see and download it.", " What is in the repository under the same names is replaced."),
    element("div", { className: "row" },
      button(`Upload as ${form.account}`, () => page.act(async () => {
        const { account, token = "", repo, space = "" } = form;
        leave();
        await post(page.path("/upload"), { ...licences(form), account, token, repo, space, private: Boolean(form.private) });
      }), { className: "primary", id: "upload-now" }),
      button("Do not upload", () => page.act(async () => leave()), { id: "upload-not" })));
}

export const STEPS = [stories, cleaning, model, training, result, writing, share];
