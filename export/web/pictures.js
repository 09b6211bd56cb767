// Rows as pictures or as a table, and a pad to draw on.

// Of the package's plots: made_tf/plotting/style.py.
const INK = [0x1f, 0x3a, 0x5f];
const PAPER = [0xee, 0xf1, 0xf5];
const UNKNOWN = [0xc9, 0xcf, 0xd6];
const ACCENT = [0xd1, 0x49, 0x5b];

/** Paints values of 0 and 1 (null: not known); `cursor` marks one of them. */
export function paint(canvas, values, [height, width], cursor = -1) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  values.forEach((value, i) => {
    const colour = value === null ? UNKNOWN : value > 0.5 ? INK : PAPER;
    image.data.set([...colour, 255], 4 * i);
    if (i === cursor) image.data.set([...ACCENT, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

/** One picture with a name for those who do not see it. */
export function picture(values, shape, label) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', label);
  paint(canvas, Array.from(values), shape);
  return canvas;
}

/** Rows of texts in a table that scrolls by itself; `null` is a missing cell. */
export function table(names, rows) {
  const element = document.createElement('table');
  const head = element.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = name;
    head.append(cell);
  }
  const body = element.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) {
      const cell = line.insertCell();
      cell.textContent = text ?? 'missing';
      if (text === null) cell.className = 'missing';
    }
  }
  const scroll = document.createElement('div');
  scroll.className = 'scroll';
  scroll.tabIndex = 0; // so that arrow keys scroll it
  scroll.setAttribute('role', 'region');
  scroll.setAttribute('aria-label', `${rows.length} rows of ${names.length} columns`);
  scroll.append(element);
  return scroll;
}

/** Says below a table that it is wider than the screen, where it is. */
export function tellOfWidth(scroll) {
  if (scroll.scrollWidth <= scroll.clientWidth + 1) return;
  const words = document.createElement('p');
  words.className = 'hint';
  words.textContent = `${scroll.querySelectorAll('th').length} columns: scroll the table sideways.`;
  scroll.after(words);
}

/** A pad of pixels for mouse, finger and keyboard; half of it is to be completed. */
export class Pad {
  constructor(canvas, shape) {
    this.canvas = canvas;
    this.shape = shape;
    this.known = 'top';
    this.cursor = -1;
    this.clear();
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.value = event.button === 2 || event.shiftKey ? 0 : 1;
      this.mark(event);
    });
    canvas.addEventListener('pointermove', (event) => event.buttons && this.mark(event));
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    canvas.addEventListener('keydown', (event) => this.key(event));
    canvas.addEventListener('focus', () => this.move(Math.max(this.cursor, 0)));
    canvas.addEventListener('blur', () => {
      this.cursor = -1;
      this.show();
    });
  }

  clear() {
    this.values = new Float32Array(this.shape[0] * this.shape[1]);
    this.show();
  }

  isKnown(i) {
    const [height, width] = this.shape;
    const [row, column] = [Math.floor(i / width), i % width];
    return {
      top: row < height / 2,
      bottom: row >= height / 2,
      left: column < width / 2,
      right: column >= width / 2,
    }[this.known];
  }

  observed() {
    return Int32Array.from(this.values, (_, i) => (this.isKnown(i) ? 1 : 0));
  }

  show() {
    const shown = Array.from(this.values, (value, i) => (this.isKnown(i) ? value : null));
    paint(this.canvas, shown, this.shape, this.cursor);
  }

  mark(event) {
    const box = this.canvas.getBoundingClientRect();
    const [height, width] = this.shape;
    const column = Math.floor(((event.clientX - box.left) / box.width) * width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * height);
    const thick = Math.min(height, width) >= 20 ? [0, 1] : [0];
    for (const down of thick) {
      for (const right of thick) {
        const [r, c] = [row + down, column + right];
        if (r >= 0 && c >= 0 && r < height && c < width) this.values[r * width + c] = this.value;
      }
    }
    this.show();
  }

  move(to) {
    this.cursor = Math.min(Math.max(to, 0), this.values.length - 1);
    this.show();
  }

  key(event) {
    const width = this.shape[1];
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width };
    if (event.key in steps) this.move(this.cursor + steps[event.key]);
    else if (event.key === ' ') this.values[this.cursor] = 1 - this.values[this.cursor];
    else return;
    event.preventDefault();
    this.show();
  }
}
