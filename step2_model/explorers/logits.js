// The loss at one position: logits that can be moved, what softmax makes of them, surprise and gradient.

// Everything about one position: the law, the surprise in nats, and the gradient with respect to each logit.
function lossOf(logits, came) {
  const whole = logSumExp(logits);
  const law = softmax(logits);
  return {
    whole,
    law,
    surprise: whole - logits[came],
    gradient: law.map((p, i) => p - (i === came ? 1 : 0)),
  };
}

// log Σ exp z as it is written, in float32: infinite as soon as one exp z is.
function asWritten(logits) {
  const sum = logits.reduce((total, z) => Math.fround(total + Math.fround(Math.exp(z))), 0);
  return Math.fround(Math.log(sum));
}

// The text: positions can be chosen, the one that predicts is framed, what came after it underlined.
function textLine(tokens, onpick) {
  const last = tokens.length - 1;
  const cells = tokens.map((name, t) =>
    h("span", { class: "token", onpointerdown: () => t < last && onpick(t) }, name),
  );
  const mark = (position) =>
    cells.forEach((cell, t) => {
      cell.classList.toggle("here", t === position);
      cell.classList.toggle("came", t === position + 1);
      cell.classList.toggle("ahead", t > position + 1);
    });
  return { element: h("div", { class: "text" }, cells), mark };
}

// One row per token: its logit as a bar to drag, its probability, its gradient.
function lawTable(count, { onpick, ondrag }) {
  const rows = Array.from({ length: count }, (_, i) => {
    const [name, logit, p, gradient] = [
      h("th", { scope: "row", class: "left token" }),
      h("td"),
      h("td"),
      h("td"),
    ];
    const [drag, share] = [h("span", { class: "bar handle" }), h("span", { class: "bar" })];
    const slope = h("span", { class: "signed" });
    const move = (event) => {
      const box = drag.getBoundingClientRect();
      ondrag(i, clamp((event.clientX - box.left) / box.width, 0, 1));
    };
    const bars = (bar) => h("td", { class: "bars" }, bar);
    const element = h("tr", { onpointerdown: () => onpick(i) }, name, bars(drag), logit);
    drag.addEventListener("pointerdown", (event) => {
      drag.setPointerCapture(event.pointerId);
      move(event);
    });
    drag.addEventListener("pointermove", (event) => drag.hasPointerCapture(event.pointerId) && move(event));
    element.append(bars(share), p, bars(slope), gradient);
    return { element, name, logit, drag, p, share, gradient, slope };
  });
  const names = ["token", "", "logit z", "", "p", "", "gradient"];
  const head = tableHead(names);
  const others = h(
    "tr",
    {},
    h("th", { scope: "row", class: "left soft", colspan: 3 }),
    h("td"),
    h("td"),
    h("td"),
    h("td"),
  );
  const table = h("table", { class: "law" }, head);
  table.append(
    h(
      "tbody",
      {},
      rows.map((row) => row.element),
    ),
    h("tfoot", {}, others),
  );
  function show({ shown, vocabulary, came, logits, law, gradient, chosen, place }) {
    rows.forEach((row, i) => {
      const id = shown[i];
      row.element.hidden = id === undefined;
      if (id === undefined) return;
      put(row.name, `${vocabulary[id]}${id === came ? " ✓ came" : ""}`);
      put(row.logit, fixed(logits[id]));
      put(row.p, percent(law[id]));
      put(row.gradient, fixed(gradient[id], 3));
      amount(row.drag, place(logits[id]));
      amount(row.share, law[id]);
      amount(row.slope, Math.abs(gradient[id]));
      row.slope.classList.toggle("below", gradient[id] < 0);
      row.element.classList.toggle("chosen", i === chosen);
    });
    const seen = shown.reduce((sum, id) => sum + law[id], 0);
    const [name, , p, , slope] = others.children;
    put(name, `the other ${vocabulary.length - shown.length}`);
    put(p, percent(Math.max(1 - seen, 0)));
    put(slope, fixed(Math.max(1 - seen, 0), 3));
  }
  return { element: table, show };
}

// The loss written out, line by line: `say("surprise", text)`.
function account() {
  const names = {
    whole: "log Σ eᶻ, largest z out first",
    naive: "log Σ eᶻ as written, float32",
    target: "z of what came",
    nats: "surprise: the difference, nats",
    bits: "in bits: divided by ln 2",
    slopes: "sum of all gradients",
    module: "next_token_loss, before any move",
  };
  const values = Object.fromEntries(Object.keys(names).map((key) => [key, h("dd", { class: key })]));
  const lines = Object.entries(names).map(([key, name]) => [h("dt", { class: key }, name), values[key]]);
  return { element: h("dl", {}, lines), say: (key, text) => put(values[key], text) };
}

