// Calipers in the hand: pointer and keys place their ends, a list shows, moves and removes them.
import { type Caliper, caliperText, KINDS, type Kind, measured, moved, obstacle, snap } from "./calipers.ts";
import { element, setText } from "./element.ts";
import { type Layout, type Trace, toX } from "./layout.ts";
import type { Recording } from "./recording.ts";
import type { State } from "./state.ts";
import { isReadable } from "./trace.ts";

/** CSS px from an end of a caliper within which a press takes hold of it */
const HOLD = 7;
const NONE: readonly Caliper[] = [];

/** What is on the paper: ask again after each change. */
export interface Ground {
  readonly layout: Layout | null;
  readonly recording: Recording | null;
  /** CSS px for one mm */
  readonly scale: number;
  traceAt(x: number, y: number): { trace: Trace | null; time: number } | null;
}

interface Draft {
  readonly trace: Trace;
  readonly caliper: Caliper;
  /** Place in the list of one that is moved, or -1. */
  readonly index: number;
  /** Whether the first end is set; before that both ends are where the keys are. */
  readonly set: boolean;
}

export class Measuring {
  readonly element = element("div", { class: "measuring", "data-ecg": "calipers", hidden: true });
  readonly #list = element("ul", { "aria-label": "Calipers" });
  readonly #spoken = element("output", { "data-ecg": "caliper" });
  readonly #state: State;
  readonly #ground: () => Ground;
  readonly #changed: () => void;
  tool: Kind | "" = "";
  #draft: Draft | null = null;
  #pressed = false;
  #movedSince = false;
  #shown: readonly Caliper[] = NONE;
  #key: unknown[] = [];
  #listed = "";

  constructor(state: State, ground: () => Ground, changed: () => void) {
    this.#state = state;
    this.#ground = ground;
    this.#changed = changed;
    this.element.append(this.#spoken, this.#list);
  }

  get active(): boolean {
    return this.tool !== "" && this.#obstacle === "";
  }

  /** Why the chosen tool measures nothing here. */
  get #obstacle(): string {
    const { layout, recording, scale } = this.#ground();
    if (!layout || !recording) {
      return "nothing is drawn yet";
    }
    const readable = isReadable(recording, layout.speed * scale * devicePixelRatio);
    return readable ? this.tool && obstacle(this.tool, recording) : "the samples of this part are still being read";
  }

  choose(tool: Kind | ""): void {
    this.tool = tool;
    this.#setDraft(null);
  }

  /** The paper is another: what is in the hand was for the one before. */
  drop(): void {
    this.#draft = null;
    this.#pressed = false;
  }

