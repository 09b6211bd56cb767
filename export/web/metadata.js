// What a .tflite file says of itself. Reads the few tables of the flatbuffer that lead to the
// metadata, each offset checked, and compares the digest that the file carries with its content.

const MARK = new TextEncoder().encode('"sha256":"');
const DIGITS = 64;
export const FORMAT = 1;

class Damaged extends Error {}

/** A flatbuffer whose reads throw instead of leaving the file. */
class Reader {
  constructor(bytes) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bytes = bytes;
  }

  uint32(at) {
    if (at < 0 || at + 4 > this.bytes.length) throw new Damaged('a table lies outside the file');
    return this.view.getUint32(at, true);
  }

  /** Where a table's field is, or 0 if the table lacks it. */
  field(table, number) {
    const vtable = table - (this.uint32(table) | 0);
    const size = this.uint32(vtable) & 0xffff;
    const slot = 4 + 2 * number;
    if (slot + 2 > size) return 0;
    if (vtable + slot + 2 > this.bytes.length) throw new Damaged('a table lies outside the file');
    const offset = this.view.getUint16(vtable + slot, true);
    return offset === 0 ? 0 : table + offset;
  }

  /** Follows the reference at a place. */
  follow(at) {
    return at + this.uint32(at);
  }

  /** The bytes of a vector or a string. */
  vector(at, width = 1) {
    const length = this.uint32(at) * width;
    if (at + 4 + length > this.bytes.length) throw new Damaged('a vector lies outside the file');
    return this.bytes.subarray(at + 4, at + 4 + length);
  }

  /** The table number `index` of a vector of tables. */
  tableOf(vector, index) {
    if (index >= this.uint32(vector)) throw new Damaged('a vector is too short');
    return this.follow(vector + 4 + 4 * index);
  }
}

function find(bytes, part) {
  for (let at = bytes.indexOf(part[0]); at >= 0; at = bytes.indexOf(part[0], at + 1)) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function entry(bytes) {
  const reader = new Reader(bytes);
  const model = reader.follow(0);
  const [buffers, entries] = [4, 6].map((number) => reader.field(model, number));
  if (!buffers || !entries) return null;
  const list = reader.follow(entries);
  const text = new TextDecoder('utf-8', { fatal: true });
  for (let i = 0; i < reader.uint32(list); i += 1) {
    const table = reader.tableOf(list, i);
    const name = reader.field(table, 0);
    if (!name || text.decode(reader.vector(reader.follow(name))) !== 'made_tf') continue;
    const place = reader.field(table, 1);
    const buffer = reader.tableOf(reader.follow(buffers), place ? reader.uint32(place) : 0);
    const data = reader.field(buffer, 0);
    return data ? text.decode(reader.vector(reader.follow(data))) : '';
  }
  return null;
}

async function digestOf(bytes, start) {
  const copy = bytes.slice();
  copy.fill(0x30, start, start + DIGITS);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', copy));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Returns what a file says of itself; throws an Error in words for a reader of the page if it is
 * truncated, damaged, of another maker or of a later version.
 */
export async function readMetadata(bytes) {
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(4, 8)) !== 'TFL3') {
    throw new Error('This is no LiteRT model: its first bytes are not those of a .tflite file.');
  }
  let metadata;
  try {
    const text = entry(bytes);
    metadata = text === null ? null : JSON.parse(text);
  } catch (error) {
    throw new Error(`This file is truncated or damaged (${error.message}).`);
  }
  if (metadata === null) {
    throw new Error('This file was not exported by made_tf, or by a version without metadata.');
  }
  const start = find(bytes, MARK) + MARK.length;
  const written = new TextDecoder().decode(bytes.subarray(start, start + DIGITS));
  if (start < MARK.length || written !== (await digestOf(bytes, start))) {
    throw new Error('This file is truncated or damaged: its content is not what was written.');
  }
  if (!Number.isInteger(metadata.format) || metadata.format > FORMAT) {
    throw new Error(`This file is of a later version (format ${metadata.format}).`);
  }
  return metadata;
}
