// One mounted view: reads the state, lays out, paints. It does not know how the traits travel.
import { type Colouring, type Overlay, Painter } from "./canvas.ts";
import { Controls, type Display } from "./controls.ts";
import { element, setText } from "./element.ts";
import { arrange, hasTwelveLeads, type Layout, lastStart, traceAt } from "./layout.ts";
import { clusterColours } from "./palette.ts";
import { ContributionPanel } from "./panels/contribution.ts";
import { MapPanel } from "./panels/map.ts";
import { DARK, fitScale, footer, LARGE, LIGHT, type Theme } from "./paper.ts";
import { type Recording, sampleAt } from "./recording.ts";
import type { Segmentation } from "./segmentation.ts";
import { cellAt, cellBorders, cellText, findRuns, meaningText, statusText } from "./segments.ts";
import type { State, TraitName } from "./state.ts";
import { STYLE } from "./style.css.ts";
import { isDark, watchTheme } from "./theme.ts";

/** ms of rest before a screen reader hears the new status: a drag is announced once */
const QUIET = 700;

const HINT = "Point at the trace, or focus it and use the arrow keys, to read a cell";

/** What stands still between two thresholds and is redone only when asked for. */
type Work = "scene" | "panels";

export class View {
  readonly element = element("div", { class: "ecg-widget", "data-lm-suppress-shortcuts": "true" });
  readonly #state: State;
  readonly #display: Display = { arrangement: "3x4", colouring: "bands", start: 0 };
  readonly #controls: Controls;
  readonly #root = element("div", { class: "ecg" });
  readonly #facts = element("span", { class: "facts" });
  readonly #meaning = element("span", { class: "meaning" });
  readonly #status = element("span", { class: "status", "data-ecg": "status" }, this.#facts, " ", this.#meaning);
  readonly #progress = element("div", { class: "progress", "data-ecg": "progress" });
  readonly #readout = element("div", { class: "readout", "data-ecg": "readout" });
  readonly #spoken = element("span", { class: "spoken", role: "status" });
  readonly #error = element("div", { class: "error", role: "alert", "data-ecg": "error" });
  readonly #canvas = element("canvas", { "data-ecg": "waveform", role: "img", tabindex: 0 });
  readonly #caption = element("figcaption");
  readonly #figure = element("figure");
  readonly #empty = element("div", { class: "empty" });
  readonly #contribution = new ContributionPanel((cluster) => this.#point(-1, cluster));
  readonly #map = new MapPanel((cell) => this.#point(cell, -1));
  readonly #painter = new Painter(this.#canvas);
  readonly #stop: (() => void)[] = [];
  readonly #work = new Set<Work>(["scene", "panels"]);
  #frame = 0;
  #quiet = 0;
  #visible = true;
  #width = 0;
  #mapWidth = 0;
  #layout: Layout | null = null;
  #scale = 1;
  #theme: Theme = LIGHT;
  #font = "sans-serif";
  #recording: Recording | null = null;
  #segmentation: Segmentation | null = null;
  #borders: Float64Array = new Float64Array(0);
  #colours: string[] = [];
  #cell = -1;
  #cluster = -1;
  #pointer: { time: number; lead: number } | null = null;

