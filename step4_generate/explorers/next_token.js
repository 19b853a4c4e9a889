// The law of the next token: temperature, top-k, top-p and min-p, each on what the one before has left.

const MARKS = { kept: "●", cut: "✕" };

// The tokens that reach a share p together, the most probable first; the one with which they reach it stays.
function reaching(law, p) {
  const stays = law.map(() => false);
  let before = 0;
  for (const i of largest(law, law.length)) {
    if (before >= p || law[i] === 0) break;
    stays[i] = true;
    before += law[i];
  }
  return stays;
}
// What is drawn from: {law, kept} after all four settings. A temperature of 0 is the most probable token.
function drawnFrom(logits, { temperature, k, p, minP }) {
  if (temperature === 0) {
    const [best] = largest(logits, 1);
    return { law: Array.from(logits, (_, i) => Number(i === best)), kept: 1 };
  }
  let z = Array.from(logits, (value) => value / temperature);
  const keep = (stays) => (z = z.map((value, i) => (stays(i) ? value : -Infinity)));
  if (k < z.length) {
    const least = z[largest(z, k)[k - 1]];
    keep((i) => z[i] >= least);
  }
  if (p < 1) {
    const stays = reaching(softmax(z), p);
    keep((i) => stays[i]);
  }
  if (minP > 0) {
    const law = softmax(z);
    const most = Math.max(...law);
    keep((i) => law[i] >= minP * most);
  }
  return { law: softmax(z), kept: z.filter((value) => value > -Infinity).length };
}
const entropy = (law) => law.reduce((sum, q) => (q > 0 ? sum - q * Math.log(q) : sum), 0);

// One setting: a slider over a list of values, and the value as text.
function setting(name, values, start, text, changed) {
  const said = h("output");
  const input = h("input", {
    type: "range",
    min: 0,
    max: values.length - 1,
    step: 1,
    value: start,
    "aria-label": name,
  });
  input.dataset.lmSuppressShortcuts = "true";
  const show = () => {
    put(said, text(values[input.value]));
    input.setAttribute("aria-valuetext", said.textContent);
  };
  input.addEventListener("input", () => {
    show();
    changed();
  });
  show();
  return {
    element: h("label", {}, `${name} `, said, input),
    value: () => values[input.value],
    reset: () => {
      input.value = start;
      show();
    },
  };
}