// A position as it begins: its logits, the likeliest tokens and the one that came, and how far bars may go.
function startOf(given, target, most) {
  const shown = largest(given, most);
  if (!shown.includes(target)) shown.push(target);
  const heights = shown.map((id) => given[id]);
  const [low, high] = [Math.min(...heights) - 3, Math.max(...heights) + 3];
  return { moved: given, shown, low, high, chosen: shown.indexOf(target) };
}

export default explorer({
  title: "The loss at one position",
  how: "↑ ↓ choose a token, ← → move its logit (or drag its bar). In the text, ← → choose the position.",
  build({ values: { tokens, vocabulary, ids, position, shown: most }, arrays, body, say, changed }) {
    const STEP = 0.25;
    const at = { position, chosen: 0, shift: 0, moved: [], shown: [], low: 0, high: 1 };
    const came = () => ids[at.position + 1];
    const logits = () => at.moved.map((z) => z + at.shift);

    function begin(t) {
      const given = Array.from(arrays.logits.at(t));
      Object.assign(at, { position: t, shift: 0 }, startOf(given, ids[t + 1], most));
      shift.value = 0;
      changed();
    }
    const setLogit = (i, z) => {
      at.moved[at.shown[i]] = clamp(z, at.low, at.high);
      changed();
    };
    const nudge = (by) => setLogit(at.chosen, at.moved[at.shown[at.chosen]] + by);
    const choose = (i) => changed((at.chosen = clamp(i, 0, at.shown.length - 1)));
    const goTo = (t) => begin(clamp(t, 0, tokens.length - 2));

    const shift = h("input", { type: "range", min: -100, max: 100, step: 1, value: 0 });
    shift.dataset.lmSuppressShortcuts = "true";
    shift.addEventListener("input", () => changed((at.shift = Number(shift.value))));
    const shiftText = h("output");
    const text = textLine(tokens, goTo);
    const place = onKeys(text.element, {
      ArrowLeft: () => goTo(at.position - 1),
      ArrowRight: () => goTo(at.position + 1),
    });
    place.setAttribute("aria-label", "Position");
    const drag = (i, share) => setLogit(i, at.low + share * (at.high - at.low));
    const table = lawTable(most + 1, { onpick: choose, ondrag: drag });
    const choice = onKeys(
      h("div", { class: "scrolls", "aria-label": "Token and its logit" }, table.element),
      {
        ArrowUp: () => choose(at.chosen - 1),
        ArrowDown: () => choose(at.chosen + 1),
        ArrowLeft: () => nudge(-STEP),
        ArrowRight: () => nudge(STEP),
      },
    );
    const sum = account();
    body.append(
      caption("The text: framed, the position that predicts; underlined, what came"),
      text.element,
      h(
        "div",
        { class: "columns law-and-sum" },
        choice,
        h(
          "div",
          {},
          caption("The loss, written out"),
          sum.element,
          h("label", {}, "add to every logit ", shiftText, shift),
          press("Logits as they were", {}, () => begin(at.position)),
        ),
      ),
    );
    begin(position);

    return function draw() {
      const z = logits();
      const found = lossOf(z, came());
      const names = { came: came(), vocabulary };
      const height = (value) => (value - at.shift - at.low) / (at.high - at.low);
      text.mark(at.position);
      table.show({ ...at, ...names, ...found, logits: z, place: height });
      put(shiftText, fixed(at.shift, 0));
      sum.say("whole", fixed(found.whole));
      sum.say("naive", fixed(asWritten(z)));
      sum.say("target", fixed(z[came()]));
      sum.say("nats", fixed(found.surprise));
      sum.say("bits", fixed(found.surprise / Math.LN2));
      sum.say("slopes", fixed(found.gradient.reduce((a, b) => a + b, 0)));
      sum.say("module", fixed(arrays.losses.at()[at.position]));
      const id = at.shown[at.chosen];
      const told =
        `The logit of “${vocabulary[id]}” is ${fixed(z[id])}, its probability ${percent(found.law[id])}. ` +
        `“${vocabulary[came()]}” came with ${percent(found.law[came()])}: ` +
        `a surprise of ${fixed(found.surprise)} nats. ` +
        `Per unit, the logit of “${vocabulary[id]}” changes the loss by ${fixed(found.gradient[id], 3)}.`;
      tellPlace(choice, at.chosen, at.shown.length, told);
      tellPlace(place, at.position, tokens.length - 1, `position ${at.position}, “${tokens[at.position]}”`);
      say(told);
    };
  },
});
