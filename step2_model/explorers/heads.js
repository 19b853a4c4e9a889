// Causal attention: all heads as small maps, one head as a large map, one query as a table of its keys.

// What attention would be with another scale or without the mask, from the scores as they were computed.
function attendInPage(scores, hidden, values, { scaled, masked }) {
  const width = values[0].length;
  const raw = Array.from(scores, (score) => (scaled ? score : score * Math.sqrt(width)));
  const weights = softmax(raw.map((score, s) => (masked && hidden[s] ? -Infinity : score)));
  const mixture = Array.from(values[0], (_, d) => weights.reduce((sum, w, s) => sum + w * values[s][d], 0));
  return { raw, weights, mixture };
}

const entropyInBits = (weights) => -weights.reduce((sum, w) => (w > 0 ? sum + w * Math.log2(w) : sum), 0);

// Every head as a small picture of its weights; a click chooses it.
function headMaps({ count, heads, size, onpick }) {
  const maps = Array.from({ length: count }, (_, i) => {
    const [block, head] = [Math.floor(i / heads) + 1, (i % heads) + 1];
    const label = `${block}.${head}: weights of block ${block}, head ${head}`;
    const canvas = h("canvas", { width: 2 * size, height: 2 * size, "aria-hidden": "true" });
    const button = press("", { class: "map", tabindex: "-1", "aria-label": label }, () => onpick(i));
    button.append(canvas, h("span", {}, `${block}.${head}`));
    return button;
  });
  return {
    element: h("div", { class: "maps" }, maps),
    mark: (head) => maps.forEach((map, i) => map.setAttribute("aria-pressed", String(i === head))),
    paint(i, weightsOf, color) {
      const canvas = maps[i].firstChild;
      const c = canvas.getContext("2d");
      c.clearRect(0, 0, canvas.width, canvas.height);
      c.fillStyle = color;
      for (let t = 0; t < size; t++) {
        weightsOf(t).forEach((weight, s) => {
          c.globalAlpha = clamp(weight, 0, 1);
          c.fillRect(2 * s, 2 * t, 2, 2);
        });
      }
    },
  };
}

// One query against every key: product, score, mask, weight and value, and their sum beneath.
function keyTable(tokens, width) {
  const rows = tokens.map((name, s) => {
    const [product, score, weight] = [h("td"), h("td"), h("td")];
    const mask = h("td", { class: "left" });
    const key = h("th", { scope: "row", class: "left" }, token(name));
    const bar = h("span", { class: "bar" });
    const value = strip(width, `value of key ${s}, ${width} features`);
    const element = h(
      "tr",
      {},
      key,
      product,
      score,
      mask,
      h("td", { class: "bars" }, bar),
      weight,
      h("td", {}, value.element),
    );
    return { element, key, product, score, mask, bar, weight, value };
  });
  const head = tableHead(["key", "q · k", "score", "mask", "", "weight", "value v"], [0, 3, 6]);
  const total = h("td");
  const foot = h("tr", {}, h("th", { scope: "row", class: "left", colspan: 5 }, "sum"), total, h("td"));
  const table = h(
    "table",
    {},
    head,
    h(
      "tbody",
      {},
      rows.map((r) => r.element),
    ),
  );
  table.append(h("tfoot", {}, foot));
  function show({ raw, weights, hidden, query, scaled }) {
    put(head.querySelectorAll("th")[2], scaled ? `÷ √${width}` : "undivided");
    rows.forEach((row, s) => {
      put(row.product, fixed(raw[s] * (scaled ? Math.sqrt(width) : 1)));
      put(row.score, hidden(s) ? "−∞" : fixed(raw[s]));
      put(row.mask, hidden(s) ? "✕ future" : s > query ? "! future" : s < query ? "✓ past" : "✓ itself");
      put(row.weight, fixed(weights[s]));
      amount(row.bar, weights[s]);
      row.element.classList.toggle("out", hidden(s));
      row.key.classList.toggle("chosen", s === query);
    });
    put(total, fixed(weights.reduce((a, b) => a + b, 0)));
  }
  const paint = (values, most, colors) =>
    rows.forEach(({ value }, s) => value.paint(values[s], most, colors));
  return { element: table, show, paint };
}

function sentence({ tokens, query, weights, masked, place }) {
  const [best] = largest(weights, 1);
  const ahead = weights.reduce((sum, w, s) => (s > query ? sum + w : sum), 0);
  return (
    `In ${place} the query “${tokens[query]}” at position ${query} reads most from “${tokens[best]}” ` +
    `at position ${best}: ${percent(weights[best])} of its weight. ` +
    `The weights have ${fixed(entropyInBits(weights))} bits over ` +
    `${masked ? query + 1 : tokens.length} keys.` +
    (ahead > 0 ? ` ${percent(ahead)} of the weight lies in the future.` : "")
  );
}

