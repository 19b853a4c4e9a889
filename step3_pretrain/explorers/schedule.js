// A learning rate over the steps of a run: what warm-up, floor and length do to it.

function drawn(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}
// The rate if it fell in a straight line, as a share of the peak; the warm-up is the same.
function straight(step, warmup, total, floor) {
  if (step < warmup) return (step + 1) / warmup;
  const done = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
  return 1 - (1 - floor) * done;
}
// A rate as people write it: two digits, powers of ten where it is small.
function rate(value) {
  if (value === 0) return "0";
  const text = value >= 0.0001 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
  return text.replace("-", "−");
}

export default explorer({
  title: "The schedule",
  how: "← → a shorter or longer warm-up, ↑ ↓ the floor.",
  build({ values: { peak, warmups, floors, totals, steps, place }, arrays, body, say, changed }) {
    const at = { total: place[0], warmup: place[1], floor: place[2], line: false };
    const move = (what, by, count) => changed((at[what] = clamp(at[what] + by, 0, count - 1)));
    const warm = (by) => move("warmup", by, warmups.length);
    const lift = (by) => move("floor", by, floors.length);
    const long = (by) => move("total", by, totals.length);
    const [width, height, left, bottom] = [600, 210, 50, 26];
    const walk = onKeys(h("div", { class: "rates", "aria-label": "Warm-up" }), {
      ArrowLeft: () => warm(-1),
      ArrowRight: () => warm(1),
      ArrowUp: () => lift(1),
      ArrowDown: () => lift(-1),
    });
    const svg = drawn(walk, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    drawn(svg, "line", { class: "axis", x1: left, x2: width - 4, y1: height - bottom, y2: height - bottom });
    drawn(svg, "line", { class: "axis", x1: left, x2: left, y1: 8, y2: height - bottom });
    const label = (x, y, anchor) => drawn(svg, "text", { x, y, "text-anchor": anchor });
    const top = label(left - 6, 20, "end");
    const low = label(left - 6, height - bottom, "end");
    const end = label(width - 4, height - 8, "end");
    const line = drawn(svg, "polyline", { class: "line" });
    const curve = drawn(svg, "polyline", { class: "cosine" });
    put(top, rate(peak));
    put(low, "0");
    const x = (step, total) => left + (step / (total - 1)) * (width - left - 8);
    const y = (share) => height - bottom - share * (height - bottom - 16);
    const names = ["warm-up", "floor", "steps", "last rate", "mean rate"];
    const cells = names.map(() => h("td"));
    const head = (name) => h("th", { scope: "row", class: "left" }, name);
    const rows = names.map((name, i) => h("tr", {}, head(name), cells[i]));
    body.append(
      caption("learning rate over the steps; dashed: a straight line, drawn by the page"),
      walk,
      h("div", { class: "scrolls" }, h("table", {}, h("tbody", {}, rows))),
      h(
        "div",
        { class: "row steps" },
        press("shorter warm-up", {}, () => warm(-1)),
        press("longer warm-up", {}, () => warm(1)),
        press("lower floor", {}, () => lift(-1)),
        press("higher floor", {}, () => lift(1)),
        press("shorter run", {}, () => long(-1)),
        press("longer run", {}, () => long(1)),
        toggle("a straight line beside it", (on) => changed((at.line = on))),
      ),
    );
    return function draw() {
      const [total, warmup, floor] = [totals[at.total], warmups[at.warmup], floors[at.floor]];
      const shares = arrays.rates.at(at.total, at.warmup, at.floor);
      const places = steps[at.total];
      const points = (share) =>
        places.map((step, i) => `${x(step, total).toFixed(1)},${y(share(step, i)).toFixed(1)}`).join(" ");
      curve.setAttribute("points", points((_, i) => shares[i]));
      line.setAttribute("points", at.line ? points((step) => straight(step, warmup, total, floor)) : "");
      put(end, `step ${total - 1}`);
      const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
      const last = shares[shares.length - 1];
      const texts = [`${warmup} steps`, `${fixed(floor)} of the peak`, `${total}`];
      [...texts, rate(peak * last), rate(peak * mean)].forEach((text, i) => put(cells[i], text));
      const told =
        `${warmup} of ${total} steps of warm-up to ${rate(peak)}, then down to ${rate(peak * last)}; ` +
        `on average ${percent(mean)} of the peak.`;
      tellPlace(walk, at.warmup, warmups.length, told);
      say(told);
    };
  },
});
