// A stream of documents and the blocks of one step: where they lie, what they hold, what has been read.

function drawn(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}
// How often each place was read in the steps from 0 to `last`.
function countReads(starts, seed, last, size, length) {
  const counts = new Array(length).fill(0);
  for (let step = 0; step <= last; step++)
    for (const start of starts.at(seed, step)) for (let i = 0; i < size; i++) counts[start + i] += 1;
  return counts;
}

export default explorer({
  title: "Blocks of a stream",
  how: "← → the step before or after, ↑ ↓ another block of the batch.",
  build({ values: { texts, ends, size }, arrays, body, say, changed }) {
    const [seeds, steps, batch] = arrays.starts.shape;
    const at = { seed: 0, step: 0, block: 0 };
    const go = (by) => changed((at.step = clamp(at.step + by, 0, steps - 1)));
    const pick = (by) => changed((at.block = clamp(at.block + by, 0, batch - 1)));
    const length = texts.length;
    const [width, line] = [640, 16];
    const top = 18;
    const height = top + batch * line + 54;
    const x = (place) => (place / length) * width;
    const walk = onKeys(h("div", { class: "stream", "aria-label": "Step" }), {
      ArrowLeft: () => go(-1),
      ArrowRight: () => go(1),
      ArrowUp: () => pick(-1),
      ArrowDown: () => pick(1),
    });
    const svg = drawn(walk, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    [-1, ...ends.slice(0, -1)].forEach((end, i) => {
      const box = { y: 2, height: 10, x: x(end + 1).toFixed(1), width: x(ends[i] - end).toFixed(1) };
      drawn(svg, "rect", { ...box, class: i % 2 ? "document odd" : "document" });
    });
    const bars = Array.from({ length: batch }, (_, i) =>
      drawn(svg, "rect", { class: "block", y: top + i * line, height: line - 4, width: x(size).toFixed(1) }),
    );
    const base = height - 2;
    drawn(svg, "line", { class: "axis", x1: 0, x2: width, y1: base, y2: base });
    const read = drawn(svg, "polyline", { class: "read" });
    const text = h("p", { class: "held token" });
    body.append(
      caption("documents in a row; beneath them the blocks of this step; then how often each place was read"),
      walk,
      text,
      h(
        "div",
        { class: "row steps" },
        press("step back", {}, () => go(-1)),
        press("step on", {}, () => go(1)),
        press("ten on", {}, () => go(10)),
        press("next block", {}, () => changed((at.block = (at.block + 1) % batch))),
        press("another seed", {}, () => changed((at.seed = (at.seed + 1) % seeds))),
      ),
    );
    return function draw() {
      const starts = arrays.starts.at(at.seed, at.step);
      bars.forEach((bar, i) => {
        bar.setAttribute("x", x(starts[i]).toFixed(1));
        bar.classList.toggle("chosen", i === at.block);
      });
      const counts = countReads(arrays.starts, at.seed, at.step, size, length);
      const most = Math.max(...counts);
      const point = (c, i) => `${x(i + 0.5).toFixed(1)},${(base - (c / most) * 40).toFixed(1)}`;
      read.setAttribute("points", counts.map(point).join(" "));
      const start = starts[at.block];
      const held = texts.slice(start, start + size);
      put(text, held.join("").replaceAll("\n", "⏎"));
      const over = held.filter((_, i) => ends.includes(start + i) && i < size - 1).length;
      const told =
        `Seed ${at.seed}, step ${at.step}: block ${at.block} begins at ${start} and holds ${size} tokens` +
        `${over ? `, over ${over} end${over > 1 ? "s" : ""} of a document` : ""}. ` +
        `Read so far: from ${Math.min(...counts)} to ${most} times.`;
      tellPlace(walk, at.step, steps, told);
      say(told);
    };
  },
});
