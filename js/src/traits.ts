// The traits between the page and Python: each has one writer.
import type { Caliper } from "./calipers.ts";
import type { Display } from "./papercontrols.ts";
import type { EncodedDataset } from "./wire.ts";

export interface LayerChoice {
  readonly value: readonly string[];
  readonly label: string;
  readonly stride_ms: number;
  readonly width_ms: number;
}

export interface Choices {
  readonly layers: readonly LayerChoice[];
  readonly n_clusters: readonly [number, number];
  readonly records: readonly string[];
  readonly targets: readonly string[];
}

export interface Selection {
  readonly record: string;
  /** s, ascending, apart */
  readonly intervals: readonly (readonly [number, number])[];
  readonly label: string;
}

export interface ClusterFacts {
  readonly name?: string;
  readonly note?: string;
  /** Letter of the cluster that this one is shown as. */
  readonly merged?: string;
  readonly hidden?: boolean;
}
export type ClusterNames = Readonly<Record<string, ClusterFacts>>;

/** Written by the user, from either side. */
export interface UserTraits {
  layers: string[];
  n_clusters: number;
  threshold: number;
  record: string;
  target: string;
  /** [from, to] in s: the part of a long recording that is looked at and around; empty where it is not long. */
  span: number[];
  /** Of all records; a picture shows those of its own. */
  calipers: Caliper[];
  /** How the paper looks, where it was chosen otherwise than it is at first. */
  display: Partial<Display>;
  /** Stretches of a record that are selected; empty = nothing. */
  selection: Partial<Selection>;
  /** What clusters are called, by the letter that goes with their colour. */
  cluster_names: ClusterNames;
  linked?: ComparisonTraits["linked"];
  arrangement?: ComparisonTraits["arrangement"];
}

/** What of two sides moves together. */
export type Link = "layers" | "n_clusters" | "threshold";

/** Which choices of two sides were matched, and the colours of the second side's clusters. */
export interface Pairing {
  readonly a: { readonly layers: readonly string[]; readonly n_clusters: number };
  readonly b: { readonly layers: readonly string[]; readonly n_clusters: number };
  readonly slots: readonly number[];
  /** Records or windows in which they were matched, and agreement over all of them. */
  readonly records: number;
  readonly same: number | null;
  readonly ami: number | null;
}

/** Of a comparison alone; the second side's own traits are in otherside.ts. */
export interface ComparisonTraits {
  linked: Link[];
  arrangement: "strip" | "beside" | "below";
  pairing: Partial<Pairing>;
  sides: readonly string[];
  other_choices: Choices;
}

/** Written by Python. */
export interface PythonTraits {
  waveform: EncodedDataset | null;
  result: EncodedDataset | null;
  /** Results for other numbers of clusters, by number: what the kernel has computed ahead. */
  ready: Record<string, EncodedDataset> | null;
  /** Envelope of all of a long recording; null where it is not long. */
  overview: EncodedDataset | null;
  choices: Partial<Choices> | null;
  error: string;
  progress: string;
  /** Class of the static picture that stands where no view can be; absent in an exported page. */
  still?: string;
}

export type Traits = UserTraits & PythonTraits & Partial<ComparisonTraits>;
export type TraitName = keyof Traits;
