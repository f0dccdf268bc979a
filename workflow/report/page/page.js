"use strict";
// The page of a comparison. All names are set as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const VOID = 255;
const ERRORS = { right: [190, 200, 208], missed: [230, 159, 0], false: [0, 114, 178], wrong: [213, 94, 0], boundary: [240, 228, 66] };
const TIME = data.costs.findIndex((cost) => cost.key === "latency_ms");

const percent = (x) => (x === null || x === undefined ? "–" : (100 * x).toFixed(1));
const rgb = (color) => `rgb(${color.join(",")})`;

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const swatch = (color) => {
  const found = make("span", { className: "swatch" });
  found.style.background = rgb(color);
  return found;
};

// ---- tables -------------------------------------------------------------------------------------

// rows: lists of cells {text, value, node, color}; the first cell of a row is its header
function table(place, headers, rows, caption) {
  const body = make("tbody");
  const fill = (ordered) => {
    body.replaceChildren(...ordered.map((row) => make("tr", {}, ...row.map((cell, i) => {
      const content = cell.node ? [cell.node] : [cell.text];
      const element = i === 0 ? make("th", { scope: "row" }, ...content) : make("td", {}, ...content);
      if (cell.color) {
        element.style.background = rgb(cell.color);
        // black or white, whichever gives a contrast of 4.5 or more on any colour
        element.className = luminance(cell.color) > 0.18 ? "heat light" : "heat";
      }
      return element;
    }))));
  };
  const heads = headers.map((header, column) => {
    const button = make("button", { type: "button" }, header);
    const head = make("th", { scope: "col", className: header.length > 12 ? "long" : "" }, button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      fill([...rows].sort((a, b) => compare(a[column].value, b[column].value, descending)));
    });
    return head;
  });
  fill(rows);
  place.replaceChildren(make("table", { ariaLabel: caption }, make("thead", {}, make("tr", {}, ...heads)), body));
}

// what is missing stays last, whatever the direction
function compare(a, b, descending) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
  return descending ? -order : order;
}

