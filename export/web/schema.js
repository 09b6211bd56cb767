// What the columns of a table are: numbers of the model to cells and back, as
// `made_tf.portable.schema` has them. Ticks of moments are BigInt: nanoseconds exceed a double.

const MISSING = -(2 ** 100);
const UNITS = { D: 1n, s: 86400n, ms: 86400n * 1000n, us: 86400n * 10n ** 6n, ns: 86400n * 10n ** 9n };
const PARTS = ['week', 'weekday', 'second', 'fraction', 'nanosecond'];
const LARGEST_CODE = 2 ** 22;
const NEAR = 1e-6; // of a step of a grid

const big = (value) => BigInt(Math.trunc(value));
const floorDiv = (a, b) => (a - (((a % b) + b) % b)) / b;

/** The shortest decimal that is this number of single precision. */
function shortest(code) {
  for (let digits = 1; digits <= 9; digits += 1) {
    const decimal = Number(code.toPrecision(digits));
    if (Math.fround(decimal) === Math.fround(code)) return decimal;
  }
  return code;
}

/** The smallest and the largest code that a family of conditionals knows. */
function boundsOf(family, largest) {
  if (family === 'ordinal') return [0, Math.max(1, largest)];
  return [family === 'count' ? 0 : -Infinity, Infinity];
}

const kinds = {
  classes: {
    width: () => 1,
    decode(column, [code]) {
      if (code === MISSING || code >= column.values.length) return null;
      return column.values[code];
    },
    encode(column, cell) {
      if (cell === null) return [column.ordered ? MISSING : column.values.length];
      const code = column.values.findIndex((value) => value === cell);
      if (code < 0) throw new Error('must be one of its classes');
      return [code];
    },
  },
  numbers: {
    width: () => 1,
    decode(column, [code]) {
      if (code === MISSING) return null;
      const number = numberOf(column, code);
      return isTicks(column) ? big(number) : number;
    },
    encode(column, cell) {
      return [cell === null ? MISSING : codeOf(column, Number(cell))];
    },
  },
  moments: {
    width: (column) => column.parts.length,
    decode(column, codes) {
      if (codes.some((code) => code === MISSING)) return null;
      const parts = PARTS.map((part, number) => {
        const index = column.parts.indexOf(part);
        const [start, end, step] = [column.starts, column.ends, column.steps].map((e) => e[number]);
        if (index < 0) return big(start);
        return big(Math.min(Math.max(start + step * Math.round(codes[index]), start), end));
      });
      const ticks = joined(parts, column.source);
      const [low, high] = [big(column.low), big(column.high)];
      return ticks < low ? low : ticks > high ? high : ticks;
    },
    encode(column, ticks) {
      if (ticks === null) return column.parts.map(() => MISSING);
      const found = cut(ticks, column.source);
      const codes = [];
      PARTS.forEach((part, number) => {
        const [start, end, step] = [column.starts, column.ends, column.steps].map((e) => e[number]);
        const away = Number(found[number]) - start;
        const index = column.parts.indexOf(part);
        if (index < 0) {
          if (away !== 0) throw new Error(`has another ${part} than all of the data`);
          return;
        }
        const family = column.families.length ? column.families[index] : 'binned';
        const [low, high] = boundsOf(family, Math.floor((end - start) / step));
        const code = away / step;
        if (!Number.isInteger(code) || code < low || code > high || Math.abs(code) > LARGEST_CODE) {
          throw new Error(`has a ${part} that the table never had`);
        }
        codes.push(code);
      });
      return codes;
    },
  },
  at_least: {
    width: (column) => widthOf(column.difference),
    needs: (column) => [column.base],
    decode(column, codes, row) {
      const away = decodeCell(column.difference, codes, row);
      const base = row[column.base];
      if (away === null || base === null) return null;
      if (typeof base === 'bigint') return base + (away > 0n ? away : 0n);
      const sum = base + Math.max(away, 0);
      return column.denominator ? Math.round(sum * column.denominator) / column.denominator : sum;
    },
    encode(column, cell, row) {
      if (cell === null) return encodeCell(column.difference, null, row);
      const base = row[column.base];
      if (base === null || base === undefined) throw new Error(`is given together with ${column.base}`);
      if (cell < base) throw new Error(`must be at least ${column.base}`);
      const away = cell - base;
      const { denominator } = column;
      const isOnGrid = typeof away === 'number' && denominator;
      const near = isOnGrid ? Math.round(away * denominator) / denominator : away;
      return encodeCell(column.difference, near, row);
    },
  },
  total: {
    width: () => 0,
    needs: (column) => [...column.plus, ...column.minus],
    decode(column, _, row) {
      let sum = 0;
      for (const [names, sign] of [[column.plus, 1], [column.minus, -1]]) {
        for (const name of names) {
          if (row[name] === null) return null;
          sum += sign * row[name];
        }
      }
      const { denominator } = column;
      return denominator > 1 ? Math.round(sum * denominator) / denominator : sum;
    },
  },
  dependent: {
    width: () => 0,
    needs: (column) => [column.on],
    decode(column, _, row) {
      const found = column.table.find(([key]) => key === row[column.on]);
      return found === undefined ? null : found[1];
    },
  },
  constant: { width: () => 0, decode: (column) => column.value },
  identifier: {
    width: () => 0,
    decode(column, _, row, number) {
      const own = column.start + number;
      return column.prefix === null ? own : `${column.prefix}${own}`;
    },
  },
};

