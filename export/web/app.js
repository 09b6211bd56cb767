// The page: chooses a model, draws samples, completes what is drawn.

import { cardFacts } from './card.js';
import { ContextFields } from './contexts.js';
import { median, openModel, startRuntime } from './model.js';
import { RowForm } from './form.js';
import { Pad, picture, table, tellOfWidth } from './pictures.js';
import { shown } from './schema.js';

const $ = (id) => document.getElementById(id);
const COMPLETIONS = 8;
const MANY = 64; // pictures, from which on they are smaller
const FORM_ROWS = 16; // that the form asks for at once: bars appear with the first ones
const FORM_SEED = 0;
const context = new ContextFields($('context'));
let model = null;
let pad = null;
let form = null;
let asked = 0;
let examples = -1;
let last = Promise.resolve();

function say(text, isError = false) {
  $('status').textContent = text;
  $('status').className = isError ? 'error' : '';
}

/** Runs one task at a time, with buttons off; an error is told, never thrown. */
function task(text, action) {
  last = last.then(() => run(text, action));
  return last;
}

async function run(text, action) {
  document.querySelectorAll('button').forEach((button) => (button.disabled = true));
  say(text);
  await new Promise((resolve) => setTimeout(resolve)); // lets the text appear
  try {
    await action();
  } catch (error) {
    say(error.message || String(error), true);
  } finally {
    document.querySelectorAll('button').forEach((button) => (button.disabled = !model));
  }
}

async function use(name, bytes) {
  const opened = await openModel(bytes);
  model?.close();
  model = opened;
  show(name);
  const started = Math.round(performance.now());
  await draw();
  document.body.dataset.firstSampleMs = String(Math.round(performance.now()));
  document.body.dataset.openedMs = String(started);
  form?.update(); // after this task: it waits for its turn
}

/** What the model is of, and what to try first, for somebody who was sent a link. */
function introduce(name) {
  const { metadata, schema } = model;
  const shape = metadata.image_shape;
  const names = metadata.variables?.map((variable) => variable.name);
  const canComplete = model.batches('impute').length > 0;
  let about = `a table of ${metadata.event_size} columns`;
  let first = 'Press “Draw others” for more rows, all of them made up.';
  if (schema) {
    const columns = schema.columns.map((column) => column.name);
    const some = columns.slice(0, 8).join(', ') + (columns.length > 8 ? ', …' : '');
    about = `a table with ${columns.length} columns (${some})`;
    if (canComplete) first = 'Say one thing that you know of a row, and see what is likely for the rest.';
  } else if (shape !== null) {
    about = `pictures of ${shape.join(' × ')} points`;
    first = 'Press “Draw others” for more pictures, all of them made up.';
    if (canComplete) first += ' Then draw the beginning of one below, and let it be completed.';
  } else if (names) {
    about = `a table with ${names.length} columns (${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''})`;
  }
  const own = name.replace(/\.tflite$/, '');
  document.title = own;
  $('title').textContent = own;
  $('about').textContent =
    `A model of ${about}: it has learned from examples what is likely, and makes up new ones.`;
  $('first').textContent = first;
  $('first').hidden = false;
}

function show(name) {
  const { metadata, schema } = model;
  introduce(name);
  const facts = [
    ['file', `${name}, ${(model.size / 1e6).toFixed(2)} MB`],
    ['variables', `${metadata.event_size}, ${metadata.family.name}`],
    ['weights', metadata.weights],
    ['orders', metadata.any_order ? 'any' : String(metadata.num_orders)],
    ['version', `made_tf ${metadata.version}`],
  ];
  if (metadata.members) facts.push(['members', String(metadata.members)]);
  if (metadata.context) facts.push(['context', `${metadata.context.shape.join(' x ')} numbers`]);
  facts.push(...cardFacts(metadata));
  $('facts').replaceChildren(
    ...facts.flatMap(([key, value]) => {
      const [term, text] = [document.createElement('dt'), document.createElement('dd')];
      [term.textContent, text.textContent] = [key, value];
      return [term, text];
    }),
  );
  context.show(metadata);
  const canImpute = model.batches('impute').length > 0;
  const canComplete = metadata.image_shape !== null && canImpute;
  $('completing').hidden = !canComplete;
  $('completions').replaceChildren();
  if (canComplete) {
    const fresh = $('pad').cloneNode(); // without the listeners of the pad before
    $('pad').replaceWith(fresh);
    pad = new Pad(fresh, metadata.image_shape);
    pad.known = $('known').value;
    pad.show();
  }
  $('asking').hidden = !(schema && canImpute);
  form = $('asking').hidden ? null : new RowForm($('row'), schema, ask);
}