const luminance = (color) => {
  const [r, g, b] = color.map((x) => (x / 255 <= 0.03928 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

// stops of viridis
const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function heat(x) {
  const place = Math.min(0.9999, Math.max(0, x)) * (STOPS.length - 1);
  const low = Math.floor(place);
  return STOPS[low].map((value, i) => Math.round(value + (place - low) * (STOPS[low + 1][i] - value)));
}

function marks(model) {
  return (model.equal && model !== data.models[0] ? " =" : "") + (model.rising ? " ↑" : "") + (model.cheapest ? " ◆" : "");
}

function modelsTable() {
  const rows = data.models.map((model, i) => [
    { text: `${i + 1}  ${model.label}`, value: i },
    { text: percent(model.miou) + marks(model), value: model.miou },
    { text: `${percent(model.low)} to ${percent(model.high)}`, value: model.low },
    { text: model.rank[0] === model.rank[1] ? `${model.rank[0]}` : `${model.rank[0]} to ${model.rank[1]}`, value: model.rank[0] },
    { text: model.boundary === null ? "–" : model.boundary.toFixed(1), value: model.boundary },
    ...costs(model).slice(0, data.first_costs),
  ]);
  const headers = data.costs.map((cost) => cost.header);
  table(document.getElementById("models-table"), ["model", "mean IoU %", "95 % interval", "rank", "boundary IoU %", ...headers.slice(0, data.first_costs)], rows, "models");
  table(document.getElementById("costs-table"), ["model", ...headers], data.models.map((model, i) => [{ text: `${i + 1}  ${model.label}`, value: i }, ...costs(model)]), "costs of the models");
}

const costs = (model) => model.cost.map((value) => ({ text: value === null ? "–" : String(value), value }));

function classesTable() {
  const rows = data.classes.map((found, c) => {
    const button = make("button", { type: "button", className: "row-button" }, found.name);
    button.addEventListener("click", () => showClass(c));
    return [
      { node: make("span", {}, swatch(found.color), button), value: found.name },
      ...data.models.map((_, m) => {
        const scores = data.iou[m][c];
        return scores ? { text: percent(scores[0]), value: scores[0], color: heat(scores[0]) } : { text: "absent", value: null };
      }),
    ];
  });
  table(document.getElementById("classes-table"), ["class", ...data.models.map((model) => model.label)], rows, "IoU of each class");
}

function imagesTable() {
  const wanted = document.getElementById("image-search").value.toLowerCase();
  const found = data.images.filter((image) => image.name.toLowerCase().includes(wanted));
  const rows = found.map((image) => {
    let node = image.name;
    if (image.picture !== null) {
      node = make("button", { type: "button", className: "row-button" }, image.name);
      node.addEventListener("click", () => viewer.open(image.picture, null));
    }
    return [{ node, value: image.name }, ...image.miou.map((x) => ({ text: percent(x), value: x }))];
  });
  table(document.getElementById("images-table"), ["image", ...data.models.map((model) => model.label)], rows, "mean IoU of each image");
}

// ---- a class ------------------------------------------------------------------------------------

function showClass(c) {
  const place = document.getElementById("class-detail");
  const found = data.classes[c];
  const intervals = make("div");
  bars(intervals, data.models.map((model, m) => ({ label: model.label, scores: data.iou[m][c] })));
  const confused = make("ul");
  data.models.forEach((model, m) => {
    const others = data.confused[m][c].map(([j, share]) => `${data.classes[j] ? data.classes[j].name : "no class"} ${percent(share)} %`);
    confused.append(make("li", {}, `${model.label}: ${others.join(", ") || "nothing"}`));
  });
  const thumbs = Object.entries(data.picked[c]).flatMap(([why, pictures]) => pictures.map((p) => thumbnail(p, c, `${why}: ${meanOf(p, c)} %`)));
  const title = make("h3", { tabIndex: -1 }, swatch(found.color), found.name);
  place.replaceChildren(make("div", { className: "detail" }, title, intervals,
    make("h3", {}, "Its pixels are taken for"), confused,
    make("h3", {}, "Its images"), thumbs.length ? make("div", { className: "thumbs" }, ...thumbs) : make("p", {}, `No image of the ${data.scored} shows it.`)));
  title.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

function meanOf(p, c) {
  const scores = data.pictures[p].iou.map((own) => own[c]).filter((x) => x !== null);
  return scores.length ? percent(scores.reduce((a, b) => a + b, 0) / scores.length) : "–";
}

function thumbnail(p, c, said) {
  const picture = data.pictures[p];
  const button = make("button", { type: "button" }, make("img", { src: picture.image, alt: "", loading: "lazy" }),
    make("span", {}, said), make("span", {}, picture.name));
  button.addEventListener("click", () => viewer.open(p, c));
  return button;
}

// ---- drawings -----------------------------------------------------------------------------------

function svg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function canvas(width, height, label) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
}

function bars(place, rows) {
  const width = Math.min(760, Math.max(300, document.body.clientWidth - 80));
  const left = Math.min(230, width * 0.42);
  const drawing = canvas(width, 26 * rows.length + 24, "IoU with 95 % intervals");
  const x = (value) => left + value * (width - left - 60);
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    drawing.append(svg("line", { x1: x(value), x2: x(value), y1: 0, y2: 26 * rows.length, class: "axis" }),
      svg("text", { x: x(value), y: 26 * rows.length + 16, "text-anchor": "middle" }, String(100 * value)));
  }
  rows.forEach((row, i) => {
    const y = 26 * i + 13;
    const most = Math.floor(left / 7.5);
    const label = row.label.length > most ? `${row.label.slice(0, most - 1)}…` : row.label;
    drawing.append(svg("text", { x: 0, y: y + 4 }, label));
    if (!row.scores) {
      drawing.append(svg("text", { x: x(0) + 6, y: y + 4 }, "absent"));
      return;
    }
    const [mean, low, high] = row.scores;
    drawing.append(svg("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: "mark", "stroke-width": 3 }),
      svg("circle", { cx: x(mean), cy: y, r: 5, class: "mark" }),
      svg("text", { x: x(high) + 9, y: y + 4 }, percent(mean)));
  });
  place.replaceChildren(drawing);
}

// mean IoU against the time of an image; the numbers are those of the table
function costFigure() {
  const place = document.getElementById("cost");
  const timed = data.models.map((model, i) => ({ model, number: i + 1, time: model.cost[TIME] })).filter((one) => one.time);
  if (timed.length < 2) return;
  const width = Math.min(820, Math.max(280, document.body.clientWidth - 40));
  const height = 330;
  const box = { left: 40, right: 24, top: 28, bottom: 46 };
  const times = timed.map((one) => Math.log(one.time));
  const [first, last] = [Math.min(...times) - 0.25, Math.max(...times) + 0.25];
  const lows = timed.map((one) => one.model.low), highs = timed.map((one) => one.model.high);
  const bottom = Math.max(0, Math.min(...lows) - 0.03), top = Math.min(1, Math.max(...highs) + 0.03);
  const x = (time) => box.left + ((Math.log(time) - first) / (last - first)) * (width - box.left - box.right);
  const y = (score) => height - box.bottom - ((score - bottom) / (top - bottom)) * (height - box.top - box.bottom);
  const drawing = canvas(width, height, "mean IoU with 95 % intervals against the time of an image");
  const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].find((one) => (top - bottom) / one <= 7) || 0.25;
  for (let score = Math.ceil(bottom / step) * step; score <= top; score += step) {
    drawing.append(svg("line", { x1: box.left, x2: width - box.right, y1: y(score), y2: y(score), class: "axis" }),
      svg("text", { x: box.left - 6, y: y(score) + 4, "text-anchor": "end" }, String(Number((100 * score).toFixed(1)))));
  }
  for (const time of ticks(Math.exp(first), Math.exp(last))) {
    drawing.append(svg("text", { x: x(time), y: height - box.bottom + 18, "text-anchor": "middle" }, String(time)));
  }
  drawing.append(svg("text", { x: (box.left + width) / 2, y: height - 6, "text-anchor": "middle" }, "ms per image, log scale"),
    svg("text", { x: 0, y: 11 }, "mean IoU %"));
  for (const { model, number, time } of timed) {
    const dominated = timed.some((other) => other.time <= time && other.model.miou > model.miou);
    const group = svg("g", { class: dominated ? "dominated" : "" });
    group.append(svg("title", {}, `${model.label}: ${percent(model.miou)} % mean IoU, ${time} ms`),
      svg("line", { x1: x(time), x2: x(time), y1: y(model.low), y2: y(model.high), class: "mark", "stroke-width": 2 }),
      model.cheapest ? svg("path", { d: `M${x(time)} ${y(model.miou) - 9}l9 9l-9 9l-9-9z`, class: "mark" }) : svg("circle", { cx: x(time), cy: y(model.miou), r: 6, class: "mark" }),
      svg("text", { x: x(time) + 12, y: y(model.miou) + 5 }, String(number)));
    drawing.append(group);
  }
  place.replaceChildren(drawing);
}

function ticks(low, high) {
  const found = [];
  for (let power = -2; power < 6; power++) for (const step of [1, 2, 5]) found.push(Number((step * 10 ** power).toPrecision(2)));
  return found.filter((value) => value >= low && value <= high);
}

// ---- the viewer ---------------------------------------------------------------------------------

const viewer = {
  dialog: document.getElementById("viewer"),
  mode: document.getElementById("viewer-mode"),
  only: document.getElementById("viewer-class"),
  opacity: document.getElementById("viewer-opacity"),
  view: { x: 0, y: 0, scale: 1 },
  turn: 0,

  async open(p, c) {
    this.picture = p;
    this.only.value = c === null ? "" : String(c);
    this.view = { x: 0, y: 0, scale: 1 };
    if (!this.dialog.open) this.dialog.showModal();
    await this.load();
  },

  step(by) {
    this.picture = (this.picture + by + data.pictures.length) % data.pictures.length;
    return this.load();
  },

  async load() {
    const turn = ++this.turn;
    const picture = data.pictures[this.picture];
    document.getElementById("viewer-title").textContent = picture.name;
    const images = await Promise.all([picture.image, picture.truth, ...picture.predictions].map(decoded));
    if (turn !== this.turn) return; // another image was asked for meanwhile
    const [image, ...maps] = images;
    this.loaded = { image, maps: maps.map((one) => ids(one)) };
    this.loaded.near = nearEdges(this.loaded.maps[0]);
    this.draw();
  },

  draw() {
    if (!this.loaded) return;
    const picture = data.pictures[this.picture];
    const c = this.only.value === "" ? null : Number(this.only.value);
    const [truth, ...predictions] = this.loaded.maps;
    const panes = [pane("image", null, this.loaded.image), pane("truth", (i) => colorOf(truth.ids[i]), this.loaded.image)];
    predictions.forEach((one, m) => {
      const scores = picture.iou[m];
      const present = scores.filter((x) => x !== null);
      const mean = present.length ? present.reduce((a, b) => a + b, 0) / present.length : null;
      const said = c === null ? `mean IoU ${percent(mean)} %` : `IoU ${percent(scores[c])} %`;
      const shown = this.mode.value === "classes" ? (i) => colorOf(one.ids[i]) : (i) => errorOf(truth.ids[i], one.ids[i], c, this.loaded.near[i]);
      panes.push(pane(`${data.models[m].label}: ${said}`, shown, this.loaded.image));
    });
    document.getElementById("viewer-panes").replaceChildren(...panes);
    this.legend(c);
    this.move();
  },

  legend(c) {
    const names = c === null ? [["right", "right"], ["wrong", "wrong"]] : [["right", "right"], ["missed", "missed"], ["false", "false"]];
    names.push(["boundary", `wrong near an edge (${100 * data.edge} % of the diagonal)`]);
    const entries = this.mode.value === "classes" ? [] : names.map(([key, name]) => [ERRORS[key], name]);
    entries.push(...data.classes.map((found) => [found.color, found.name]));
    document.getElementById("viewer-legend").replaceChildren(...entries.map(([color, name]) => make("span", {}, swatch(color), name)));
  },

  move() {
    const { x, y, scale } = this.view;
    for (const one of this.dialog.querySelectorAll("canvas")) one.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  },
};

function decoded(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("an image of this page cannot be decoded"));
    image.src = address;
  });
}