const isTicks = (column) => ['moment', 'date', 'duration', 'time'].includes(column.source.sort);

function numberOf(column, code) {
  const given = column.step ? Math.round(code) : shortest(code);
  const number = (given * (column.step || 1) + column.start) / column.denominator;
  const rounded = column.integer ? Math.round(number) : number;
  return Math.min(Math.max(rounded, column.low), column.high);
}

function codeOf(column, number) {
  if (column.integer && !Number.isInteger(number)) throw new Error('must be a whole number');
  const exact = (number * column.denominator - column.start) / (column.step || 1);
  const largest = Math.round((column.high * column.denominator - column.start) / (column.step || 1));
  const [low, high] = boundsOf(column.family, largest);
  const code = column.step ? Math.round(exact) : exact;
  if (column.step && Math.abs(exact - code) > Math.max(NEAR, Math.abs(exact) * 1e-9)) {
    throw new Error(isTicks(column) ? 'is finer than the data' : `must be in steps of ${column.step / column.denominator}`);
  }
  if (code < low || code > high) {
    const [from, to] = [column.low, column.high].map((end) => shown(column, isTicks(column) ? big(end) : end));
    throw new Error(`must be from ${from} to ${to}`);
  }
  return code;
}

function cut(ticks, source) {
  const aDay = UNITS[source.unit];
  const day = floorDiv(ticks, aDay);
  const rest = ticks - day * aDay;
  const shift = source.sort === 'moment' || source.sort === 'date' ? 3n : 0n;
  const week = floorDiv(day + shift, 7n);
  const aSecond = aDay / UNITS.s || 1n;
  const second = rest / aSecond;
  const fraction = rest % aSecond;
  const aMicro = aDay / UNITS.us || 1n;
  return [week, day + shift - 7n * week, second, fraction / aMicro, fraction % aMicro];
}

function joined([week, weekday, second, fraction, nano], source) {
  const aDay = UNITS[source.unit];
  const shift = source.sort === 'moment' || source.sort === 'date' ? 3n : 0n;
  const rest = fraction * (aDay / UNITS.us || 1n) + nano;
  return (7n * week + weekday - shift) * aDay + second * (aDay / UNITS.s || 1n) + rest;
}

const widthOf = (column) => kinds[column.kind].width(column);

function decodeCell(column, codes, row, number) {
  return kinds[column.kind].decode(column, codes, row, number);
}

function encodeCell(column, cell, row) {
  return kinds[column.kind].encode(column, cell, row);
}

/** A cell as text, of its column's sort; '' for a missing one. */
export function shown(column, cell) {
  if (cell === null || cell === undefined) return '';
  if (typeof cell !== 'bigint') return typeof cell === 'number' ? String(plain(cell)) : String(cell);
  const { sort, unit } = column.source;
  const aDay = UNITS[unit];
  const day = floorDiv(cell, aDay);
  const micros = ((cell - day * aDay) * UNITS.us) / aDay;
  const date = () => new Date(Number(day) * 86400000).toISOString().slice(0, 10);
  if (sort === 'date') return date();
  const [hours, minutes, seconds] = [3600n, 60n, 1n].map((size, number) =>
    String((micros / 1000000n / size) % (number ? 60n : 24n)).padStart(2, '0'),
  );
  const fraction = micros % 1000000n;
  const decimals = fraction ? `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}` : '';
  const time = `${hours}:${minutes}:${seconds}${decimals}`;
  if (sort === 'time') return time;
  if (sort === 'duration') return day ? `${day} days ${time}` : time;
  return `${date()} ${time}`;
}

