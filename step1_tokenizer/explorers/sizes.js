// What a vocabulary buys and costs: two sliders, bars for bytes per token, parameters beside them.

export default explorer({
  title: "What a vocabulary buys and costs",
  how: "← → a smaller or larger vocabulary, ↑ ↓ a wider or narrower model.",
  build({ values: { sizes, names, widths, width }, arrays, body, say, changed }) {
    const at = { size: 0, width: widths.indexOf(width) };
    const most = Math.max(...arrays.buys.numbers);
    const set = (which, value, last) => changed((at[which] = clamp(value, 0, last)));
    const rows = names.map((name) => {
      const bar = h("span", { class: "bar" });
      const [buys, gain] = [h("td"), h("td", { class: "soft" })];
      const head = h("th", { scope: "row", class: "left" }, name);
      return { element: h("tr", {}, head, h("td", { class: "bars" }, bar), buys, gain), bar, buys, gain };
    });
    const head = tableHead(["text", "", "bytes per token", "against the smaller"]);
    const lines = rows.map((row) => row.element);
    const table = h("table", { class: "law" }, head, h("tbody", {}, lines));
    const [costs, share] = [h("dd", {}), h("dd", {})];
    const title = h("h4", {});
    const walk = onKeys(h("div", { class: "scrolls", "aria-label": "Vocabulary size" }, title, table), {
      ArrowLeft: () => set("size", at.size - 1, sizes.length - 1),
      ArrowRight: () => set("size", at.size + 1, sizes.length - 1),
      ArrowUp: () => set("width", at.width + 1, widths.length - 1),
      ArrowDown: () => set("width", at.width - 1, widths.length - 1),
    });
    body.append(
      h(
        "div",
        { class: "columns buys-and-costs" },
        walk,
        h(
          "div",
          {},
          h("h4", {}, "The embedding"),
          h(
            "dl",
            {},
            h("dt", {}, "parameters: size · width"),
            costs,
            h("dt", {}, "blocks that have as many (12 · width²)"),
            share,
          ),
        ),
      ),
      h(
        "div",
        { class: "row steps" },
        press("smaller", {}, () => set("size", at.size - 1, sizes.length - 1)),
        press("larger", {}, () => set("size", at.size + 1, sizes.length - 1)),
        press("narrower", {}, () => set("width", at.width - 1, widths.length - 1)),
        press("wider", {}, () => set("width", at.width + 1, widths.length - 1)),
      ),
    );
    return function draw() {
      const [size, C] = [sizes[at.size], widths[at.width]];
      rows.forEach((row, i) => {
        const values = arrays.buys.at(i);
        amount(row.bar, values[at.size] / most);
        put(row.buys, fixed(values[at.size]));
        const gain = at.size ? values[at.size] / values[at.size - 1] - 1 : 0;
        put(row.gain, at.size ? `${gain < 0 ? "−" : "+"}${(100 * Math.abs(gain)).toFixed(0)} %` : "");
      });
      const parameters = size * C;
      put(title, `${size.toLocaleString("en-US")} tokens, a model of width ${C}`);
      put(costs, parameters.toLocaleString("en-US"));
      put(share, fixed(parameters / (12 * C * C), 1));
      const first = arrays.buys.at(0)[at.size];
      const told =
        `With ${size.toLocaleString("en-US")} tokens, ${names[0]} has ${fixed(first)} bytes per token. ` +
        `An embedding of width ${C} has ${parameters.toLocaleString("en-US")} parameters.`;
      tellPlace(walk, at.size, sizes.length, told);
      say(told);
    };
  },
});
