// Newton-Schulz: a singular value that the reader moves, and those of a matrix, through the five steps.

const PLACES = 61;
const [WIDTH, HEIGHT, MOST] = [300, 260, 1.3];

function drawn(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}
const x = (s) => 30 + (s / MOST) * (WIDTH - 40);
const y = (s) => HEIGHT - 24 - (s / MOST) * (HEIGHT - 34);
const points = (list) => list.map(([s, t]) => `${x(s).toFixed(1)},${y(t).toFixed(1)}`).join(" ");
// Three digits that count: small values are the story here.
const told = (s) => (s >= 0.1 ? fixed(s, 2) : s.toPrecision(2));

export default explorer({
  title: "Five steps toward 1",
  how: "← → take a step back or on; ↑ ↓ choose another singular value to begin with.",
  build({ values: { coefficients, start, places, low, high }, arrays, body, say, changed }) {
    const [a, b, c] = coefficients;
    const next = (s) => a * s + b * s ** 3 + c * s ** 5;
    const steps = arrays.values.shape[0] - 1;
    // The places of the chosen value: even in its logarithm, from 0.001 to 1.
    const worth = (place) => 10 ** ((3 * place) / (PLACES - 1) - 3);
    const at = { step: 0, place: Math.round(((Math.log10(start) + 3) / 3) * (PLACES - 1)) };
    at.place = clamp(at.place, 0, PLACES - 1);
    const walk = (by) => changed((at.step = clamp(at.step + by, 0, steps)));
    const choose = (by) => changed((at.place = clamp(at.place + by, 0, PLACES - 1)));

    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("aria-hidden", "true");
    const band = { x: x(0), y: y(high), width: x(MOST) - x(0), height: y(low) - y(high) };
    drawn(svg, "rect", { class: "wanted", ...band });
    for (const mark of [0, 0.5, 1]) {
      drawn(svg, "text", { x: x(mark), y: HEIGHT - 8, "text-anchor": "middle" }).textContent = mark;
      drawn(svg, "text", { x: 24, y: y(mark) + 4, "text-anchor": "end" }).textContent = mark;
    }
    drawn(svg, "polyline", { class: "same", points: points([[0, 0], [MOST, MOST]]) });
    const grid = Array.from({ length: 131 }, (_, i) => (i / 130) * MOST);
    const curve = grid.map((s) => [s, next(s)]).filter(([, t]) => t <= MOST);
    drawn(svg, "polyline", { class: "rule", points: points(curve) });
    const path = drawn(svg, "polyline", { class: "path" });
    const here = drawn(svg, "circle", { r: 5 });

    const rows = places.map((place) => {
      const bar = h("span", { class: "bar" });
      const number = h("td");
      const name = h("th", { scope: "row" }, place);
      return { bar, number, element: h("tr", {}, name, h("td", { class: "bars" }, bar), number) };
    });
    const title = h("h4", {});
    const cells = h("tbody", {}, rows.map((row) => row.element));
    const table = h("table", {}, tableHead(["rank", "", "size"]), cells);
    const chart = h("div", { class: "chart", "aria-label": "One singular value and its steps" }, svg);
    onKeys(chart, {
      ArrowLeft: () => walk(-1),
      ArrowRight: () => walk(1),
      ArrowUp: () => choose(1),
      ArrowDown: () => choose(-1),
    });
    body.append(
      h(
        "div",
        { class: "newton" },
        h("div", {}, caption("across: before a step; up: after it; the band: after five"), chart),
        h("div", {}, title, table),
      ),
      h(
        "div",
        { class: "row steps" },
        press("a step back", {}, () => walk(-1)),
        press("a step on", {}, () => walk(1)),
        press("larger value", {}, () => choose(1)),
        press("smaller value", {}, () => choose(-1)),
      ),
    );
    return function draw() {
      const values = [worth(at.place)];
      for (let k = 0; k < at.step; k += 1) values.push(next(values[k]));
      // From the diagonal up to the curve, from the curve across to the diagonal.
      const corners = values.slice(0, -1).flatMap((s, k) => [[s, s], [s, values[k + 1]]]);
      const last = values[at.step];
      path.setAttribute("points", points([...corners, [last, last]]));
      here.setAttribute("cx", x(last).toFixed(1));
      here.setAttribute("cy", y(last).toFixed(1));
      const sizes = Array.from(arrays.values.at(at.step));
      rows.forEach((row, i) => {
        amount(row.bar, sizes[i] / MOST);
        put(row.number, told(sizes[i]));
      });
      const within = sizes.filter((s) => s > low && s < high).length;
      put(title, `The matrix after ${at.step} of ${steps} steps`);
      const text =
        `A singular value of ${told(values[0])} is ${told(last)} after ${at.step} of ${steps} steps ` +
        "(computed in the page). " +
        `Of the ${sizes.length} shown of the matrix, ${within} lie between ${low} and ${high}.`;
      tellPlace(chart, at.step, steps + 1, text);
      say(text);
    };
  },
});
