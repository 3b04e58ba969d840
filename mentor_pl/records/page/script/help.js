// The keys, told.

const TOLD = [
  ["← →", "token before, next token"], ["Home End", "first, last token"], ["n N", "next, previous replaced token"],
  ["j k", "next, previous rollout; also ↓ ↑"], ["[ ]", "step before, next step"], ["1 – 5", "colour by entropy, w, guidance, replaced, advantage"],
  ["v", "next view"], ["/", "search"], ["t", "dark or light"], ["Esc", "leave a field, the search, the token"], ["?", "this"],
];

function drawHelp() {
  const close = button("close", "close", () => at("help").close());
  document.body.append(make("dialog", { id: "help", "aria-label": "keys" }, make("h2", { text: "keys" }),
    make("dl", {}, TOLD.flatMap(([keys, says]) => [make("dt", {}, keys.split(" ").flatMap((key) => [/[–]/.test(key) ? key : make("kbd", { text: key }), " "])), make("dd", { text: says })])), close));
}

function openHelp() {
  at("help").showModal();
}
