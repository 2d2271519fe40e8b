import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Dataset, decode, type EncodedDataset, type EncodedVariable, find, numbers, texts } from "../src/wire.ts";

const GOLDEN = new URL("../../tests/fixtures/wire/", import.meta.url);

/** Bytes inside a longer buffer at an odd address, as a comm message cuts them. */
function view(base64: string, offset: number): DataView {
  const bytes = Buffer.from(base64, "base64");
  const room = new Uint8Array(bytes.length + offset + 3).fill(0xee);
  room.set(bytes, offset);
  return new DataView(room.buffer, offset, bytes.length);
}

function revive(encoded: EncodedDataset, offset: number): EncodedDataset {
  const copy = structuredClone(encoded);
  for (const variable of [...Object.values(copy.coords), ...Object.values(copy.data_vars)]) {
    const data = variable.data as unknown as { base64?: string } | undefined;
    if (data && "base64" in data) {
      variable.data = view(data.base64!, offset);
    }
  }
  return copy;
}

function nested(ds: Dataset, name: string): unknown {
  const variable = find(ds, name)!;
  const build = (depth: number, at: number): unknown => {
    if (depth === variable.shape.length) {
      const value = variable.values[at]!;
      return typeof value === "number" && Number.isNaN(value) ? null : value;
    }
    const length = variable.shape[depth]!;
    return Array.from({ length }, (_, i) => build(depth + 1, at * length + i));
  };
  return build(0, 0);
}

const plain = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(plain) : typeof value === "boolean" ? Number(value) : value;

describe("files written by wire.py", () => {
  const files = readdirSync(GOLDEN).filter((name) => name.endsWith(".json"));

  it("are there", () => expect(files.length).toBeGreaterThan(0));

  for (const file of files) {
    for (const offset of [0, 1, 5]) {
      it(`${file} reads back at byte offset ${offset}`, () => {
        const golden = JSON.parse(readFileSync(new URL(file, GOLDEN), "utf8"));
        const ds = decode(revive(golden.encoded, offset));
        const names = Object.keys(golden.values);
        expect(names.length).toBeGreaterThan(0);
        for (const name of names) {
          expect(nested(ds, name), name).toEqual(plain(golden.values[name]));
        }
        expect(ds.attrs).toEqual(golden.encoded.attrs);
      });
    }
  }
});

const one = (variable: Partial<EncodedVariable>): EncodedDataset => ({
  attrs: {},
  coords: {},
  data_vars: { x: { dims: ["a"], shape: [2], dtype: "float32", attrs: {}, ...variable } },
});

describe("buffers", () => {
  it("may be a view, bytes or a plain buffer", () => {
    const values = new Float32Array([1.5, -2]);
    for (const data of [values.buffer, new Uint8Array(values.buffer), new DataView(values.buffer)]) {
      expect(Array.from(numbers(decode(one({ data })), "x"))).toEqual([1.5, -2]);
    }
  });

  it("are copied: what the host does to its message later does not matter", () => {
    const values = new Float32Array([1, 2]);
    const ds = decode(one({ data: values.buffer }));
    values[0] = 9;
    expect(numbers(ds, "x")[0]).toBe(1);
  });

  it("of the wrong length, of no kind and of an unknown dtype are refused by name", () => {
    expect(() => decode(one({ data: new ArrayBuffer(7) }))).toThrow("x: expected 8 bytes of float32 [2], got 7");
    expect(() => decode(one({}))).toThrow("x: expected a buffer, got nothing");
    expect(() => decode(one({ dtype: "constructor", data: new ArrayBuffer(8) }))).toThrow(
      'unknown dtype "constructor"',
    );
    expect(() => decode(one({ dtype: "str", data: ["a"] }))).toThrow("x: expected 2 texts, got 1");
  });
});

describe("scaled integers", () => {
  it("use one step for each entry of the first dim, and -32768 is NaN", () => {
    const data = new Int16Array([1, -32768, 2, 3]).buffer;
    const ds = decode(one({ shape: [2, 2], dtype: "int16", data, scale: [0.005, 1] }));
    expect(Array.from(numbers(ds, "x"))).toEqual([Math.fround(0.005), Number.NaN, 2, 3]);
  });

  it("stay integers without a scale", () => {
    const ds = decode(one({ dtype: "int16", data: new Int16Array([-32768, 4]).buffer }));
    expect(Array.from(numbers(ds, "x"))).toEqual([-32768, 4]);
  });
});

it("names are looked up as names only", () => {
  const ds = decode(one({ data: new ArrayBuffer(8) }));
  expect(find(ds, "toString")).toBeUndefined();
  expect(() => numbers(ds, "__proto__")).toThrow("expected an array of numbers, got nothing");
  expect(() => texts(ds, "x")).toThrow("expected a list of texts, got numbers");
});
