// A race in calls of the large model: one token a call above, rounds of drafts beneath.

const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);

export default explorer({
  title: "Drafts",
  how: "← → go from call to call of the large model; ↑ ↓ change how many drafts a round has.",
  build({ values: { races, drafts, start, new: total }, body, say, changed }) {
    const most = races[0].brought.length;
    const at = { calls: 1, race: start };
    const walk = (by) => changed((at.calls = clamp(at.calls + by, 0, most)));
    const choose = (by) => changed((at.race = clamp(at.race + by, 0, races.length - 1)));
    const lanes = [0, 1].map(() => ({ title: h("h4", {}), tokens: h("div", { class: "lane" }) }));
    const names = ["calls of the large model", "tokens written", "tokens that it read", "drafts made"];
    const rows = names.map((name) => {
      const cells = [h("td"), h("td")];
      return { cells, element: h("tr", {}, h("th", { scope: "row", class: "left" }, name), cells) };
    });
    const heads = ["", "one by one", "with drafts"];
    const table = h("table", {}, tableHead(heads), h("tbody", {}, rows.map((row) => row.element)));
    const track = h(
      "div",
      { class: "race", "aria-label": "Calls of the large model" },
      lanes.map((lane) => [lane.title, lane.tokens]),
    );
    onKeys(track, {
      ArrowLeft: () => walk(-1),
      ArrowRight: () => walk(1),
      ArrowUp: () => choose(1),
      ArrowDown: () => choose(-1),
    });
    body.append(
      track,
      caption("framed: a draft that was accepted; plain: the large model's own token, one for each call"),
      table,
      h(
        "div",
        { class: "row steps" },
        press("a call back", {}, () => walk(-1)),
        press("a call on", {}, () => walk(1)),
        press("more drafts", {}, () => choose(1)),
        press("fewer drafts", {}, () => choose(-1)),
      ),
    );
    // What a race has come to after so many calls; it may have ended before.
    const after = (race, calls) => ({
      calls: Math.min(calls, race.brought.length),
      written: sum(race.brought.slice(0, calls)),
      read: sum(race.read.slice(0, calls)),
      drafted: sum(race.drafted.slice(0, calls)),
    });
    const fill = (lane, race, calls) => {
      const cells = race.brought
        .slice(0, calls)
        .flatMap((n) => Array.from({ length: n }, (_, i) => (i < n - 1 ? "drafted" : "own")))
        .map((kind, i) => h("span", { class: `token ${kind}` }, race.names[i]));
      lane.replaceChildren(...cells);
    };
    return function draw() {
      const pair = [races[0], races[at.race]];
      const done = pair.map((race) => after(race, at.calls));
      const rounds = `${drafts[at.race]} draft${drafts[at.race] === 1 ? "" : "s"} a round`;
      put(lanes[0].title, `One by one: ${done[0].written} of ${total} tokens`);
      put(lanes[1].title, `With ${rounds}: ${done[1].written} of ${total} tokens`);
      pair.forEach((race, i) => fill(lanes[i].tokens, race, at.calls));
      ["calls", "written", "read", "drafted"].forEach((key, row) =>
        done.forEach((one, i) => put(rows[row].cells[i], String(one[key]))),
      );
      const own = pair[1].brought.slice(0, at.calls).length;
      const accepted = done[1].written - own;
      const text =
        `After ${done[0].calls} call${done[0].calls === 1 ? "" : "s"} of the large model: ` +
        `${done[0].written} tokens one by one, ${done[1].written} with ${rounds}` +
        `${done[1].calls < done[0].calls ? `, finished after ${done[1].calls} calls` : ""}. ` +
        `Of ${done[1].drafted} drafts ${accepted} were accepted.`;
      tellPlace(track, at.calls, most + 1, text);
      say(text);
    };
  },
});