  constructor(state: State) {
    this.#state = state;
    this.#controls = new Controls(state, this.#display, () => this.#ask("scene"));
    const bar = element("div", { class: "bar" }, this.#status, this.#spoken);
    this.#figure.append(
      element("div", { class: "scroll" }, this.#canvas),
      this.#controls.window,
      this.#readout,
      this.#caption,
    );
    const panels = element("aside", { class: "panels" }, this.#contribution.element, this.#map.element);
    this.#root.append(
      this.#controls.element,
      this.#error,
      bar,
      element(
        "div",
        { class: "body" },
        element("div", { class: "picture" }, this.#progress, this.#empty, this.#figure),
        panels,
      ),
    );
    const shadow = this.element.attachShadow({ mode: "open" });
    shadow.append(element("style", {}, STYLE), this.#root);
    this.#listen();
    this.#ask("scene", "panels");
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#quiet);
    for (const stop of this.#stop) {
      stop();
    }
    this.#painter.dispose();
    this.element.remove();
  }

  #listen(): void {
    this.#stop.push(
      this.#state.subscribe((changed) => this.#traitsChanged(changed)),
      watchTheme(() => this.#ask("scene", "panels")),
    );
    // Observed, never asked for while painting: in the middle of a change of theme the answer may be 0.
    const sizes = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) {
        if (target === this.#map.element) {
          this.#mapWidth = contentRect.width;
          this.#ask();
        } else if (contentRect.width !== this.#width) {
          this.#width = contentRect.width;
          this.#ask("scene");
        }
      }
    });
    sizes.observe(this.#figure.parentElement!);
    sizes.observe(this.#map.element);
    const sight = new IntersectionObserver((entries) => {
      this.#visible = entries[entries.length - 1]!.isIntersecting;
      if (this.#visible) {
        this.#ask();
      }
    });
    sight.observe(this.element);
    // Another screen may have other pixels although the width stays.
    const rescale = () => this.#ask("scene");
    window.addEventListener("resize", rescale);
    this.#stop.push(
      () => sizes.disconnect(),
      () => sight.disconnect(),
      () => window.removeEventListener("resize", rescale),
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#hover(event.offsetX, event.offsetY));
    this.#canvas.addEventListener("pointerleave", () => this.#point(-1, -1));
    this.#canvas.addEventListener("keydown", (event) => this.#step(event));
    this.#canvas.addEventListener("blur", () => this.#point(-1, -1));
  }

  #traitsChanged(changed: ReadonlySet<TraitName>): void {
    if (changed.has("waveform")) {
      this.#display.start = 0;
    }
    this.#ask(...(changed.has("waveform") || changed.has("target") ? (["panels"] as const) : []));
  }

