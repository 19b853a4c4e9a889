// Draws a loss curve while a cell trains. Points come in batches; the Stop button sets `stopped`.
// The default export is a function, so that every widget has a store of its own that outlives its views.

const HEIGHT = 260;
const MARGIN = { left: 46, right: 12, top: 26, bottom: 34 };
const TICKS = [0.5, 1, 1.5, 2, 3, 4, 6, 8];
const SMOOTHING = 0.9;
const BETWEEN_ANNOUNCEMENTS = 15000;

const STYLE = `
.course-loss { --ink: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #222));
  --soft: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #666));
  --rule: var(--jp-border-color1, #bbb); --curve: #0072b2; color: var(--ink); max-width: 760px;
  font: 13px var(--jp-ui-font-family, system-ui, sans-serif); padding: 4px; }
.course-loss.dark { --curve: #56b4e9; }
.course-loss canvas { display: block; width: 100%; height: ${HEIGHT}px; }
.course-loss .row { display: flex; gap: 12px; align-items: center; min-height: 32px; flex-wrap: wrap; }
.course-loss button { font: inherit; color: inherit; background: var(--jp-layout-color2, transparent);
  border: 1px solid var(--soft); border-radius: 3px; padding: 4px 12px; cursor: pointer; }
.course-loss button:focus-visible { outline: 2px solid var(--curve); outline-offset: 2px; }
.course-loss button:disabled { cursor: default; opacity: 0.75; }
.course-loss .heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

function smooth(points) {
  let mean = null;
  return points.map(([x, y]) => [x, (mean = mean === null ? y : SMOOTHING * mean + (1 - SMOOTHING) * y)]);
}

function isDark(element) {
  const [r, g, b] = (getComputedStyle(element).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return 0.3 * r + 0.59 * g + 0.11 * b > 128;
}

function niceStep(range) {
  const raw = range / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= raw);
}

function draw(canvas, box, points, references) {
  const width = canvas.clientWidth;
  if (!width) return;
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  box.classList.toggle("dark", isDark(box));
  const style = getComputedStyle(box);
  const color = (name) => style.getPropertyValue(name).trim();
  c.font = `12px ${style.fontFamily}`;

  const ys = points.map((p) => p[1]).concat(Object.values(references));
  const low = Math.log(Math.min(1.5, ...ys) * 0.92);
  const high = Math.log(Math.max(4, ...ys) * 1.04);
  const last = points.length ? Math.max(points[points.length - 1][0], 1) : 1;
  const right = width - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const px = (x) => MARGIN.left + (x / last) * (right - MARGIN.left);
  const py = (y) => bottom - ((Math.log(y) - low) / (high - low)) * (bottom - MARGIN.top);

  const line = (from, to, stroke, dash) => {
    c.strokeStyle = stroke;
    c.lineWidth = 1;
    c.setLineDash(dash || []);
    c.beginPath();
    c.moveTo(...from);
    c.lineTo(...to);
    c.stroke();
    c.setLineDash([]);
  };
  line([MARGIN.left, MARGIN.top], [MARGIN.left, bottom], color("--rule"));
  line([MARGIN.left, bottom], [right, bottom], color("--rule"));
  c.fillStyle = color("--ink");
  c.textAlign = "right";
  c.textBaseline = "middle";
  for (const tick of TICKS) {
    if (Math.log(tick) < low || Math.log(tick) > high) continue;
    c.fillText(String(tick), MARGIN.left - 6, py(tick));
    line([MARGIN.left - 3, py(tick)], [MARGIN.left, py(tick)], color("--rule"));
  }
  c.textAlign = "center";
  c.textBaseline = "top";
  const step = niceStep(last);
  for (let x = 0; x <= last; x += step) c.fillText(String(+x.toFixed(2)), px(x), bottom + 4);
  c.textAlign = "right";
  c.fillText("seconds", right, bottom + 18);
  c.textAlign = "left";
  c.fillText("bits per byte (log scale)", 4, 4);

  const curve = (list, thickness, alpha) => {
    c.strokeStyle = color("--curve");
    c.globalAlpha = alpha;
    c.lineWidth = thickness;
    c.beginPath();
    list.forEach(([x, y], i) => (i ? c.lineTo(px(x), py(y)) : c.moveTo(px(x), py(y))));
    c.stroke();
    c.globalAlpha = 1;
  };
  curve(points, 1, 0.45);
  curve(smooth(points), 2, 1);

  c.textAlign = "right";
  c.textBaseline = "bottom";
  for (const [name, level] of Object.entries(references)) {
    line([MARGIN.left, py(level)], [right, py(level)], color("--soft"), [5, 4]);
    c.fillStyle = color("--ink");
    c.fillText(`${name} ${level.toFixed(2)}`, right - 2, py(level) - 1);
  }
}

function build(el) {
  const style = document.createElement("style");
  style.textContent = STYLE;
  const box = document.createElement("div");
  box.className = "course-loss";
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  const row = document.createElement("div");
  row.className = "row";
  const button = document.createElement("button");
  button.type = "button";
  // JupyterLab would take Enter and Space for its own shortcuts.
  button.dataset.lmSuppressShortcuts = "true";
  const seen = document.createElement("span");
  seen.className = "seen";
  const heard = document.createElement("span");
  heard.className = "heard";
  heard.setAttribute("aria-live", "polite");
  row.append(button, seen, heard);
  box.append(canvas, row);
  el.append(style, box);
  return { box, canvas, button, seen, heard };
}

export default () => {
  const store = { points: [], text: "", views: new Set() };
  const changed = () => store.views.forEach((view) => view());

  function take(model, message) {
    if (!message || !message.points) return;
    if (message.start > store.points.length) {
      model.send({ want: "all" });
      return;
    }
    store.points.length = message.start;
    store.points.push(...message.points);
    if (message.text) store.text = message.text;
    changed();
  }

  return {
    initialize({ model }) {
      const adopt = () => {
        const points = model.get("points");
        if (points.length) store.points = points.slice();
        if (!model.get("running")) store.text = model.get("text");
        changed();
      };
      const listen = (message) => take(model, message);
      const names = ["points", "running", "text", "stopped"];
      model.on("msg:custom", listen);
      names.forEach((name) => model.on(`change:${name}`, adopt));
      adopt();
      if (!store.points.length && model.get("running")) model.send({ want: "all" });
    },

    render({ model, el }) {
      const { box, canvas, button, seen, heard } = build(el);
      let announced = 0;
      let waiting = false;
      const paint = () => {
        waiting = false;
        const running = model.get("running");
        const stopped = model.get("stopped");
        button.textContent = running && stopped ? "Stopping after this step" : "Stop training";
        button.disabled = !running || stopped;
        button.hidden = !running;
        seen.textContent = store.text || model.get("text");
        canvas.setAttribute("aria-label", `Loss curve. ${seen.textContent}`);
        if (!running || Date.now() - announced > BETWEEN_ANNOUNCEMENTS) {
          if (heard.textContent !== seen.textContent) heard.textContent = seen.textContent;
          announced = Date.now();
        }
        draw(canvas, box, store.points, model.get("references"));
      };
      const view = () => {
        if (!waiting) requestAnimationFrame(paint);
        waiting = true;
      };
      const stop = () => {
        model.set("stopped", true);
        model.save_changes();
        view();
      };
      button.addEventListener("click", stop);
      const sizes = new ResizeObserver(view);
      sizes.observe(canvas);
      const theme = new MutationObserver(view);
      theme.observe(document.body, { attributes: true });
      store.views.add(view);
      view();
      return () => {
        store.views.delete(view);
        sizes.disconnect();
        theme.disconnect();
      };
    },
  };
};