  /** All of this record and the one in the hand; the same list until one of them changes. */
  get shown(): readonly Caliper[] {
    const { recording } = this.#ground();
    const all = this.#state.get("calipers") ?? NONE;
    const key = [all, this.#draft, recording];
    if (key.some((item, i) => item !== this.#key[i])) {
      this.#key = key;
      const found = recording ? this.#with(all, recording).filter((c) => c.record === recording.record) : [];
      this.#shown = found.length > 0 ? found : NONE;
    }
    return this.#shown;
  }

  #with(all: readonly Caliper[], recording: Recording): Caliper[] {
    const draft = this.#draft;
    const list = draft && draft.index >= 0 ? replaced(all, draft.index, draft.caliper) : [...all];
    return measured(draft && draft.index < 0 ? [...list, draft.caliper] : list, recording);
  }

  /** A press takes hold of an end, sets the first end, or the second one; false if it means something else. */
  press(x: number, y: number): boolean {
    if (!this.active) {
      return false;
    }
    this.#pressed = true;
    this.#movedSince = this.#draft?.set === true;
    if (this.#draft?.set) {
      this.moveTo(x);
      return true;
    }
    const at = this.#ground().traceAt(x, y);
    if (!at?.trace) {
      this.#pressed = false;
      return false;
    }
    this.#setDraft(this.#hold(at.trace, x) ?? this.#fresh(at.trace, at.time, true));
    return true;
  }

  /** The free end follows; true while there is one. */
  moveTo(x: number): boolean {
    const draft = this.#draft;
    const { recording, scale } = this.#ground();
    if (!draft?.set || !recording) {
      return false;
    }
    const { area } = draft.trace;
    const time = area.t0 + (x / scale - area.x) / area.speed;
    const end = snap(recording, Math.min(Math.max(time, area.t0), area.t1));
    if (end !== draft.caliper.end) {
      this.#movedSince = true;
      this.#setDraft({ ...draft, caliper: moved(draft.caliper, { end }, recording) });
    }
    return true;
  }

  /** Another finger came: the first one was not for a caliper. */
  cancel(): void {
    if (this.#pressed) {
      this.#pressed = false;
      this.#setDraft(null);
    }
  }

  /** A drag ends where the pointer is let go; a click leaves the end in the hand. */
  release(): void {
    if (this.#pressed && this.#movedSince) {
      this.#finish();
    }
    this.#pressed = false;
  }

  /** True where the key was for a caliper. */
  key({ key, shiftKey }: KeyboardEvent): boolean {
    if (!this.active) {
      return false;
    }
    const along = ({ ArrowLeft: -1, ArrowRight: 1 } as const)[key];
    const down = ({ ArrowUp: -1, ArrowDown: 1 } as const)[key];
    if (along !== undefined) {
      this.#step(along * (shiftKey ? 10 : 1));
    } else if (down !== undefined) {
      this.#otherLead(down);
    } else if (key === "Enter" || key === " ") {
      if (this.#draft?.set) {
        this.#finish();
      } else {
        const draft = this.#draft ?? this.#first();
        this.#setDraft(draft && { ...draft, set: true });
      }
    } else if (key === "Delete" || key === "Backspace") {
      this.#remove(this.#places.at(-1) ?? -1);
    } else if (key === "Escape" && this.#draft) {
      this.#setDraft(null);
    } else {
      return false;
    }
    return true;
  }

  /** Brings the list up to date. */
  update(): void {
    const draft = this.#draft?.caliper;
    const shown = this.shown;
    const last = draft && shown.find((c) => c.start === draft.start && c.end === draft.end && c.kind === draft.kind);
    const place = last && !this.#draft?.set ? `lead ${last.lead}, ${last.end.toFixed(3)} s` : "";
    setText(this.#spoken, last ? place || caliperText(last) : this.#hint());
    const places = this.#places;
    const texts = places.map((_, i) => caliperText(shown[i]!));
    this.element.hidden = this.tool === "" && texts.length === 0;
    if (texts.join("\n") === this.#listed) {
      return;
    }
    this.#listed = texts.join("\n");
    const focused = [...this.#list.children].indexOf((this.#list.getRootNode() as ShadowRoot).activeElement as Element);
    this.#list.replaceChildren(...places.map((index, i) => this.#row(index, texts[i]!)));
    if (focused >= 0) {
      (this.#list.children[Math.min(focused, texts.length - 1)] as HTMLElement | undefined)?.focus();
    }
  }

  #hint(): string {
    const name = KINDS.find(([kind]) => kind === this.tool)?.[1];
    if (name && !this.active) {
      return `${name}: ${this.#obstacle}`;
    }
    return name
      ? `${name}: drag on the trace, or click twice; keys: arrows, Enter for each end, Delete removes the last`
      : "";
  }

  #row(index: number, text: string): HTMLElement {
    const remove = element("button", { type: "button", "aria-label": `Remove: ${text}` }, "\u00d7");
    remove.addEventListener("click", () => this.#remove(index));
    const row = element("li", { tabindex: 0, title: "Arrow keys move the end, with Shift the start; Delete removes" });
    row.append(element("span", {}, text), remove);
    row.addEventListener("keydown", (event) => {
      const by = ({ ArrowLeft: -1, ArrowRight: 1 } as const)[event.key];
      if (by !== undefined) {
        event.preventDefault();
        this.#nudge(index, event.shiftKey ? "start" : "end", by);
      } else if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        this.#remove(index);
      }
    });
    return row;
  }

  /** Places of this record's calipers in the list of all. */
  get #places(): number[] {
    const record = this.#ground().recording?.record;
    return (this.#state.get("calipers") ?? NONE).flatMap((c, i) => (c.record === record ? [i] : []));
  }

  #nudge(index: number, which: "start" | "end", by: number): void {
    const { recording } = this.#ground();
    const all = this.#state.get("calipers") ?? NONE;
    const old = all[index];
    if (old && recording) {
      const time = snap(recording, old[which] + by / recording.samplingRate);
      this.#write(measured(replaced(all, index, moved(old, { [which]: time }, recording)), recording));
    }
  }

  #remove(index: number): void {
    const { recording } = this.#ground();
    const all = this.#state.get("calipers") ?? NONE;
    if (index >= 0 && recording) {
      const left = all.filter((_, i) => i !== index);
      this.#write(measured(left, recording));
    }
  }

