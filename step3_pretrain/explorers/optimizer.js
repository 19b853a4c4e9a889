// A valley seen from above: the path of one optimizer, step by step, and the numbers of the step.

function drawn(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}
// The height of a place; its slopes are curvature times distance from the lowest place.
const heightOf = (curvature, lowest, place) =>
  curvature.reduce((sum, c, i) => sum + (c * (place[i] - lowest[i]) ** 2) / 2, 0);

export default explorer({
  title: "Optimizers in a valley",
  how: "← → a step back or on, ↑ ↓ another optimizer.",
  build({ values: { names, curvature, lowest, steps }, arrays, body, say, changed }) {
    const at = { step: 0, which: 0 };
    const walkTo = (step) => changed((at.step = clamp(step, 0, steps)));
    const choose = (which) => changed((at.which = clamp(which, 0, names.length - 1)));
    const [width, height] = [620, 270];
    const x = (value) => ((value + 4) / 8) * width;
    const y = (value) => ((1.8 - value) / 3) * height;
    const place = (which, step) => arrays.paths.at(which, step);
    const walk = onKeys(h("div", { class: "valley", "aria-label": "Step" }), {
      ArrowLeft: () => walkTo(at.step - 1),
      ArrowRight: () => walkTo(at.step + 1),
      ArrowUp: () => choose(at.which - 1),
      ArrowDown: () => choose(at.which + 1),
      Home: () => walkTo(0),
      End: () => walkTo(steps),
    });
    const svg = drawn(walk, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (const level of [0.02, 0.1, 0.3, 0.7, 1.5, 3]) {
      const [rx, ry] = curvature.map((c) => Math.sqrt((2 * level) / c));
      drawn(svg, "ellipse", {
        cx: x(lowest[0]),
        cy: y(lowest[1]),
        rx: ((rx / 8) * width).toFixed(1),
        ry: ((ry / 3) * height).toFixed(1),
      });
    }
    const path = drawn(svg, "polyline", { class: "path" });
    const dots = drawn(svg, "g", { class: "dots" });
    const marks = Array.from({ length: steps + 1 }, () => drawn(dots, "circle", { r: 2.2 }));
    const here = drawn(svg, "circle", { class: "here", r: 6 });
    const cross = (a, b) => `M${x(a) - 5} ${y(b)}h10M${x(a)} ${y(b) - 5}v10`;
    drawn(svg, "path", { class: "goal", d: cross(...lowest) });
    drawn(svg, "circle", { class: "origin", r: 4, cx: x(0), cy: y(0) });
    const kinds = names.map((name, i) =>
      press(name, { "aria-pressed": "false", class: "kind" }, () => choose(i)),
    );
    const cells = [0, 1].map(() => [0, 1, 2].map(() => h("td")));
    const row = (name, i) => h("tr", {}, h("th", { scope: "row", class: "left" }, name), cells[i]);
    const head = tableHead(["", "weight", "gradient", "next move"]);
    const rows = h("tbody", {}, row("along the valley", 0), row("across it", 1));
    body.append(
      h("div", { class: "row kinds", role: "group", "aria-label": "Optimizer" }, kinds),
      caption("lines of equal height; cross: the lowest place; ring: where both weights are 0"),
      walk,
      h("div", { class: "scrolls" }, h("table", {}, head, rows)),
      h(
        "div",
        { class: "row steps" },
        press("start", {}, () => walkTo(0)),
        press("step back", {}, () => walkTo(at.step - 1)),
        press("step on", {}, () => walkTo(at.step + 1)),
        press("ten on", {}, () => walkTo(at.step + 10)),
        press("end", {}, () => walkTo(steps)),
      ),
    );
    return function draw() {
      const been = Array.from({ length: at.step + 1 }, (_, step) => place(at.which, step));
      const point = ([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`;
      path.setAttribute("points", been.map(point).join(" "));
      marks.forEach((mark, step) => {
        const [a, b] = place(at.which, step);
        mark.setAttribute("visibility", step <= at.step ? "visible" : "hidden");
        mark.setAttribute("cx", x(a).toFixed(1));
        mark.setAttribute("cy", y(b).toFixed(1));
      });
      const [a, b] = been[at.step];
      here.setAttribute("cx", x(a).toFixed(1));
      here.setAttribute("cy", y(b).toFixed(1));
      kinds.forEach((kind, i) => kind.setAttribute("aria-pressed", String(i === at.which)));
      const next = at.step < steps ? place(at.which, at.step + 1) : undefined;
      [a, b].forEach((value, i) => {
        const move = next ? fixed(next[i] - value, 3) : "";
        const slope = fixed(curvature[i] * (value - lowest[i]), 3);
        [fixed(value, 3), slope, move].forEach((text, j) => put(cells[i][j], text));
      });
      const told =
        `${names[at.which]}, after ${at.step} of ${steps} steps: height ` +
        `${fixed(heightOf(curvature, lowest, [a, b]), 3)}. At equal distance the slope across is ` +
        `${curvature[1] / curvature[0]} times that along.`;
      tellPlace(walk, at.step, steps + 1, told);
      say(told);
    };
  },
});
