// What all rows are conditioned on: a field for each number, or one text field for many.

const MOST_FIELDS = 32;

/** The numbers of a row's context; 0 for a model without one. */
export function contextSize(metadata) {
  const shape = metadata.context?.shape ?? null;
  if (shape === null) return 0;
  if (shape.length !== 1) {
    throw new Error(
      `This file's model has a context of shape ${shape.join(' x ')}: the page knows those that ` +
        'are one row of numbers.',
    );
  }
  return shape[0];
}

/** The fields of a model's context within an element, which is hidden where there is none. */
export class ContextFields {
  constructor(element) {
    this.element = element;
    this.size = 0;
    this.inputs = [];
  }

  show(metadata) {
    this.size = contextSize(metadata);
    this.inputs = [];
    const many = this.size > MOST_FIELDS;
    const given = metadata.context?.names ?? null;
    const names = Array.from({ length: this.size }, (_, k) => given?.[k] ?? `context ${k + 1}`);
    const fields = many
      ? [this.field(`${this.size} numbers with commas between them`, 'text')]
      : names.map((name) => this.field(name, 'number'));
    if (many) this.inputs[0].value = names.map(() => '0').join(', ');
    this.element.replaceChildren(this.element.querySelector('legend'), ...fields);
    this.element.classList.toggle('many', many);
    this.element.hidden = this.size === 0;
  }

  field(name, type) {
    const [span, label, input] = ['span', 'label', 'input'].map((tag) => document.createElement(tag));
    input.id = `context-${this.inputs.length + 1}`;
    [input.type, input.value, input.required] = [type, '0', true];
    if (type === 'number') input.step = 'any';
    [label.htmlFor, label.textContent] = [input.id, name];
    span.append(label, input);
    this.inputs.push(input);
    return span;
  }

  /** The numbers as they stand, or null for a model without a context; throws for others. */
  values() {
    if (this.size === 0) return null;
    const texts =
      this.size > MOST_FIELDS
        ? this.inputs[0].value.split(',')
        : this.inputs.map((input) => input.value);
    if (texts.length !== this.size) {
      throw new Error(`The context must be ${this.size} numbers. There are ${texts.length}.`);
    }
    return Float32Array.from(texts, (text, k) => {
      const value = Math.fround(text.trim() === '' ? NaN : Number(text));
      if (Number.isFinite(value)) return value;
      const which = this.inputs[k]?.labels[0].textContent ?? '';
      const name = this.size > MOST_FIELDS ? `context, number ${k + 1}` : which;
      throw new Error(`${name}: a finite number`);
    });
  }
}
