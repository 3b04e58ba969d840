// Dark and light: the system's, until one is chosen; `color-scheme` then decides every colour of the styles.

const darkSystem = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  change({ theme: document.documentElement.dataset.theme });
}

darkSystem.addEventListener("change", () => change({ theme: isDark() ? "dark" : "light" }));

// A colour of the styles as it is at present, for what is drawn on a canvas.
function colour(name) {
  const probe = make("span", { class: "unseen" });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
