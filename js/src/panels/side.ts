// Everything beside the paper: the legend, and the panels behind tabs. A panel that is closed does no work.
import type { Overlay } from "../canvas.ts";
import { element } from "../element.ts";
import type { Theme } from "../paper.ts";
import type { Recording } from "../recording.ts";
import type { Segmentation } from "../segmentation.ts";
import type { State } from "../state.ts";
import { Beats } from "./beats.ts";
import { ContributionPanel } from "./contribution.ts";
import { choiceLabel, chosenCells, readChoice, selectedCells, stretches } from "./intervals.ts";
import { Listing } from "./listing.ts";
import { MapPanel } from "./map.ts";
import { Naming } from "./naming.ts";
import { Memo, type Panel, type View } from "./panel.ts";
import { Shares } from "./shares.ts";
import { Transitions } from "./transitions.ts";
import { Waterfall } from "./waterfall.ts";
import { Waves } from "./waves.ts";

/** What the panels ask of the view. */
export interface Hands {
  point(cell: number, cluster: number): void;
  /** Draw once more. */
  ask(): void;
}

/** What the view has, beside the overlay. */
export interface Around {
  readonly recording: Recording | null;
  readonly raw: Segmentation | null;
  readonly theme: Theme;
  readonly font: string;
}

export class Side {
  readonly element: HTMLElement;
  readonly #state: State;
  readonly #hands: Hands;
  readonly #contribution: ContributionPanel;
  readonly #panels: readonly Panel[];
  readonly #tabs: readonly HTMLButtonElement[];
  readonly #place = element("div", { class: "panel opened", role: "tabpanel", "data-ecg": "panel" });
  readonly #sizes: ResizeObserver;
  readonly #chosen = new Memo();
  readonly #pressed = new Memo();
  #selected: Uint8Array | null = null;
  #view: View | null = null;
  #open = 0;
  #width = 0;

  constructor(state: State, hands: Hands) {
    this.#state = state;
    this.#hands = hands;
    this.#contribution = new ContributionPanel((cluster) => hands.point(-1, cluster));
    const map = new MapPanel(
      (cell) => hands.point(cell, -1),
      (cells, label) => this.#select(cells, label),
    );
    const beats = new Beats(() => hands.ask());
    this.#panels = [
      map,
      new Waterfall(),
      new Shares(),
      beats,
      new Waves(),
      new Transitions(),
      new Listing(),
      new Naming(state),
    ];
    this.#tabs = this.#panels.map(({ id, title }, i) => {
      const tab = element("button", { type: "button", role: "tab", "data-ecg": `tab-${id}` }, title);
      tab.addEventListener("click", () => this.#show(i));
      return tab;
    });
    const list = element("div", { class: "tabs", role: "tablist", "aria-label": "Panels" }, ...this.#tabs);
    list.addEventListener("keydown", (event) => this.#keyed(event));
    this.element = element("div", { class: "panels", role: "group", "aria-label": "Clusters and panels" });
    this.element.append(this.#contribution.element, element("section", { class: "tabbed" }, list, this.#place));
    this.element.addEventListener("click", (event) => this.#clicked(event));
    this.#sizes = new ResizeObserver((entries) => {
      const { width } = entries[entries.length - 1]!.contentRect;
      if (width !== this.#width) {
        this.#width = width;
        hands.ask();
      }
    });
    this.#sizes.observe(this.#place);
    this.#show(0);
  }

  /** Of another segmentation or target. */
  update(segmentation: Segmentation | null, colours: readonly string[], target: string): void {
    this.#contribution.update(segmentation, colours, target, this.#state.get("cluster_names") ?? {});
  }

  /** With every frame. */
  paint(overlay: Overlay | null, { recording, raw, theme, font }: Around): void {
    const selection = this.#state.get("selection") ?? {};
    const pointed = overlay && (overlay.cluster >= 0 ? overlay.cluster : overlay.segmentation.cluster[overlay.cell]);
    this.#contribution.highlight(pointed ?? -1);
    const tabbed = this.#place.parentElement!;
    tabbed.hidden = !overlay || !recording || !raw || overlay.segmentation.centre.length === 0;
    if (!overlay || !recording || !raw) {
      this.#view = null;
      return;
    }
    if (this.#chosen.changed(overlay.segmentation, selection)) {
      this.#selected = selectedCells(overlay.segmentation, selection);
    }
    this.#view = {
      ...overlay,
      recording,
      raw,
      names: this.#state.get("cluster_names") ?? {},
      target: this.#state.get("target"),
      selected: this.#selected,
      theme,
      font,
      width: this.#width,
    };
    if (this.#width > 0 && !tabbed.hidden) {
      this.#panels[this.#open]!.update(this.#view);
    }
    const label = selection.record === recording.record ? (selection.label ?? "") : "";
    if (this.#pressed.changed(label, overlay.segmentation, this.#open, overlay.colours, this.#view.names)) {
      for (const button of this.element.querySelectorAll<HTMLElement>("[data-label]")) {
        button.setAttribute("aria-pressed", String(label !== "" && button.dataset.label === label));
      }
    }
  }

  dispose(): void {
    this.#sizes.disconnect();
    for (const panel of this.#panels) {
      panel.dispose?.();
    }
  }

  #show(i: number): void {
    this.#open = i;
    this.#tabs.forEach((tab, t) => {
      tab.setAttribute("aria-selected", String(t === i));
      tab.tabIndex = t === i ? 0 : -1;
    });
    this.#place.setAttribute("aria-label", this.#panels[i]!.title);
    this.#place.replaceChildren(this.#panels[i]!.element);
    this.#hands.ask();
  }

  /** Arrows move between tabs, as everywhere. */
  #keyed(event: KeyboardEvent): void {
    const n = this.#tabs.length;
    const to = { ArrowRight: this.#open + 1, ArrowLeft: this.#open + n - 1, Home: 0, End: n - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#show(to % n);
      this.#tabs[to % n]!.focus();
    }
  }

  #clicked(event: Event): void {
    const button = (event.target as Element).closest<HTMLElement>("[data-choice]");
    const choice = button && readChoice(button.dataset.choice ?? "");
    if (choice && this.#view) {
      const { segmentation } = this.#view;
      this.#select(chosenCells(segmentation, choice), choiceLabel(segmentation, choice));
    }
  }

  /** The same once more takes it back. */
  #select(cells: Uint8Array, label: string): void {
    const view = this.#view;
    if (!view) {
      return;
    }
    const { record, label: before } = this.#state.get("selection") ?? {};
    const intervals = stretches(cells, view.borders);
    const again = record === view.recording.record && before === label && !label.startsWith("map");
    this.#state.set(
      "selection",
      again || intervals.length === 0 ? {} : { record: view.recording.record, intervals, label },
    );
  }
}
