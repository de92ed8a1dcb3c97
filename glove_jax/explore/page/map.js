// A map of words on a canvas, to move, zoom and click.

const FONT = "13px system-ui, sans-serif";
const CELL = 7; // pixels; labels do not share a cell

export class WordMap {
  // `pick` is called with a word that is clicked.
  constructor(canvas, pick) {
    this.canvas = canvas;
    this.pick = pick;
    this.words = [];
    this.asked = new Set();
    this.near = new Set();
    this.hovered = -1;
    this.pointers = new Map();
    this.reset();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.draw());
    this.listen();
  }

  show({ words, x, y }) {
    Object.assign(this, { words, x, y });
    const pen = this.canvas.getContext("2d");
    pen.font = FONT;
    this.widths = words.map((word) => pen.measureText(word).width);
    this.reset();
  }

  mark(asked, near) {
    this.asked = new Set(asked);
    this.near = new Set(near);
    this.draw();
  }

  reset() {
    Object.assign(this, { zoom: 1, left: 0, top: 0 });
    this.draw();
  }

  // Where a word is, in pixels.
  place(i) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    // The canvas is filled, whatever its shape: axes have no units.
    return [
      width / 2 + this.left + this.x[i] * (width / 2 - 40) * this.zoom,
      height / 2 + this.top - this.y[i] * (height / 2 - 16) * this.zoom,
    ];
  }

  move(right, down) {
    this.left += right;
    this.top += down;
    this.draw();
  }

  // Zooms by a factor, so that one point stays where it is.
  scale(factor, x, y) {
    const zoom = Math.min(200, Math.max(0.5, this.zoom * factor));
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [fromX, fromY] = [x - width / 2, y - height / 2];
    const by = zoom / this.zoom;
    this.left = fromX - (fromX - this.left) * by;
    this.top = fromY - (fromY - this.top) * by;
    this.zoom = zoom;
    this.draw();
  }

  draw() {
    if (!this.waiting) {
      this.waiting = requestAnimationFrame(() => {
        this.waiting = 0;
        this.paint();
      });
    }
  }

  paint() {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const pixels = devicePixelRatio || 1;
    canvas.width = Math.round(width * pixels);
    canvas.height = Math.round(height * pixels);
    const pen = canvas.getContext("2d");
    pen.scale(pixels, pixels);
    pen.font = FONT;
    pen.textBaseline = "middle";
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name);
    const [soft, ink] = [colour("--soft"), colour("--ink")];
    const [accent, mark] = [colour("--accent"), colour("--mark")];
    this.taken = new Set();
    const rank = (i) => {
      const word = this.words[i];
      return this.asked.has(word) ? 0 : i === this.hovered ? 1
        : this.near.has(word) ? 2 : 3;
    };
    // The marked words get their labels first, then the most frequent.
    const order = this.words.map((_, i) => [rank(i), i])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    for (const [kind, i] of order) {
      const [x, y] = this.place(i);
      if (x < -50 || y < -10 || x > width + 10 || y > height + 10) continue;
      pen.fillStyle = [mark, ink, accent, soft][kind];
      pen.beginPath();
      pen.arc(x, y, kind === 3 ? 1.5 : 3.5, 0, 2 * Math.PI);
      pen.fill();
      const label = this.widths[i];
      // A label that would be cut off is to the left of its word.
      const start = x + label + 8 > width && x <= width ? x - label - 10 : x;
      if (this.take(start, y, label) || kind < 2) {
        pen.fillStyle = [mark, ink, accent, ink][kind];
        pen.globalAlpha = kind === 3 ? 0.8 : 1;
        pen.fillText(this.words[i], start + 5, y);
        pen.globalAlpha = 1;
      }
    }
  }

  // Takes the cells of a label, unless one of them is taken.
  take(x, y, width) {
    const cells = [];
    for (let row = Math.floor((y - 7) / CELL); row <= (y + 6) / CELL; row++) {
      const first = Math.floor(x / CELL);
      for (let col = first; col <= (x + width + 8) / CELL; col++) {
        cells.push(row * 10000 + col);
      }
    }
    if (cells.some((cell) => this.taken.has(cell))) return false;
    cells.forEach((cell) => this.taken.add(cell));
    return true;
  }

  // The word at a point, or -1.
  at(x, y) {
    let [best, least] = [-1, 16 * 16];
    this.words.forEach((_, i) => {
      const [left, top] = this.place(i);
      const away = (left - x) ** 2 + (top - y) ** 2;
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  listen() {
    const { canvas, pointers } = this;
    const listen = (name, act) =>
      canvas.addEventListener(name, act, { passive: false });
    listen("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode ? 16 : 1);
      this.scale(Math.exp(-pixels / 400), event.offsetX, event.offsetY);
    });
    listen("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      this.travelled = pointers.size > 1 ? Infinity : 0;
    });
    listen("pointermove", (event) => this.drag(event));
    listen("pointerup", (event) => {
      const found = this.at(event.offsetX, event.offsetY);
      if (pointers.delete(event.pointerId) && this.travelled < 5 && found >= 0)
        this.pick(this.words[found]);
    });
    listen("pointercancel", (event) => pointers.delete(event.pointerId));
    listen("pointerleave", () => this.hover(-1));
    listen("keydown", (event) => this.key(event));
  }

  drag(event) {
    const { pointers } = this;
    const now = [event.offsetX, event.offsetY];
    const before = pointers.get(event.pointerId);
    if (!before) {
      this.hover(this.at(...now));
      return;
    }
    const [right, down] = [now[0] - before[0], now[1] - before[1]];
    this.travelled += Math.hypot(right, down);
    pointers.set(event.pointerId, now);
    if (pointers.size === 1) this.move(right, down);
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (point) =>
        Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
      this.scale(apart(now) / apart(before), ...other);
    }
  }

  hover(i) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.canvas.style.cursor = i < 0 ? "grab" : "pointer";
    this.draw();
  }

  key(event) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const acts = {
      ArrowLeft: () => this.move(60, 0),
      ArrowRight: () => this.move(-60, 0),
      ArrowUp: () => this.move(0, 60),
      ArrowDown: () => this.move(0, -60),
      "+": () => this.scale(1.3, width / 2, height / 2),
      "=": () => this.scale(1.3, width / 2, height / 2),
      "-": () => this.scale(1 / 1.3, width / 2, height / 2),
      0: () => this.reset(),
    };
    if (event.key in acts && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      acts[event.key]();
    }
  }
}