function ids(image) {
  const place = make("canvas", { width: image.width, height: image.height });
  const context = place.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const found = new Uint8Array(image.width * image.height);
  for (let i = 0; i < found.length; i++) found[i] = pixels[4 * i];
  return { ids: found, width: image.width, height: image.height };
}

const colorOf = (id) => (id === VOID ? null : data.classes[id] ? data.classes[id].color : [20, 20, 20]);

function errorOf(truth, predicted, c, near) {
  if (truth === VOID) return null;
  if (c !== null && truth !== c && predicted !== c) return null;
  if (truth === predicted) return ERRORS.right;
  if (near) return ERRORS.boundary;
  if (c === null) return ERRORS.wrong;
  return truth === c ? ERRORS.missed : ERRORS.false;
}

// Pixels that have another value of the truth within so many rows and columns, as on the edges of
// the boundary IoU. A square holds several values if neighbours in it differ; sums from the corner
// of the image count these.
function nearEdges({ ids, width, height }) {
  const reach = Math.max(1, Math.round(data.edge * Math.hypot(width, height)));
  const beside = sums((x, y) => x + 1 < width && ids[y * width + x] !== ids[y * width + x + 1], width, height);
  const below = sums((x, y) => y + 1 < height && ids[y * width + x] !== ids[(y + 1) * width + x], width, height);
  const near = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [Math.max(0, y - reach), Math.min(height - 1, y + reach)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [Math.max(0, x - reach), Math.min(width - 1, x + reach)];
      near[y * width + x] = beside(left, top, right, bottom + 1) + below(left, top, right + 1, bottom) > 0;
    }
  }
  return near;
}

