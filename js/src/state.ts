// A typed, decoded view of the traits. Each trait has one writer: the user's travel from here, Python's never do.
import type { AnyModel } from "@anywidget/types";
import { follows, otherModel } from "./otherside.ts";
import { type Overview, readOverview } from "./overview.ts";
import { type Recording, readRecording } from "./recording.ts";
import { readSegmentation, readSpan, type Segmentation } from "./segmentation.ts";
import type { Choices, TraitName, Traits, UserTraits } from "./traits.ts";
import type { EncodedDataset } from "./wire.ts";

export type * from "./traits.ts";

/** What a view may draw together: a segmentation never lies on another record's trace. */
export interface Picture {
  readonly recording: Recording;
  readonly segmentation: Segmentation | null;
}

const USER = [
  "layers",
  "n_clusters",
  "threshold",
  "record",
  "target",
  "span",
  "calipers",
  "display",
  "selection",
  "cluster_names",
  "linked",
  "arrangement",
] as const satisfies readonly TraitName[];
/** Of these, what says nothing about which answers are shown. */
const APART: ReadonlySet<TraitName> = new Set([
  "threshold",
  "target",
  "calipers",
  "display",
  "selection",
  "cluster_names",
  "linked",
  "arrangement",
  "pairing",
]);
const PYTHON = ["waveform", "result", "overview", "ready", "choices", "error", "progress", "pairing"] as const;
/** Python's data that is read when it is first looked at: a view that nobody sees decodes nothing. */
type Read = "waveform" | "result" | "overview";
/** s; spans are multiples of 10 s but for the recording's end, so that those further apart than this differ */
const SAME_SPAN = 1;

/** ms without a move, after which Python learns of moves that the page has answered itself */
const REST = 500;

type Listener = (changed: ReadonlySet<TraitName>) => void;

export class State {
  readonly #model: AnyModel<Traits>;
  readonly #listeners = new Set<Listener>();
  readonly #handlers: (readonly [`change:${TraitName}`, () => void])[];
  #recording: Recording | null = null;
  #segmentation: Segmentation | null = null;
  readonly #ahead = new Map<number, { encoded: EncodedDataset; segmentation: Segmentation }>();
  #overview: Overview | null = null;
  #picture: Picture | null = null;
  readonly #unread = new Set<Read>(["waveform", "result", "overview"]);
  #composed = false;
  #decoded = 0;
  readonly #unreadable = { waveform: "", result: "", overview: "", ready: "" };
  /** Set here, not yet sent. */
  readonly #pending = new Map<keyof UserTraits, unknown>();
  #frame = 0;
  #resting = 0;
  #sending = false;
  /** The second side of a comparison; null where there is none, and for the second side itself. */
  readonly other: State | null = null;
  /** The other of two sides, seen from either. */
  #partner: State | null = null;

