// The ECG paper of one view: lays a recording out, paints it, and knows what lies under a point of it.
import { type Overlay, Painter, type Scene } from "./canvas.ts";
import type { Controls } from "./controls.ts";
import { element, setText } from "./element.ts";
import { fileName, save, textMeasure, toPng, toSvg } from "./figure.ts";
import { DisplayFilter } from "./filters.ts";
import { type Clipped, flagsOf, flagsText } from "./flags.ts";
import { arrange, type Layout, sightOf, toX, traceAt } from "./layout.ts";
import { Measuring } from "./measuring.ts";
import type { Navigator } from "./navigator.ts";
import { fitScale, footer, type Theme } from "./paper.ts";
import { type Display, PaperControls, PLAIN, readDisplay } from "./papercontrols.ts";
import type { Recording } from "./recording.ts";
import { rulingText } from "./ruler.ts";
import type { State } from "./state.ts";
import type { Pointer } from "./texts.ts";

/** What the page around the paper looks like. */
export interface Surroundings {
  /** CSS px */
  readonly width: number;
  readonly theme: Theme;
  readonly font: string;
}

export class Sheet {
  readonly canvas = element("canvas", { "data-ecg": "waveform", role: "img", tabindex: 0 });
  readonly caption = element("figcaption");
  readonly #state: State;
  readonly #navigator: Navigator;
  readonly #painter = new Painter(this.canvas);
  readonly #filter = new DisplayFilter();
  readonly #clipped: Clipped = new WeakMap();
  readonly controls: PaperControls;
  readonly measuring: Measuring;
  #chosen: Partial<Display> = {};
  #display: Display = PLAIN;
  #scene: Scene | null = null;
  #painted: Scene | null = null;
  #overlay: Overlay | null = null;
  #facts: string[] = [];
  #layout: Layout | null = null;
  #scale = 1;
  #paints = 0;

  /** `ask` has the paper painted again. */
  constructor(state: State, navigator: Navigator, ask: () => void, fail: (text: string) => void) {
    this.#state = state;
    this.#navigator = navigator;
    this.measuring = new Measuring(
      state,
      () => ({
        layout: this.#layout,
        recording: this.shown,
        scale: this.#scale,
        traceAt: (x, y) => (this.#layout ? traceAt(this.#layout, x / this.#scale, y / this.#scale) : null),
      }),
      () => ask(),
    );
    this.controls = new PaperControls(this.#display, {
      show: (changes) => {
        state.set("display", { ...state.get("display"), ...changes });
      },
      measure: (tool) => this.measuring.choose(tool),
      save: (kind) => {
        this.#save(kind).catch((error) => fail(error instanceof Error ? error.message : String(error)));
      },
    });
  }

  get display(): Display {
    const chosen = this.#state.get("display") ?? {};
    if (chosen !== this.#chosen) {
      this.#chosen = chosen;
      this.#display = readDisplay(chosen);
    }
    return this.#display;
  }

  /** The recording as it is drawn, display filters included. */
  get shown(): Recording | null {
    return this.#scene?.recording ?? null;
  }

  get layout(): Layout | null {
    return this.#layout;
  }

  /** What is painted, for another paper that shows the same. */
  get painted(): Scene | null {
    return this.#scene && this.#painted;
  }

