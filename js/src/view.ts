// One mounted view: reads the state, lays out, paints. It does not know how the traits travel.
import type { Overlay } from "./canvas.ts";
import { beside } from "./comparison.ts";
import { Controls } from "./controls.ts";
import { element, setText } from "./element.ts";
import { listenTo } from "./hands.ts";
import { Marks } from "./marks.ts";
import { Navigator } from "./navigator.ts";
import { merged, mergers } from "./panels/names.ts";
import { OverviewBar } from "./panels/overview.ts";
import { SelectionBar } from "./panels/selectionbar.ts";
import { Side } from "./panels/side.ts";
import { DARK, LIGHT, type Theme } from "./paper.ts";
import type { Beside } from "./pinned.ts";
import type { Recording } from "./recording.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import { cellAt, cellBorders } from "./segments.ts";
import { Sheet } from "./sheet.ts";
import type { State, TraitName } from "./state.ts";
import { STYLE } from "./style.css.ts";
import { type Pointer, Texts } from "./texts.ts";
import { isDark } from "./theme.ts";
import { Visibility } from "./visibility.ts";

/** What stands still between two thresholds and is redone only when asked for. */
type Work = "scene" | "panels" | "theme";
const FRAME = 14; // ms; a move is drawn at once if nothing was drawn for so long

export class View {
  readonly element = element("div", { class: "ecg-widget", "data-lm-suppress-shortcuts": "true" });
  readonly #state: State;
  readonly #controls: Controls;
  readonly #navigator: Navigator;
  readonly #sheet: Sheet;
  readonly #root = element("div", { class: "ecg", role: "region", "aria-label": "ECG and its clusters" });
  readonly #texts = new Texts();
  readonly #figure = element("figure");
  readonly #empty = element("div", { class: "empty" });
  readonly #side: Side;
  readonly #selection: SelectionBar;
  readonly #marks = new Marks();
  readonly #beside: Beside;
  readonly #bar: OverviewBar;
  readonly #visibility: Visibility;
  readonly #stop: (() => void)[] = [];
  readonly #work = new Set<Work>(["scene", "panels", "theme"]);
  #frame = 0;
  #drawn = 0;
  #width = 0;
  #theme: Theme = LIGHT;
  #font = "sans-serif";
  #recording: Recording | null = null;
  #segmentation: Segmentation | null = null;
  /** As Python sent it, and what was merged in it. */
  #raw: Segmentation | null = null;
  #mergers = "";
  #merged: Segmentation | null = null;
  #borders: Float64Array = new Float64Array(0);
  #colours: string[] = [];
  #cell = -1;
  #cluster = -1;
  #pointer: Pointer | null = null;
  #hand = { x: 0, y: 0 };

  constructor(state: State) {
    this.#state = state;
    this.#beside = beside(state, (...work) => this.#ask(...work));
    this.#navigator = new Navigator(state, () => this.#ask("scene"));
    this.#sheet = new Sheet(
      state,
      this.#navigator,
      () => this.#ask(),
      (text) => this.#texts.showError(text),
    );
    this.#controls = new Controls(state, (seconds) => this.#navigator.moveTo(this.#navigator.sight.whole[0] + seconds));
    this.#bar = new OverviewBar(this.#navigator);
    this.#selection = new SelectionBar(state);
    this.#side = new Side(state, { point: (cell, cluster) => this.#point(cell, cluster), ask: () => this.#ask() });
    const texts = this.#texts;
    this.#figure.append(
      this.#sheet.controls.element,
      this.#sheet.controls.badges,
      element("div", { class: "scroll" }, this.#sheet.canvas, this.#marks.canvas, ...this.#beside.drawings),
      this.#selection.element,
      this.#beside.element,
      this.#controls.window,
      this.#bar.element,
      texts.readout,
      this.#sheet.caption,
      this.#sheet.measuring.element,
    );
    const picture = element("div", { class: "picture" }, texts.progress, this.#empty, this.#figure);
    this.#root.append(
      this.#controls.element,
      ...this.#beside.controls,
      texts.error,
      texts.bar,
      element("div", { class: "body" }, picture, this.#side.element),
    );
    const shadow = this.element.attachShadow({ mode: "open" });
    shadow.append(element("style", {}, STYLE), this.#root);
    this.#listen(picture);
    this.#visibility = new Visibility(
      this.element,
      () => this.#ask(),
      () => this.#ask("scene", "panels", "theme"),
    );
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#visibility.dispose();
    this.#texts.dispose();
    for (const stop of this.#stop) {
      stop();
    }
    this.#sheet.dispose();
    this.#side.dispose();
    this.#marks.dispose();
    this.#beside.dispose();
    this.#bar.dispose();
    this.element.remove();
  }

