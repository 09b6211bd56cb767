// A model in the browser: LiteRT.js with its CPU (WASM) backend.

import { loadAndCompile, loadLiteRt, Tensor } from './litert/index.js';
import { contextSize } from './contexts.js';
import { keepConsoleForErrors } from './console.js';
import { readMetadata } from './metadata.js';
import { Schema } from './schema.js';

const INT32 = 2 ** 31;
let runtime = null;

/** Loads the WebAssembly module, once. */
export function startRuntime() {
  if (runtime === null) keepConsoleForErrors();
  runtime ??= loadLiteRt('litert/');
  return runtime;
}

/** Checks a file before the runtime sees it, then compiles it. */
export async function openModel(bytes) {
  const metadata = await readMetadata(bytes);
  contextSize(metadata); // throws for one that the page cannot give
  await startRuntime();
  return new Model(await loadAndCompile(bytes, { accelerator: 'wasm' }), metadata, bytes.length);
}

class Model {
  constructor(compiled, metadata, size) {
    this.compiled = compiled;
    this.metadata = metadata;
    this.size = size;
    this.eventSize = metadata.event_size;
    this.schema = metadata.schema ? new Schema(metadata.schema) : null;
    this.warm = new Set();
  }

  /** The fixed numbers of rows for which the file has a signature, largest first. */
  batches(kind) {
    return Object.keys(this.compiled.signatures)
      .map((name) => new RegExp(`^${kind}_(\\d+)$`).exec(name))
      .filter(Boolean)
      .map((match) => Number(match[1]))
      .sort((a, b) => b - a);
  }

  /**
   * Draws rows: row i from seeds [seed, i], all of them given `context`, which is null for a model
   * without one. Returns the rows and the milliseconds of each.
   */
  async sample(seed, count, context, onRows = () => {}) {
    if (this.batches('sample').length === 0 && this.batches('impute').length > 0) {
      const nothing = new Float32Array(this.eventSize); // of which nothing is known
      return this.impute(nothing, new Int32Array(this.eventSize), seed, count, context, onRows);
    }
    return this.inBatches('sample', count, context, onRows, (first, rows) => ({
      seeds: seedsOf(seed, first, rows),
    }));
  }

  /** Fills in what is not observed, `count` times, the first of them being row `start` of the seed. */
  async impute(x, observed, seed, count, context, onRows = () => {}, start = 0) {
    return this.inBatches('impute', count, context, onRows, (first, rows) => ({
      x: repeat(x, Float32Array, rows),
      observed: repeat(observed, Int32Array, rows),
      seeds: seedsOf(seed, start + first, rows),
    }));
  }

  async inBatches(kind, count, context, onRows, inputsOf) {
    const sizes = this.batches(kind);
    if (sizes.length === 0) {
      throw new Error(
        `This file has no signature of a fixed number of rows for "${kind}". Export it with ` +
          '--batch-sizes 1,16 (batch_sizes=(1, 16)).',
      );
    }
    const rows = [];
    const times = [];
    while (rows.length < count) {
      const size = sizes.find((n) => n <= count - rows.length) ?? sizes[sizes.length - 1];
      const inputs = inputsOf(rows.length, size);
      if (context !== null) inputs.context = repeat(context, Float32Array, size);
      const name = `${kind}_${size}`;
      if (!this.warm.has(name)) {
        // The first run of a signature takes longer than all others: it is no part of the times.
        release(await this.compiled.run(name, inputs));
        this.warm.add(name);
      }
      const started = performance.now();
      const outputs = await this.compiled.run(name, inputs);
      const values = await outputs.x.data();
      times.push((performance.now() - started) / size);
      const drawn = [];
      for (let i = 0; i < size && rows.length + drawn.length < count; i += 1) {
        drawn.push(values.slice(i * this.eventSize, (i + 1) * this.eventSize));
      }
      release(inputs);
      release(outputs);
      if (drawn.some((row) => row.some(Number.isNaN))) {
        throw new Error('A given value is none that the model knows.');
      }
      onRows(drawn, rows.length);
      rows.push(...drawn);
    }
    return { rows, times };
  }

  close() {
    this.compiled.delete();
  }
}

function release(tensors) {
  for (const tensor of Object.values(tensors)) tensor.delete();
}

/** One row's values, for so many rows. */
function repeat(values, type, rows) {
  const all = new type(rows * values.length).map((_, i) => values[i % values.length]);
  return new Tensor(all, [rows, values.length]);
}

function seedsOf(seed, first, rows) {
  if (!Number.isInteger(seed) || seed < -INT32 || seed >= INT32) {
    throw new Error(`The seed must be an integer from ${-INT32} to ${INT32 - 1}.`);
  }
  const seeds = new Int32Array(2 * rows);
  for (let i = 0; i < rows; i += 1) seeds.set([seed, first + i], 2 * i);
  return new Tensor(seeds, [rows, 2]);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
