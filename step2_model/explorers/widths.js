// MLA's shapes: the steps of one decoded token, with the latents expanded and with the projections absorbed.

// Each step: what is done, the shapes, the multiply-adds, and whether they grow with the context S.
function stepsOf({ H, R, C, Dn, Dr, Dv }, S, absorbed) {
  const first = [
    ["queries of all heads", `(${C}) → (${H}, ${Dn} + ${Dr})`, C * H * (Dn + Dr), false],
    ["latent and rotary key", `(${C}) → (${R} + ${Dr})`, C * (R + Dr), false],
  ];
  const last = ["heads side by side to the stream", `(${H} · ${Dv}) → (${C})`, H * Dv * C, false];
  const expanded = [
    ["expand every latent", `(${S}, ${R}) → (${S}, ${H}, ${Dn} + ${Dv})`, S * R * H * (Dn + Dv), true],
    ["queries · keys", `(${H}, ${Dn} + ${Dr}) · (${S}, ${H}, ${Dn} + ${Dr})`, S * H * (Dn + Dr), true],
    ["mix the values", `(${H}, ${S}) · (${S}, ${H}, ${Dv})`, S * H * Dv, true],
  ];
  const folded = [
    ["key factor absorbed into the queries", `(${H}, ${Dn}) → (${H}, ${R})`, H * Dn * R, false],
    ["queries · what is kept", `(${H}, ${R} + ${Dr}) · (${S}, ${R} + ${Dr})`, S * H * (R + Dr), true],
    ["mix the latents", `(${H}, ${S}) · (${S}, ${R})`, S * H * R, true],
    ["value factor applied to the mixtures", `(${H}, ${R}) → (${H}, ${Dv})`, H * R * Dv, false],
  ];
  return [...first, ...(absorbed ? folded : expanded), last];
}
const total = (steps) => steps.reduce((sum, step) => sum + step[2], 0);
const grouped = (n) => n.toLocaleString("en-US");

export default explorer({
  title: "MLA's shapes",
  how: "← → fewer or more cached positions; the switch absorbs the projections.",
  build({ values: { sizes, contexts, context }, body, say, changed }) {
    const at = { context, absorbed: false };
    const set = (by) => changed((at.context = clamp(at.context + by, 0, contexts.length - 1)));
    const rows = Array.from({ length: 7 }, () => {
      const bar = h("span", { class: "bar" });
      const name = h("th", { scope: "row", class: "left" });
      const [shape, work] = [h("td", { class: "left token" }), h("td")];
      const element = h("tr", {}, name, shape, work, h("td", { class: "bars" }, bar));
      return { element, bar, name, shape, work };
    });
    const sum = h("td");
    const whole = h("th", { scope: "row", class: "left" }, "in all");
    const foot = h("tfoot", {}, h("tr", {}, whole, h("td"), sum, h("td")));
    const title = h("h4", {});
    const head = tableHead(["step", "shapes", "multiply-adds", ""], [0, 1]);
    const lines = rows.map((row) => row.element);
    const table = h("table", { class: "work" }, head, h("tbody", {}, lines), foot);
    const walk = onKeys(h("div", { class: "scrolls", "aria-label": "Cached positions" }, title, table), {
      ArrowLeft: () => set(-1),
      ArrowRight: () => set(1),
    });
    body.append(
      walk,
      h(
        "div",
        { class: "row steps" },
        press("fewer positions", {}, () => set(-1)),
        press("more positions", {}, () => set(1)),
        toggle("absorb the projections", (on) => changed((at.absorbed = on))),
      ),
    );
    return function draw() {
      const S = contexts[at.context];
      const steps = stepsOf(sizes, S, at.absorbed);
      const sumOfAll = total(steps);
      rows.forEach(({ element, bar, name, shape, work }, i) => {
        element.hidden = i >= steps.length;
        if (element.hidden) return;
        const [what, widths, count, grows] = steps[i];
        put(name, what);
        put(shape, widths);
        put(work, grouped(count));
        work.classList.toggle("grows", grows);
        amount(bar, count / sumOfAll);
      });
      put(sum, grouped(sumOfAll));
      const way = at.absorbed ? "absorbed" : "latents expanded";
      put(title, `one token over ${grouped(S)} positions, ${way}`);
      const ratio = total(stepsOf(sizes, S, false)) / total(stepsOf(sizes, S, true));
      const told =
        `${grouped(sumOfAll)} multiply-adds over ${grouped(S)} positions, ${way}; ` +
        `${at.absorbed ? "expanded it is" : "absorbing makes it"} ${fixed(ratio, 1)} times ` +
        `${at.absorbed ? "more" : "less"}. Colored numbers grow with the context.`;
      tellPlace(walk, at.context, contexts.length, told);
      say(told);
    };
  },
});
