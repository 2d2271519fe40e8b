// The second side of a comparison: its controls, its rows on the axis of time, its own paper, and how both agree.
import { type Agreement, agreementOf, clusterAt } from "./agreement.ts";
import { type Overlay, Painter, type Scene } from "./canvas.ts";
import { ConfusionTable } from "./confusion.ts";
import { element, setText } from "./element.ts";
import { hatch } from "./hatch.ts";
import type { Layout } from "./layout.ts";
import { OtherControls } from "./othercontrols.ts";
import { clusterColours } from "./palette.ts";
import { merged, mergers, quoted } from "./panels/names.ts";
import { Memo } from "./panels/panel.ts";
import type { Theme } from "./paper.ts";
import { type Beside, Pinned } from "./pinned.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import { cellAt, cellBorders, cellText, MASKED } from "./segments.ts";
import type { Sheet } from "./sheet.ts";
import type { State } from "./state.ts";
import { clearRows, drawRow, stretch } from "./stripes.ts";
import type { Pairing } from "./traits.ts";

/** CSS px: a row of clusters, and the row between them that says where they differ */
const ROW = 18;
const BETWEEN = 8;
/** CSS px below which two papers beside each other could not be read */
const NARROW = 700;
const GAP = 12;
/** What stands beside the segmentation of a view: the second side where there is one. */
export function beside(state: State, ask: (...work: ("scene" | "panels")[]) => void): Beside {
  return state.other ? new Comparison(state, state.other, ask) : new Pinned(() => ask("panels"));
}

