// What ecg_widget/wire.py writes, read back: named arrays with dims, coordinates and units.
// Both sides are held to the same files in tests/fixtures/wire.

export type Values =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Attributes = Record<string, Json>;
/** Jupyter hands buffers over as DataView; other hosts as ArrayBuffer or bytes. */
export type Binary = ArrayBuffer | ArrayBufferView;

export interface EncodedVariable {
  dims: string[];
  shape: number[];
  dtype: string;
  attrs: Attributes;
  data?: Binary | string[];
  start?: number;
  step?: number;
  scale?: number | number[];
}

export interface EncodedDataset {
  attrs: Attributes;
  coords: Record<string, EncodedVariable>;
  data_vars: Record<string, EncodedVariable>;
}

export interface Variable {
  readonly dims: readonly string[];
  readonly shape: readonly number[];
  readonly attrs: Attributes;
  /** Row-major. A boolean is one byte, 0 or 1. */
  readonly values: Values | string[];
}

export interface Dataset {
  readonly attrs: Attributes;
  readonly coords: Readonly<Record<string, Variable>>;
  readonly dataVars: Readonly<Record<string, Variable>>;
}

/** The int16 that stands for NaN beside a scale. */
const GAP = -32768;

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  bool: Uint8Array,
} as const;

export function decode(encoded: EncodedDataset): Dataset {
  const all = (group: Record<string, EncodedVariable>) =>
    Object.fromEntries(Object.entries(group).map(([name, variable]) => [name, decodeVariable(name, variable)]));
  return { attrs: encoded.attrs, coords: all(encoded.coords), dataVars: all(encoded.data_vars) };
}

/** Coordinates and data variables alike: xarray's users move variables between the two. */
export function find(ds: Dataset, name: string): Variable | undefined {
  const own = (group: Readonly<Record<string, Variable>>) => (Object.hasOwn(group, name) ? group[name] : undefined);
  return own(ds.dataVars) ?? own(ds.coords);
}

export function numbers(ds: Dataset, name: string): Values {
  const values = find(ds, name)?.values;
  if (values === undefined || Array.isArray(values)) {
    throw new TypeError(`${name}: expected an array of numbers, got ${values === undefined ? "nothing" : "text"}`);
  }
  return values;
}

export function texts(ds: Dataset, name: string): string[] {
  const values = find(ds, name)?.values;
  if (!Array.isArray(values)) {
    throw new TypeError(`${name}: expected a list of texts, got ${values === undefined ? "nothing" : "numbers"}`);
  }
  return values;
}

function decodeVariable(name: string, v: EncodedVariable): Variable {
  const size = v.shape.reduce((product, length) => product * length, 1);
  return { dims: v.dims, shape: v.shape, attrs: v.attrs, values: decodeValues(name, v, size) };
}

function decodeValues(name: string, v: EncodedVariable, size: number): Values | string[] {
  if (v.dtype === "range") {
    const { start = 0, step = 0 } = v;
    const values = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      values[i] = start + step * i;
    }
    return values;
  }
  if (v.dtype === "str") {
    if (!Array.isArray(v.data) || v.data.length !== size) {
      throw new RangeError(
        `${name}: expected ${size} texts, got ${Array.isArray(v.data) ? v.data.length : "a buffer"}`,
      );
    }
    return v.data;
  }
  const Kind = Object.hasOwn(ARRAYS, v.dtype) ? ARRAYS[v.dtype as keyof typeof ARRAYS] : undefined;
  if (Kind === undefined) {
    throw new TypeError(`${name}: unknown dtype "${v.dtype}"; the page and the package are of different versions`);
  }
  const bytes = copyBytes(name, v.data);
  if (bytes.byteLength !== size * Kind.BYTES_PER_ELEMENT) {
    const expected = size * Kind.BYTES_PER_ELEMENT;
    throw new RangeError(`${name}: expected ${expected} bytes of ${v.dtype} [${v.shape}], got ${bytes.byteLength}`);
  }
  const values = new Kind(bytes);
  return v.scale === undefined ? values : rescale(values, v.scale, v.shape[0] ?? 1);
}

/** A copy: typed arrays need an aligned start, and a comm message cuts its buffers at any byte. */
function copyBytes(name: string, data: EncodedVariable["data"]): ArrayBuffer {
  if (data instanceof ArrayBuffer) {
    return data.slice(0);
  }
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
  }
  throw new TypeError(`${name}: expected a buffer, got ${data === undefined ? "nothing" : typeof data}`);
}

/** Integer times its step, one step for all or one for each entry of the first dim. */
function rescale(whole: Values, scale: number | number[], first: number): Float32Array {
  const out = new Float32Array(whole.length);
  const steps = typeof scale === "number" ? [scale] : scale;
  const stride = Math.max(1, whole.length / (typeof scale === "number" ? 1 : Math.max(first, 1)));
  for (let row = 0, from = 0; from < whole.length; row++, from += stride) {
    const step = steps[row] ?? Number.NaN;
    for (let i = from; i < from + stride; i++) {
      const value = whole[i]!;
      out[i] = value === GAP ? Number.NaN : value * step;
    }
  }
  return out;
}
