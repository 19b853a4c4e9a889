// A question: fieldset and radio buttons, so that keyboards and screen readers know what to do with it.
// Tab goes in, the number of a choice or the arrow keys choose, Enter answers, Escape leaves.
let questions = 0;

// As in question.py: `code` in back quotes, *a stressed word* between asterisks.
const MARKS = /`([^`]+)`|(?<![\w*])\*(?!\s)([^*]+)(?<!\s)\*(?![\w*])/g;

function withMarks(element, text) {
  // What is marked becomes <code> or <em>; everything else stays text, never HTML.
  let end = 0;
  for (const match of text.matchAll(MARKS)) {
    element.append(text.slice(end, match.index));
    element.append(Object.assign(document.createElement(match[1] ? "code" : "em"), {
      textContent: match[1] ?? match[2],
    }));
    end = match.index + match[0].length;
  }
  element.append(text.slice(end));
  return element;
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return text === undefined ? element : withMarks(element, text);
}

function choiceOf(choice, index, group) {
  const label = make("label");
  const radio = make("input");
  Object.assign(radio, { type: "radio", name: group, value: String(index) });
  const number = make("span", "course-number", `${index + 1}.`);
  // Read aloud with every choice it would only be in the way: the list says where one is.
  number.setAttribute("aria-hidden", "true");
  label.append(radio, number, withMarks(make("span"), choice.text));
  return { label, radio };
}

function render({ model, el }) {
  const group = `course-question-${questions++}-${Math.random().toString(36).slice(2)}`;
  const form = make("form", "course-question");
  const fieldset = make("fieldset");
  fieldset.append(make("legend", "", model.get("prompt")));
  const made = model.get("choices").map((choice, index) => choiceOf(choice, index, group));
  const radios = made.map(({ radio }) => radio);
  const button = make("button", "", "Answer");
  button.type = "submit";
  // JupyterLab would take arrow keys, numbers and letters for itself.
  for (const control of [...radios, button]) control.dataset.lmSuppressShortcuts = "true";
  const response = make("p", "course-response");
  response.setAttribute("role", "status");
  const keys = make("p", "course-keys", `Keys: 1 to ${radios.length} choose, Enter answers.`);
  fieldset.append(...made.map(({ label }) => label), button, keys, response);
  form.append(fieldset);
  el.append(form);

  function respond(index) {
    response.replaceChildren();
    made.forEach(({ label }, other) => label.classList.toggle("course-answer", other === index));
    const choice = model.get("choices")[index];
    if (!choice) return;
    radios[index].checked = true;
    withMarks(response, choice.response);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const index = radios.findIndex((radio) => radio.checked);
    if (index < 0) {
      response.replaceChildren("Choose one first.");
      return;
    }
    respond(index);
    model.set("chosen", index);
    model.save_changes();
  });
  form.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const radio = radios[Number(event.key) - 1];
    if (radio) {
      radio.checked = true;
      radio.focus();
    } else if (event.key === "Escape") {
      // Back to the cell, where JupyterLab's own keys count again.
      event.target.closest(".jp-Notebook, .jp-WindowedPanel-outer")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const follow = () => respond(model.get("chosen"));
  model.on("change:chosen", follow);
  follow();
  return () => model.off("change:chosen", follow);
}

export default { render };
