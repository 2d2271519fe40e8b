// The second side of a comparison: traits of its own under the names that one side knows.
import type { AnyModel } from "@anywidget/types";
import type { Choices, TraitName, Traits, UserTraits } from "./traits.ts";
import type { EncodedDataset } from "./wire.ts";

const OWN: Partial<Record<TraitName, string>> = {
  layers: "other_layers",
  n_clusters: "other_n_clusters",
  threshold: "other_threshold",
  result: "other",
  choices: "other_choices",
  error: "other_error",
};
/** What only the first side has. */
const NONE: ReadonlySet<string> = new Set(["ready", "other_choices"]);

/** The same model, seen from the second side. Record, span and waveform are the first side's. */
export function otherModel(model: AnyModel<Traits>): AnyModel<Traits> {
  const any = model as unknown as AnyModel<Record<string, unknown>>;
  const named = (name: string) => OWN[name as TraitName] ?? name;
  const event = (name: string) => `change:${named(name.slice("change:".length))}`;
  const seen = {
    get: (name: string) => (NONE.has(name) ? null : any.get(named(name))),
    set: (name: string, value: unknown) => any.set(named(name), value),
    save_changes: () => any.save_changes(),
    on: (name: string, callback: () => void) => any.on(event(name) as "change:record", callback),
    off: (name: string, callback: () => void) => any.off(event(name) as "change:record", callback),
  };
  return seen as unknown as AnyModel<Traits>;
}

/** Whether the other side moves along: the two are linked, and it has what is chosen. */
export function follows(name: string, value: unknown, linked: readonly string[] | undefined, there: Choices): boolean {
  return (linked ?? []).includes(name) && (name !== "layers" || placeOf(there, value as string[]) >= 0);
}

/** What an exported page holds of the second side. */
export interface EmbeddedOther {
  readonly traits: Readonly<Record<string, unknown>>;
  readonly sides: readonly string[];
  readonly choices: Choices;
  /** By record, then by the place of the layers among the choices, then by number of clusters. */
  readonly results: Readonly<Record<string, readonly Readonly<Record<string, EncodedDataset>>[]>>;
  readonly missing: Readonly<Record<string, string>>;
  /** By place of the layers and number of clusters of the first side, then of the second: "0 8 1 10". */
  readonly pairs: Readonly<Record<string, PairFound>>;
  /** Records in which clusters were matched. */
  readonly records: number;
}

type PairFound = readonly [slots: readonly number[], same: number | null, ami: number | null];

/** What Python would send of the second side for what is chosen on both. */
export function otherAnswer(
  { choices, results, missing, pairs, records }: EmbeddedOther,
  first: Choices,
  chosen: Pick<UserTraits, "record" | "layers" | "n_clusters"> & { other_layers: string[]; other_n_clusters: number },
  shown: unknown,
): Record<string, unknown> {
  const { record, other_layers, other_n_clusters: k } = chosen;
  const place = placeOf(choices, other_layers);
  const own = <T>(map: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
    map && Object.hasOwn(map, key) ? map[key] : undefined;
  const result = own(own(results, record)?.[place], String(k));
  const why = own(missing, [record, place, k].join("\n")) ?? "Export it again with them.";
  const pair = own(pairs, `${placeOf(first, chosen.layers)} ${chosen.n_clusters} ${place} ${k}`);
  return {
    other: result ?? shown ?? null,
    other_error: result ? "" : `${k} clusters of ${other_layers.join(" + ")} are not in this page: ${why}`,
    pairing: pair
      ? {
          a: { layers: chosen.layers, n_clusters: chosen.n_clusters },
          b: { layers: other_layers, n_clusters: k },
          ...{ slots: pair[0], same: pair[1], ami: pair[2], records },
        }
      : {},
  };
}

function placeOf({ layers }: Choices, chosen: readonly string[]): number {
  return layers.findIndex(({ value }) => value.join("\n") === chosen.join("\n"));
}
