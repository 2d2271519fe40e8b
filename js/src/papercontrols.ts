// What can be chosen of the paper: native inputs above it.
import {
  ARRANGEMENTS,
  type Arrangement,
  GAINS,
  hasTwelveLeads,
  type PaperSettings,
  SPEEDS,
  STANDARD,
} from "./arrangements.ts";
import { KINDS, type Kind, obstacle } from "./calipers.ts";
import type { Colouring } from "./canvas.ts";
import { element, setText } from "./element.ts";
import { FILTERS, type Filter, NOTCHES, type Notch } from "./filters.ts";
import type { Layout } from "./layout.ts";
import type { Size } from "./paper.ts";
import type { Recording } from "./recording.ts";

/** How the paper looks, in every view of a widget. */
export interface Display extends PaperSettings {
  readonly size: Size;
  readonly colouring: Colouring;
  readonly filter: Filter;
  readonly notch: Notch;
}

export const PLAIN: Display = { ...STANDARD, size: "fit", colouring: "bands", filter: "", notch: "" };

type Options = readonly (readonly [string, string, ...unknown[]])[];
const SIZES = [
  ["fit", "fit to width"],
  ["actual", "actual size"],
] as const;
const COLOURINGS = [
  ["bands", "bands"],
  ["trace", "trace"],
  ["strip", "strip below"],
] as const;

/** What of a trait can be shown; the rest is as it is at first. */
export function readDisplay(chosen: Partial<Display>): Display {
  const first = (options: Options) => options.map(([value]) => value);
  const allowed: Record<keyof Display, readonly unknown[] | null> = {
    ...{ arrangement: first(ARRANGEMENTS), speed: SPEEDS, gain: GAINS, leads: null },
    ...{ size: first(SIZES), colouring: first(COLOURINGS), filter: first(FILTERS), notch: first(NOTCHES) },
  };
  const kept = Object.entries(chosen).filter(([name, value]) => {
    const values = allowed[name as keyof Display];
    return values === null ? Array.isArray(value) : values?.includes(value);
  });
  return { ...PLAIN, ...Object.fromEntries(kept) };
}

export interface PaperActions {
  show(changes: Partial<Display>): void;
  measure(tool: Kind | ""): void;
  save(kind: "svg" | "png"): void;
}

export class PaperControls {
  readonly element = element("div", { class: "paper", role: "group", "aria-label": "Paper" });
  /** What a reader must know before reading, beside the paper: filters, decimation, limits. */
  readonly badges = element("div", { class: "badges", "data-ecg": "badges", role: "note" });
  readonly #selects: Readonly<Record<string, HTMLSelectElement>>;
  readonly #leads = element("details", { class: "field leads", "data-ecg": "leads" });
  readonly #summary = element("summary", {}, "Leads");
  readonly #boxes = element("div", { class: "boxes", role: "group", "aria-label": "Leads on the paper" });
  #named = "";

