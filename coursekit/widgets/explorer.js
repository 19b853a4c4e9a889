// What every explorer's page is made of. An explorer's own file follows this text and ends in
//   export default explorer({ title, how, build });
// where build({ values, arrays, body, say, changed }) fills `body` once and returns the function that draws.

// An array as the kernel sent it: its numbers, its shape, and `at(i, j, ...)`, the numbers from there on.
function unpack({ shape, data }) {
  const bytes = data.buffer ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data;
  const numbers = new Float32Array(bytes.slice().buffer);
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const at = (...index) => {
    const start = index.reduce((sum, i, k) => sum + i * strides[k], 0);
    return numbers.subarray(start, start + (index.length ? strides[index.length - 1] : numbers.length));
  };
  return { numbers, shape, at };
}

// Arithmetic, in double precision.
function logSumExp(z) {
  const m = Math.max(...z);
  return m === -Infinity ? m : m + Math.log(z.reduce((sum, v) => sum + Math.exp(v - m), 0));
}
function softmax(z) {
  const whole = logSumExp(z);
  return Array.from(z, (v) => Math.exp(v - whole));
}
const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
const rootMeanSquare = (v) => Math.sqrt(dot(v, v) / v.length);
const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
// The indices of the k largest numbers, largest first; equal ones in their own order.
const largest = (v, k) =>
  Array.from(v, (_, i) => i)
    .sort((a, b) => v[b] - v[a] || a - b)
    .slice(0, k);

// Numbers as people read them: a true minus sign, ∞, no "-0.00".
function fixed(value, digits = 2) {
  if (Number.isNaN(value)) return "undefined";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
}
function percent(p) {
  if (p > 0 && p < 0.001) return "<0.1 %";
  return `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`;
}
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// An element: h("td", { class: "number", onclick }, "text", child, ...).
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== ""));
  return element;
}
const caption = (text = "") => h("p", { class: "caption" }, text);
// Sets text only where it changed: an unchanged page is not laid out again.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
const amount = (element, share) => element.style.setProperty("--share", clamp(share, 0, 1).toFixed(4));
const token = (text, attributes = {}) => h("span", { class: "token", ...attributes }, text);
// The head of a table: a name for each column, to the left for those in `left`; "" leaves a column unnamed.
function tableHead(names, left = [0]) {
  const cell = (name, i) =>
    h(name ? "th" : "td", { scope: name ? "col" : false, class: left.includes(i) && "left" }, name);
  return h("thead", {}, h("tr", {}, names.map(cell)));
}

// Makes an element something that is moved with arrow keys: keys = { ArrowUp: () => ..., ... }.
function onKeys(element, keys) {
  element.setAttribute("role", "slider");
  element.tabIndex = element.tabIndex < 0 ? 0 : element.tabIndex;
  // JupyterLab takes arrow keys for itself unless the focused element says this.
  element.dataset.lmSuppressShortcuts = "true";
  // Escape gives the keys back to the page.
  keys = { Escape: () => element.blur(), ...keys };
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key](event);
  });
  return element;
}
// Tells screen readers that an element is moved in steps from 0 to count - 1, and where it stands.
function tellPlace(element, place, count, text) {
  const told = {
    "aria-valuemin": 0,
    "aria-valuemax": count - 1,
    "aria-valuenow": place,
    "aria-valuetext": text,
  };
  for (const [name, value] of Object.entries(told)) element.setAttribute(name, value);
}
function press(text, attributes, onclick) {
  const button = h("button", { type: "button", ...attributes, onclick }, text);
  button.dataset.lmSuppressShortcuts = "true";
  return button;
}
// A switch: a button that is pressed or not.
function toggle(text, onchange) {
  const button = press(text, { class: "switch", "aria-pressed": "false" }, () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    onchange(on);
  });
  return button;
}

// Shades a cell: from the page's color at 0 to the accent at 1, or to the other end color at -1.
function tint(element, value) {
  const end = value < 0 ? "var(--below)" : "var(--accent)";
  const share = (100 * clamp(Math.abs(value), 0, 1)).toFixed(0);
  element.style.background = `color-mix(in srgb, ${end} ${share}%, var(--page))`;
}

