// What a cache costs: a model or numbers of one's own, a context, a number format; four kinds of attention.

const FIELDS = ["layers", "query heads", "key/value heads", "head width", "latent (MLA)", "rotary key (MLA)"];
const BYTES = { "32 bits": 4, "16 bits": 2, "8 bits": 1 };
const LONGEST_CONTEXT = 20;
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

function readable(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  const digits = { maximumFractionDigits: bytes < 100 && unit ? 1 : 0 };
  return `${bytes.toLocaleString("en-US", digits)} ${UNITS[unit]}`;
}
// How many numbers all layers keep for each token.
function kept([layers, heads, groups, width, latent, rotary]) {
  return [
    ["MHA: every head its own", 2 * heads * width * layers],
    [`GQA: ${groups} shared`, 2 * groups * width * layers],
    ["MQA: one for all", 2 * width * layers],
    ["MLA: latent and rotary key", latent ? (latent + rotary) * layers : NaN],
  ];
}

export default explorer({
  title: "What a cache costs",
  how: "Choose a model or type numbers; ← → in the table halve or double the context.",
  build({ values: { models, chosen }, body, say, changed }) {
    const at = { name: models[chosen][0], numbers: models[chosen].slice(1), context: 12, bytes: 2 };
    const inputs = FIELDS.map((name, i) => {
      const input = h("input", { type: "number", min: i > 3 ? 0 : 1, step: 1 });
      input.dataset.lmSuppressShortcuts = "true";
      input.addEventListener("input", () => {
        const value = Math.round(Number(input.value));
        if (!Number.isFinite(value) || value < (i > 3 ? 0 : 1)) return;
        at.numbers[i] = value;
        at.name = "These numbers";
        changed();
      });
      return input;
    });
    const fill = () => inputs.forEach((input, i) => (input.value = at.numbers[i]));
    const choose = (names, picked, onchange) => {
      const select = h("select", {}, names.map((name) => h("option", {}, name)));
      select.dataset.lmSuppressShortcuts = "true";
      select.selectedIndex = picked;
      select.addEventListener("change", () => onchange(select.selectedIndex));
      return select;
    };
    const model = choose(models.map((row) => row[0]), chosen, (i) => {
      [at.name, ...at.numbers] = models[i];
      fill();
      changed();
    });
    const format = choose(Object.keys(BYTES), 1, (i) => changed((at.bytes = Object.values(BYTES)[i])));
    const rows = kept(at.numbers).map(() => {
      const bar = h("span", { class: "bar" });
      const [name, token, whole] = [h("th", { scope: "row", class: "left" }), h("td"), h("td")];
      const element = h("tr", {}, name, h("td", { class: "bars" }, bar), token, whole);
      return { element, bar, name, token, whole };
    });
    const heads = tableHead(["attention", "", "each token", "this context"]);
    const table = h("table", {}, heads, h("tbody", {}, rows.map((row) => row.element)));
    const title = h("h4", {});
    const set = (by) => changed((at.context = clamp(at.context + by, 0, LONGEST_CONTEXT)));
    const walk = onKeys(h("div", { class: "scrolls", "aria-label": "Length of the context" }, title, table), {
      ArrowLeft: () => set(-1),
      ArrowRight: () => set(1),
    });
    body.append(
      h("div", { class: "fields" }, h("label", {}, "model", model), h("label", {}, "numbers in", format)),
      h("div", { class: "fields" }, FIELDS.map((name, i) => h("label", {}, name, inputs[i]))),
      walk,
      h(
        "div",
        { class: "row steps" },
        press("half the context", {}, () => set(-1)),
        press("twice the context", {}, () => set(1)),
      ),
    );
    fill();
    return function draw() {
      const context = 2 ** at.context;
      const found = kept(at.numbers);
      const most = Math.max(...found.map(([, count]) => count || 0));
      rows.forEach((row, i) => {
        const [name, count] = found[i];
        put(row.name, name);
        amount(row.bar, (count || 0) / most);
        put(row.token, Number.isNaN(count) ? "no latent" : readable(count * at.bytes));
        put(row.whole, Number.isNaN(count) ? "" : readable(count * at.bytes * context));
      });
      put(title, `${context.toLocaleString("en-US")} tokens of context`);
      const own = Number.isNaN(found[3][1]) ? found[at.numbers[1] === at.numbers[2] ? 0 : 1] : found[3];
      const told =
        `${at.name}, ${context.toLocaleString("en-US")} tokens: ` +
        `${readable(own[1] * at.bytes * context)} with ${own[0].split(":")[0]}` +
        (own[1] === found[0][1] ? "." : `, ${readable(found[0][1] * at.bytes * context)} with MHA.`);
      tellPlace(walk, at.context, LONGEST_CONTEXT + 1, told);
      say(told);
    };
  },
});