class Comparison implements Beside {
  readonly controls: readonly HTMLElement[];
  readonly sheet = element("canvas", { class: "other-sheet", "data-ecg": "other-waveform", role: "img", hidden: true });
  readonly #rows = element("canvas", { class: "pinned rows", "data-ecg": "compared", role: "img", hidden: true });
  readonly drawings = [this.#rows, this.sheet];
  readonly element: HTMLElement;
  readonly #state: State;
  readonly #other: State;
  readonly #controls: OtherControls;
  readonly #text = element("div", { "data-ecg": "agreement" });
  readonly #readout = element("div", { class: "hint", "data-ecg": "other-readout" });
  readonly #table = new ConfusionTable();
  readonly #painter = new Painter(this.sheet);
  readonly #drawn = new Memo();
  readonly #measured = new Memo();
  readonly #matched = new Memo();
  readonly #coloured = new Memo();
  readonly #stop: () => void;
  #shown: { readonly segmentation: Segmentation; readonly borders: Float64Array } | null = null;
  #second: { readonly segmentation: Segmentation; readonly borders: Float64Array } | null = null;
  #colours: string[] = [];
  #first: string[] = [];
  #hidden: boolean[] = [];
  /** Of b's own paper: the same array while nothing of it moves, as a new one has all of it painted. */
  #own: string[] = [];
  #scene: Scene | null = null;
  #width = 0;
  #agreement: Agreement | null = null;

  constructor(state: State, other: State, ask: (...work: ("scene" | "panels")[]) => void) {
    this.#state = state;
    this.#other = other;
    this.#controls = new OtherControls(state, other);
    this.controls = this.#controls.elements;
    this.element = element("div", { class: "comparison" }, this.#text, this.#readout, this.#table.element);
    this.#stop = other.subscribe((changed) => ask(...(changed.has("threshold") ? [] : (["panels"] as const))));
    this.#table.element.addEventListener("toggle", () => ask());
  }

  share(width: number): number {
    this.#width = width;
    return this.#isBeside(width) ? Math.floor((width - GAP) / 2) : width;
  }

  colours(shown: Segmentation, borders: Float64Array): string[] {
    this.#shown = { segmentation: shown, borders };
    this.#match();
    const slots = [...new Set([...shown.slot, ...(this.#second?.segmentation.slot ?? [])])];
    const list = clusterColours(slots);
    const of = (slot: number) => list[slots.indexOf(slot)]!;
    const names = this.#state.get("cluster_names") ?? {};
    const second = this.#second?.segmentation;
    this.#first = Array.from(shown.slot, of);
    const colours = Array.from(second?.slot ?? [], of);
    const hidden = colours.map((_, k) => Boolean(second && names[letter(second, k)]?.hidden));
    if (this.#coloured.changed(second, colours.join(), hidden.join())) {
      this.#colours = colours;
      this.#hidden = hidden;
    }
    return this.#first;
  }

  paint(layout: Layout | null, scale: number, theme: Theme, font: string, on: Sheet, overlay: Overlay | null): void {
    this.#controls.update(this.#second?.segmentation ?? null);
    const scene = on.painted;
    const second = layout?.density ? null : this.#second;
    const arrangement = this.#state.get("arrangement") ?? "strip";
    this.#rows.hidden = !second || !layout || !overlay;
    this.sheet.hidden = this.#rows.hidden || arrangement === "strip" || !scene;
    this.sheet.parentElement?.classList.toggle("beside", !this.sheet.hidden && this.#isBeside(this.#width));
    const time = overlay && overlay.cell >= 0 ? overlay.segmentation.centre[overlay.cell]! : Number.NaN;
    this.#measure(second !== null);
    this.#read(overlay, time);
    if (!second || !layout || !overlay) {
      return;
    }
    const threshold = this.#other.get("threshold");
    const colours = this.#colours.map((colour, k) => (this.#hidden[k] ? theme.paper : colour));
    const look = [layout, scale, theme, font, devicePixelRatio] as const;
    if (
      this.#drawn.changed(
        second,
        overlay.segmentation,
        overlay.colours,
        overlay.threshold,
        threshold,
        colours.join(),
        ...look,
      )
    ) {
      this.#drawRows(layout, scale, theme, font, overlay, { ...second, colours, threshold });
      this.#own = colours;
    }
    if (!this.sheet.hidden && scene) {
      if (this.#scene !== scene) {
        this.#scene = scene;
        this.#painter.setScene(scene);
      }
      const cell = Number.isNaN(time) ? -1 : cellAt(second.borders, time);
      const { colouring } = overlay;
      const own = { ...second, colours: this.#own, threshold, colouring, cell, cluster: this.#pointed(overlay) };
      this.#painter.paint(own, on.measuring.shown);
    }
  }

  /** The cluster of b that has the colour of the one that is pointed at in a panel; -1 = none is. */
  #pointed({ cluster, segmentation }: Overlay): number {
    return cluster < 0 ? -1 : (this.#second?.segmentation.slot.indexOf(segmentation.slot[cluster]!) ?? -1);
  }

  dispose(): void {
    this.#stop();
    this.#painter.dispose();
    this.#rows.width = 0;
  }

  #isBeside(width: number): boolean {
    return this.#state.get("arrangement") === "beside" && width >= NARROW;
  }

  /** The second side's segmentation of the shown record, in the colours of the first where clusters match. */
  #match(): void {
    const { picture } = this.#other;
    const raw = picture?.segmentation ?? null;
    const shown = this.#shown?.segmentation;
    const names = this.#state.get("cluster_names") ?? {};
    const pairing = this.#state.get("pairing");
    if (!this.#matched.changed(raw, picture?.recording, shown?.record, pairing, mergers(names))) {
      return;
    }
    if (!raw || !picture || raw.record !== shown?.record || raw.centre.length === 0) {
      this.#second = null;
      return;
    }
    const slot = isOf(pairing?.b, raw) && pairing?.slots?.length === raw.slot.length ? pairing.slots : raw.slot;
    const segmentation = merged({ ...raw, slot: Uint8Array.from(slot) }, names);
    const { start, end } = picture.recording;
    this.#second = { segmentation, borders: cellBorders(segmentation.centre, start, end) };
  }

  #measure(visible: boolean): void {
    const [shown, second] = [this.#shown, this.#second];
    const pairing = this.#state.get("pairing");
    const names = this.#state.get("cluster_names") ?? {};
    const { open } = this.#table.element;
    if (
      !this.#measured.changed(
        shown?.segmentation,
        shown?.borders,
        second,
        pairing,
        visible,
        open,
        names,
        this.#first.join(),
      )
    ) {
      return;
    }
    this.element.hidden = !shown || !second || !visible;
    this.#agreement = shown && second && visible ? agreementOf(shown, second) : null;
    const text = this.#agreement
      ? agreementText(this.#agreement, shown!.segmentation, second!.segmentation, pairing)
      : "";
    setText(this.#text, text);
    this.#rows.setAttribute("aria-label", `Clusters of a, where they differ, and clusters of b. ${text}`);
    const label = `The same ECG with the clusters of b, ${second?.segmentation.layers.join(" + ") ?? ""}`;
    this.sheet.setAttribute("aria-label", label);
    if (this.#agreement && open) {
      const colours = [this.#first, this.#colours] as const;
      this.#table.update(this.#agreement, shown!.segmentation, second!.segmentation, colours, names);
    }
  }

  /** What both sides say of the moment that is pointed at. */
  #read(overlay: Overlay | null, time: number): void {
    const second = this.#second;
    if (!overlay || !second || Number.isNaN(time)) {
      setText(this.#readout, "Point at the trace to read both sides");
      return;
    }
    const cell = cellAt(second.borders, time);
    const [a, b] = [clusterAt(overlay, time), clusterAt(second, time)];
    const names = this.#state.get("sides") ?? [];
    const there = cell < 0 ? "no cell" : cellText(second.segmentation, cell, this.#other.get("threshold"));
    const match =
      a < 0 || b < 0
        ? "not compared"
        : overlay.segmentation.slot[a] === second.segmentation.slot[b]
          ? "matched"
          : "not matched";
    const here = cellText(overlay.segmentation, overlay.cell, overlay.threshold);
    const parts = [
      `${time.toFixed(2)} s`,
      `a ${quoted(names[0] ?? "")}: ${here}`,
      `b ${quoted(names[1] ?? "")}: ${there}`,
    ];
    setText(this.#readout, [...parts, match].join(" \u00b7 "));
  }

  #drawRows(
    layout: Layout,
    scale: number,
    theme: Theme,
    font: string,
    overlay: Overlay,
    second: { segmentation: Segmentation; borders: Float64Array; colours: string[]; threshold: number },
  ): void {
    const c = clearRows(this.#rows, layout, scale, 2 * ROW + BETWEEN, theme, font);
    const mm = scale * devicePixelRatio;
    const [row, between] = [Math.round(ROW * devicePixelRatio), Math.round(BETWEEN * devicePixelRatio)];
    const strip = layout.clusterStrip;
    const patterns = new Map<number, CanvasPattern | string>();
    const pattern = (look: number) => {
      const made = patterns.get(look) ?? hatch(c, theme.hatch, mm, look === MASKED ? "crosses" : "lines");
      patterns.set(look, made);
      return made;
    };
    drawRow(c, strip, mm, 0, row, overlay, theme, pattern);
    drawRow(c, strip, mm, row + between, row, second, theme, pattern);
    const edges = Float64Array.from([...overlay.borders, ...second.borders]).sort();
    c.fillStyle = theme.ink;
    for (let i = 0; i + 1 < edges.length; i++) {
      const middle = (edges[i]! + edges[i + 1]!) / 2;
      const [a, b] = [clusterAt(overlay, middle), clusterAt(second, middle)];
      if (a >= 0 && b >= 0 && overlay.segmentation.slot[a] !== second.segmentation.slot[b]) {
        const [x, w] = stretch(strip, mm, edges[i]!, edges[i + 1]!);
        c.fillRect(x, row + Math.round(between / 4), w, Math.round(between / 2));
      }
    }
    c.textAlign = "right";
    c.fillStyle = theme.muted;
    const left = Math.round(strip.x * mm) - 4 * devicePixelRatio;
    for (const [text, y] of [
      ["a", row / 2],
      ["b", 1.5 * row + between],
    ] as const) {
      c.fillText(text, left, y);
    }
  }
}

function isOf(choice: Pairing["b"] | undefined, { layers, nClusters }: Segmentation): boolean {
  return choice?.n_clusters === nClusters && choice.layers.join("\n") === layers.join("\n");
}

/** How far both sides agree: of the shown record as the page counts it, of all as Python does. */
export function agreementText(
  found: Agreement,
  shown: Segmentation,
  second: Segmentation,
  pairing: Partial<Pairing> | undefined,
): string {
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  if (!(found.compared > 0)) {
    return "Nothing to compare: either side is masked everywhere";
  }
  const one =
    `Matched clusters in ${percent(found.same)} of ${found.compared.toFixed(1)} s; AMI ${found.ami.toFixed(2)}, ` +
    `ARI ${found.ari.toFixed(2)}, VI ${found.vi.toFixed(2)} bit (a line between the rows: not matched)`;
  const fits = isOf(pairing?.a, shown) && isOf(pairing?.b, second);
  const { records = 0, same, ami } = pairing ?? {};
  return fits && records > 1 && typeof same === "number" && typeof ami === "number"
    ? `${one}. In all ${records}: ${percent(same)}, AMI ${ami.toFixed(2)}`
    : one;
}
