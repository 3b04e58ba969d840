// Elements, and numbers as they are written.

// An element with attributes, and what is in it. Text goes in as text, never as markup.
function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const at = (id) => document.getElementById(id);

function button(text, label, onclick, attributes = {}) {
  return make("button", { type: "button", text, "aria-label": label, title: label, onclick, ...attributes });
}

// One of several, as buttons beside each other: choices are [value, text, label].
function switches(label, choices, chosen, pick) {
  const buttons = choices.map(([value, text, says]) =>
    button(text, says, () => pick(value), { "aria-pressed": value === chosen, "data-value": value }));
  return make("div", { class: "switches", role: "group", "aria-label": label }, buttons);
}

const count = (value) => value.toLocaleString("en-US");
const fixed = (value, digits = 3) =>
  value === null || value === undefined ? "–" : (value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
const short = (value) => (value === null ? "∞" : value >= 100 ? value.toFixed(0) : value.toPrecision(3));

// `γ_p` as it is printed: what follows the line stands low.
function symbol(text) {
  return text.split(/(_\p{L}+)/u).map((part) => (part.startsWith("_") ? make("sub", { text: part.slice(1) }) : part));
}
