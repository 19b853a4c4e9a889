// A question: fieldset and radio buttons, so that keyboards and screen readers know what to do with it.
let questions = 0;

function withCode(element, text) {
  // `code` in back quotes becomes <code>; everything else stays text, never HTML.
  text.split("`").forEach((piece, index) => {
    if (!piece) return;
    const node = index % 2 ? document.createElement("code") : document.createTextNode("");
    node.textContent = piece;
    element.append(node);
  });
  return element;
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return text === undefined ? element : withCode(element, text);
}

function render({ model, el }) {
  const group = `course-question-${questions++}-${Math.random().toString(36).slice(2)}`;
  const form = make("form", "course-question");
  const fieldset = make("fieldset");
  fieldset.append(make("legend", "", model.get("prompt")));
  const radios = model.get("choices").map((choice, index) => {
    const label = make("label");
    const radio = make("input");
    Object.assign(radio, { type: "radio", name: group, value: String(index) });
    // JupyterLab would take the arrow keys for itself.
    radio.dataset.lmSuppressShortcuts = "true";
    label.append(radio, withCode(make("span"), choice.text));
    fieldset.append(label);
    return radio;
  });
  const button = make("button", "", "Answer");
  button.type = "submit";
  button.dataset.lmSuppressShortcuts = "true";
  const response = make("p", "course-response");
  response.setAttribute("role", "status");
  fieldset.append(button, response);
  form.append(fieldset);
  el.append(form);

  function respond(index) {
    response.replaceChildren();
    const choice = model.get("choices")[index];
    if (!choice) return;
    radios[index].checked = true;
    withCode(response, choice.response);
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
  const follow = () => respond(model.get("chosen"));
  model.on("change:chosen", follow);
  follow();
  return () => model.off("change:chosen", follow);
}

export default { render };