  /** CSS px for one second */
  get perSecond(): number {
    return (this.#layout?.speed ?? 1) * this.#scale;
  }

  /** Lays out another recording, another part of it, or the same otherwise. */
  show(recording: Recording | null, around: Surroundings, controls: Controls): void {
    if (!recording) {
      this.#layout = null;
      this.#scene = null;
      return;
    }
    const { sight, long } = this.#navigator;
    const { overview } = this.#state;
    const seen = long ? sight : sightOf(recording, sight.start - recording.start);
    const { filter, notch, size } = this.display;
    const shown = this.#filter.show(recording, filter, notch);
    const levels = filter === "" ? overview?.level : undefined;
    const layout = arrange(shown, this.display, seen, levels ?? shown.median);
    this.#layout = layout;
    this.#scale = fitScale(layout.width, around.width, devicePixelRatio, size);
    const before = this.#scene;
    const same = before?.recording === shown && before.layout.key === layout.key;
    if (!same) {
      this.measuring.drop();
    }
    const flags = same && before.flags ? before.flags : flagsOf(layout, shown, recording, this.#clipped);
    this.#scene = {
      ...{ layout, recording: shown, scale: this.#scale, devicePixelRatio, flags },
      ...{ theme: around.theme, font: around.font },
    };
    // What the rounding of the scale leaves over becomes margin, so that the paper ends where the page does.
    const width = Math.max(Math.min(around.width / this.#scale, layout.widest), layout.width);
    this.#painted = { ...this.#scene, layout: { ...layout, width } };
    this.#painter.setScene(this.#painted);
    const first = layout.window[0] - recording.start;
    controls.updateWindow(layout.window, long ? 0 : this.#navigator.reach(recording), first);
    const flagged = flagsText(flags);
    const decimated = recording.decimation > 1 ? ["extremes of each column only"] : [];
    const found = recording.findings.map((finding) => `found on opening: ${finding}`);
    const badges = [this.#filter.text, flagged, ...decimated, ...found].filter(Boolean);
    this.controls.update(shown, layout, this.display, badges);
    this.#describe(shown, layout, long, flagged, around.width);
  }

  #describe(recording: Recording, layout: Layout, long: boolean, flags: string, wide: number): void {
    const density = layout.density ? this.#state.picture?.segmentation?.density : null;
    this.#facts = footer({
      ...recording,
      display: this.#filter.text,
      flags,
      scale: this.#scale,
      devicePixelRatio,
      arrangement: [
        ...layout.arrangement,
        ...(density ? [`clusters: shares in ${density.windows[0]} of ${density.windows[1]} windows`] : []),
      ],
      shift: layout.shift,
      speed: layout.speed,
      gain: layout.gain,
      ruling: layout.slow ? rulingText(layout.speed, layout.gain) : "",
    });
    setText(this.caption, this.#facts.join(" \u00b7 "));
    const keys = long ? " Page keys move through the recording." : "";
    const label = `ECG of record ${recording.record}, leads ${recording.leads.join(", ")}. Arrow keys step through the cells.${keys}`;
    if (this.canvas.getAttribute("aria-label") !== label) {
      this.canvas.setAttribute("aria-label", label);
    }
    this.canvas.classList.toggle("long", long);
    this.canvas.classList.toggle("wide", layout.width * this.#scale > wide + 1);
  }

  paint(overlay: Overlay | null): void {
    this.#overlay = overlay;
    this.#painter.paint(overlay, this.measuring.shown);
    this.measuring.update();
    this.canvas.classList.toggle("measuring", this.measuring.active);
    this.canvas.dataset.paints = String(++this.#paints);
  }

  /** Time under a point of the canvas in CSS px, s. */
  timeAt(x: number): number {
    const strip = this.#layout?.clusterStrip;
    return strip ? strip.t0 + (x / this.#scale - toX(strip, strip.t0)) / strip.speed : 0;
  }

  /** Time and lead under a point of the canvas in CSS px; null off the recording. */
  pointerAt(x: number, y: number): Pointer | null {
    const at = this.#layout ? traceAt(this.#layout, x / this.#scale, y / this.#scale) : null;
    return at && { time: at.time, lead: at.trace?.lead ?? -1 };
  }

  /** The same scene as on the screen, in life size. */
  async #save(kind: "svg" | "png"): Promise<void> {
    const scene = this.#scene;
    if (!scene) {
      return;
    }
    const { layout, recording } = scene;
    const cell = this.#overlay && { ...this.#overlay, cell: -1, cluster: -1 }; // the hand is no part of a figure
    const [, ...facts] = this.#facts;
    const speed = `${Number(layout.speed.toPrecision(3))} mm/s, ${layout.gain} mm/${recording.units}`;
    const threshold = cell ? [`uncertain: entropy above ${cell.threshold.toFixed(2)}`] : [];
    const segmentation = cell
      ? [`${cell.segmentation.nClusters} clusters of ${cell.segmentation.layers.join(" + ")}`]
      : [];
    const picture = {
      ...{ scene, overlay: cell, calipers: this.measuring.shown, title: `ECG ${recording.record}` },
      caption: [speed, ...facts.filter((fact) => !fact.startsWith("min and max of")), ...segmentation, ...threshold],
    };
    const blob =
      kind === "png"
        ? await toPng(picture)
        : new Blob([toSvg(picture, textMeasure())], { type: "image/svg+xml;charset=utf-8" });
    save(blob, fileName(recording.record, kind));
  }

  dispose(): void {
    this.#painter.dispose();
  }
}
