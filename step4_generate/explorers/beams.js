// Beam search as a tree: a column for each step, a line from each candidate to the beginning it extends.

const [COLUMN, ROW, EDGE] = [124, 24, 14];
const MARKS = { open: "●", ended: "■", dropped: "✕" };

function drawn(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return parent.appendChild(element);
}
const x = (step) => EDGE + step * COLUMN - (step ? 70 : 0);
const y = (row) => EDGE + row * ROW + 8;
const count = (nodes, state) => nodes.filter((node) => node.state === state).length;

export default explorer({
  title: "Beams",
  how: "← → take a step back or on; ↑ ↓ change the number of beams.",
  build({ values: { trees, found, start, penalty }, body, say, changed }) {
    const most = trees.length;
    const steps = trees[0].length;
    const at = { step: 1, beams: start };
    const walk = (by) => changed((at.step = clamp(at.step + by, 1, steps)));
    const choose = (by) => changed((at.beams = clamp(at.beams + by, 1, most)));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const [width, height] = [x(steps) + COLUMN - 10, EDGE + 2 * most * ROW];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-hidden", "true");
    const chart = onKeys(h("div", { class: "tree", "aria-label": "Steps of a beam search" }, svg), {
      ArrowLeft: () => walk(-1),
      ArrowRight: () => walk(1),
      ArrowUp: () => choose(1),
      ArrowDown: () => choose(-1),
    });
    const title = h("h4", {});
    body.append(
      title,
      chart,
      caption(
        `${MARKS.open} goes on, ${MARKS.ended} has ended and is kept aside, ${MARKS.dropped} is given up; ` +
          "the number is the sum of log-probabilities in nats",
      ),
      h(
        "div",
        { class: "row steps" },
        press("a step back", {}, () => walk(-1)),
        press("a step on", {}, () => walk(1)),
        press("more beams", {}, () => choose(1)),
        press("fewer beams", {}, () => choose(-1)),
      ),
    );
    // The beginning that a node of a step ends, as text.
    const told = (tree, step, node) => {
      if (step === 0) return node.name;
      const parent = tree[step - 1].filter((one) => one.state === "open")[node.parent];
      return told(tree, step - 1, parent) + node.name;
    };
    return function draw() {
      const tree = trees[at.beams - 1];
      svg.replaceChildren();
      drawn(svg, "circle", { cx: x(0), cy: y(0), r: 4, class: "open" });
      let before = [0];
      tree.slice(0, at.step).forEach((nodes, step) => {
        nodes.forEach((node, row) => {
          const from = { x1: x(step) + (step ? 60 : 4), y1: y(before[node.parent]) };
          drawn(svg, "line", { ...from, x2: x(step + 1) - 4, y2: y(row), class: node.state });
          const text = `${MARKS[node.state]} ${node.name.slice(0, 9)}`;
          const place = { x: x(step + 1), y: y(row) - 1, class: node.state };
          drawn(svg, "text", place, text);
          drawn(svg, "text", { ...place, y: y(row) + 9, class: "sum" }, fixed(node.sum));
        });
        before = nodes.flatMap((node, row) => (node.state === "open" ? [row] : []));
      });
      const nodes = tree[at.step - 1];
      const best = nodes.find((node) => node.state === "open");
      put(title, `Step ${at.step} of ${steps}, ${at.beams} beam${at.beams === 1 ? "" : "s"}`);
      const text =
        `Step ${at.step} of ${steps} with ${at.beams} beam${at.beams === 1 ? "" : "s"}: ` +
        `of ${nodes.length} candidates ${count(nodes, "open")} go on, ${count(nodes, "ended")} ended, ` +
        `${count(nodes, "dropped")} given up. The best that goes on is “${told(tree, at.step - 1, best)}”, ` +
        `${fixed(best.sum)}. After all steps beam_search finds “${found[at.beams - 1].text}”, ` +
        `score ${fixed(found[at.beams - 1].score)} (length penalty ${penalty}).`;
      tellPlace(chart, at.step - 1, steps, text);
      say(text);
    };
  },
});