// A matrix with names on both sides: `shade(values)` colors its cells from 0 to 1 (NaN: none),
// `mark(row)` frames a row. `onpick(row, column)` hears clicks.
function matrix({ rows, columns, onpick }) {
  const CELL = 16;
  const LEFT = 20;
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return svg.appendChild(element);
  };
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const [width, height] = [LEFT + columns.length * CELL + 2, LEFT + rows.length * CELL + 2];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "matrix");
  svg.setAttribute("aria-hidden", "true");
  const name = (text, x, y) => draw("text", { class: "token", "text-anchor": "middle", x, y }, text);
  columns.forEach((text, s) => name(text, LEFT + (s + 0.5) * CELL, LEFT - 6));
  const names = rows.map((text, t) => name(text, LEFT / 2, LEFT + (t + 0.5) * CELL + 4));
  const cells = rows.flatMap((_, t) =>
    columns.map((_, s) =>
      draw("rect", { x: LEFT + s * CELL + 0.5, y: LEFT + t * CELL + 0.5, width: CELL - 1, height: CELL - 1 }),
    ),
  );
  const frame = draw("rect", {
    class: "frame",
    x: LEFT - 0.5,
    width: columns.length * CELL + 1,
    height: CELL + 1,
  });
  svg.addEventListener("pointerdown", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = width / box.width;
    const row = Math.floor(((event.clientY - box.top) * scale - LEFT) / CELL);
    const column = Math.floor(((event.clientX - box.left) * scale - LEFT) / CELL);
    if (row >= 0 && row < rows.length) onpick(row, clamp(column, 0, columns.length - 1));
  });
  return {
    element: svg,
    shade(values) {
      values.forEach((value, i) => {
        cells[i].classList.toggle("out", Number.isNaN(value));
        cells[i].setAttribute("fill-opacity", Number.isNaN(value) ? 0 : clamp(value, 0, 1).toFixed(3));
      });
    },
    mark(row) {
      frame.setAttribute("y", LEFT + row * CELL - 0.5);
      names.forEach((text, t) => text.classList.toggle("chosen", t === row));
    },
  };
}

// The two end colors as the theme has them, for canvases. Asked for once a step, before anything is written:
// each question after a change makes the browser lay the page out anew.
function endColors(element) {
  const style = getComputedStyle(element);
  return [style.getPropertyValue("--accent"), style.getPropertyValue("--below")];
}

// A strip of numbers as colors: strong for large ones, the accent above 0, the other end color below.
function strip(length, label) {
  const canvas = h("canvas", { width: length, height: 1, class: "strip", role: "img", "aria-label": label });
  const paint = (numbers, most, colors) => {
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, length, 1);
    numbers.forEach((x, d) => {
      c.globalAlpha = clamp(Math.abs(x) / most, 0, 1);
      c.fillStyle = colors[Number(x < 0)];
      c.fillRect(d, 0, 1, 1);
    });
  };
  return { element: canvas, paint };
}

function isDark(element) {
  const [r, g, b] = (getComputedStyle(element).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return 0.3 * r + 0.59 * g + 0.11 * b > 128;
}

function explorer({ title, how, build }) {
  function render({ model, el }) {
    const body = h("div", { class: "body" });
    const said = h("p", { class: "said", "aria-live": "polite" });
    const box = h(
      "div",
      { class: "course-explorer", role: "group", "aria-label": title },
      h("div", { class: "title" }, h("strong", {}, title), h("span", { class: "whose" }, model.get("whose"))),
      h("p", { class: "how" }, how),
      body,
      said,
    );
    el.append(box);
    const arrays = {};
    for (const [name, array] of Object.entries(model.get("arrays"))) arrays[name] = unpack(array);
    let waiting = 0;
    const changed = () => {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        draw();
      });
    };
    const say = (text) => put(said, text);
    const draw = build({ values: model.get("values"), arrays, body, say, changed });
    const dress = () => {
      box.classList.toggle("dark", isDark(box));
      changed();
    };
    // A page is attached after it is made, and a theme is loaded after it is switched: look again.
    const lookAgain = () => [0, 300, 1500].forEach((ms) => setTimeout(dress, ms));
    const theme = new MutationObserver(lookAgain);
    theme.observe(document.body, { attributes: true });
    draw();
    lookAgain();
    return () => {
      theme.disconnect();
      cancelAnimationFrame(waiting);
    };
  }
  return { render };
}