  #listen(picture: Element): void {
    this.#stop.push(this.#state.subscribe((changed) => this.#traitsChanged(changed)));
    // Observed, never asked for while painting: in the middle of a change of theme the answer may be 0.
    const sizes = new ResizeObserver((entries) => {
      const { width } = entries[entries.length - 1]!.contentRect;
      if (width !== this.#width) {
        this.#width = width;
        this.#ask("scene");
      }
    });
    sizes.observe(picture);
    // Another screen may have other pixels although the width stays.
    const rescale = () => this.#ask("scene");
    window.addEventListener("resize", rescale);
    this.#stop.push(() => [sizes.disconnect(), window.removeEventListener("resize", rescale)]);
    this.element.addEventListener("focusout", this.#state.flush);
    const hands = {
      timeAt: (x: number) => this.#sheet.timeAt(x),
      perSecond: () => this.#sheet.perSecond,
      measuring: this.#sheet.measuring,
      hover: (x: number, y: number) => this.#hover(x, y),
      leave: () => this.#point(-1, -1),
      stepCell: (by: 1 | -1) => this.#stepCell(by),
    };
    for (const canvas of [this.#sheet.canvas, this.#beside.sheet]) if (canvas) listenTo(canvas, this.#navigator, hands);
  }

  #traitsChanged(changed: ReadonlySet<TraitName>): void {
    if (changed.has("span")) {
      this.#navigator.spanChanged();
    }
    const others =
      changed.has("waveform") || ["target", "cluster_names", "pairing"].some((name) => changed.has(name as TraitName));
    this.#ask(...(others ? (["panels"] as const) : []));
    if (changed.has("display") || changed.has("arrangement")) {
      this.#ask("scene");
    }
    const slid = changed.has("threshold") || changed.has("n_clusters");
    if (slid && this.#frame && performance.now() - this.#drawn > FRAME) {
      this.#draw(); // now, not with the next frame: the picture is on the screen one frame sooner
    }
  }

  /** What is asked for while nobody sees the view stays asked for. */
  #ask(...work: Work[]): void {
    for (const item of work) {
      this.#work.add(item);
    }
    if (this.#frame === 0 && this.#visibility?.seen) {
      this.#frame = requestAnimationFrame(this.#draw);
    }
  }

