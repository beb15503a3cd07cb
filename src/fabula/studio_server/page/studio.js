// The list of projects, and which page is shown.

import { get, post, projectPath, upload } from "./calls.js";
import { element } from "./element.js";
import { openProject } from "./project.js";
import { themeButton } from "./theme.js";

const PHASES = {
  empty: "no stories yet", unread: "not read yet", reading: "being read", ready: "ready to train", queued: "waiting", working: "working",
  stopped: "stopped; can continue", failed: "stopped by an error", done: "done",
};
const view = document.getElementById("view");
let leave = () => {};

// ---- the projects -------------------------------------------------------------------------------------------------

function home() {
  document.title = "fabula studio";
  const problem = element("p", { className: "problem", role: "alert", hidden: true });
  const progress = element("progress", { max: 1, hidden: true, ariaLabel: "Files sent" });
  const files = element("input", { type: "file", multiple: true, className: "hidden", tabIndex: -1, ariaLabel: "Files of stories" });
  const folder = element("input", { type: "file", webkitdirectory: true, className: "hidden", tabIndex: -1, ariaLabel: "A folder of stories" });
  const drop = element("section", { className: "drop", ariaLabel: "New project" },
    element("h2", { textContent: "Drop your stories here" }),
    element("p", { className: "quiet", textContent: "A file or a folder: text, Word, OpenDocument, EPUB, PDF, HTML, CSV, JSON, or a .zip of these. They stay on this machine." }),
    element("div", { className: "row" },
      element("button", { className: "primary", textContent: "Choose files …", onclick: () => files.click() }),
      element("button", { textContent: "Choose a folder …", onclick: () => folder.click() }),
      element("button", { textContent: "Try it with our stories", id: "sample", onclick: () => begin({ is_sample: true }, []) })),
    files, folder, progress, problem);
  const list = element("ul", { className: "projects" });
  view.replaceChildren(drop, element("h2", { id: "projects-title", textContent: "Projects" }), list);
  list.setAttribute("aria-labelledby", "projects-title");

  const take = (found) => found.length ? begin({ name: projectName(found) }, found) : null;
  const begin = async (wanted, found) => {
    problem.hidden = true;
    progress.hidden = false;
    try {
      const total = found.reduce((sum, { file }) => sum + file.size, 0);
      let sent = 0;
      const { name } = await post("api/projects", wanted);
      for (const { path, file } of found)
        await upload(name, path, file, (bytes) => { sent += bytes; progress.value = total ? sent / total : 1; });
      location.hash = `#/${encodeURIComponent(name)}`;
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally { progress.hidden = true; }
  };
  const chosen = (input) => input.addEventListener("change", () => take([...input.files].map((file) => ({ path: visible(file.webkitRelativePath || file.name), file })).filter(isStory)));
  chosen(files);
  chosen(folder);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = entries.length ? (await Promise.all(entries.map(filesBelow))).flat()
      : [...event.dataTransfer.files].map((file) => ({ path: file.name, file }));
    take(found.filter(isStory));
  });

  let isLost = false; // the studio did not answer
  const refresh = async () => {
    try {
      show(list, await get("api/projects"));
      if (isLost) problem.hidden = true;
      isLost = false;
    } catch (error) {
      isLost = true;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  };
  refresh();
  const timer = setInterval(refresh, 4000);
  return () => clearInterval(timer);
}

let shown = "";
function show(list, projects) {
  const now = JSON.stringify(projects);
  if (now === shown && list.children.length) return;
  shown = now;
  list.replaceChildren(...projects.map((project) => element("li", {},
    element("a", { href: `#/${encodeURIComponent(project.name)}` },
      element("strong", { textContent: project.name }),
      element("span", { className: `phase ${project.phase}`, textContent: PHASES[project.phase] }),
      element("span", { className: "quiet", textContent: project.num_stories === null ? "" : `${project.num_stories.toLocaleString("en")} stories, ${project.num_words.toLocaleString("en")} words` })))));
  if (!projects.length) list.replaceChildren(element("li", { className: "quiet", textContent: "There are no projects yet. Yours will appear here." }));
}

const visible = (path) => path.replace(/^\/+/, "").replace(/[\\:*?"<>|]/g, "-"); // no system minds these names
// Leaves out files that operating systems add.
const isStory = ({ path }) => !path.split("/").some((part) => part.startsWith(".") || ["Thumbs.db", "desktop.ini", "__MACOSX"].includes(part));

function projectName(found) {
  const [first] = found[0].path.split("/");
  return found[0].path.includes("/") ? first : first.replace(/\.[^.]*$/, "");
}

// The files in a dropped file or folder: [{path, file}].
async function filesBelow(entry) {
  if (entry.isFile) return [{ path: visible(entry.fullPath), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...await filesBelow(each));
  }
}

// ---- removed projects ---------------------------------------------------------------------------------------------

// Remove a project, show what is there instead, and offer to put it back.
async function removeProject(name, text, next = "") {
  const bar = document.getElementById("removed");
  await post(projectPath(name, "/remove"));
  const back = element("button", { textContent: "Put it back", onclick: async () => {
    try {
      await post(projectPath(name, "/put-back"));
      bar.hidden = true;
      location.hash = `#/${encodeURIComponent(name)}`;
    } catch (error) { bar.firstChild.textContent = error.message; }
  } });
  bar.replaceChildren(element("span", { textContent: text }), back);
  bar.hidden = false;
  location.hash = `#/${encodeURIComponent(next)}`;
}

// ---- which page ---------------------------------------------------------------------------------------------------

function route() {
  leave();
  shown = "";
  const name = decodeURIComponent(location.hash.replace(/^#\/?/, ""));
  leave = name ? openProject(view, name, removeProject) : home();
  window.scrollTo(0, 0);
}

themeButton(document.getElementById("theme"));
addEventListener("hashchange", () => { route(); view.focus({ preventScroll: true }); });
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // a file beside the field opens nothing
route();
