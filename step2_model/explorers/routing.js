// Who goes where: one token's experts, and how busy all of them are.

export default explorer({
  title: "The router",
  how: "← → the token before or after; the switch changes the kind of router.",
  build({ values: { tokens, k, bias }, arrays, body, say, changed }) {
    const at = { token: 0, kind: "softmax" };
    const E = bias.length;
    const pick = (i) => changed((at.token = clamp(i, 0, tokens.length - 1)));
    const names = tokens.map((text, i) => token(text, { onclick: () => pick(i) }));
    const walk = onKeys(h("div", { class: "tokens", "aria-label": "Token" }, names), {
      ArrowLeft: () => pick(at.token - 1),
      ArrowRight: () => pick(at.token + 1),
    });
    const row = (i, cells) => {
      const bar = h("span", { class: "bar" });
      const numbers = Array.from({ length: cells }, () => h("td"));
      const head = h("th", { scope: "row", class: "left" }, `expert ${i}`);
      return { element: h("tr", {}, head, h("td", { class: "bars" }, bar), numbers), bar, numbers };
    };
    const experts = bias.map((_, i) => row(i, 2));
    const loads = bias.map((_, i) => row(i, 1));
    const body_of = (rows) => h("tbody", {}, rows.map((r) => r.element));
    body.append(
      walk,
      h(
        "div",
        { class: "columns routes" },
        h(
          "div",
          { class: "scrolls" },
          h("h4", {}, "This token"),
          h("table", {}, tableHead(["", "", "score", "weight"]), body_of(experts)),
        ),
        h(
          "div",
          { class: "scrolls" },
          h("h4", {}, "All tokens"),
          h("table", {}, tableHead(["", "", "chosen by"]), body_of(loads)),
        ),
      ),
      h(
        "div",
        { class: "row steps" },
        press("token before", {}, () => pick(at.token - 1)),
        press("token after", {}, () => pick(at.token + 1)),
        toggle("DeepSeek's router (sigmoid and bias)", (on) => {
          at.kind = on ? "sigmoid" : "softmax";
          changed();
        }),
      ),
    );
    return function draw() {
      const weights = arrays[`${at.kind}_weights`];
      const shares = arrays[`${at.kind}_shares`].at(at.token);
      const own = weights.at(at.token);
      names.forEach((element, i) => element.classList.toggle("chosen", i === at.token));
      const counts = bias.map((_, e) => tokens.filter((_, i) => weights.at(i)[e] > 0).length);
      const most = Math.max(...counts, 1);
      experts.forEach(({ element, bar, numbers }, e) => {
        amount(bar, shares[e]);
        const sign = bias[e] < 0 ? "−" : "+";
        const shift = at.kind === "sigmoid" && bias[e] ? ` ${sign} ${fixed(Math.abs(bias[e]))}` : "";
        put(numbers[0], fixed(shares[e]) + shift);
        put(numbers[1], own[e] > 0 ? fixed(own[e]) : "");
        element.classList.toggle("chosen", own[e] > 0);
      });
      loads.forEach(({ bar, numbers }, e) => {
        amount(bar, counts[e] / most);
        put(numbers[0], `${counts[e]}`);
      });
      const chosen = bias.map((_, e) => e).filter((e) => own[e] > 0);
      const even = fixed((tokens.length * k) / E, 1);
      const told =
        `Token ${at.token}, "${tokens[at.token]}": ` +
        `${chosen.map((e) => `expert ${e} with ${fixed(own[e])}`).join(", ")}. ` +
        `The busiest expert has ${Math.max(...counts)} tokens; equal shares would be ${even}.`;
      tellPlace(walk, at.token, tokens.length, told);
      say(told);
    };
  },
});
