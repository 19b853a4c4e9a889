// A weight that is lowered again and again, rounded to the digits of each format after each step.

// The number of a format next to x; halfway, the one whose last digit is even.
function nearest(x, digits, least, most) {
  if (x === 0) return 0;
  let exponent = Math.floor(Math.log2(Math.abs(x)));
  if (2 ** exponent > Math.abs(x)) exponent -= 1;
  const unit = 2 ** (Math.max(exponent, least) - digits + 1);
  const whole = Math.floor(x / unit);
  const rest = x / unit - whole;
  const up = rest > 0.5 || (rest === 0.5 && whole % 2 !== 0);
  const found = (whole + Number(up)) * unit;
  return Math.abs(found) > most ? Math.sign(found) * Infinity : found;
}
// Four digits that count, and a true minus sign.
function shown(x) {
  return String(Number(x.toPrecision(4))).replaceAll("-", "−");
}

export default explorer({
  title: "Small steps in few digits",
  how: "← → choose a smaller or larger step, ↑ ↓ a larger or smaller weight.",
  build({ values: { formats, times, weights, steps, weight, step }, body, say, changed }) {
    const at = { weight, step };
    const byStep = (by) => changed((at.step = clamp(at.step + by, 0, steps.length - 1)));
    const byWeight = (by) => changed((at.weight = clamp(at.weight + by, 0, weights.length - 1)));
    const rows = formats.map(([name]) => {
      const bar = h("span", { class: "bar" });
      const [gap, once, end] = [h("td"), h("td"), h("td")];
      const [head, bars] = [h("th", { scope: "row", class: "left" }, name), h("td", { class: "bars" }, bar)];
      return { bar, gap, once, end, element: h("tr", {}, head, gap, once, bars, end) };
    });
    const many = times.toLocaleString("en-US");
    const heads = ["format", "gap to the next", "after one step", "", `after ${many}`];
    const table = h("table", {}, tableHead(heads), h("tbody", {}, rows.map((row) => row.element)));
    const title = h("h4", {});
    const walk = h("div", { class: "scrolls", "aria-label": "Weight and step" }, title, table);
    onKeys(walk, {
      ArrowLeft: () => byStep(-1),
      ArrowRight: () => byStep(1),
      ArrowUp: () => byWeight(-1),
      ArrowDown: () => byWeight(1),
    });
    body.append(
      walk,
      h(
        "div",
        { class: "row steps" },
        press("smaller step", {}, () => byStep(-1)),
        press("larger step", {}, () => byStep(1)),
        press("larger weight", {}, () => byWeight(-1)),
        press("smaller weight", {}, () => byWeight(1)),
      ),
    );
    return function draw() {
      const [start, by] = [weights[at.weight], steps[at.step]];
      const ends = formats.map(([name, digits, least, most], i) => {
        const to = (x) => nearest(x, digits, least, most);
        let kept = start;
        for (let k = 0; k < times; k += 1) kept = to(kept - by);
        // The weights are powers of two: below one of them numbers lie twice as close as above.
        put(rows[i].gap, shown(start * 2 ** -digits));
        put(rows[i].once, to(start - by) === start ? "unchanged" : shown(to(start - by)));
        put(rows[i].end, kept === start ? "unchanged" : shown(kept));
        amount(rows[i].bar, Math.abs(kept) / start);
        rows[i].element.classList.toggle("chosen", kept === start);
        return `${kept === start ? "unchanged" : shown(kept)} in ${name}`;
      });
      put(title, `A weight of ${shown(start)}, steps of ${shown(by)}`);
      const told = `A weight of ${shown(start)}, lowered ${many} times by ${shown(by)}: `;
      tellPlace(walk, at.step, steps.length, `${told}${ends.join(", ")}.`);
      say(`${told}${ends.join(", ")}.`);
    };
  },
});
