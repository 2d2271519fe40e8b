// The mean beat, aligned at the R peaks: all beats in grey, and in colour where the cells of a cluster lie.
import { element, setText } from "../element.ts";
import type { Theme } from "../paper.ts";
import type { Recording } from "../recording.ts";
import { letter, type Segmentation } from "../segmentation.ts";
import { cellAt } from "../segments.ts";
import { clusterHead, inOrder, Memo, type Panel, sized, type View } from "./panel.ts";

/** s around the R peak */
export const BEFORE = 0.3;
export const AFTER = 0.5;
const HEIGHT = 46;

export interface MeanBeats {
  /** Beats that lie in the recording from end to end. */
  readonly beats: number;
  /** mV by sample around R, of all beats; NaN where none has a sample */
  readonly all: Float64Array;
  /** By cluster: mean of the samples that lie in it, and the share of the beats that have one there. */
  readonly mean: readonly Float64Array[];
  readonly share: readonly Float64Array[];
}

/** Exact: sample by sample around the R peaks, means over beats. */
export function meanBeats(
  { signal, samplingRate, start, rPeaks }: Recording,
  { cluster, slot }: Pick<Segmentation, "cluster" | "slot">,
  borders: Float64Array,
  lead: number,
): MeanBeats {
  const before = Math.round(BEFORE * samplingRate);
  const length = before + Math.round(AFTER * samplingRate) + 1;
  const x = signal[lead] ?? new Float32Array(0);
  const zeros = () => new Float64Array(length);
  const [sum, count] = [zeros(), zeros()];
  const sums = Array.from(slot, zeros);
  const counts = Array.from(slot, zeros);
  let beats = 0;
  for (const peak of rPeaks) {
    const first = Math.round((peak - start) * samplingRate) - before;
    if (first < 0 || first + length > x.length) {
      continue;
    }
    beats++;
    for (let i = 0; i < length; i++) {
      const value = x[first + i]!;
      if (Number.isNaN(value)) {
        continue;
      }
      sum[i]! += value;
      count[i]! += 1;
      const k = cluster[cellAt(borders, start + (first + i) / samplingRate)] ?? -1;
      if (k >= 0) {
        sums[k]![i]! += value;
        counts[k]![i]! += 1;
      }
    }
  }
  return {
    beats,
    all: sum.map((s, i) => s / count[i]!),
    mean: sums.map((s, k) => s.map((value, i) => value / counts[k]![i]!)),
    share: counts.map((c) => c.map((n) => n / (beats || 1))),
  };
}

export class Beats implements Panel {
  readonly id = "beats";
  readonly title = "Beats";
  readonly element = element("div", { class: "beats" });
  readonly #memo = new Memo();
  readonly #lead = element("select", { "data-ecg": "beat-lead" });
  readonly #note = element("p", { class: "note" });
  readonly #body = element("tbody");
  #again = false;

  constructor(ask: () => void) {
    const label = element("label", { class: "field inline" }, element("span", { class: "name" }, "Lead"), this.#lead);
    const table = element("table", { "aria-label": "Mean beat of each cluster" }, this.#body);
    this.element.append(label, table, this.#note);
    this.#lead.addEventListener("input", () => {
      this.#again = true;
      ask();
    });
  }

  update(view: View): void {
    const { segmentation, recording, colours, names, theme, width, borders } = view;
    if (
      !this.#memo.changed(segmentation, recording, colours, names, theme, width, borders, devicePixelRatio) &&
      !this.#again
    ) {
      return;
    }
    this.#again = false;
    this.#nameLeads(recording.leads);
    const lead = Math.max(0, recording.leads.indexOf(this.#lead.value));
    const found = meanBeats(recording, segmentation, borders, lead);
    if (found.beats === 0) {
      this.#body.replaceChildren();
      const far = recording.decimation > 1 ? " at this zoom; show a shorter part" : " from end to end in what is shown";
      setText(this.#note, `No beats were found${far}.`);
      return;
    }
    const known = found.all.filter((value) => !Number.isNaN(value));
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const wide = Math.max(80, width - 120);
    const rows = inOrder(segmentation).map((k) => {
      const canvas = element("canvas", { role: "img" });
      const peak = Math.max(...found.share[k]!);
      const text = `in ${Math.round(100 * peak)} % of the beats at most`;
      canvas.setAttribute("aria-label", `Mean beat of cluster ${letter(segmentation, k)}, ${text}`);
      drawBeat(sized(canvas, wide, HEIGHT), wide, found, k, [low, high], colours[k] ?? theme.muted, theme);
      return element("tr", {}, clusterHead(view, k), element("td", {}, canvas));
    });
    this.#body.replaceChildren(...rows);
    setText(
      this.#note,
      `Mean of ${found.beats} beats from ${1000 * BEFORE} ms before to ${1000 * AFTER} ms after R (upright line), ` +
        `${(high - low).toFixed(2)} ${recording.units} high. Grey: all beats. Colour: mean of the samples in the ` +
        "cluster, stronger where more beats have it.",
    );
  }

  #nameLeads(leads: readonly string[]): void {
    const same =
      this.#lead.options.length === leads.length && leads.every((l, i) => this.#lead.options[i]!.value === l);
    if (!same) {
      const chosen = this.#lead.value;
      this.#lead.replaceChildren(...leads.map((name) => element("option", { value: name }, name)));
      this.#lead.value = leads.includes(chosen) ? chosen : leads.includes("II") ? "II" : (leads[0] ?? "");
    }
  }
}

function drawBeat(
  c: CanvasRenderingContext2D,
  width: number,
  { all, mean, share }: MeanBeats,
  k: number,
  [low, high]: readonly [number, number],
  colour: string,
  theme: Theme,
): void {
  const x = (i: number) => 2 + ((width - 4) * i) / (all.length - 1);
  const y = (value: number) => 4 + ((HEIGHT - 8) * (high - value)) / (high - low || 1);
  const r = Math.round(x((all.length - 1) * (BEFORE / (BEFORE + AFTER))));
  c.fillStyle = theme.faint;
  c.fillRect(r, 0, 1, HEIGHT);
  c.fillStyle = colour;
  for (let i = 0; i < all.length; i++) {
    c.globalAlpha = 0.35 * share[k]![i]!;
    c.fillRect(x(i), 0, x(1) - x(0) + 0.5, HEIGHT);
  }
  c.globalAlpha = 1;
  line(c, all, x, y, theme.muted, 1);
  for (let i = 1; i < all.length; i++) {
    if (share[k]![i]! > 0 && share[k]![i - 1]! > 0) {
      c.globalAlpha = 0.25 + 0.75 * share[k]![i]!;
      c.strokeStyle = colour;
      c.lineWidth = 2.5;
      c.beginPath();
      c.moveTo(x(i - 1), y(mean[k]![i - 1]!));
      c.lineTo(x(i), y(mean[k]![i]!));
      c.stroke();
    }
  }
  c.globalAlpha = 1;
}

function line(
  c: CanvasRenderingContext2D,
  values: Float64Array,
  x: (i: number) => number,
  y: (value: number) => number,
  colour: string,
  width: number,
): void {
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.beginPath();
  values.forEach((value, i) => {
    c[i === 0 || Number.isNaN(values[i - 1]!) ? "moveTo" : "lineTo"](x(i), y(value));
  });
  c.stroke();
}