export default explorer({
  title: "Causal attention",
  how: "↑ ↓ choose the query, ← → the head. Or click a row of the map, or one of the small maps.",
  build({ values: { tokens, heads, head, query }, arrays, body, say, changed }) {
    const [count, T] = arrays.scores.shape;
    const width = arrays.values.shape[2];
    const at = { head, query, scaled: true, masked: true };
    const move = (name, to, most) => {
      at[name] = clamp(to, 0, most - 1);
      changed();
    };
    const valuesOf = (i) => tokens.map((_, s) => arrays.values.at(i, s));
    // As the module computed it or, once a switch is pressed, as this page does.
    const compute = (i, t) => {
      const scores = arrays.scores.at(i, t);
      if (!at.scaled || !at.masked) return attendInPage(scores, arrays.hidden.at(i, t), valuesOf(i), at);
      return { raw: scores, weights: arrays.weights.at(i, t), mixture: arrays.mixture.at(i, t) };
    };
    const hides = (t, s) => at.masked && arrays.hidden.at(at.head, t)[s] > 0;

    const maps = headMaps({ count, heads, size: T, onpick: (i) => move("head", i, count) });
    const map = matrix({ rows: tokens, columns: tokens, onpick: (t) => move("query", t, T) });
    const table = keyTable(tokens, width);
    const features = Array.from({ length: width }, () => h("span"));
    const whatIf = h("span", { class: "soft" });
    const heading = caption();
    const choice = onKeys(h("div", { "aria-label": "Query and head" }, map.element), {
      ArrowUp: () => move("query", at.query - 1, T),
      ArrowDown: () => move("query", at.query + 1, T),
      ArrowLeft: () => move("head", at.head - 1, count),
      ArrowRight: () => move("head", at.head + 1, count),
      Home: () => move("query", 0, T),
      End: () => move("query", T - 1, T),
    });
    const switches = [
      toggle("without √D", (on) => changed((at.scaled = !on))),
      toggle("without mask", (on) => changed((at.masked = !on))),
    ];
    body.append(
      caption("Weights of every head (block.head). Stronger color: more weight."),
      maps.element,
      h(
        "div",
        { class: "columns map-and-table" },
        h(
          "div",
          {},
          caption("Rows: queries. Columns: keys."),
          choice,
          h("div", { class: "row" }, switches, whatIf),
        ),
        h("div", { class: "scrolls" }, heading, table.element),
      ),
      caption(`The mixture, Σ weight · value: ${width} features`),
      h("div", { class: "features" }, features),
    );

    const painted = { maps: "", head: "" };
    let most = 1;
    // What does not change from query to query is painted only when it has to be.
    function paintWhatChanged() {
      const colors = endColors(body);
      const look = `${at.scaled} ${at.masked} ${colors}`;
      if (painted.maps !== look) {
        for (let i = 0; i < count; i++) maps.paint(i, (t) => compute(i, t).weights, colors[0]);
      }
      if (painted.head !== `${look} ${at.head}`) {
        const values = valuesOf(at.head);
        most = Math.max(...values.map((v) => Math.max(...v.map(Math.abs))));
        const shares = (t) => Array.from(compute(at.head, t).weights, (w, s) => (hides(t, s) ? NaN : w));
        map.shade(tokens.flatMap((_, t) => shares(t)));
        table.paint(values, most, colors);
        maps.mark(at.head);
      }
      Object.assign(painted, { maps: look, head: `${look} ${at.head}` });
    }
    return function draw() {
      paintWhatChanged();
      const { raw, weights, mixture } = compute(at.head, at.query);
      map.mark(at.query);
      table.show({ ...at, raw, weights, hidden: (s) => hides(at.query, s) });
      features.forEach((feature, d) => {
        put(feature, fixed(mixture[d]));
        tint(feature, (0.5 * mixture[d]) / most);
      });
      const place = `block ${Math.floor(at.head / heads) + 1}, head ${(at.head % heads) + 1}`;
      put(heading, `Query “${tokens[at.query]}” at position ${at.query}, ${place}`);
      put(whatIf, at.scaled && at.masked ? "" : "What if: computed in this page.");
      const told = sentence({ tokens, ...at, weights, place });
      tellPlace(choice, at.query, T, told);
      say(told);
    };
  },
});
