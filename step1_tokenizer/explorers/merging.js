// Training, merge by merge. The words after each merge were computed with the reader's own functions.

// The pairs of words of ids, most frequent first; of equal ones the smallest first: how training chooses.
function pairsOf(words, counts) {
  const found = new Map();
  words.forEach((word, w) => {
    for (let i = 0; i + 1 < word.length; i += 1) {
      const key = `${word[i]} ${word[i + 1]}`;
      const pair = found.get(key) || { first: word[i], second: word[i + 1], count: 0 };
      pair.count += counts[w];
      found.set(key, pair);
    }
  });
  return [...found.values()].sort((a, b) => b.count - a.count || a.first - b.first || a.second - b.second);
}

const chip = (name, isNewest) => token(name, { class: `token chip${isNewest ? " newest" : ""}` });

// One row per word: how often it occurs, and its tokens; the newest token is framed.
function wordRows(counts) {
  const rows = counts.map((count) => {
    const cells = h("span", { class: "tokens" });
    return { element: h("li", {}, h("span", { class: "count" }, `${count} ×`), cells), cells };
  });
  const show = (words, names, newest) =>
    rows.forEach((row, w) => {
      row.cells.replaceChildren(...words[w].map((id) => chip(names[id], id === newest)));
    });
  return { element: h("ul", { class: "words" }, rows.map((row) => row.element)), show };
}

export default explorer({
  title: "Training, merge by merge",
  how: "← → one merge back or forth, Home and End for the first and the last.",
  build({ values: { names, merges, worth, states, counts }, body, say, changed }) {
    const MOST = 7;
    const at = { step: 0 };
    const goTo = (step) => changed((at.step = clamp(step, 0, merges.length)));
    const rows = wordRows(counts);
    const pairs = h("tbody", {});
    const head = tableHead(["pair", "", "times"], [0, 1]);
    const learned = h("div", { class: "tokens learned" });
    const place = onKeys(h("div", { class: "scrolls", "aria-label": "Merges done" }, rows.element), {
      ArrowLeft: () => goTo(at.step - 1),
      ArrowRight: () => goTo(at.step + 1),
      Home: () => goTo(0),
      End: () => goTo(merges.length),
    });
    const done = h("h4", {});
    body.append(
      h(
        "div",
        { class: "columns words-and-pairs" },
        h("div", {}, done, place),
        h(
          "div",
          {},
          h("h4", {}, "Pairs that stand in the words now"),
          h("table", { class: "pairs" }, head, pairs),
        ),
      ),
      h("h4", {}, "Tokens learned so far"),
      learned,
      h(
        "div",
        { class: "row steps" },
        press("← back", {}, () => goTo(at.step - 1)),
        press("merge →", {}, () => goTo(at.step + 1)),
        press("all merges", {}, () => goTo(merges.length)),
      ),
    );
    return function draw() {
      const { step } = at;
      const words = states[step];
      rows.show(words, names, 255 + step);
      const found = pairsOf(words, counts);
      const line = ({ first, second, count }, i) =>
        h(
          "tr",
          { class: i ? "" : "chosen" },
          h("th", { scope: "row", class: "left" }, token(names[first]), " ", token(names[second])),
          h("td", { class: "left soft" }, i === 0 && step < merges.length ? "is next" : ""),
          h("td", {}, String(count)),
        );
      pairs.replaceChildren(...found.slice(0, MOST).map(line));
      const tokens = merges.slice(0, step).map((_, i) => chip(names[256 + i], i + 1 === step));
      learned.replaceChildren(...tokens);
      const length = words.reduce((sum, word, w) => sum + word.length * counts[w], 0);
      put(done, `The words after ${step} of ${merges.length} merges: ${length} tokens in all`);
      const [first, second] = step ? merges[step - 1] : [];
      const what = step
        ? `Merge ${step} joined “${names[first]}” and “${names[second]}”, which stood side by side ` +
          `${worth[step - 1]} times, to “${names[255 + step]}”, token ${255 + step}.`
        : "Nothing is merged yet: every token is one byte.";
      const end = found.length ? " These were all merges asked for." : " No pair is left.";
      const next = step < merges.length ? "" : end;
      tellPlace(place, step, merges.length + 1, what);
      say(`${what}${next} The text has ${length} tokens.`);
    };
  },
});
