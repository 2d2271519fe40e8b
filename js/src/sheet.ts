// The ECG paper of one view: lays a recording out, paints it, and knows what lies under a point of it.
import { type Overlay, Painter } from "./canvas.ts";
import type { Controls, Display } from "./controls.ts";
import { element, setText } from "./element.ts";
import { arrange, hasTwelveLeads, type Layout, sightOf, toX, traceAt } from "./layout.ts";
import type { Navigator } from "./navigator.ts";
import { fitScale, footer, type Theme } from "./paper.ts";
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
  readonly display: Display = { arrangement: "3x4", colouring: "bands" };
  readonly canvas = element("canvas", { "data-ecg": "waveform", role: "img", tabindex: 0 });
  readonly caption = element("figcaption");
  readonly #state: State;
  readonly #navigator: Navigator;
  readonly #painter = new Painter(this.canvas);
  #layout: Layout | null = null;
  #scale = 1;
  #paints = 0;

  constructor(state: State, navigator: Navigator) {
    this.#state = state;
    this.#navigator = navigator;
  }

  get layout(): Layout | null {
    return this.#layout;
  }

  /** CSS px for one second */
  get perSecond(): number {
    return (this.#layout?.speed ?? 1) * this.#scale;
  }

  /** Lays out another recording, another part of it, or the same otherwise. */
  show(recording: Recording | null, around: Surroundings, controls: Controls): void {
    if (!recording) {
      this.#layout = null;
      return;
    }
    const { sight, long } = this.#navigator;
    const { overview } = this.#state;
    const seen = long ? sight : sightOf(recording, sight.start - recording.start);
    const layout = arrange(recording, this.display.arrangement, seen, overview?.level);
    this.#layout = layout;
    this.#scale = fitScale(layout.width, around.width, devicePixelRatio);
    // What the rounding of the scale leaves over becomes margin, so that the paper ends where the page does.
    const width = Math.min(around.width / this.#scale, layout.widest);
    this.#painter.setScene({
      layout: { ...layout, width: Math.max(width, layout.width) },
      recording,
      scale: this.#scale,
      devicePixelRatio,
      theme: around.theme,
      font: around.font,
    });
    const twelve = hasTwelveLeads(recording.leads);
    controls.nameRows(recording.leads.length, twelve, layout.density || layout.slow);
    const first = layout.window[0] - recording.start;
    controls.updateWindow(layout.window, long ? 0 : this.#navigator.reach(recording), first);
    this.#describe(recording, layout, long);
  }

  #describe(recording: Recording, layout: Layout, long: boolean): void {
    const density = layout.density ? this.#state.picture?.segmentation?.density : null;
    const facts = footer({
      ...recording,
      scale: this.#scale,
      devicePixelRatio,
      arrangement: [
        ...layout.arrangement,
        ...(density ? [`clusters: shares in ${density.windows[0]} of ${density.windows[1]} windows`] : []),
      ],
      shift: layout.shift,
      speed: layout.speed,
      ruling: layout.slow ? rulingText(layout.speed) : "",
    });
    setText(this.caption, facts.join(" \u00b7 "));
    const keys = long ? " Page keys move through the recording." : "";
    const label = `ECG of record ${recording.record}, leads ${recording.leads.join(", ")}. Arrow keys step through the cells.${keys}`;
    if (this.canvas.getAttribute("aria-label") !== label) {
      this.canvas.setAttribute("aria-label", label);
    }
    this.canvas.classList.toggle("long", long);
  }

  paint(overlay: Overlay | null): void {
    this.#painter.paint(overlay);
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

  dispose(): void {
    this.#painter.dispose();
  }
}