/** Draws rows given some cells for the form; of several questions in a row the last one counts. */
function ask(x, observed, count, onRows) {
  asked += 1;
  const [own, of] = [asked, model];
  last = last.then(async () => {
    const rows = [];
    const isOld = () => own !== asked || of !== model;
    try {
      while (rows.length < count && !isOld()) {
        const some = Math.min(FORM_ROWS, count - rows.length);
        const drawn = await of.impute(x, observed, FORM_SEED, some, context.values(), () => {}, rows.length);
        if (isOld()) return;
        rows.push(...drawn.rows);
        onRows(rows);
      }
      window.madeForm = { asked: own, rows, of: count }; // for tests and the curious
    } catch (error) {
      say(error.message || String(error), true);
    }
  });
  return last;
}

function told(times, rows) {
  return `${rows} drawn, ${median(times).toFixed(2)} ms a sample (median).`;
}

function number(id) {
  const input = $(id);
  if (!input.reportValidity()) throw new Error(`${input.labels[0].textContent}: ${input.title}`);
  return Number(input.value);
}

/** The names of columns and the texts of rows of numbers. */
function texts(rows) {
  const { metadata, schema, eventSize } = model;
  if (schema) {
    const lines = rows.map((row, number) =>
      schema.decode(row, number).map((cell, k) => (cell === null ? null : shown(schema.columns[k], cell))),
    );
    return [schema.columns.map((column) => column.name), lines];
  }
  const { variables } = metadata;
  const names = variables?.map((v) => v.name) ?? Array.from({ length: eventSize }, (_, k) => `x${k}`);
  const text = (value, k) => variables?.[k]?.categories?.[value] ?? Number(value.toPrecision(6));
  return [names, rows.map((row) => Array.from(row, (value, k) => String(text(value, k))))];
}

async function draw() {
  const [seed, count] = [number('seed'), number('count')];
  const shape = model.metadata.image_shape;
  $('samples').replaceChildren();
  $('samples').classList.toggle('many', count > MANY);
  const append = (rows, first) => {
    if (shape === null) return;
    $('samples').append(...rows.map((row, i) => picture(row, shape, `sample ${first + i}`)));
  };
  const { rows, times } = await model.sample(seed, count, context.values(), append);
  if (shape === null) {
    const scroll = table(...texts(rows));
    $('samples').append(scroll);
    tellOfWidth(scroll);
  }
  window.madeSamples = rows; // for tests and the curious
  document.body.dataset.msPerSample = String(median(times));
  say(told(times, rows.length));
}

async function complete() {
  const { image_shape: shape } = model.metadata;
  $('completions').replaceChildren();
  const append = (rows, first) =>
    $('completions').append(...rows.map((row, i) => picture(row, shape, `completion ${first + i}`)));
  const given = [pad.values, pad.observed(), number('seed'), COMPLETIONS, context.values()];
  const { rows, times } = await model.impute(...given, append);
  window.madeCompletions = rows;
  say(told(times, rows.length));
}

async function fromFile(file) {
  if (!file) return;
  await task(`Opening ${file.name} …`, async () => {
    await use(file.name, new Uint8Array(await file.arrayBuffer()));
  });
}

$('drawing').addEventListener('submit', (event) => {
  event.preventDefault();
  task('Drawing …', draw);
});
$('another').addEventListener('click', () => {
  const seed = Number($('seed').value);
  $('seed').value = String(Number.isInteger(seed) && seed < 2 ** 31 - 1 ? seed + 1 : 0);
  task('Drawing …', draw);
});
$('example').addEventListener('click', () => {
  const rows = window.madeSamples;
  examples += 1;
  form.fill(rows[examples % rows.length]);
});
$('empty').addEventListener('click', () => form.clear());
$('context').addEventListener('change', () => $('drawing').requestSubmit());
$('complete').addEventListener('click', () => task('Completing …', complete));
$('clear').addEventListener('click', () => pad.clear());
$('known').addEventListener('change', () => {
  pad.known = $('known').value;
  pad.show();
});
$('file').addEventListener('change', (event) => fromFile(event.target.files[0]));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  fromFile(event.dataTransfer.files[0]);
});

task('Loading …', async () => {
  const fetched = fetch('model.tflite');
  startRuntime().catch(() => {}); // meanwhile; a failure is told where it is waited for
  const response = await fetched;
  if (!response.ok) throw new Error('Choose a model file.');
  const told = response.headers.get('Content-Disposition') ?? '';
  const [, name = 'model.tflite'] = /filename\*=UTF-8''([^;]+)/.exec(told) ?? [];
  await use(decodeURIComponent(name), new Uint8Array(await response.arrayBuffer()));
});