// how often something is so in a rectangle, from its first column and row to before its last ones
function sums(holds, width, height) {
  const step = width + 1;
  const found = new Int32Array(step * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      row += holds(x, y);
      found[(y + 1) * step + x + 1] = found[y * step + x + 1] + row;
    }
  }
  return (left, top, right, bottom) =>
    found[bottom * step + right] - found[top * step + right] - found[bottom * step + left] + found[top * step + left];
}

function pane(title, color, image) {
  const place = make("canvas", { width: image.width, height: image.height, role: "img", ariaLabel: title });
  const context = place.getContext("2d");
  context.drawImage(image, 0, 0);
  if (color) {
    const pixels = context.getImageData(0, 0, image.width, image.height);
    const share = viewer.opacity.value / 100;
    for (let i = 0; i < image.width * image.height; i++) {
      const wanted = color(i);
      if (wanted) for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = (1 - share) * pixels.data[4 * i + k] + share * wanted[k];
    }
    context.putImageData(pixels, 0, 0);
  }
  return make("div", { className: "pane" }, make("p", {}, title), make("div", { className: "view" }, place));
}

function connectViewer() {
  viewer.only.append(make("option", { value: "" }, "all classes"), ...data.classes.map((found, c) => make("option", { value: String(c) }, found.name)));
  for (const one of [viewer.mode, viewer.only, viewer.opacity]) one.addEventListener("input", () => viewer.draw());
  document.getElementById("viewer-close").addEventListener("click", () => viewer.dialog.close());
  document.getElementById("viewer-previous").addEventListener("click", () => viewer.step(-1));
  document.getElementById("viewer-next").addEventListener("click", () => viewer.step(1));
  viewer.dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input")) return;
    if (event.key === "ArrowLeft") viewer.step(-1);
    if (event.key === "ArrowRight") viewer.step(1);
  });
  const panes = document.getElementById("viewer-panes");
  panes.addEventListener("wheel", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    event.preventDefault();
    const { left, top } = view.getBoundingClientRect();
    const [px, py] = [event.clientX - left, event.clientY - top];
    const scale = Math.min(20, Math.max(1, viewer.view.scale * (event.deltaY < 0 ? 1.25 : 0.8)));
    const ratio = scale / viewer.view.scale;
    viewer.view = scale === 1 ? { x: 0, y: 0, scale } : { x: px - ratio * (px - viewer.view.x), y: py - ratio * (py - viewer.view.y), scale };
    viewer.move();
  }, { passive: false });
  panes.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1) || !event.target.closest(".view")) return;
    viewer.view.x += event.movementX;
    viewer.view.y += event.movementY;
    viewer.move();
  });
}

modelsTable();
classesTable();
imagesTable();
costFigure();
connectViewer();
if (data.disputed.length) {
  document.getElementById("disputed").append(make("h3", {}, "Where the models disagree most"),
    make("div", { className: "thumbs" }, ...data.disputed.map((p) => thumbnail(p, null, "disputed"))));
}
document.getElementById("image-search").addEventListener("input", imagesTable);
window.addEventListener("resize", costFigure);
// on paper nothing can be opened
window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("#figures details")) one.open = true;
});
