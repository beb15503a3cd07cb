// The button that chooses the system's colours, light ones or dark ones.

const THEMES = ["", "light", "dark"];
const KEPT = "fabula.theme";

export function themeButton(button) {
  let theme = "";
  try { theme = localStorage.getItem(KEPT) ?? ""; } catch { /* not kept, then */ }
  show(theme);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    show(theme);
    try { localStorage.setItem(KEPT, theme); } catch { /* not kept, then */ }
  });
}

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
