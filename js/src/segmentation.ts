// The result of one record: clusters, entropy, contributions and the map, cell by cell.
import { type Density, readDensity } from "./density.ts";
import { type Attributes, decode, type EncodedDataset, find, numbers, texts, type Values } from "./wire.ts";

export interface Contribution {
  /** (cluster, target), row-major, logits (or the output's unit). */
  readonly values: Values;
  readonly masked: Values;
  readonly intercept: Values;
  readonly logit: Values;
  readonly method: string;
  readonly completenessError: number | null;
}

export interface Segmentation {
  readonly record: string;
  readonly layers: readonly string[];
  readonly nClusters: number;
  /** A first answer from some of the cells; the exact one follows by itself. */
  readonly draft: boolean;
  readonly network: string;
  readonly output: string;
  readonly device: string;
  /** s, centre of each cell's receptive field */
  readonly centre: Values;
  /** s, width of each cell's receptive field */
  readonly width: Values;
  /** -1 = masked */
  readonly cluster: Values;
  /** 0..1; NaN where masked */
  readonly entropy: Values;
  readonly margin: Values | null;
  readonly valid: Values;
  /** Entropies of the unmasked cells, ascending: the share above a threshold is a look-up. */
  readonly ranked: Float32Array;
  /** Number of unmasked cells */
  readonly known: number;
  /** Share of the unmasked cells, by cluster. */
  readonly proportion: Values;
  /** The same share among the cells of all records, where Python sends it. */
  readonly cohort: Values | null;
  /** Of each cell the code of the wave that its middle lies in, -1 = nobody has said; null where the data has none. */
  readonly wave: Values | null;
  /** What the codes mean. */
  readonly waveNames: readonly string[];
  /** Colour and letter of each cluster, 0..19, kept while K and layers move. */
  readonly slot: Values;
  readonly targets: readonly string[];
  readonly prediction: Values;
  readonly predictionUnits: string;
  readonly contribution: Contribution | null;
  /** How to read the contributions, or why there are none. */
  readonly contributionNote: string;
  /** (cell, component), row-major, or null */
  readonly map: Values | null;
  /** Share of the variance on each of the two components. */
  readonly mapExplained: readonly number[];
  /** s, the part of a long recording that this is of; null = of all of it */
  readonly span: readonly [number, number] | null;
  /** Windows whose mean the contributions and the prediction are; 1 where the recording is not long. */
  readonly windows: number;
  readonly density: Density | null;
}

export function readSegmentation(encoded: EncodedDataset): Segmentation {
  const ds = decode(encoded);
  const { attrs } = ds;
  const centre = numbers(ds, "centre");
  const cluster = sized(numbers(ds, "cluster"), centre.length, "cluster");
  const slot = numbers(ds, "slot");
  const entropy = sized(numbers(ds, "entropy"), centre.length, "entropy");
  const valid = find(ds, "valid")
    ? sized(numbers(ds, "valid"), centre.length, "valid")
    : Uint8Array.from(cluster, (k) => (k >= 0 ? 1 : 0));
  return {
    record: text(attrs, "record"),
    layers: list(attrs, "layers").map(String),
    nClusters: Number(attrs.n_clusters),
    draft: attrs.draft === true,
    network: text(attrs, "network"),
    output: text(attrs, "output"),
    device: text(attrs, "device"),
    centre,
    width: sized(numbers(ds, "width"), centre.length, "width"),
    cluster,
    entropy,
    margin: find(ds, "margin") ? sized(numbers(ds, "margin"), centre.length, "margin") : null,
    valid,
    ...rank(cluster, entropy, valid),
    proportion: sized(numbers(ds, "proportion"), slot.length, "proportion"),
    cohort: find(ds, "cohort_proportion")
      ? sized(numbers(ds, "cohort_proportion"), slot.length, "cohort_proportion")
      : null,
    wave: find(ds, "wave") ? sized(numbers(ds, "wave"), centre.length, "wave") : null,
    waveNames: String(find(ds, "wave")?.attrs.flag_meanings ?? "none P QRS T").split(" "),
    slot,
    targets: texts(ds, "target"),
    prediction: numbers(ds, "prediction"),
    predictionUnits: String(find(ds, "prediction")?.attrs.units ?? ""),
    contribution: find(ds, "contribution")
      ? {
          values: numbers(ds, "contribution"),
          masked: numbers(ds, "contribution_masked"),
          intercept: numbers(ds, "intercept"),
          logit: numbers(ds, "logit"),
          method: text(attrs, "contribution_method"),
          completenessError: typeof attrs.completeness_error === "number" ? attrs.completeness_error : null,
        }
      : null,
    contributionNote: text(attrs, "contribution_note"),
    map: find(ds, "map") ? sized(numbers(ds, "map"), 2 * centre.length, "map") : null,
    mapExplained: list(attrs, "map_explained").map(Number),
    span: readSpan(attrs),
    windows: Number(attrs.windows ?? 1),
    density: readDensity(ds, slot.length),
  };
}

/** The part of a long recording that an answer is of, s; null where it is of a whole recording. */
export function readSpan({ span }: Attributes): readonly [number, number] | null {
  return Array.isArray(span) && span.length === 2 ? [Number(span[0]), Number(span[1])] : null;
}

/** Which way the cluster is written: A..Z, then AA, AB, ..., the second channel beside its colour. */
export function letter(segmentation: Segmentation, cluster: number): string {
  const slot = segmentation.slot[cluster] ?? 0;
  const last = String.fromCharCode(65 + (slot % 26));
  return slot < 26 ? last : String.fromCharCode(64 + Math.floor(slot / 26)) + last;
}

/** Mean entropy of the unmasked cells of each cluster; NaN for a cluster without cells. */
export function meanEntropy(segmentation: Segmentation): Float64Array {
  const sum = new Float64Array(segmentation.slot.length);
  const count = new Float64Array(segmentation.slot.length);
  segmentation.cluster.forEach((k, i) => {
    if (k >= 0 && k < sum.length) {
      sum[k]! += segmentation.entropy[i]!;
      count[k]! += 1;
    }
  });
  return sum.map((value, k) => value / count[k]!);
}

/** The unmasked cells' entropies in order, and how many such cells there are. */
export function rank(
  cluster: ArrayLike<number>,
  entropy: ArrayLike<number>,
  valid: ArrayLike<number>,
): { ranked: Float32Array; known: number } {
  const ranked = new Float32Array(cluster.length);
  let known = 0;
  let finite = 0;
  for (let i = 0; i < cluster.length; i++) {
    if (valid[i] && cluster[i]! >= 0) {
      known++;
      if (!Number.isNaN(entropy[i]!)) {
        ranked[finite++] = entropy[i]!;
      }
    }
  }
  return { ranked: ranked.slice(0, finite).sort(), known };
}

function sized(values: Values, length: number, name: string): Values {
  if (values.length !== length) {
    throw new RangeError(`${name}: expected ${length} values, got ${values.length}`);
  }
  return values;
}

function text(attrs: Attributes, name: string): string {
  return attrs[name] === undefined || attrs[name] === null ? "" : String(attrs[name]);
}

function list(attrs: Attributes, name: string) {
  const value = attrs[name];
  return Array.isArray(value) ? value : [];
}