  #ask(...work: Work[]): void {
    for (const item of work) {
      this.#work.add(item);
    }
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      try {
        this.#update();
      } catch (error) {
        console.error(error);
        this.#showError(error instanceof Error ? error.message : String(error));
      }
    });
  }

  #update(): void {
    const { picture } = this.#state;
    this.#controls.update();
    this.#describe();
    if (this.#work.has("scene")) {
      this.#readTheme();
    }
    if (!this.#visible || this.#width === 0) {
      return; // what is asked for stays asked for
    }
    const recording = picture?.recording ?? null;
    const segmentation = picture?.segmentation ?? null;
    if (this.#work.has("scene") || recording !== this.#recording) {
      this.#setScene(recording);
    }
    if (this.#work.has("panels") || segmentation !== this.#segmentation) {
      this.#segmentation = segmentation;
      this.#colours = segmentation ? clusterColours(segmentation.slot) : [];
      this.#borders = cellBorders(
        segmentation?.centre ?? new Float64Array(0),
        recording?.start ?? 0,
        recording?.end ?? 0,
      );
      this.#contribution.update(segmentation, this.#colours, this.#state.get("target"));
    }
    this.#work.clear();
    const overlay = this.#overlay(this.#display.colouring);
    this.#painter.paint(overlay);
    this.#map.paint(overlay, this.#mapWidth, this.#theme, this.#font);
    this.#contribution.highlight(
      this.#cluster >= 0 ? this.#cluster : (overlay?.segmentation.cluster[this.#cell] ?? -1),
    );
  }

  #readTheme(): void {
    const dark = isDark();
    this.#root.dataset.theme = dark ? "dark" : "light";
    this.#theme = dark ? DARK : LIGHT;
    this.#font = getComputedStyle(this.#root).fontFamily;
  }

  #setScene(recording: Recording | null): void {
    this.#recording = recording;
    this.#figure.hidden = recording === null;
    this.#empty.hidden = recording !== null;
    setText(this.#empty, this.#state.error ? "" : "Waiting for the first record");
    if (!recording) {
      this.#layout = null;
      return;
    }
    const layout = arrange(recording, this.#display.arrangement, this.#display.start);
    this.#layout = layout;
    this.#scale = fitScale(layout.width, this.#width, devicePixelRatio);
    // What the rounding of the scale leaves over becomes margin, so that the paper ends where the page does.
    const width = Math.min(this.#width / this.#scale, layout.width + 3 * LARGE);
    this.#painter.setScene({
      layout: { ...layout, width: Math.max(width, layout.width) },
      recording,
      scale: this.#scale,
      devicePixelRatio,
      theme: this.#theme,
      font: this.#font,
    });
    this.#controls.nameRows(recording.leads.length, hasTwelveLeads(recording.leads));
    this.#controls.updateWindow(layout.window, lastStart(recording), this.#display.start);
    const facts = footer({
      ...recording,
      scale: this.#scale,
      devicePixelRatio,
      arrangement: layout.arrangement,
      shift: layout.shift,
    });
    setText(this.#caption, facts.join(" \u00b7 "));
    this.#canvas.setAttribute(
      "aria-label",
      `ECG of record ${recording.record}, leads ${recording.leads.join(", ")}. Arrow keys step through the cells.`,
    );
  }

  #overlay(colouring: Colouring): Overlay | null {
    const segmentation = this.#state.picture?.segmentation;
    if (!segmentation) {
      return null;
    }
    const threshold = this.#state.get("threshold");
    return {
      segmentation,
      borders: this.#borders,
      runs: findRuns(segmentation, this.#borders, threshold),
      colours: this.#colours,
      threshold,
      colouring,
      cell: this.#cell,
      cluster: this.#cluster,
    };
  }

  /** Texts are kept right even while nothing is painted: they are what tests and screen readers read. */
  #describe(): void {
    const state = this.#state;
    const segmentation = state.picture?.segmentation ?? null;
    const threshold = state.get("threshold");
    setText(this.#facts, segmentation ? statusText(segmentation, threshold, state.get("target")) : "");
    setText(this.#meaning, segmentation ? meaningText(threshold) : "");
    this.#showError(state.error);
    const waiting = state.error === "" && (state.get("progress") !== "" || state.stale || segmentation?.draft === true);
    this.#progress.hidden = !waiting;
    setText(this.#progress, waiting ? state.get("progress") || "computing" : "");
    const readout = this.#readoutText();
    setText(this.#readout, readout || HINT);
    this.#readout.classList.toggle("hint", readout === "");
    const spoken = readout || this.#facts.textContent || "";
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => setText(this.#spoken, spoken), QUIET) as unknown as number;
  }

  #showError(text: string): void {
    this.#error.hidden = text === "";
    setText(this.#error, text);
  }

  #readoutText(): string {
    const { picture } = this.#state;
    const segmentation = picture?.segmentation;
    if (!picture || (this.#cell < 0 && !this.#pointer)) {
      return "";
    }
    const parts: string[] = [];
    const time = this.#pointer?.time ?? segmentation?.centre[this.#cell];
    if (time !== undefined) {
      parts.push(`${time.toFixed(2)} s`);
    }
    if (this.#pointer && this.#pointer.lead >= 0) {
      const { recording } = picture;
      const value = recording.signal[this.#pointer.lead]?.[sampleAt(recording, this.#pointer.time)] ?? Number.NaN;
      const amount = Number.isNaN(value) ? "gap" : `${value.toFixed(2)} ${recording.units}`;
      parts.push(`${recording.leads[this.#pointer.lead]} ${amount.replace("-", "\u2212")}`);
    }
    if (segmentation && this.#cell >= 0 && this.#cell < segmentation.centre.length) {
      parts.push(cellText(segmentation, this.#cell, this.#state.get("threshold")));
    }
    return parts.join(" \u00b7 ");
  }

  #hover(x: number, y: number): void {
    const at = this.#layout ? traceAt(this.#layout, x / this.#scale, y / this.#scale) : null;
    this.#point(at ? cellAt(this.#borders, at.time) : -1, -1, at && { time: at.time, lead: at.trace?.lead ?? -1 });
  }

  #point(cell: number, cluster: number, pointer: { time: number; lead: number } | null = null): void {
    if (cell !== this.#cell || cluster !== this.#cluster || pointer !== this.#pointer) {
      this.#cell = cell;
      this.#cluster = cluster;
      this.#pointer = pointer;
      this.#ask();
    }
  }

  #step(event: KeyboardEvent): void {
    const n = this.#state.picture?.segmentation?.centre.length ?? 0;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") {
      this.#point(-1, -1);
    } else if (move !== undefined && n > 0) {
      event.preventDefault();
      this.#point(this.#cell < 0 ? 0 : Math.min(Math.max(this.#cell + move, 0), n - 1), -1);
    }
  }
}
