// Rotary positions: dials that turn with the positions, and a product that only the distance changes.

function drawn(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}
function dial(number) {
  const figure = h("figure", {}, h("figcaption", {}, `pair ${number}`));
  const svg = drawn(figure, "svg", { viewBox: "-40 -40 80 80", "aria-hidden": "true" });
  drawn(svg, "circle", { r: 36 });
  const [key, query] = ["key", "query"].map((name) => drawn(svg, "line", { class: name, x1: 0, y1: 0 }));
  const point = (line, x, y, most) => {
    line.setAttribute("x2", ((34 * x) / most).toFixed(2));
    line.setAttribute("y2", ((-34 * y) / most).toFixed(2));
  };
  return { figure, query, key, point };
}

export default explorer({
  title: "Rotary positions",
  how: "← → move query and key together, ↑ ↓ the distance between them.",
  build({ values: { length, pairs, position, distance }, arrays, body, say, changed }) {
    const at = { position, distance };
    const move = (by) => changed((at.position = clamp(at.position + by, at.distance, length - 1)));
    const stretch = (by) => changed((at.distance = clamp(at.distance + by, 0, at.position)));
    const dials = Array.from({ length: pairs }, (_, i) => dial(i));
    const most = dials.map((_, i) => Math.hypot(arrays.queries.at(0)[i], arrays.queries.at(0)[i + pairs]));
    const longest = dials.map((_, i) =>
      Math.max(most[i], Math.hypot(arrays.keys.at(0)[i], arrays.keys.at(0)[i + pairs])),
    );
    const walk = onKeys(
      h("div", { class: "dials", "aria-label": "Positions of query and key" }, dials.map((d) => d.figure)),
      {
        ArrowLeft: () => move(-1),
        ArrowRight: () => move(1),
        ArrowUp: () => stretch(1),
        ArrowDown: () => stretch(-1),
      },
    );
    const curve = h("div", { class: "curve" }, caption("query · key over their distance"));
    const [width, height] = [560, 120];
    const svg = drawn(curve, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const last = arrays.scores.at(length - 1);
    const size = Math.max(...Array.from(last, Math.abs));
    const x = (d) => 4 + (d / (length - 1)) * (width - 8);
    const y = (value) => height / 2 - (value / size) * (height / 2 - 6);
    drawn(svg, "line", { x1: 0, x2: width, y1: height / 2, y2: height / 2 });
    const line = Array.from(last, (_, d) => `${x(d).toFixed(1)},${y(last[length - 1 - d]).toFixed(1)}`);
    drawn(svg, "polyline", { points: line.join(" ") });
    const here = drawn(svg, "circle", { r: 4.5 });
    body.append(
      h("p", { class: "caption" }, "solid: the query; dashed: the key; each dial is one pair of features"),
      walk,
      h(
        "div",
        { class: "row steps" },
        press("both back", {}, () => move(-1)),
        press("both on", {}, () => move(1)),
        press("nearer", {}, () => stretch(-1)),
        press("farther", {}, () => stretch(1)),
      ),
      curve,
    );
    return function draw() {
      const [m, n] = [at.position, at.position - at.distance];
      dials.forEach(({ query, key, point }, i) => {
        point(query, arrays.queries.at(m)[i], arrays.queries.at(m)[i + pairs], longest[i]);
        point(key, arrays.keys.at(n)[i], arrays.keys.at(n)[i + pairs], longest[i]);
      });
      const score = arrays.scores.at(m)[n];
      here.setAttribute("cx", x(at.distance).toFixed(1));
      here.setAttribute("cy", y(score).toFixed(1));
      const told =
        `Query at position ${m}, key at ${n}, distance ${at.distance}: their product is ${fixed(score, 3)}.` +
        " Move both: the dials turn and the product stays.";
      tellPlace(walk, m, length, told);
      say(told);
    };
  },
});
