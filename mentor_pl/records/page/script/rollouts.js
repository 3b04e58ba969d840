// The rollouts of the step that pass the filters.

function drawSide(side) {
  const filters = make("div", { class: "filters" });
  const counted = make("p", { id: "count", class: "quiet" });
  const head = make("p", { class: "row head", "aria-hidden": "true" },
    ...["", "", "reward", "guided", "tokens"].map((text) => make("span", { text })));
  const list = make("ol", { id: "list", role: "listbox", "aria-label": "rollouts", tabindex: 0 });
  side.replaceChildren(make("h2", { text: "rollouts" }), filters, counted, head, list);
  drawFilters(filters);
  list.addEventListener("click", (event) => {
    const item = event.target.closest("[data-row]");
    if (item) openRow(Number(item.dataset.row));
  });
  watch(["listed"], () => {
    counted.textContent = `${count(state.listed.length)} of ${count(state.data.size)} rollouts`;
    list.replaceChildren(...items());
    markRow();
  });
  watch(["row"], markRow);
}

// Under their prompts where that is their order.
function items() {
  const { data } = state;
  let prompt = -1;
  return state.listed.flatMap((row) => {
    const [item, own] = [itemOf(data, row), data.told.prompt[row]];
    if (state.sort !== "order" || own === prompt) return [item];
    prompt = own;
    const { problem, problem_text } = data.told.prompts[own];
    return [make("li", { class: "heading", role: "presentation" }, make("bdi", { text: `${problem}  ${oneLine(problem_text, 80)}` })), item];
  });
}

function itemOf(data, row) {
  const one = data.rows[row];
  const label = `${KINDS[one.kind]} rollout ${data.told.number[row]} of problem ${data.prompt(row).problem}`;
  return make("li", { role: "option", class: "row", "data-row": row, "aria-label": label, id: `row-${row}` },
    glyph(one.kind),
    make("span", { class: "number place", text: state.sort === "order" ? data.told.number[row] : `${data.prompt(row).problem}·${data.told.number[row]}` }),
    make("span", { class: "number reward", text: one.reward === null ? "–" : one.reward.toFixed(2), title: one.reward === null ? "not graded" : "reward" }),
    make("span", { class: "number", text: one.guided ? percent(one.guided) : "", title: "guided tokens" }),
    make("span", { class: "number", text: `${one.length}${one.truncated ? "…" : ""}`, title: one.truncated ? "tokens; cut off" : "tokens" }));
}

function markRow() {
  const list = at("list");
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  const item = list.querySelector(`[data-row="${state.row}"]`);
  if (!item) { list.removeAttribute("aria-activedescendant"); return; }
  item.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", item.id);
  // the list alone is scrolled, and not the page
  const [box, own] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
  if (own.top < box.top) list.scrollTop -= box.top - own.top;
  const bottom = box.top + own.height < innerHeight ? Math.min(box.bottom, innerHeight) : box.bottom; // that is seen
  if (own.top >= box.top && own.bottom > bottom) list.scrollTop += own.bottom - bottom;
}

function openRow(row, token = -1) {
  change({ row, pinned: token < 0 ? null : { data: state.data, row, token } });
}