  #finish(): void {
    const { recording } = this.#ground();
    const draft = this.#draft;
    if (!draft || !recording) {
      return;
    }
    const { kind, start, end } = draft.caliper;
    const turned = kind !== "voltage" && end < start;
    const caliper = turned ? { ...draft.caliper, start: end, end: start } : draft.caliper;
    const all = this.#state.get("calipers") ?? NONE;
    const list = draft.index >= 0 ? replaced(all, draft.index, caliper) : [...all, caliper];
    this.#draft = null;
    if (start !== end) {
      this.#write(measured(list, recording));
    } else {
      this.#changed();
    }
  }

  #write(calipers: Caliper[]): void {
    this.#draft = null;
    this.#state.set("calipers", calipers);
    this.#changed();
  }

  #setDraft(draft: Draft | null): void {
    this.#draft = draft;
    this.#changed();
  }

  #fresh(trace: Trace, time: number, set: boolean): Draft | null {
    const { recording } = this.#ground();
    if (!recording || this.tool === "") {
      return null;
    }
    const at = snap(recording, time);
    const fresh = { kind: this.tool, record: recording.record, lead: recording.leads[trace.lead]!, start: at, end: at };
    return { trace, index: -1, set, caliper: moved(fresh, {}, recording) };
  }

  /** The end near a press of a caliper of the chosen kind, in the hand: a QT may begin where an R-R ends. */
  #hold(trace: Trace, x: number): Draft | null {
    const { recording, scale } = this.#ground();
    const all = this.#state.get("calipers") ?? NONE;
    const near = (time: number) => Math.abs(toX(trace.area, time) * scale - x) <= HOLD;
    for (const index of this.#places.reverse()) {
      const c = all[index]!;
      if (c.kind === this.tool && c.lead === recording?.leads[trace.lead] && (near(c.end) || near(c.start))) {
        const turned = !near(c.end);
        const caliper = turned ? moved(c, { start: c.end, end: c.start }, recording) : c;
        return { trace, index, set: true, caliper };
      }
    }
    return null;
  }

  #traces(): Trace[] {
    return this.#ground().layout?.blocks.flatMap((block) => [...block.traces]) ?? [];
  }

  /** Where keys begin: in the middle of the last trace, which is the rhythm strip where there is one. */
  #first(): Draft | null {
    const trace = this.#traces().at(-1);
    return trace ? this.#fresh(trace, (trace.area.t0 + trace.area.t1) / 2, false) : null;
  }

  #step(samples: number): void {
    const { recording } = this.#ground();
    const draft = this.#draft ?? this.#first();
    if (!draft || !recording) {
      return;
    }
    const { area } = draft.trace;
    const to = draft.caliper.end + (this.#draft ? samples / recording.samplingRate : 0);
    const end = snap(recording, Math.min(Math.max(to, area.t0), area.t1 - 0.5 / recording.samplingRate));
    this.#setDraft({ ...draft, caliper: moved(draft.caliper, draft.set ? { end } : { start: end, end }, recording) });
  }

  #otherLead(by: 1 | -1): void {
    const traces = this.#traces();
    const draft = this.#draft ?? this.#first();
    if (!draft || draft.set || traces.length === 0) {
      return;
    }
    const at = traces.findIndex((t) => t.lead === draft.trace.lead && t.baseline === draft.trace.baseline);
    const trace = traces[(Math.max(at, 0) + by + traces.length) % traces.length]!;
    const { t0, t1 } = trace.area;
    const time = draft.caliper.end >= t0 && draft.caliper.end < t1 ? draft.caliper.end : (t0 + t1) / 2;
    this.#setDraft(this.#fresh(trace, time, false));
  }
}

function replaced(all: readonly Caliper[], index: number, by: Caliper): Caliper[] {
  return all.map((c, i) => (i === index ? by : c));
}
