// A hunt: the kernel sends all there is to see as one `view`; every button sends one move.
let hunts = 0;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  // `code` in back quotes becomes <code>; everything else stays text, never HTML.
  (text ?? "").split("`").forEach((piece, index) => {
    if (!piece) return;
    const node = index % 2 ? document.createElement("code") : document.createTextNode("");
    node.textContent = piece;
    element.append(node);
  });
  return element;
}

function render({ model, el }) {
  const group = `course-hunt-${hunts++}-${Math.random().toString(36).slice(2)}`;
  const root = make("section", "course-hunt");
  root.setAttribute("aria-label", "Hunt for a mistake");
  const board = make("div", "course-hunt-board");
  const log = make("div", "course-hunt-log");
  log.setAttribute("role", "log");
  const foot = make("p", "course-hunt-foot");
  foot.setAttribute("role", "status");
  root.append(board, log, foot);
  el.append(root);
  let logged = 0;
  let shownGame = "";

  let waiting;

  function send(move, what) {
    clearTimeout(waiting);
    waiting = setTimeout(() => foot.replaceChildren("A moment ..."), 400);
    model.send({ move, with: what });
  }

  function button(text, move, what, label) {
    const element = make("button", "", text);
    element.type = "button";
    if (label) element.setAttribute("aria-label", label);
    element.dataset.lmSuppressShortcuts = "true";
    element.addEventListener("click", () => send(move, what));
    return element;
  }

  function names(view) {
    const fieldset = make("fieldset");
    fieldset.append(make("legend", "", view.task));
    for (const one of view.candidates) {
      const label = make("label", one.isWrong ? "is-wrong" : "");
      const radio = make("input");
      Object.assign(radio, { type: "radio", name: group, value: one.letter, disabled: one.isWrong });
      radio.dataset.lmSuppressShortcuts = "true";
      const verdict = one.isWrong ? " (it is not this one)" : "";
      label.append(radio, make("span", "", `${one.letter}  ${one.text}${verdict}`));
      fieldset.append(label);
    }
    const name = make("button", "is-main", "Name it");
    name.type = "button";
    name.dataset.lmSuppressShortcuts = "true";
    name.addEventListener("click", () => {
      const chosen = fieldset.querySelector("input:checked");
      if (chosen) send("name", chosen.value);
      else foot.replaceChildren("Choose one of the mistakes first.");
    });
    const row = make("p", "course-hunt-row");
    row.append(name, button("Give up", "give up"));
    fieldset.append(row);
    return fieldset;
  }

  function places(view) {
    const fieldset = make("fieldset");
    fieldset.append(make("legend", "", "Where you can look"));
    const list = make("ul");
    for (const place of view.places) {
      const item = make("li");
      const look = button(`${place.number}  ${place.text}`, "look", place.number);
      look.className = "is-place";
      item.append(look);
      if (place.isInput) {
        const spoken = `${place.number} with right code's answer, a clue`;
        item.append(button("+ right code", "compare", place.number, spoken));
      }
      list.append(item);
    }
    if (view.canTrain) {
      const item = make("li");
      const train = button("Train a small model with it and without", "train");
      train.className = "is-place";
      item.append(train);
      list.append(item);
    }
    fieldset.append(list);
    return fieldset;
  }

  function entry(parts) {
    const block = make("div", "course-hunt-entry");
    for (const part of parts) {
      const line = make("p");
      if (part.label) line.append(make("strong", "", `${part.label}: `));
      if (!part.isBlock) line.append(make("span", "", part.text));
      if (part.label || !part.isBlock) block.append(line);
      if (part.isBlock) {
        const pre = make("pre");
        pre.textContent = part.text;
        pre.tabIndex = 0;
        block.append(pre);
      }
    }
    return block;
  }

  function drawBoard(view) {
    board.replaceChildren();
    const head = make("p");
    const standing = view.standing ? ` (${view.standing})` : "";
    head.append(make("strong", "", view.title), make("span", "is-soft", standing));
    board.append(head);
    if (view.stage !== "hunt") {
      const again = button(view.stage === "over" ? "Another hunt" : "Begin", "begin");
      again.classList.add("is-main");
      board.append(make("p", "is-soft", view.rules), again);
      return;
    }
    board.append(names(view), places(view));
  }

  function draw() {
    const view = model.get("view");
    // The board is drawn anew only where it changes, so that the keyboard's place on it stays.
    const game = JSON.stringify([view.stage, view.title, view.standing, view.candidates, view.places]);
    if (game !== shownGame) {
      const had = root.contains(document.activeElement);
      drawBoard(view);
      if (had && shownGame) board.querySelector("input:not(:disabled), button")?.focus();
      shownGame = game;
    }
    const entries = view.log ?? [];
    if (entries.length < logged) {
      log.replaceChildren();
      logged = 0;
    }
    entries.slice(logged).forEach((one) => log.append(entry(one.parts)));
    logged = entries.length;
    clearTimeout(waiting);
    foot.replaceChildren(view.problem ?? "");
  }

  model.on("change:view", draw);
  draw();
  return () => model.off("change:view", draw);
}

export default { render };
