// Text of models, made visible: what would steer the display is shown by its name, and stays where it is.

const NAMED = new Map([
  [0x061c, "ALM"], [0x200b, "ZWSP"], [0x200e, "LRM"], [0x200f, "RLM"], [0x2028, "LSEP"], [0x2029, "PSEP"],
  [0x202a, "LRE"], [0x202b, "RLE"], [0x202c, "PDF"], [0x202d, "LRO"], [0x202e, "RLO"], [0x2060, "WJ"],
  [0x2066, "LRI"], [0x2067, "RLI"], [0x2068, "FSI"], [0x2069, "PDI"], [0xad, "SHY"], [0xfeff, "BOM"],
  [0x09, "⇥"], [0x0d, "␍"],
]);

// The name of a character that has no picture of its own; null for those that have.
function nameOf(code) {
  if (NAMED.has(code)) return NAMED.get(code);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  const hidden = (code >= 0x80 && code < 0xa0) || (code >= 0xd800 && code < 0xe000) || (code >= 0xe0000 && code < 0xe0200);
  return hidden ? "U+" + code.toString(16).toUpperCase().padStart(4, "0") : null;
}

// Nodes for a text: plain text as text, the rest as named signs, a line break as a sign and a break.
function visible(text, signs = true) {
  const nodes = [];
  let plain = "";
  const flush = () => { if (plain) nodes.push(document.createTextNode(plain)); plain = ""; };
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code === 0x0a) {
      flush();
      if (signs) nodes.push(make("span", { class: "sign", text: "↵" }));
      nodes.push(document.createElement("br"));
      continue;
    }
    const name = nameOf(code);
    if (name === null) { plain += character; continue; }
    flush();
    nodes.push(make("span", { class: "sign", text: name }));
  }
  flush();
  return nodes;
}

// The same in one line of plain characters, for places that take no nodes.
function oneLine(text, most) {
  const cut = Array.from(text.slice(0, 2 * most)).slice(0, most);
  const shown = cut.map((c) => (c === "\n" ? "↵" : nameOf(c.codePointAt(0)) ?? c)).join("");
  return text.length > shown.length && cut.length === most ? shown + "…" : shown;
}

// Nodes for a token as `Step.entry` has it.
function visibleToken({ id, text, length }) {
  if (text === null) return [make("span", { class: "sign", text: `token ${id}` })];
  if (text === "") return [make("span", { class: "sign", text: "∅" })];
  const nodes = visible(text);
  if (length) nodes.push(make("span", { class: "sign", text: `… ${count(length)} characters` }));
  return nodes;
}
