// A typed, decoded view of the traits. Each trait has one writer: the user's travel from here, Python's never do.
import type { AnyModel } from "@anywidget/types";
import { type Recording, readRecording } from "./recording.ts";
import { readSegmentation, type Segmentation } from "./segmentation.ts";
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

/** Written by the user, from either side. */
export interface UserTraits {
  layers: string[];
  n_clusters: number;
  threshold: number;
  record: string;
  target: string;
}

/** Written by Python. */
export interface PythonTraits {
  waveform: EncodedDataset | null;
  result: EncodedDataset | null;
  /** Results for other numbers of clusters, by number: what the kernel has computed ahead. */
  ready: Record<string, EncodedDataset> | null;
  choices: Partial<Choices> | null;
  error: string;
  progress: string;
}

export type Traits = UserTraits & PythonTraits;
export type TraitName = keyof Traits;

/** What a view may draw together: a segmentation never lies on another record's trace. */
export interface Picture {
  readonly recording: Recording;
  readonly segmentation: Segmentation | null;
}

const USER = ["layers", "n_clusters", "threshold", "record", "target"] as const satisfies readonly TraitName[];
const PYTHON = ["waveform", "result", "ready", "choices", "error", "progress"] as const satisfies readonly TraitName[];

type Listener = (changed: ReadonlySet<TraitName>) => void;

export class State {
  readonly #model: AnyModel<Traits>;
  readonly #listeners = new Set<Listener>();
  readonly #handlers: (readonly [`change:${TraitName}`, () => void])[];
  #recording: Recording | null = null;
  #segmentation: Segmentation | null = null;
  readonly #ahead = new Map<number, { encoded: EncodedDataset; segmentation: Segmentation }>();
  #picture: Picture | null = null;
  readonly #unreadable = { waveform: "", result: "", ready: "" };
  #unsaved = false;
  #saving = 0;

  constructor(model: AnyModel<Traits>) {
    this.#model = model;
    this.#decode("waveform");
    this.#decode("result");
    this.#handlers = [...USER, ...PYTHON].map((name) => [`change:${name}`, () => this.#changed(name)] as const);
    for (const [event, handler] of this.#handlers) {
      model.on(event, handler);
    }
  }

  get<K extends TraitName>(name: K): Traits[K] {
    return this.#model.get(name);
  }

  get choices(): Choices {
    return { layers: [], n_clusters: [2, 20], records: [], targets: [], ...this.#model.get("choices") };
  }

  get picture(): Picture | null {
    return this.#picture;
  }

  /** Python's error, else what kept the page from reading Python's data; "" = none. */
  get error(): string {
    return this.#model.get("error") || this.#unreadable.waveform || this.#unreadable.result || this.#unreadable.ready;
  }

  /** Whether the picture shows something else than the controls say. */
  get stale(): boolean {
    return !this.#isChosen(this.#picture?.segmentation, this.#model.get("n_clusters"));
  }

  /** Numbers of clusters to which a move takes a frame and no message, ascending. */
  get readyClusters(): number[] {
    const ready = this.#model.get("ready") ?? {};
    return Object.keys(ready)
      .map(Number)
      .filter((k) => this.#describesChoice(ready[k], k))
      .sort((a, b) => a - b);
  }

  /** Takes effect in every view at once and reaches Python with the next frame, together with other changes. */
  set<K extends keyof UserTraits>(name: K, value: Traits[K]): void {
    if (JSON.stringify(this.#model.get(name)) === JSON.stringify(value)) {
      return;
    }
    this.#model.set(name, value);
    this.#changed(name); // not every host announces what its own page has set
    this.#unsaved = true;
    if (this.#saving === 0) {
      // A hidden page has no frames, yet a script may still move its controls.
      this.#saving = document.hidden
        ? (setTimeout(() => this.flush(), 16) as unknown as number)
        : requestAnimationFrame(() => this.flush());
    }
  }

  /** Sends what is not yet sent. */
  flush(): void {
    this.#saving = 0;
    if (this.#unsaved) {
      this.#unsaved = false;
      this.#model.save_changes();
    }
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dispose(): void {
    this.flush();
    for (const [event, handler] of this.#handlers) {
      this.#model.off(event, handler);
    }
    this.#listeners.clear();
  }

  #changed(name: TraitName): void {
    if (name === "waveform" || name === "result") {
      this.#decode(name);
    } else if (name !== "threshold" && name !== "target") {
      this.#compose();
    }
    const changed = new Set([name]);
    for (const listener of this.#listeners) {
      listener(changed);
    }
  }

  #decode(name: "waveform" | "result"): void {
    const encoded = this.#model.get(name);
    try {
      if (name === "waveform") {
        this.#recording = encoded ? readRecording(encoded) : null;
      } else {
        this.#segmentation = encoded ? readSegmentation(encoded) : null;
      }
      this.#unreadable[name] = "";
    } catch (error) {
      this.#unreadable[name] =
        `The page cannot read ${name}: ${error instanceof Error ? error.message : String(error)}`;
      console.error(error);
    }
    this.#compose();
  }

  #isChosen(shown: Segmentation | null | undefined, k: number): boolean {
    return (
      !!shown &&
      shown.nClusters === k &&
      shown.record === this.#model.get("record") &&
      shown.layers.join("\n") === this.#model.get("layers")?.join("\n")
    );
  }

  #describesChoice(encoded: EncodedDataset | undefined, k: number): boolean {
    const { record, layers, n_clusters } = encoded?.attrs ?? {};
    return (
      n_clusters === k &&
      record === this.#model.get("record") &&
      Array.isArray(layers) &&
      layers.join("\n") === this.#model.get("layers")?.join("\n")
    );
  }

  /** What was computed ahead for the user's choice, read when it is first looked at. */
  #chosenAhead(): Segmentation | null {
    const k = this.#model.get("n_clusters");
    const encoded = this.#model.get("ready")?.[k];
    if (!encoded || !this.#describesChoice(encoded, k)) {
      return null;
    }
    let known = this.#ahead.get(k);
    if (known?.encoded !== encoded) {
      try {
        known = { encoded, segmentation: readSegmentation(encoded) };
        this.#unreadable.ready = "";
      } catch (error) {
        this.#unreadable.ready = `The page cannot read ready: ${error instanceof Error ? error.message : String(error)}`;
        console.error(error);
        return null;
      }
      this.#ahead.set(k, known);
    }
    return known.segmentation;
  }

  /** The user's choice where it is there; else what stands stays, until the kernel answers. */
  #pick(): Segmentation | null {
    const ahead = this.#chosenAhead();
    if (ahead) {
      return ahead;
    }
    const shown = this.#picture?.segmentation;
    const answered = this.#isChosen(this.#segmentation, this.#model.get("n_clusters"));
    return answered || !shown || shown.record !== this.#segmentation?.record ? this.#segmentation : shown;
  }

  /** The old pair stays until waveform and result are of one record again, or until an error ends the wait. */
  #compose(): void {
    const recording = this.#recording;
    const segmentation = this.#pick();
    if (recording && segmentation && segmentation.record === recording.record) {
      this.#picture = { recording, segmentation };
    } else if (recording && (!this.#picture?.segmentation || this.#model.get("error"))) {
      this.#picture = { recording, segmentation: null };
    } else if (!recording) {
      this.#picture = null;
    }
  }
}
