// The residual stream: what the head would predict at every depth, and what each part added to one position.

// The size of the stream at each depth of one position, what the last part added, and in which direction.
function growth(vectors) {
  return vectors.map((x, i) => {
    if (i === 0) return { size: rootMeanSquare(x), added: NaN, cosine: NaN };
    const step = Array.from(x, (value, c) => value - vectors[i - 1][c]);
    return { size: rootMeanSquare(x), added: rootMeanSquare(step), cosine: cosine(step, vectors[i - 1]) };
  });
}

// Depths down, positions across: each cell shows the most likely next token, the stronger the likelier.
function lensTable({ tokens, stages, guesses, onpick }) {
  const heads = tokens.map((name, t) => h("th", { scope: "col" }, token(name)));
  const cells = [];
  const rows = stages.map((stage, i) => {
    cells.push(
      tokens.map((_, t) => {
        const { name, p, right } = guesses[i][t];
        const cell = h("td", { class: right ? "right" : "", onpointerdown: () => onpick(i, t) }, token(name));
        tint(cell, 0.55 * p);
        return cell;
      }),
    );
    return h("tr", {}, h("th", { scope: "row", class: "left" }, stage), cells[i]);
  });
  const first = h("th", { scope: "col", class: "left" }, "after");
  const table = h(
    "table",
    { class: "lens" },
    h("thead", {}, h("tr", {}, first, heads)),
    h("tbody", {}, rows),
  );
  let marked;
  return {
    element: table,
    mark(depth, position) {
      marked?.classList.remove("here");
      marked = cells[depth][position];
      marked.classList.add("here");
      heads.forEach((head, t) => head.classList.toggle("chosen", t === position));
      rows.forEach((row, i) => row.firstChild.classList.toggle("chosen", i === depth));
    },
  };
}

// One position, depth by depth: size of the stream, of what was added, its direction, chance of what came.
function growthTable(stages) {
  const rows = stages.map((stage) => {
    const [size, added, direction, chance] = [h("td"), h("td"), h("td"), h("td")];
    const [whole, part] = [h("span", { class: "bar" }), h("span", { class: "bar" })];
    const name = h("th", { scope: "row", class: "left" }, stage);
    const bars = [h("td", { class: "bars" }, whole), size, h("td", { class: "bars" }, part), added];
    return {
      element: h("tr", {}, name, bars, direction, chance),
      size,
      added,
      direction,
      chance,
      whole,
      part,
    };
  });
  const names = ["after", "", "stream", "", "added", "cosine", "p"];
  const head = tableHead(names);
  const table = h(
    "table",
    {},
    head,
    h(
      "tbody",
      {},
      rows.map((row) => row.element),
    ),
  );
  function show(grown, chances, came, depth) {
    put(head.querySelector("th:last-child"), chances ? `p of “${came}”` : "p");
    const most = Math.max(...grown.map(({ size }) => size));
    rows.forEach((row, i) => {
      const { size, added, cosine } = grown[i];
      put(row.size, fixed(size));
      put(row.added, i ? fixed(added) : "");
      put(row.direction, i ? fixed(cosine) : "");
      put(row.chance, chances ? percent(chances[i]) : "");
      amount(row.whole, size / most);
      amount(row.part, i ? added / most : 0);
      row.element.classList.toggle("chosen", i === depth);
    });
  }
  return { element: table, show };
}

// The most likely next tokens as bars.
function topTable(count) {
  const rows = Array.from({ length: count }, () => {
    const [name, p, bar] = [h("th", { scope: "row", class: "left" }), h("td"), h("span", { class: "bar" })];
    return { element: h("tr", {}, name, h("td", { class: "bars" }, bar), p), name, p, bar };
  });
  const head = tableHead(["next token", "", "p"]);
  const table = h("table", { class: "top" }, head);
  table.append(
    h(
      "tbody",
      {},
      rows.map((row) => row.element),
    ),
  );
  function show(law, vocabulary, came) {
    largest(law, count).forEach((id, i) => {
      rows[i].name.replaceChildren(token(vocabulary[id]), id === came ? " ✓ came" : "");
      put(rows[i].p, percent(law[id]));
      amount(rows[i].bar, law[id]);
    });
  }
  return { element: table, show };
}

export default explorer({
  title: "The residual stream",
  how: "← → choose the position, ↑ ↓ how deep. Or click a cell: it holds what the head would predict there.",
  build({ values: { tokens, vocabulary, stages, ids, position, depth }, arrays, body, say, changed }) {
    const T = tokens.length;
    const at = { position, depth };
    const laws = stages.map((_, i) => tokens.map((_, t) => softmax(arrays.logits.at(i, t))));
    const move = (name, to, most) => {
      at[name] = clamp(to, 0, most - 1);
      changed();
    };
    const guesses = laws.map((row) =>
      row.map((law, t) => {
        const [best] = largest(law, 1);
        return { name: vocabulary[best], p: law[best], right: best === ids[t + 1] };
      }),
    );
    const pick = (i, t) => Object.assign(at, { depth: i, position: t }) && changed();
    const lens = lensTable({ tokens, stages, guesses, onpick: pick });
    const grown = growthTable(stages);
    const top = topTable(Math.min(5, vocabulary.length));
    const [heading, topHeading] = [caption(), caption()];
    const choice = onKeys(h("div", { class: "scrolls", "aria-label": "Position and depth" }, lens.element), {
      ArrowLeft: () => move("position", at.position - 1, T),
      ArrowRight: () => move("position", at.position + 1, T),
      ArrowUp: () => move("depth", at.depth - 1, stages.length),
      ArrowDown: () => move("depth", at.depth + 1, stages.length),
      Home: () => move("position", 0, T),
      End: () => move("position", T - 1, T),
    });
    body.append(
      caption("Most likely next token at every depth. Stronger color: more likely. Underlined: it did come."),
      choice,
      h(
        "div",
        { class: "columns growth-and-top" },
        h("div", { class: "scrolls" }, heading, grown.element),
        h("div", {}, topHeading, top.element),
      ),
    );

    return function draw() {
      const { position: t, depth: i } = at;
      const came = ids[t + 1];
      const sizes = growth(stages.map((_, k) => arrays.stream.at(k, t)));
      lens.mark(i, t);
      grown.show(sizes, came === undefined ? null : laws.map((row) => row[t][came]), vocabulary[came], i);
      top.show(laws[i][t], vocabulary, came);
      put(heading, `The stream of “${tokens[t]}” at position ${t}: root mean square of its features`);
      put(topHeading, `If the model stopped after ${stages[i]}`);
      const [best] = largest(laws[i][t], 1);
      const step =
        i === 0
          ? "Nothing is added yet."
          : `It added ${fixed(sizes[i].added)} to a stream of ${fixed(sizes[i - 1].size)}, ` +
            `at a cosine of ${fixed(sizes[i].cosine)}.`;
      const chance =
        came === undefined
          ? ""
          : ` “${vocabulary[came]}”, which did come, gets ${percent(laws[i][t][came])}.`;
      const told =
        `After ${stages[i]}, the stream of “${tokens[t]}” at position ${t} has size ` +
        `${fixed(sizes[i].size)}. ${step} ` +
        `The head would say “${vocabulary[best]}” (${percent(laws[i][t][best])}).${chance}`;
      tellPlace(choice, t, T, told);
      say(told);
    };
  },
});
