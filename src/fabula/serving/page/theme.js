// The button that switches between the system's colours, light and dark.

const THEMES = ["", "light", "dark"];
const KEPT = "fabula.theme";

export function themeButton(button) {
  let theme = "";
  try { theme = localStorage.getItem(KEPT) ?? ""; } catch { /* then it is not stored */ }
  show(theme);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    show(theme);
    try { localStorage.setItem(KEPT, theme); } catch { /* then it is not stored */ }
  });
}

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
