// All of a long recording in a thousand columns: least and greatest value of each.
import { decode, type EncodedDataset, find, numbers, texts } from "./wire.ts";

export interface Overview {
  readonly record: string;
  /** s */
  readonly start: number;
  readonly end: number;
  readonly leads: readonly string[];
  /** (lead, column, bound), row-major; NaN where nothing has been read */
  readonly envelope: Float32Array;
  readonly columns: number;
  /** Share of the recording that the envelope has seen, 0 to 1. */
  readonly read: number;
  /** Of each lead, where its baseline is drawn around: it does not jump while the paper is moved. */
  readonly level: readonly number[];
}

export function readOverview(encoded: EncodedDataset): Overview {
  const ds = decode(encoded);
  const variable = find(ds, "envelope");
  const values = numbers(ds, "envelope");
  const leads = texts(ds, "lead");
  const columns = numbers(ds, "column_centre").length;
  if (variable?.dims.join() !== "lead,column,bound" || values.length !== leads.length * columns * 2) {
    throw new RangeError(
      `envelope: expected (lead, column, bound) of ${leads.length} x ${columns} x 2, got ${variable?.dims} of ${variable?.shape}`,
    );
  }
  const [start, end] = [Number(ds.attrs.start), Number(ds.attrs.end)];
  if (!(end > start)) {
    throw new RangeError(`overview: expected start and end in s, got ${ds.attrs.start} and ${ds.attrs.end}`);
  }
  const envelope = values instanceof Float32Array ? values : Float32Array.from(values);
  return {
    record: String(ds.attrs.record ?? ""),
    start,
    end,
    leads,
    envelope,
    columns,
    read: Number(ds.attrs.read ?? 1),
    level: leads.map((_, lead) => level(envelope.subarray(2 * lead * columns, 2 * (lead + 1) * columns))),
  };
}

/** Median of the value nearest to 0 in each column: 0 unless the whole lead is far from it. */
function level(bounds: Float32Array): number {
  const nearest: number[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    if (!Number.isNaN(bounds[i])) {
      nearest.push(Math.min(Math.max(0, bounds[i]!), bounds[i + 1]!));
    }
  }
  nearest.sort((a, b) => a - b);
  return nearest[nearest.length >> 1] ?? 0;
}
