// The page: chooses a model, draws samples, completes what is drawn.

import { cardFacts } from './card.js';
import { ContextFields } from './contexts.js';
import { median, openModel, startRuntime } from './model.js';
import { Pad, picture, table } from './pictures.js';

const $ = (id) => document.getElementById(id);
const COMPLETIONS = 8;
const context = new ContextFields($('context'));
let model = null;
let pad = null;
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
}

function show(name) {
  const { metadata } = model;
  const facts = [
    ['file', `${name}, ${(model.size / 1e6).toFixed(2)} MB`],
    ['variables', `${metadata.event_size}, ${metadata.family.name}`],
    ['weights', metadata.weights],
    ['orders', metadata.any_order ? 'any' : String(metadata.num_orders)],
    ['version', `made_tf ${metadata.version}`],
  ];
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
  const canComplete = metadata.image_shape !== null && model.batches('impute').length > 0;
  $('completing').hidden = !canComplete;
  $('completions').replaceChildren();
  if (canComplete) {
    const fresh = $('pad').cloneNode(); // without the listeners of the pad before
    $('pad').replaceWith(fresh);
    pad = new Pad(fresh, metadata.image_shape);
    pad.known = $('known').value;
    pad.show();
  }
}

function told(times, rows) {
  return `${rows} drawn, ${median(times).toFixed(2)} ms a sample (median).`;
}

function number(id) {
  const input = $(id);
  if (!input.reportValidity()) throw new Error(`${input.labels[0].textContent}: ${input.title}`);
  return Number(input.value);
}

async function draw() {
  const [seed, count] = [number('seed'), number('count')];
  const shape = model.metadata.image_shape;
  $('samples').replaceChildren();
  const append = (rows, first) => {
    if (shape === null) return;
    $('samples').append(...rows.map((row, i) => picture(row, shape, `sample ${first + i}`)));
  };
  const { rows, times } = await model.sample(seed, count, context.values(), append);
  if (shape === null) {
    $('samples').append(table(rows, model.metadata.variables, model.eventSize));
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
  await use('model.tflite', new Uint8Array(await response.arrayBuffer()));
});
