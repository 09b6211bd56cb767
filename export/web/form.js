// A row as a form: any cells known, and what the model expects of the others, live.

import { read, shown } from './schema.js';

const MISSING_TEXT = 'missing';
const WAIT = 250; // ms after a key, before the model is asked
const MOST_BARS = 8;
const BINS = 12;
const DRAWS = 64;
const TYPES = { date: 'date', time: 'time', moment: 'datetime-local', integer: 'number', real: 'number' };

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') element.textContent = value;
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

export class RowForm {
  /** `ask(x, observed, count)` draws rows and calls `onRows` with those that are there so far. */
  constructor(element, schema, ask) {
    this.element = element;
    this.schema = schema;
    this.ask = ask;
    this.timer = null;
    this.parts = schema.columns.map((column, k) => this.part(column, k));
    element.replaceChildren(...this.parts.map((part) => part.box));
    element.oninput = () => this.later();
    element.onsubmit = (event) => event.preventDefault();
  }

  part(column, k) {
    const id = `cell-${k}`;
    const label = make('label', { for: id, text: column.name });
    const expected = make('div', { class: 'expected', id: `${id}-expected` });
    const wrong = make('p', { class: 'wrong', id: `${id}-wrong`, role: 'alert' });
    const input = this.schema.canBeGiven(k) ? this.field(column, id) : null;
    const needs = this.schema.needs(k).join(', ');
    const hint = needs && make('p', { class: 'hint', text: input ? `at least ${needs}` : `follows from ${needs}` });
    if (input === null) label.removeAttribute('for');
    const box = make('div', { class: 'cell' }, label, ...[input, hint, wrong, expected].filter(Boolean));
    return { box, input, expected, wrong };
  }

  field(column, id) {
    const own = column.kind === 'at_least' ? column.difference : column;
    const attributes = { id, 'aria-describedby': `${id}-wrong ${id}-expected` };
    if (column.kind === 'classes') {
      const options = column.values.map((value) => make('option', { value: `=${value}`, text: String(value) }));
      const rest = own.missing ? [make('option', { value: 'missing', text: MISSING_TEXT })] : [];
      return make('select', attributes, make('option', { value: '', text: 'not known' }), ...options, ...rest);
    }
    const type = TYPES[column.source.sort] ?? 'text';
    const step = type === 'number' ? 'any' : type === 'datetime-local' || type === 'time' ? '1' : null;
    return make('input', { ...attributes, type, step, placeholder: 'not known', autocomplete: 'off' });
  }

  /** What is known: the number of a column to its cell; marks what cannot be read. */
  known() {
    const cells = new Map();
    let right = true;
    this.parts.forEach(({ input, wrong }, k) => {
      const column = this.schema.columns[k];
      this.mark(k, '');
      if (!input) return;
      const bad = input.validity?.badInput;
      if (input.value === '' && !bad) return;
      try {
        if (column.kind === 'classes') {
          const missing = input.value === 'missing';
          cells.set(k, missing ? null : read(column, input.value.slice(1)));
        } else {
          cells.set(k, read(column, input.value));
        }
      } catch (error) {
        this.mark(k, error.message);
        right = false;
      }
    });
    if (!right) return null;
    try {
      return { cells, ...this.schema.encode(cells) };
    } catch (error) {
      this.mark(error.column, error.message);
      return null;
    }
  }

  /** Says below a field what its cell must be; '' for nothing. */
  mark(k, text) {
    const { input, wrong } = this.parts[k];
    const words = text && `${this.schema.columns[k].name} ${text}`;
    if (wrong.textContent !== words) wrong.textContent = words;
    input?.toggleAttribute('aria-invalid', text !== '');
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.update(), WAIT);
  }

  update() {
    const known = this.known();
    // What is shown answers another question, until the next one can be asked.
    this.element.classList.toggle('stale', known === null);
    if (known === null) return null;
    return this.ask(known.x, known.observed, DRAWS, (rows) => this.show(rows, known.cells));
  }

  /** Shows, of each column that is not known, how its cells are distributed in rows. */
  show(rows, known) {
    const cells = rows.map((row, number) => this.schema.decode(row, number));
    this.parts.forEach(({ expected, box }, k) => {
      box.classList.toggle('known', known.has(k));
      const column = this.schema.columns[k];
      const own = cells.map((row) => row[k]);
      if (known.has(k) || column.kind === 'identifier') expected.replaceChildren();
      else expected.replaceChildren(...distribution(column, own));
    });
  }

  /** Fills the fields with the cells of a row. */
  fill(row) {
    this.schema.decode(row).forEach((cell, k) => {
      const { input } = this.parts[k];
      if (!input) return;
      const column = this.schema.columns[k];
      if (column.kind === 'classes') input.value = cell === null ? 'missing' : `=${cell}`;
      else input.value = shown(column, cell).replace(/^(\d{4}-\d\d-\d\d) /, '$1T');
    });
    return this.update();
  }

  clear() {
    for (const { input } of this.parts) if (input) input.value = '';
    return this.update();
  }
}

const percent = (part) => `${Math.round(100 * part)} %`;

/** What cells of a column look like: bars of classes, or of a histogram and its middle. */
function distribution(column, cells) {
  const numeric = cells.filter((cell) => typeof cell === 'number' || typeof cell === 'bigint');
  const isNumbers = numeric.length > 0 && column.kind !== 'classes' && column.kind !== 'dependent';
  return isNumbers ? histogram(column, cells, numeric) : shares(column, cells);
}

function shares(column, cells) {
  const counts = new Map();
  for (const cell of cells) {
    const name = cell === null ? MISSING_TEXT : shown(column, cell);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const items = sorted.slice(0, MOST_BARS).map(([name, count]) => bar(name, count / cells.length));
  const others = sorted.slice(MOST_BARS).reduce((sum, [, count]) => sum + count, 0);
  if (others) items.push(bar(`${sorted.length - MOST_BARS} others`, others / cells.length));
  return [make('ul', { class: 'bars' }, ...items)];
}

function bar(name, share) {
  const filled = make('span', { class: 'filled' });
  filled.style.width = `${100 * share}%`;
  const line = make('span', { class: 'bar', 'aria-hidden': 'true' }, filled);
  return make('li', {}, make('span', { class: 'name', text: name }), line, make('span', { text: percent(share) }));
}

function histogram(column, cells, numeric) {
  const sorted = [...numeric].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const at = (part) => shown(column, sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]);
  const words = [`about ${at(0.5)}`, `mostly ${at(0.05)} to ${at(0.95)}`];
  const missing = (cells.length - numeric.length) / cells.length;
  if (missing) words.push(`${MISSING_TEXT}: ${percent(missing)}`);
  const values = numeric.map(Number);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const bins = new Array(BINS).fill(0);
  for (const value of values) {
    bins[Math.min(BINS - 1, Math.floor(((value - low) / (high - low || 1)) * BINS))] += 1;
  }
  const most = Math.max(...bins);
  const columns = bins.map((count) => {
    const filled = make('span', { class: 'filled' });
    filled.style.height = `${(100 * count) / most}%`;
    return filled;
  });
  return [
    make('div', { class: 'histogram', 'aria-hidden': 'true' }, ...columns),
    make('p', { class: 'words', text: words.join('; ') }),
  ];
}
