// Native inputs: a label, a keyboard and a screen reader for each, at no cost.
import { element, setText } from "./element.ts";
import type { LayerChoice, State } from "./state.ts";

export interface Slider {
  readonly field: HTMLElement;
  readonly input: HTMLInputElement;
  readonly output: HTMLOutputElement;
}

export class Controls {
  readonly element: HTMLElement;
  readonly #state: State;
  readonly #layers = slider("layers", "Layers", "1");
  readonly #clusters = slider("clusters", "Clusters", "1");
  readonly #ready = element("span", { class: "ready", "data-ecg": "ready" });
  readonly #threshold = slider("threshold", "Uncertainty threshold", "0.01");
  /** For the view to place beside the picture. */
  readonly window: HTMLElement;
  readonly #start = slider("start", "Window", "0.1");
  readonly #record = chooser("record", "Record");
  readonly #target = chooser("target", "Target");

  constructor(state: State, onStart: (seconds: number) => void) {
    this.#state = state;
    this.window = this.#start.field;
    this.window.hidden = true;
    this.#threshold.input.max = "1";
    this.#clusters.output.before(this.#ready);
    onInput(this.#layers.input, (value) => {
      const choice = state.choices.layers[Number(value)];
      if (choice) {
        state.set("layers", [...choice.value]);
      }
    });
    onInput(this.#clusters.input, (value) => state.set("n_clusters", Number(value)));
    onInput(this.#threshold.input, (value) => state.set("threshold", Number(value)));
    onInput(this.#record.input, (value) => state.set("record", value));
    onInput(this.#target.input, (value) => state.set("target", value));
    onInput(this.#start.input, (value) => onStart(Number(value)));
    this.element = element(
      "div",
      { class: "controls", role: "group", "aria-label": "Controls" },
      element("div", { class: "sliders" }, this.#layers.field, this.#clusters.field, this.#threshold.field),
      element("div", { class: "choosers" }, this.#record.field, this.#target.field),
    );
  }

  /** Shows what the traits say. */
  update(): void {
    const state = this.#state;
    const { layers, n_clusters, records, targets } = state.choices;
    const chosen = (state.get("layers") ?? []).join("\n");
    const index = layers.findIndex(({ value }) => value.join("\n") === chosen);
    this.#layers.input.disabled = layers.length < 2;
    show(this.#layers, 0, Math.max(layers.length - 1, 0), Math.max(index, 0), ...layerText(layers[index], chosen));
    const k = state.get("n_clusters");
    show(this.#clusters, n_clusters[0], n_clusters[1], k, String(k), `${k} clusters`);
    setText(this.#ready, readyText(state.readyClusters, n_clusters));
    const threshold = state.get("threshold");
    show(this.#threshold, 0, 1, threshold, threshold.toFixed(2), `entropy ${threshold.toFixed(2)}`);
    fillSame(this.#record.input, records, state.get("record"));
    fillSame(this.#target.input, targets, state.get("target"));
  }

  /** The window's slider; hidden where the whole recording fits, and where a bar shows all of it. */
  updateWindow(window: readonly [number, number], last: number, start: number): void {
    this.#start.field.hidden = last <= 0;
    if (last <= 0) {
      return;
    }
    const text = `${window[0].toFixed(1)} to ${window[1].toFixed(1)} s`;
    show(this.#start, 0, last, start, text);
  }
}

/** How far the kernel is ahead of the slider; nothing once it has it all. */
export function readyText(ready: readonly number[], [low, high]: readonly [number, number]): string {
  const all = high - low + 1;
  return ready.length === 0 || ready.length >= all ? "" : `${ready.length} of ${all} ready`;
}

export function layerText(choice: LayerChoice | undefined, chosen: string): [shown: string, spoken: string] {
  if (!choice) {
    const names = chosen.split("\n").filter(Boolean).join(" + ") || "none";
    return [names, names];
  }
  const [stride, width] = [choice.stride_ms, choice.width_ms].map(Math.round);
  return [`${choice.label}, every ${stride} ms`, `${choice.label}, a cell every ${stride} ms, each sees ${width} ms`];
}

export function slider(name: string, label: string, step: string): Slider {
  // Its own name: a label belongs to the first it holds that can have one, and that is the output.
  const input = element("input", { type: "range", "data-ecg": name, "aria-label": label, step, min: 0 });
  const output = element("output");
  const head = element("span", { class: "head" }, element("span", { class: "name" }, label), output);
  return { field: element("label", { class: "field" }, head, input), input, output };
}

function chooser(name: string, label: string) {
  const input = element("select", { "data-ecg": name });
  return { field: element("label", { class: "field" }, element("span", { class: "name" }, label), input), input };
}

export function onInput(input: HTMLInputElement | HTMLSelectElement, act: (value: string) => void): void {
  input.addEventListener("input", () => act(input.value));
}

export function show(
  { input, output }: Slider,
  min: number,
  max: number,
  value: number,
  text: string,
  spoken = text,
): void {
  input.min = String(min);
  input.max = String(max);
  if (Number(input.value) !== value) {
    input.value = String(value);
  }
  setText(output, text);
  output.title = spoken;
  if (input.getAttribute("aria-valuetext") !== spoken) {
    input.setAttribute("aria-valuetext", spoken);
  }
}

function fill(select: HTMLSelectElement, options: readonly (readonly [string, string])[]): void {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
}

/** Rebuilds a list only when it changed: an open list must not close while results arrive. */
function fillSame(select: HTMLSelectElement, values: readonly string[], chosen: string): void {
  const known = chosen === "" || values.includes(chosen) ? values : [chosen, ...values];
  const same = select.options.length === known.length && known.every((value, i) => select.options[i]!.value === value);
  if (!same) {
    fill(
      select,
      known.map((value) => [value, value] as const),
    );
  }
  select.disabled = known.length === 0;
  if (select.value !== chosen) {
    select.value = chosen;
  }
}
