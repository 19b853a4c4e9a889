// A talk about a story: questions go to the kernel, answers come back piece by piece.
let talks = 0;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text ?? "";
  return element;
}

function field(tag, name, label, id) {
  const box = make("div", "field");
  const caption = make("label", "caption", label);
  caption.htmlFor = id;
  const input = make(tag, name);
  input.id = id;
  // JupyterLab would take keys for shortcuts of its own.
  input.dataset.lmSuppressShortcuts = "true";
  box.append(caption, input);
  return [box, input];
}

function button(text, type = "button") {
  const element = make("button", "", text);
  element.type = type;
  element.dataset.lmSuppressShortcuts = "true";
  return element;
}

function entry(turn) {
  const block = make("div", "turn");
  const asked = make("p", "asked");
  asked.append(make("strong", "", "You: "), make("span", "", turn.question));
  const answered = make("p", "answered");
  answered.append(make("strong", "", "Model: "), make("span", "answer", turn.answer));
  block.append(asked, answered);
  if (turn.note) block.append(make("p", "note", turn.note));
  if (turn.verdict) {
    const mark = turn.is_right ? "✓ " : "✗ ";
    block.append(make("p", `verdict ${turn.is_right ? "is-right" : "is-wrong"}`, mark + turn.verdict));
  }
  return block;
}

function build(el) {
  const id = `course-talk-${talks++}-${Math.random().toString(36).slice(2)}`;
  const root = make("section", "course-hunt course-talk");
  root.setAttribute("aria-label", "Talk with a model");
  const [storyBox, story] = field("textarea", "story", "Story (yours to change)", `${id}-story`);
  story.rows = 4;
  const draw = button("Another story");
  const log = make("div", "log");
  log.setAttribute("role", "log");
  const form = make("form", "row");
  const [askBox, question] = field("input", "question", "Question about it", `${id}-question`);
  question.autocomplete = "off";
  const ask = button("Ask", "submit");
  const stop = button("Stop");
  form.append(askBox, ask, stop);
  const foot = make("p", "foot");
  foot.setAttribute("role", "status");
  const whose = make("p", "whose");
  root.append(storyBox, draw, log, form, foot, whose);
  el.append(root);
  return { story, draw, log, form, question, ask, stop, foot, whose };
}

function render({ model, el }) {
  const page = build(el);
  const open = { question: "", answer: "" };

  function paint() {
    const isRunning = model.get("running");
    const turns = model.get("turns").map(entry);
    if (isRunning) turns.push(entry(open));
    page.log.setAttribute("aria-busy", String(isRunning));
    page.log.replaceChildren(...turns);
    page.ask.disabled = isRunning;
    page.draw.disabled = isRunning;
    page.stop.disabled = !isRunning;
    page.foot.textContent = isRunning ? "It writes ..." : model.get("problem");
    page.whose.textContent = model.get("whose");
  }

  function adopt() {
    page.story.value = model.get("story");
  }

  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (model.get("running") || !page.question.value.trim()) return;
    open.question = page.question.value.trim();
    open.answer = "";
    model.send({ ask: open.question, story: page.story.value });
    page.question.value = "";
    page.question.focus();
  });
  page.stop.addEventListener("click", () => {
    model.send({ stop: true });
    // The button is about to be disabled: the keyboard goes on where the next question is typed.
    page.question.focus();
  });
  page.draw.addEventListener("click", () => model.send({ draw: true }));
  const listen = (message) => {
    if (!message || message.piece === undefined) return;
    open.answer += message.piece;
    const shown = page.log.querySelectorAll(".answer");
    if (model.get("running") && shown.length) shown[shown.length - 1].textContent = open.answer;
  };
  model.on("msg:custom", listen);
  const names = ["turns", "running", "problem", "whose"];
  names.forEach((name) => model.on(`change:${name}`, paint));
  model.on("change:story", adopt);
  adopt();
  paint();
  return () => {
    model.off("msg:custom", listen);
    names.forEach((name) => model.off(`change:${name}`, paint));
    model.off("change:story", adopt);
  };
}

export default { render };