  readonly #draw = () => {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#visibility.seen) return;
    try {
      this.#update();
    } catch (error) {
      console.error(error);
      this.#texts.showError(error instanceof Error ? error.message : String(error));
    }
  };

  #update(): void {
    const { picture } = this.#state;
    const segmentation = this.#named(picture?.segmentation ?? null);
    this.#controls.update();
    this.#texts.update(this.#state, segmentation, this.#cell, this.#pointer, this.#sheet.shown);
    if (this.#work.has("theme")) {
      this.#readTheme();
    }
    if (this.#width === 0) {
      return;
    }
    const recording = picture?.recording ?? null;
    const { overview } = this.#state;
    if (recording && recording !== this.#recording) {
      this.#navigator.update(recording, overview);
    }
    const moved = this.#work.has("scene") || recording !== this.#recording;
    const pointedAt = this.#segmentation?.centre[this.#cell];
    if (moved) {
      this.#setScene(recording);
    }
    const others = this.#work.has("panels") || segmentation !== this.#segmentation;
    if (others) {
      this.#segmentation = segmentation;
      this.#borders = cellBorders(
        segmentation?.centre ?? new Float64Array(0),
        recording?.start ?? 0,
        recording?.end ?? 0,
      );
      this.#colours = segmentation ? this.#coloured(segmentation) : [];
      this.#side.update(segmentation, this.#colours, this.#state.get("target"));
    }
    if (moved || others) {
      this.#keepPlace(pointedAt);
    }
    this.#work.clear();
    const overlay = this.#overlay();
    this.#sheet.paint(overlay);
    this.#paintOthers(overlay, recording);
    this.#bar.update(overview, this.#width);
    const density = segmentation?.density ?? null;
    this.#bar.paint(overview, density, this.#colours, this.#cluster, this.#width, this.#theme, this.#font);
    this.#drawn = performance.now();
  }

  /** What is drawn over, under and beside the paper. */
  #paintOthers(overlay: Overlay | null, recording: Recording | null): void {
    const { layout, perSecond, canvas } = this.#sheet;
    const scale = layout ? perSecond / layout.speed : 1;
    const intervals = this.#selection.update(recording?.record ?? "");
    this.#marks.paint(canvas, layout, scale, intervals, this.#theme);
    this.#beside.paint(layout, scale, this.#theme, this.#font, this.#sheet, overlay);
    this.#side.paint(overlay, { recording, raw: this.#raw, theme: this.#theme, font: this.#font });
  }

  /** With clusters merged as the user wants; the same object while nothing of it moves. */
  #named(raw: Segmentation | null): Segmentation | null {
    const names = this.#state.get("cluster_names") ?? {};
    const key = mergers(names);
    if (raw !== this.#raw || key !== this.#mergers) {
      this.#raw = raw;
      this.#mergers = key;
      this.#merged = raw && merged(raw, names);
    }
    return this.#merged;
  }

  /** Hidden clusters are as blank as the paper. */
  #coloured(segmentation: Segmentation): string[] {
    const names = this.#state.get("cluster_names") ?? {};
    return this.#beside
      .colours(segmentation, this.#borders)
      .map((colour, k) => (names[letter(segmentation, k)]?.hidden ? this.#theme.paper : colour));
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
    const around = { width: this.#beside.share(this.#width), theme: this.#theme, font: this.#font };
    this.#sheet.show(recording, around, this.#controls);
  }

  #overlay(): Overlay | null {
    const segmentation = this.#segmentation;
    return (
      segmentation && {
        segmentation,
        borders: this.#borders,
        colours: this.#colours,
        threshold: this.#state.get("threshold"),
        colouring: this.#sheet.display.colouring,
        cell: this.#cell,
        cluster: this.#cluster,
      }
    );
  }

  #hover(x: number, y: number): void {
    this.#hand = { x, y };
    const pointer = this.#underHand();
    this.#point(pointer ? cellAt(this.#borders, pointer.time) : -1, -1, pointer);
  }

  #underHand(): Pointer | null {
    return this.#sheet.pointerAt(this.#hand.x, this.#hand.y);
  }

  /** The paper or its cells are others: what is under the hand is another time, a cell that keys chose keeps its own. */
  #keepPlace(time: number | undefined): void {
    if (this.#pointer) {
      this.#pointer = this.#underHand();
      this.#cell = this.#pointer ? cellAt(this.#borders, this.#pointer.time) : -1;
    } else if (this.#cell >= 0) {
      this.#cell = time === undefined ? -1 : cellAt(this.#borders, time);
    }
    this.#texts.update(this.#state, this.#segmentation, this.#cell, this.#pointer, this.#sheet.shown);
  }

  #point(cell: number, cluster: number, pointer: Pointer | null = null): void {
    if (cell !== this.#cell || cluster !== this.#cluster || pointer !== this.#pointer) {
      this.#cell = cell;
      this.#cluster = cluster;
      this.#pointer = pointer;
      this.#ask();
    }
  }

  /** From the first cell that can be seen, and with the paper drawn along in a long recording. */
  #stepCell(by: 1 | -1): boolean {
    const centre = this.#segmentation?.centre ?? [];
    const { layout } = this.#sheet;
    if (centre.length === 0 || !layout) {
      return false;
    }
    const [t0, t1] = layout.window;
    const first = Math.max(0, cellAt(this.#borders, Math.max(t0, this.#borders[0]!)));
    const next = this.#cell < 0 ? first : Math.min(Math.max(this.#cell + by, 0), centre.length - 1);
    this.#point(next, -1);
    if (this.#navigator.long && (centre[next]! < t0 || centre[next]! > t1)) {
      this.#navigator.moveTo(centre[next]! - (t1 - t0) / 2);
    }
    return true;
  }
}
