// Controls of the second side of a comparison, and what of both sides moves together.
import { layerText, onInput, show, slider } from "./controls.ts";
import { element, setText } from "./element.ts";
import { follows } from "./otherside.ts";
import type { Segmentation } from "./segmentation.ts";
import { statusText } from "./segments.ts";
import type { State } from "./state.ts";
import type { ComparisonTraits, Link } from "./traits.ts";

const LINKS: readonly (readonly [Link, string])[] = [
  ["layers", "layers"],
  ["n_clusters", "clusters"],
  ["threshold", "threshold"],
];
const ARRANGEMENTS: readonly (readonly [ComparisonTraits["arrangement"], string])[] = [
  ["strip", "strip under the trace"],
  ["beside", "paper beside"],
  ["below", "paper below"],
];

export class OtherControls {
  readonly elements: readonly HTMLElement[];
  readonly #state: State;
  readonly #other: State;
  readonly #layers = slider("other-layers", "Layers of b", "1");
  readonly #clusters = slider("other-clusters", "Clusters of b", "1");
  readonly #threshold = slider("other-threshold", "Uncertainty threshold of b", "0.01");
  readonly #links = new Map<Link, HTMLInputElement>();
  readonly #arrangement = element("select", { "data-ecg": "arrangement-of-sides" });
  readonly #names = [element("bdi"), element("bdi")] as const;
  readonly #status = element("span", { "data-ecg": "other-status" });
  readonly #error = element("div", { class: "error", role: "alert", "data-ecg": "other-error", hidden: true });

  constructor(state: State, other: State) {
    this.#state = state;
    this.#other = other;
    this.#threshold.input.max = "1";
    onInput(this.#layers.input, (value) => {
      const choice = other.choices.layers[Number(value)];
      if (choice) {
        other.set("layers", [...choice.value]);
      }
    });
    onInput(this.#clusters.input, (value) => other.set("n_clusters", Number(value)));
    onInput(this.#threshold.input, (value) => other.set("threshold", Number(value)));
    this.#arrangement.append(...ARRANGEMENTS.map(([value, text]) => element("option", { value }, text)));
    onInput(this.#arrangement, (value) => state.set("arrangement", value as ComparisonTraits["arrangement"]));
    const boxes = LINKS.map(([name, text]) => {
      const box = element("input", { type: "checkbox", "data-ecg": `link-${name}` });
      box.addEventListener("change", () => this.#link(name, box.checked));
      this.#links.set(name, box);
      return element("label", {}, box, text);
    });
    const above = element("span", { class: "hint" }, "(controls above)");
    const first = element("span", { class: "side" }, element("b", {}, "a"), this.#names[0], above);
    const second = element("span", { class: "side" }, element("b", {}, "b"), this.#names[1], this.#status);
    const sliders = element(
      "div",
      { class: "sliders" },
      this.#layers.field,
      this.#clusters.field,
      this.#threshold.field,
    );
    const links = element("div", { class: "links", role: "group", "aria-label": "Move together" }, "Linked:", ...boxes);
    const where = element("label", { class: "field" }, element("span", { class: "name" }, "Show b"), this.#arrangement);
    this.elements = [
      element(
        "div",
        { class: "controls second", role: "group", "aria-label": "Controls of b" },
        element("div", { class: "sides" }, first, second),
        sliders,
        element("div", { class: "sides" }, links, where),
      ),
      this.#error,
    ];
  }

  update(second: Segmentation | null): void {
    const [state, other] = [this.#state, this.#other];
    const [a, b] = state.get("sides") ?? [];
    setText(this.#names[0], a ?? "");
    setText(this.#names[1], b ?? "");
    const { layers, n_clusters } = other.choices;
    const chosen = (other.get("layers") ?? []).join("\n");
    const index = layers.findIndex(({ value }) => value.join("\n") === chosen);
    show(this.#layers, 0, Math.max(layers.length - 1, 0), Math.max(index, 0), ...layerText(layers[index], chosen));
    this.#layers.input.disabled = layers.length < 2;
    const k = other.get("n_clusters");
    show(this.#clusters, n_clusters[0], n_clusters[1], k, String(k), `${k} clusters`);
    const threshold = other.get("threshold");
    show(this.#threshold, 0, 1, threshold, threshold.toFixed(2), `entropy ${threshold.toFixed(2)}`);
    const linked = state.get("linked") ?? [];
    for (const [name, box] of this.#links) {
      box.checked = linked.includes(name);
    }
    this.#arrangement.value = state.get("arrangement") ?? "strip";
    setText(this.#status, second ? statusText(second, threshold, state.get("target")) : "");
    this.#error.hidden = other.error === "";
    setText(this.#error, other.error && `b: ${other.error}`);
  }

  #link(name: Link, on: boolean): void {
    const linked = LINKS.map(([link]) => link).filter((link) => this.#links.get(link)!.checked);
    this.#state.set("linked", linked);
    if (on && follows(name, this.#state.get(name), linked, this.#other.choices)) {
      this.#other.set(name, this.#state.get(name));
    }
  }
}