  constructor(display: Display, actions: PaperActions) {
    const selects: Record<string, HTMLSelectElement> = {};
    const add = (name: string, label: string, options: Options, value: string, act: (value: string) => void) => {
      const input = element("select", { "data-ecg": name });
      input.append(...options.map(([option, text]) => element("option", { value: option }, text)));
      input.value = value;
      input.addEventListener("input", () => act(input.value));
      selects[name] = input;
      this.element.append(element("label", { class: "field" }, element("span", { class: "name" }, label), input));
    };
    const numbers = (values: readonly number[], unit: string): Options =>
      values.map((value) => [String(value), `${value} ${unit}`]);
    const { arrangement, speed, gain, size, colouring } = display;
    add("arrangement", "Paper", ARRANGEMENTS, arrangement, (v) => actions.show({ arrangement: v as Arrangement }));
    this.#leads.append(this.#summary, this.#boxes);
    this.element.append(this.#leads);
    this.#leads.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#leads.open) {
        this.#leads.open = false;
        this.#summary.focus();
      }
    });
    this.#boxes.addEventListener("change", () => {
      const leads = [...this.#boxes.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
      actions.show({ leads });
    });
    add("speed", "Speed", numbers(SPEEDS, "mm/s"), String(speed), (v) => actions.show({ speed: Number(v) }));
    add("gain", "Gain", numbers(GAINS, "mm/mV"), String(gain), (v) => actions.show({ gain: Number(v) }));
    add("size", "Size", SIZES, size, (v) => actions.show({ size: v as Size }));
    add("colouring", "Colour", COLOURINGS, colouring, (v) => actions.show({ colouring: v as Colouring }));
    add("filter", "Display filter", FILTERS, "", (v) => actions.show({ filter: v as Filter }));
    add("notch", "Notch", NOTCHES, "", (v) => actions.show({ notch: v as Notch }));
    add("tool", "Measure", [["", "off"], ...KINDS], "", (v) => actions.measure(v as Kind | ""));
    this.#selects = selects;
    const buttons = (["svg", "png"] as const).map((kind) => {
      const name = kind.toUpperCase();
      const title = `Save this picture as ${name}, in millimetres, on white paper`;
      const button = element("button", { type: "button", "data-ecg": kind, title }, name);
      button.addEventListener("click", () => actions.save(kind));
      return button;
    });
    this.element.append(element("div", { class: "saves" }, ...buttons));
  }

  /** Offers what this recording can be shown as, and says what it is shown as. */
  update(recording: Recording, layout: Layout, display: Display, badges: readonly string[]): void {
    const { arrangement, speed, tool } = this.#selects as Record<string, HTMLSelectElement>;
    const twelve = hasTwelveLeads(recording.leads);
    for (const option of arrangement!.options) {
      const inRows = option.value === "rows" || option.value === "leads";
      option.disabled = !inRows && (!twelve || layout.slow);
      if (option.value === "rows") {
        setText(option, `${recording.leads.length} \u00d7 1`);
      }
    }
    const possible = display.arrangement === "leads" || (twelve && !layout.slow) ? display.arrangement : "rows";
    for (const name of ["speed", "gain", "size", "colouring", "filter", "notch"] as const) {
      const input = this.#selects[name]!;
      if (input.value !== String(display[name])) {
        input.value = String(display[name]);
      }
    }
    arrangement!.value = possible;
    arrangement!.title = layout.slow ? "In rows, when slower than the paper's own speed" : "";
    speed!.disabled = layout.slow;
    speed!.title = layout.slow
      ? `${Number(layout.speed.toPrecision(3))} mm/s, as the length of time shown asks for`
      : "";
    for (const option of tool!.options) {
      option.disabled = option.value !== "" && obstacle(option.value as Kind, recording) !== "";
    }
    tool!.title = obstacle("qt", recording);
    this.#leads.hidden = possible !== "leads";
    this.#nameLeads(recording.leads, display.leads);
    this.badges.hidden = badges.length === 0;
    if (badges.join("\n") !== this.#badged) {
      this.#badged = badges.join("\n");
      this.badges.replaceChildren(...badges.map((text) => element("span", { class: "badge" }, text)));
    }
  }

  #badged = "";

  #nameLeads(names: readonly string[], chosen: readonly string[]): void {
    if (names.join("\n") !== this.#named) {
      this.#named = names.join("\n");
      this.#boxes.replaceChildren(
        ...names.map((name) => element("label", {}, element("input", { type: "checkbox", value: name }), name)),
      );
    }
    const known = chosen.filter((name) => names.includes(name));
    for (const box of this.#boxes.querySelectorAll("input")) {
      box.checked = known.length === 0 || known.includes(box.value);
    }
    const shown = known.length === 0 ? "all" : known.length <= 3 ? known.join(", ") : String(known.length);
    setText(this.#summary, `Leads: ${shown}`);
  }
}