  constructor(model: AnyModel<Traits>) {
    this.#model = model;
    if (model.get("other_choices")) {
      this.other = new (this.constructor as typeof State)(otherModel(model));
      this.#partner = this.other;
      this.other.#partner = this;
    }
    const user = USER.map((name) => [`change:${name}`, () => this.#received(name)] as const);
    this.#handlers = [...user, ...PYTHON.map((name) => [`change:${name}`, () => this.#changed(name)] as const)];
    for (const [event, handler] of this.#handlers) {
      model.on(event, handler);
    }
    document.addEventListener("visibilitychange", this.flush);
  }

  get<K extends TraitName>(name: K): Traits[K] {
    const pending = this.#pending as ReadonlyMap<TraitName, unknown>;
    return pending.has(name) ? (pending.get(name) as Traits[K]) : this.#model.get(name);
  }

  get choices(): Choices {
    return { layers: [], n_clusters: [2, 20], records: [], targets: [], ...this.#model.get("choices") };
  }

  get picture(): Picture | null {
    this.#read();
    return this.#picture;
  }

  /** Of the shown recording, where it is long. */
  get overview(): Overview | null {
    this.#read();
    return this.#overview?.record === this.#picture?.recording.record ? this.#overview : null;
  }

  /** Python's error, else what kept the page from reading Python's data; "" = none. */
  get error(): string {
    this.#read();
    return this.#model.get("error") || Object.values(this.#unreadable).find(Boolean) || "";
  }

  /** How often Python's data has been decoded: nothing is, while nobody looks. */
  get decoded(): number {
    return this.#decoded;
  }

  /** Whether the picture shows something else than the controls say. */
  get stale(): boolean {
    return !this.#isChosen(this.picture?.segmentation, this.get("n_clusters"));
  }

  /** Numbers of clusters to which a move takes a frame and no message, ascending. */
  get readyClusters(): number[] {
    this.#read();
    const ready = this.#model.get("ready") ?? {};
    return Object.keys(ready)
      .map(Number)
      .filter((k) => this.#describesChoice(ready[k], k))
      .sort((a, b) => a - b);
  }

  /**
   * Takes effect in every view at once. Python learns of it with the next frame, together with other changes; where
   * the page needs no answer, when the hand rests, so that a drag sends one message.
   */
  set<K extends keyof UserTraits>(name: K, value: Traits[K]): void {
    if (JSON.stringify(this.get(name)) === JSON.stringify(value)) {
      return;
    }
    const answered = this.#answers(name, value);
    this.#pending.set(name, value);
    this.#changed(name);
    if (this.#partner && follows(name, value, this.get("linked"), this.#partner.choices)) {
      this.#partner.set(name, value);
    }
    if (document.hidden) {
      setTimeout(this.flush, 16); // a hidden page has no frames, yet a script may still move its controls
    } else if (!answered) {
      this.#frame ||= requestAnimationFrame(this.flush);
    } else {
      clearTimeout(this.#resting);
      this.#resting = setTimeout(this.flush, REST) as unknown as number;
    }
  }

  /** Sends what is not yet sent: by itself, and when the hand or the eye leaves the widget. */
  readonly flush = (): void => {
    const sides: State[] = this.#partner ? [this, this.#partner] : [this];
    if (sides.map((side) => side.#put()).includes(true)) {
      this.#model.save_changes(); // of both sides, in one message
    }
  };

  #put(): boolean {
    if (this.#frame !== 0) cancelAnimationFrame(this.#frame);
    clearTimeout(this.#resting);
    this.#frame = 0;
    const pending = [...this.#pending] as [keyof UserTraits, never][];
    this.#sending = true;
    for (const [name, value] of pending) {
      this.#model.set(name, value);
    }
    this.#sending = false;
    this.#pending.clear();
    return pending.length > 0;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dispose(): void {
    this.flush();
    this.other?.dispose();
    document.removeEventListener("visibilitychange", this.flush);
    for (const [event, handler] of this.#handlers) {
      this.#model.off(event, handler);
    }
    this.#listeners.clear();
  }

  /** Whether the page has all that a move needs. */
  #answers(name: keyof UserTraits, value: unknown): boolean {
    const k = Number(value);
    const kept = !this.#partner && this.#describesChoice(this.#model.get("ready")?.[k], k); // Python finds which is which
    return APART.has(name) || (name === "n_clusters" && kept);
  }

  /** The last writer has it: what Python sets takes the place of what was not yet sent. */
  #received(name: keyof UserTraits): void {
    if (!this.#sending) {
      this.#pending.delete(name);
      this.#changed(name);
    }
  }

  #changed(name: TraitName): void {
    if (name === "waveform" || name === "result" || name === "overview") {
      this.#unread.add(name);
    }
    this.#composed &&= APART.has(name);
    const changed = new Set([name]);
    for (const listener of this.#listeners) {
      listener(changed);
    }
  }

  /** Brings what is shown up to date with the traits. */
  #read(): void {
    if (this.#composed) {
      return;
    }
    this.#composed = true;
    for (const name of this.#unread) {
      this.#decode(name);
    }
    this.#unread.clear();
    this.#compose();
  }

  #decode(name: Read): void {
    const encoded = this.#model.get(name);
    this.#decoded += 1;
    try {
      if (name === "waveform") {
        this.#recording = encoded ? readRecording(encoded) : null;
      } else if (name === "result") {
        this.#segmentation = encoded ? readSegmentation(encoded) : null;
      } else {
        this.#overview = encoded ? readOverview(encoded) : null;
      }
      this.#unreadable[name] = "";
    } catch (error) {
      this.#unreadable[name] =
        `The page cannot read ${name}: ${error instanceof Error ? error.message : String(error)}`;
      console.error(error);
    }
  }

  #isChosen(shown: Segmentation | null | undefined, k: number): boolean {
    return (
      !!shown &&
      shown.nClusters === k &&
      shown.record === this.get("record") &&
      shown.layers.join("\n") === this.get("layers")?.join("\n")
    );
  }

  #describesChoice(encoded: EncodedDataset | undefined, k: number): boolean {
    const { record, layers, n_clusters } = encoded?.attrs ?? {};
    return (
      n_clusters === k &&
      record === this.get("record") &&
      Array.isArray(layers) &&
      layers.join("\n") === this.get("layers")?.join("\n") &&
      this.#covers(readSpan(encoded?.attrs ?? {}))
    );
  }

  /** Whether an answer is of the stretch that the waveform covers; of a recording that is not long, any is. */
  #covers(span: readonly [number, number] | null): boolean {
    const recording = this.#recording;
    if (!recording || this.#overview?.record !== recording.record) {
      return true;
    }
    return (
      span !== null &&
      Math.abs(span[0] - recording.start) < SAME_SPAN &&
      Math.abs(span[1] - recording.end) < SAME_SPAN + 2 / recording.samplingRate
    );
  }

  /** What was computed ahead for the user's choice, read when it is first looked at. */
  #chosenAhead(): Segmentation | null {
    const k = this.get("n_clusters");
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
    const answered = this.#isChosen(this.#segmentation, this.get("n_clusters"));
    if (this.#recording && this.#overview?.record === this.#recording.record) {
      return answered ? this.#segmentation : (shown ?? null); // never an older choice on a new stretch
    }
    return answered || !shown || shown.record !== this.#segmentation?.record ? this.#segmentation : shown;
  }

  /** The old pair stays until waveform and result are of one record again, or until an error ends the wait. */
  #compose(): void {
    const recording = this.#recording;
    const segmentation = this.#pick();
    const shown = this.#picture;
    if (recording && segmentation && segmentation.record === recording.record && this.#covers(segmentation.span)) {
      this.#picture = { recording, segmentation };
    } else if (recording && (!shown?.segmentation || this.#model.get("error") || this.#isNext(recording, shown))) {
      this.#picture = { recording, segmentation: null };
    } else if (!recording) {
      this.#picture = null;
    }
  }

  /** Another stretch of the recording that is shown: its trace need not wait for its segments. */
  #isNext(recording: Recording, shown: Picture): boolean {
    return (
      this.#overview?.record === recording.record &&
      shown.recording.record === recording.record &&
      shown.recording !== recording
    );
  }
}
