// A response as its tokens, each in its colour; the pointer, a click or the focus asks for one's facts.

const shown = new WeakMap(); // element of a response -> {data, row}

function response(data, row, label) {
  const first = data.first(row);
  const element = make("div", { class: "tokens", role: "listbox", "aria-label": label, "aria-orientation": "horizontal" });
  shown.set(element, { data, row });
  for (let i = 0; i < data.length(row); i++) {
    if (data.has(first + i, "gap")) element.append(" ");
    const one = data.token(first + i);
    const token = make("span", { class: "token", role: "option", tabindex: -1, "data-i": i }, visibleToken(one));
    const draft = data.draft(first + i);
    if (draft) token.prepend(make("s", { class: "draft", "aria-label": "the policy's draft" }, visibleToken(draft)));
    element.append(token);
  }
  paint(element);
  return element;
}

// Colours, marks of the search and of the slider, and which token the keyboard starts at.
function paint(element) {
  const { data, row } = shown.get(element);
  const first = data.first(row);
  const touched = hitTokens(data, row);
  const pinned = state.pinned && state.pinned.data === data && state.pinned.row === row ? state.pinned.token : -1;
  element.dataset.colour = state.colour;
  for (const token of element.querySelectorAll(".token")) {
    const i = Number(token.dataset.i);
    const { level, sign, mark } = shade(data, first + i);
    token.style.setProperty("--level", level.toFixed(3));
    token.className = ["token", mark, sign < 0 ? "below" : "", level > 0.55 ? "strong" : "",
      shift(data, first + i, state.gamma), touched.has(i) ? "hit" : ""].filter(Boolean).join(" ");
    token.setAttribute("aria-selected", i === pinned);
    token.tabIndex = i === Math.max(0, pinned) ? 0 : -1;
  }
}

function paintAll() {
  for (const element of document.querySelectorAll(".tokens")) paint(element);
}

watch(["colour", "gamma", "query", "pinned"], paintAll);

// The token of an event: {data, row, token}; null where it is none.
function tokenOf(event) {
  const token = event.target instanceof Element ? event.target.closest(".tokens > .token") : null;
  return token ? { ...shown.get(token.parentElement), token: Number(token.dataset.i) } : null;
}

const sameToken = (a, b) => a === b || (a && b && a.data === b.data && a.row === b.row && a.token === b.token);

// Holds a token's facts, and opens its rollout where it is one of the step's that is open.
function pin(found) {
  if (sameToken(found, state.pinned)) return;
  change(found.data === state.data ? { pinned: found, row: found.row } : { pinned: found });
}

function listenToTokens() {
  document.addEventListener("pointerover", (event) => {
    const found = tokenOf(event);
    if (!sameToken(found, state.hovered)) change({ hovered: found });
  });
  document.addEventListener("focusin", (event) => { const found = tokenOf(event); if (found) pin(found); });
  document.addEventListener("click", (event) => {
    const found = tokenOf(event);
    if (!found) return;
    pin(found);
    event.target.closest(".token").focus();
  });
}

// Moves the focus to a token of the rollout that is open; from a list of all rollouts it is scrolled to.
function focusToken(row, i) {
  for (const element of document.querySelectorAll("#main .tokens")) {
    const one = shown.get(element);
    if (one.data !== state.data || one.row !== row) continue;
    const token = element.querySelectorAll(".token")[i];
    if (token) { token.focus({ preventScroll: true }); token.scrollIntoView({ block: "nearest" }); }
    return;
  }
}