export default explorer({
  title: "The next token",
  how: "In the text, ← → choose the place; each slider is moved with ← → as well.",
  build({ values, arrays, body, say, changed }) {
    const { tokens, vocabulary, position, shown, temperatures, ks, ps, minPs, p: first } = values;
    const V = vocabulary.length;
    const at = { position };
    const goTo = (t) => changed((at.position = clamp(t, 0, tokens.length - 1)));
    const cells = tokens.map((name, t) =>
      h("span", { class: "token", onpointerdown: () => goTo(t) }, name === "‖" ? "‖ (a text begins)" : name),
    );
    const text = onKeys(h("div", { class: "text", "aria-label": "Place in the text" }, cells), {
      ArrowLeft: () => goTo(at.position - 1),
      ArrowRight: () => goTo(at.position + 1),
    });
    const off = (is, value) => (is ? "off" : value);
    const plain = (value) => String(value);
    const settings = {
      temperature: setting("temperature", temperatures, temperatures.indexOf(1), plain, changed),
      k: setting("top-k", ks, ks.length - 1, (k) => off(k === V, String(k)), changed),
      p: setting("top-p", ps, ps.indexOf(first), (p) => off(p === 1, String(p)), changed),
      minP: setting("min-p", minPs, 0, (m) => off(m === 0, String(m)), changed),
    };
    const reset = () => {
      Object.values(settings).forEach((one) => one.reset());
      goTo(position);
    };
    const rows = Array.from({ length: shown }, () => {
      const bars = [h("span", { class: "bar" }), h("span", { class: "bar" })];
      const name = h("th", { scope: "row", class: "left token" });
      const [before, mark, after] = [h("td"), h("td"), h("td")];
      const bar = (one) => h("td", { class: "bars" }, one);
      const element = h("tr", {}, name, bar(bars[0]), before, mark, bar(bars[1]), after);
      return { element, name, bars, before, mark, after };
    });
    const rest = ["", "", "", "", ""].map(() => h("td"));
    const others = h("th", { scope: "row", class: "left soft" }, `the other ${V - shown}`);
    const table = h(
      "table",
      { class: "law" },
      tableHead(["token", "", "the model's p", "", "", "drawn with"]),
      h("tbody", {}, rows.map((row) => row.element)),
      h("tfoot", {}, h("tr", {}, others, rest)),
    );
    const lines = {
      kept: `tokens kept, of ${V}`,
      mass: "their p in the model's law",
      before: "entropy of the model's law, nats",
      after: "entropy of what is drawn from, nats",
      choices: "as free as among so many",
      mine: `keep_top_p at ${first}, temperature 1, keeps`,
    };
    const told = Object.fromEntries(Object.keys(lines).map((key) => [key, h("dd", { class: key })]));
    const sums = h("dl", {}, Object.entries(lines).map(([key, name]) => [h("dt", {}, name), told[key]]));
    const sliders = Object.values(settings).map((one) => one.element);
    body.append(
      caption("The text: framed, the token after which the next one is chosen"),
      text,
      h(
        "div",
        { class: "columns law-and-sum" },
        h("div", { class: "scrolls" }, table),
        h("div", {}, sliders, sums, press("Everything as it was", {}, reset)),
      ),
    );
    return function draw() {
      const logits = arrays.logits.at(at.position);
      const model = softmax(logits);
      const chosen = Object.fromEntries(Object.entries(settings).map(([key, one]) => [key, one.value()]));
      const { law, kept } = drawnFrom(logits, chosen);
      const seen = largest(logits, shown);
      cells.forEach((cell, t) => {
        cell.classList.toggle("here", t === at.position);
        cell.classList.toggle("ahead", t > at.position);
      });
      rows.forEach((row, i) => {
        const id = seen[i];
        put(row.name, vocabulary[id]);
        put(row.before, percent(model[id]));
        put(row.mark, law[id] > 0 ? MARKS.kept : MARKS.cut);
        put(row.after, law[id] > 0 ? percent(law[id]) : "");
        amount(row.bars[0], model[id]);
        amount(row.bars[1], law[id]);
        row.element.classList.toggle("out", law[id] === 0);
      });
      const left = (some) => Math.max(0, 1 - seen.reduce((sum, id) => sum + some[id], 0));
      const stay = seen.filter((id) => law[id] > 0).length;
      put(rest[1], percent(left(model)));
      put(rest[2], kept > stay ? `${MARKS.kept} ${kept - stay}` : MARKS.cut);
      put(rest[4], kept > stay ? percent(left(law)) : "");
      const mass = model.reduce((sum, q, i) => (law[i] > 0 ? sum + q : sum), 0);
      const [before, after] = [entropy(model), entropy(law)];
      put(told.kept, String(kept));
      put(told.mass, percent(mass));
      put(told.before, fixed(before));
      put(told.after, fixed(after));
      put(told.choices, fixed(Math.exp(after), 1));
      put(told.mine, String(arrays.kept.at()[at.position]));
      const here = `place ${at.position}, after “${tokens[at.position]}”`;
      tellPlace(text, at.position, tokens.length, here);
      say(
        `After “${tokens[at.position]}” ${kept} of ${V} tokens are left, which had ${percent(mass)} of the ` +
          `probability. “${vocabulary[seen[0]]}” is drawn with ${percent(law[seen[0]])}; the choice is as ` +
          `free as one among ${fixed(Math.exp(after), 1)} equally likely tokens, before it was ` +
          `${fixed(Math.exp(before), 1)}.`,
      );
    };
  },
});
