// What JupyterLab does not do by itself: it goes to where the learner stopped, in the notebook and in the
// exercise file; it saves a tutorial when a cell has run, so that a reload finds what it showed; and it marks
// what rests on an earlier version of the exercise file, as the server tells it. Plain JavaScript, not built.

const EARLIER = "course-earlier";
const PAUSE = 1000; // milliseconds of quiet before a tutorial is saved
const STYLE = `
.${EARLIER} .jp-Cell-outputArea::before {
  content: "From an earlier version of your file. Run this cell again.";
  display: block; padding: 4px 12px; color: var(--jp-ui-font-color1); font-weight: bold; }
.${EARLIER} .jp-Cell-outputArea .jp-OutputArea-output { filter: grayscale(1); }
`;

function placeAtStart() {
  const { coursePlace } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  return coursePlace ? JSON.parse(coursePlace) : {};
}

function isTutorial(widget) {
  return /(^|\/)(further_)?tutorial\.ipynb$/.test(widget.context?.path ?? "");
}

// The cell at which the learner was before a reload, else the one that `start.py` names.
async function goToCell(panel, start) {
  const key = `course:${panel.context.path}`;
  await panel.context.ready;
  const wanted = sessionStorage.getItem(key) ?? (start.notebook === panel.context.path ? start.cell : null);
  const index = panel.content.widgets.findIndex((cell) => cell.model.id === wanted);
  if (index >= 0) {
    panel.content.activeCellIndex = index;
    await panel.content.scrollToItem(index, "start");
  }
  panel.content.activeCellChanged.connect((_, cell) => cell && sessionStorage.setItem(key, cell.model.id));
}

async function goToLine(widget, start) {
  await widget.context.ready;
  if (widget.context.path === start.file && start.line) widget.setFragment(`#line=${start.line - 1}`);
}

// The server folds an output away that rests on an earlier version of the learner's file; here it is marked.
async function markEarlier(app, panel) {
  const asked = { type: "notebook", content: true };
  const { content } = await app.serviceManager.contents.get(panel.context.path, asked);
  const isOfOld = (output) => output.metadata?.course?.was;
  const told = new Set(content.cells.filter((c) => c.outputs?.some(isOfOld)).map((c) => c.id));
  const isFolded = ({ outputs }) =>
    outputs && Array.from({ length: outputs.length }, (_, i) => outputs.get(i)).some(isOfOld);
  for (const cell of panel.content.widgets) {
    const isEarlier = told.has(cell.model.id) && !isFolded(cell.model);
    if (isEarlier && !cell.node.classList.contains(EARLIER)) {
      const unmark = (_, change) => {
        if (change.name !== "executionCount") return;
        cell.node.classList.remove(EARLIER);
        cell.model.stateChanged.disconnect(unmark);
      };
      cell.model.stateChanged.connect(unmark);
    }
    cell.node.classList.toggle(EARLIER, isEarlier);
  }
}

function keepUp(app, panel) {
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      if (panel.isDisposed) return;
      if (panel.context.model.dirty) await panel.context.save();
      await markEarlier(app, panel);
    }, PAUSE);
  };
  panel.context.sessionContext.statusChanged.connect(soon);
  // The exercise file may be saved in another program: look again when the learner comes back.
  window.addEventListener("focus", soon);
  panel.disposed.connect(() => window.removeEventListener("focus", soon));
  return soon;
}

async function activate(app) {
  const style = document.createElement("style");
  style.textContent = STYLE;
  document.head.append(style);
  const start = placeAtStart();
  const seen = new Set();
  const notebooks = new Map();
  const meet = (widget) => {
    if (!widget.context || seen.has(widget)) return;
    seen.add(widget);
    widget.disposed.connect(() => notebooks.delete(widget) && seen.delete(widget));
    if (isTutorial(widget)) {
      notebooks.set(widget, keepUp(app, widget));
      void goToCell(widget, start);
    } else if (widget.context.path.endsWith("_exercise.py")) {
      widget.context.fileChanged.connect(() => notebooks.forEach((soon) => soon()));
      void goToLine(widget, start);
    }
  };
  const meetAll = () => [...app.shell.widgets("main")].forEach(meet);
  await app.restored;
  meetAll();
  app.shell.layoutModified?.connect(meetAll);
  app.shell.currentChanged?.connect(meetAll);
}

const plugin = { id: "course-lab:plugin", autoStart: true, activate: (app) => void activate(app) };
(globalThis._JUPYTERLAB ??= {})["course-lab"] = {
  init: () => undefined,
  get: async () => () => ({ __esModule: true, default: plugin }),
};
