// What is selected, in words under the trace, and how to take it back.
import { element, setText } from "../element.ts";
import type { State } from "../state.ts";
import { type Interval, selectionText } from "./intervals.ts";
import { quoted } from "./names.ts";

const NOTHING: readonly Interval[] = [];

export class SelectionBar {
  readonly element: HTMLElement;
  readonly #state: State;
  readonly #text = element("span", { "data-ecg": "selection" });

  constructor(state: State) {
    this.#state = state;
    const clear = element("button", { type: "button", "data-ecg": "clear-selection" }, "Clear");
    clear.setAttribute("aria-label", "Clear the selection");
    clear.addEventListener("click", () => state.set("selection", {}));
    this.element = element("div", { class: "chosen", hidden: true }, this.#text, clear);
  }

  /** The selected stretches of a record. */
  update(record: string): readonly Interval[] {
    const selection = this.#state.get("selection") ?? {};
    const intervals = selection.record === record ? (selection.intervals ?? NOTHING) : NOTHING;
    this.element.hidden = intervals.length === 0;
    if (intervals.length > 0) {
      setText(this.#text, `Selected: ${selectionText({ ...selection, label: quoted(selection.label ?? "") })}`);
    }
    return intervals;
  }
}