const plain = (number) => Number(number.toPrecision(12));

/** The ticks of a text such as a field of a date or a time has. */
function ticksOf(column, text) {
  const { sort, unit } = column.source;
  const found =
    sort === 'duration'
      ? /^(?:(-?\d+) days? )?(\d+):(\d\d)(?::(\d\d)(?:\.(\d+))?)?$/.exec(text)
      : /^(?:(\d{4}-\d\d-\d\d))?[T ]?(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?$/.exec(text);
  if (!found) throw new Error(`must be ${sort === 'duration' ? 'such as 2 days 01:30:00' : 'a date or a time'}`);
  const [, first, hours = '0', minutes = '0', seconds = '0', decimals = ''] = found;
  let days = 0n;
  if (sort === 'duration') days = BigInt(first ?? 0);
  else if (first) days = BigInt(Math.floor(Date.parse(`${first}T00:00:00Z`) / 86400000));
  const micros =
    BigInt((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000000n +
    BigInt(decimals.padEnd(6, '0').slice(0, 6));
  return days * UNITS[unit] + (micros * UNITS[unit]) / UNITS.us;
}

/** A cell from the text of a field; throws what it should be. */
export function read(column, text) {
  const { sort } = column.source;
  if (column.kind === 'classes') {
    const cell = column.values.find((value) => String(value) === text);
    if (cell === undefined) throw new Error('must be one of its classes');
    return cell;
  }
  if (sort === 'integer' || sort === 'real') {
    const number = Number(text);
    if (text.trim() === '' || !Number.isFinite(number)) throw new Error('must be a number');
    return number;
  }
  return ticksOf(column, text);
}

/** A table's columns, and where their variables lie. */
export class Schema {
  constructor(content) {
    this.columns = content.columns;
    if (this.columns.some((column) => !(column.kind in kinds))) {
      throw new Error('This file is of a later version: it has columns that this page does not know.');
    }
    let place = 0;
    this.places = this.columns.map((column) => [place, (place += widthOf(column))]);
    this.size = place;
    this.order = this.inOrder();
  }

  inOrder() {
    const left = [...this.columns.keys()];
    const done = [];
    const known = new Set();
    while (left.length) {
      const next = left.findIndex((k) => this.needs(k).every((name) => known.has(name)));
      if (next < 0) throw new Error('This file is damaged: its columns need each other.');
      const [k] = left.splice(next, 1);
      done.push(k);
      known.add(this.columns[k].name);
    }
    return done;
  }

  needs(k) {
    return kinds[this.columns[k].kind].needs?.(this.columns[k]) ?? [];
  }

  /** Whether something may be said of a column: its cell is one of the model's variables. */
  canBeGiven(k) {
    return this.places[k][0] < this.places[k][1];
  }

  /** The cells of a row of numbers, in the table's order. */
  decode(x, number = 0) {
    const row = {};
    for (const k of this.order) {
      const column = this.columns[k];
      row[column.name] = decodeCell(column, Array.from(x.slice(...this.places[k])), row, number);
    }
    return this.columns.map((column) => row[column.name]);
  }

  /**
   * The numbers of known cells: `x`, and where they are `observed`. `cells` maps the number of a
   * column to its cell, null being one that is known to be missing. What it throws says what the
   * cell of `column` must be.
   */
  encode(cells) {
    const x = new Float32Array(this.size);
    const observed = new Int32Array(this.size);
    const row = {};
    for (const k of this.order) {
      if (!cells.has(k)) continue;
      const column = this.columns[k];
      row[column.name] = cells.get(k);
      try {
        const codes = encodeCell(column, cells.get(k), row);
        x.set(codes, this.places[k][0]);
        observed.fill(1, ...this.places[k]);
      } catch (error) {
        throw Object.assign(error, { column: k });
      }
    }
    return { x, observed };
  }
}
