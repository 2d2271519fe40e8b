// An exported page has no kernel: this model holds what Python has computed before and answers moves at once.
import type { AnyModel } from "@anywidget/types";
import { type EmbeddedOther, otherAnswer } from "./otherside.ts";
import { type Choices, State, type TraitName, type Traits, type UserTraits } from "./state.ts";
import type { EncodedDataset, EncodedVariable } from "./wire.ts";

/** What ecg_widget/export.py puts into a page. */
export interface Embedded {
  readonly format: number;
  /** The user's traits when the page was made. */
  readonly traits: Partial<UserTraits>;
  readonly choices: Choices;
  /** By record. */
  readonly waveforms: Readonly<Record<string, EncodedDataset>>;
  /** By record, then by the place of the layers among the choices, then by number of clusters. */
  readonly results: Readonly<Record<string, readonly Readonly<Record<string, EncodedDataset>>[]>>;
  /** Why a number of clusters is not among the results, as keys record, layers, number joined by lines. */
  readonly missing: Readonly<Record<string, string>>;
  /** The second side of a comparison. */
  readonly other?: EmbeddedOther;
}

const FORMAT = 1;
/** Of a page that says nothing of them. */
const EMPTY = { span: [], calipers: [], display: {}, selection: {}, cluster_names: {}, overview: null, progress: "" };
/** Bytes at whose multiples buffers begin. */
const ALIGN = 8;
/** Traits that say which answers are shown. */
const ASKING: ReadonlySet<string> = new Set(["record", "layers", "n_clusters", "other_layers", "other_n_clusters"]);

/** Base64 of compressed bytes to the data in them. */
export async function unpack(text: string): Promise<Embedded> {
  if (typeof DecompressionStream === "undefined") {
    throw new TypeError("This browser cannot unpack the page's data; open it in one of 2023 or later");
  }
  const packed = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return readContainer(await new Response(stream).arrayBuffer());
}

/** The tree of JSON with its buffers, as ecg_widget/container.py has packed them. */
export function readContainer(bytes: ArrayBuffer): Embedded {
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as Embedded;
  if (header.format !== FORMAT) {
    throw new RangeError(`page data: expected format ${FORMAT}, got ${header.format}`);
  }
  const start = Math.ceil((4 + length) / ALIGN) * ALIGN;
  const revive = ({ coords, data_vars }: EncodedDataset): void => {
    for (const variable of [...Object.values(coords), ...Object.values(data_vars)]) {
      const place = variable.data as unknown as { at: number; bytes: number } | string[] | undefined;
      if (place && !Array.isArray(place)) {
        (variable as EncodedVariable).data = new Uint8Array(bytes, start + place.at, place.bytes);
      }
    }
  };
  Object.values(header.waveforms).forEach(revive);
  for (const byLayers of [...Object.values(header.results), ...Object.values(header.other?.results ?? {})]) {
    byLayers.flatMap((byNumber) => Object.values(byNumber)).forEach(revive);
  }
  return header;
}

type Callback = () => void;

/** A model as hosts of widgets give it. What a move needs is there before `set` returns. */
export class EmbeddedModel {
  readonly #data: Embedded;
  readonly #values: Record<string, unknown>;
  readonly #callbacks = new Map<string, Set<Callback>>();

  constructor(data: Embedded) {
    this.#data = data;
    const { other } = data;
    const second = other ? { ...other.traits, sides: other.sides, other_choices: other.choices } : {};
    this.#values = { ...EMPTY, ...data.traits, ...second, choices: data.choices };
    Object.assign(this.#values, this.#answer());
  }

  get = <K extends TraitName>(name: K): Traits[K] => this.#values[name] as Traits[K];

  set = <K extends TraitName>(name: K, value: Traits[K]): void => {
    const before = this.#values;
    const changed: Record<string, unknown> = { [name]: value };
    Object.assign(before, changed);
    if (ASKING.has(name)) {
      const answer = this.#answer();
      for (const [key, found] of Object.entries(answer)) {
        if (before[key] !== found) {
          changed[key] = found;
        }
      }
      Object.assign(before, changed);
    }
    for (const key of Object.keys(changed)) {
      for (const callback of this.#callbacks.get(`change:${key}`) ?? []) {
        callback();
      }
    }
  };

  save_changes = (): void => {};

  on = (event: string, callback: Callback): void => {
    this.#callbacks.set(event, (this.#callbacks.get(event) ?? new Set()).add(callback));
  };

  off = (event: string, callback: Callback): void => {
    this.#callbacks.get(event)?.delete(callback);
  };

  /** The same object under the type that the page expects. */
  get model(): AnyModel<Traits> {
    return this as unknown as AnyModel<Traits>;
  }

  /** What Python would send for the user's choice. */
  #answer(): Partial<Traits> {
    const { waveforms, results, choices, missing } = this.#data;
    const record = this.get("record");
    const k = this.get("n_clusters");
    const chosen = this.get("layers").join("\n");
    const place = choices.layers.findIndex(({ value }) => value.join("\n") === chosen);
    const ready = own(results, record)?.[place] ?? {};
    const result = own(ready, String(k));
    const held = Object.keys(ready).map(Number);
    const name = choices.layers[place]?.label ?? (chosen.replaceAll("\n", " + ") || "no layer");
    const why = own(missing, [record, place, k].join("\n"));
    const { other } = this.#data;
    const values = this.#values as unknown as Parameters<typeof otherAnswer>[2];
    return {
      ...(other ? otherAnswer(other, choices, values, this.#values.other) : {}),
      waveform: own(waveforms, record) ?? null,
      ready,
      // A picture of another number of clusters stays, and the error says that it is none of this number.
      result: result ?? (this.#values.result as EncodedDataset | null | undefined) ?? null,
      error: result
        ? ""
        : `${k} clusters of ${name} are not in this page: ${why ?? `it holds ${numbersText(held)}. Export it again with them.`}`,
    };
  }
}

/** Moves take effect in the frame that follows them: there is nobody to save messages for. */
export class EmbeddedState extends State {
  override set<K extends keyof UserTraits>(name: K, value: Traits[K]): void {
    super.set(name, value);
    this.flush();
  }
}

/** "2 to 8, 12" */
export function numbersText(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const first = sorted[i]!;
    while (sorted[i + 1] === sorted[i]! + 1) {
      i++;
    }
    parts.push(first === sorted[i] ? String(first) : `${first} to ${sorted[i]}`);
  }
  return parts.join(", ") || "none";
}

/** A record may be named like a method of every object. */
function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
