// Any text under several vocabularies. What is typed is cut in the page: GPT-2's pattern, then merges.

const WORDS = new RegExp(
  [
    "'(?:s|t|re|ve|m|ll|d)",
    " ?\\p{L}+",
    " ?\\p{N}+",
    " ?[^\\p{White_Space}\\p{L}\\p{N}]+",
    "\\p{White_Space}+(?!\\P{White_Space})",
    "\\p{White_Space}+",
  ].join("|"),
  "gu",
);
const pairKey = (ids, i) => ids[i] * 65536 + ids[i + 1];

// The ids of a text: in every word the pair that was learned first is merged, again and again, up to `size`.
function encode(text, ranks, size) {
  const utf8 = new TextEncoder();
  return (text.match(WORDS) || []).flatMap((word) => {
    let ids = Array.from(utf8.encode(word));
    for (;;) {
      let best = size;
      for (let i = 0; i + 1 < ids.length; i += 1) {
        best = Math.min(best, ranks.get(pairKey(ids, i)) ?? size);
      }
      if (best >= size) return ids;
      const merged = [];
      for (let i = 0; i < ids.length; i += 1) {
        const isPair = i + 1 < ids.length && ranks.get(pairKey(ids, i)) === best;
        merged.push(isPair ? best : ids[i]);
        i += isPair;
      }
      ids = merged;
    }
  });
}
// The bytes of every token, from the merges.
function vocabularyOf(merges) {
  const vocabulary = Array.from({ length: 256 }, (_, byte) => [byte]);
  merges.forEach(([a, b]) => vocabulary.push([...vocabulary[a], ...vocabulary[b]]));
  return vocabulary;
}
// A token as one can read it: its text with white space visible, or its bytes where it is no whole character.
function readable(bytes) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes));
  const hexadecimal = (byte) => byte.toString(16).toUpperCase().padStart(2, "0");
  if (text.includes("\ufffd")) return bytes.map(hexadecimal).join(" ");
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍");
}

// One row per vocabulary: its size, the tokens, and what they amount to.
function cutRow(size) {
  const tokens = h("div", { class: "tokens" });
  const sum = h("span", { class: "soft" });
  const head = h("h4", {}, `${size.toLocaleString("en-US")} tokens in the vocabulary: `, sum);
  return { element: h("div", { class: "cut" }, head, tokens), tokens, sum };
}

export default explorer({
  title: "Where a text is cut",
  how: "Type a text or take one. In the rows, ← → walk from token to token, ↑ ↓ change the vocabulary.",
  build({ values: { sizes, texts }, arrays, body, say, changed }) {
    const count = arrays.merges.numbers.length / 2;
    const merges = Array.from({ length: count }, (_, i) => Array.from(arrays.merges.at(i)));
    const ranks = new Map(merges.map(([a, b], i) => [a * 65536 + b, 256 + i]));
    const vocabulary = vocabularyOf(merges);
    const at = { row: 0, place: 0, ids: [] };
    const field = h("textarea", { rows: 2, maxlength: 600, "aria-label": "Text", spellcheck: "false" });
    field.dataset.lmSuppressShortcuts = "true";
    field.addEventListener("keydown", (event) => event.stopPropagation());
    const cut = () => {
      at.ids = sizes.map((size) => encode(field.value, ranks, size));
      at.place = 0;
      drawn = "";
      changed();
    };
    field.addEventListener("input", cut);
    const choices = Object.entries(texts).map(([name, text]) =>
      press(name, {}, () => {
        field.value = text;
        cut();
      }),
    );
    const rows = sizes.map(cutRow);
    const last = () => Math.max(at.ids[at.row].length - 1, 0);
    const move = (by) => changed((at.place = clamp(at.place + by, 0, last())));
    const turn = (by) => {
      at.row = clamp(at.row + by, 0, sizes.length - 1);
      move(0);
    };
    const lines = rows.map((row) => row.element);
    const walk = onKeys(h("div", { "aria-label": "Tokens" }, lines), {
      ArrowLeft: () => move(-1),
      ArrowRight: () => move(1),
      ArrowUp: () => turn(-1),
      ArrowDown: () => turn(1),
    });
    let drawn = "";
    function fill() {
      const bytes = new TextEncoder().encode(field.value).length;
      rows.forEach((row, r) => {
        const chips = at.ids[r].map((id, i) =>
          token(readable(vocabulary[id]), {
            class: `token piece${i % 2 ? " odd" : ""}`,
            title: `token ${id}`,
            onpointerdown: () => changed(Object.assign(at, { row: r, place: i })),
          }),
        );
        row.tokens.replaceChildren(...chips);
        const ratio = chips.length ? `, ${fixed(bytes / chips.length)} bytes per token` : "";
        put(row.sum, `${bytes} bytes, ${chips.length} tokens${ratio}`);
      });
    }
    function describe(id) {
      const bytes = vocabulary[id];
      const place = `token ${at.place + 1} of ${at.ids[at.row].length}`;
      const counted = bytes.length === 1 ? "1 byte" : `${bytes.length} bytes`;
      return (
        `With ${sizes[at.row].toLocaleString("en-US")} tokens, ${place} is “${readable(bytes)}”, id ${id}: ` +
        `${counted} (${bytes.slice(0, 12).join(", ")}${bytes.length > 12 ? ", ..." : ""}).`
      );
    }
    field.value = Object.values(texts)[0];
    body.append(h("div", { class: "row" }, choices), field, walk);
    cut();
    return function draw() {
      if (drawn !== field.value || drawn === "") fill();
      drawn = field.value;
      rows.forEach((row, r) =>
        Array.from(row.tokens.children).forEach((chip, i) =>
          chip.classList.toggle("here", r === at.row && i === at.place),
        ),
      );
      const ids = at.ids[at.row];
      const told = ids.length ? describe(ids[at.place]) : "The text is empty.";
      tellPlace(walk, at.place, Math.max(ids.length, 1), told);
      say(told);
    };
  },
});
