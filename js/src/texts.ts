// What the view says in words: status, what the pointer is on, progress, errors, and what a screen reader hears.
import { element, setText } from "./element.ts";
import { factsOf, quoted } from "./panels/names.ts";
import { type Recording, sampleAt } from "./recording.ts";
import { clock } from "./ruler.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import { cellText, contributionText, meaningText, statusText } from "./segments.ts";
import type { ClusterNames, Picture, State } from "./state.ts";

/** ms of rest before a screen reader hears the new status: a drag is announced once */
const QUIET = 700;

const HINT = "Point at the trace, or focus it and use the arrow keys, to read a cell";
const HINT_LONG = `${HINT}; drag it or use the page keys to move`;
const HINT_FAR = "Drag the paper or use the page keys to move; show 1 min or less to see cells";

export interface Pointer {
  readonly time: number;
  readonly lead: number;
}

export class Texts {
  readonly #facts = element("span", { class: "facts" });
  readonly #meaning = element("span", { class: "meaning" });
  readonly #status = element("span", { class: "status", "data-ecg": "status" }, this.#facts, " ", this.#meaning);
  readonly #spoken = element("span", { class: "spoken", role: "status" });
  readonly bar = element("div", { class: "bar" }, this.#status, this.#spoken);
  readonly progress = element("div", { class: "progress", "data-ecg": "progress" });
  readonly readout = element("div", { class: "readout", "data-ecg": "readout" });
  readonly error = element("div", { class: "error", role: "alert", "data-ecg": "error" });
  #toSpeak = "";
  #quiet = 0;

  /** `shown` is the recording as it is drawn: what is read off the picture is what is in it. */
  update(
    state: State,
    segmentation: Segmentation | null,
    cell: number,
    pointer: Pointer | null,
    shown: Recording | null,
  ): void {
    const picture = state.picture && { ...state.picture, segmentation };
    const threshold = state.get("threshold");
    setText(this.#facts, segmentation ? statusText(segmentation, threshold, state.get("target")) : "");
    const cells = segmentation !== null && segmentation.centre.length > 0;
    setText(this.#meaning, cells ? meaningText(threshold) : "");
    const error = state.error;
    this.showError(error);
    const waiting = error === "" && (state.get("progress") !== "" || state.stale || segmentation?.draft === true);
    this.progress.hidden = !waiting;
    setText(this.progress, waiting ? state.get("progress") || "computing" : "");
    const long = state.overview !== null;
    const readout = readoutText(
      picture,
      shown,
      cell,
      pointer,
      state.get("target"),
      threshold,
      long,
      state.get("cluster_names") ?? {},
    );
    setText(this.readout, readout || (!long ? HINT : cells ? HINT_LONG : HINT_FAR));
    this.readout.classList.toggle("hint", readout === "");
    this.#speak(readout || this.#facts.textContent || "");
  }

  showError(text: string): void {
    this.error.hidden = text === "";
    setText(this.error, text);
  }

  dispose(): void {
    clearTimeout(this.#quiet);
  }

  #speak(text: string): void {
    if (text !== this.#toSpeak) {
      this.#toSpeak = text;
      clearTimeout(this.#quiet);
      this.#quiet = setTimeout(() => setText(this.#spoken, this.#toSpeak), QUIET) as unknown as number;
    }
  }
}

function readoutText(
  picture: Picture | null,
  shown: Recording | null,
  cell: number,
  pointer: Pointer | null,
  target: string,
  threshold: number,
  long: boolean,
  names: ClusterNames,
): string {
  const segmentation = picture?.segmentation;
  if (!picture || (cell < 0 && !pointer)) {
    return "";
  }
  const parts: string[] = [];
  const time = pointer?.time ?? segmentation?.centre[cell];
  if (time !== undefined) {
    parts.push(
      long ? `${clock(Math.floor(time), true)} + ${(time - Math.floor(time)).toFixed(2)} s` : `${time.toFixed(2)} s`,
    );
  }
  if (pointer && pointer.lead >= 0) {
    const recording = shown?.record === picture.recording.record ? shown : picture.recording;
    const value = recording.signal[pointer.lead]?.[sampleAt(recording, pointer.time)];
    const amount = value === undefined ? "" : Number.isNaN(value) ? "gap" : `${value.toFixed(2)} ${recording.units}`;
    // Of a column only the extremes are here: one of them is no reading of that moment.
    if (recording.decimation === 1) {
      parts.push(`${recording.leads[pointer.lead]} ${amount || "not read yet"}`.replace("-", "\u2212"));
    }
  }
  if (segmentation && cell >= 0 && cell < segmentation.centre.length) {
    parts.push(cellText(segmentation, cell, threshold));
    const k = segmentation.cluster[cell]!;
    const facts = k < 0 ? {} : factsOf(names, letter(segmentation, k));
    parts.push(...[facts.name, facts.note].map((text) => quoted(text ?? "")).filter(Boolean));
    parts.push(...contributionText(segmentation, cell, target));
  }
  return parts.join(" \u00b7 ");
}
