// Names and notes of clusters, and which of them are shown as one or not at all. Kept in Python.
import { element } from "../element.ts";
import { letter, type Segmentation } from "../segmentation.ts";
import type { ClusterFacts, ClusterNames, State } from "../state.ts";
import { factsOf } from "./names.ts";
import { headRow, inOrder, Memo, type Panel, paintKey, tableOf, type View } from "./panel.ts";

const LONGEST = 200;

class Row {
  readonly element: HTMLTableRowElement;
  readonly #key = element("span", {});
  readonly #name = element("input", { type: "text", maxlength: LONGEST, dir: "auto", "data-field": "name" });
  readonly #note = element("input", { type: "text", maxlength: 10 * LONGEST, dir: "auto", "data-field": "note" });
  readonly #merged = element("select", { "data-field": "merged" });
  readonly #hidden = element("input", { type: "checkbox", "data-field": "hidden" });

  constructor(set: (letter: string, facts: ClusterFacts) => void) {
    const td = (node: HTMLElement) => element("td", {}, node);
    const head = element("th", { scope: "row" }, this.#key);
    this.element = element("tr", {}, head, td(this.#name), td(this.#note), td(this.#merged), td(this.#hidden));
    this.element.addEventListener("input", () =>
      set(this.element.dataset.letter ?? "", {
        name: this.#name.value,
        note: this.#note.value,
        merged: this.#merged.value,
        hidden: this.#hidden.checked,
      }),
    );
  }

  show(of: string, colour: string, facts: ClusterFacts, others: readonly string[]): void {
    if (this.element.dataset.letter !== of) {
      this.element.dataset.letter = of;
      this.#key.textContent = of;
      this.#name.setAttribute("aria-label", `Name of cluster ${of}`);
      this.#note.setAttribute("aria-label", `Note on cluster ${of}`);
      this.#merged.setAttribute("aria-label", `Show cluster ${of} as`);
      this.#hidden.setAttribute("aria-label", `Hide cluster ${of}`);
    }
    paintKey(this.#key, colour);
    const wanted = [of, ...others].join();
    if (this.#merged.dataset.options !== wanted) {
      this.#merged.dataset.options = wanted;
      const options = others.map((other) => element("option", { value: other }, other));
      this.#merged.replaceChildren(element("option", { value: "" }, of), ...options);
    }
    const write = (input: HTMLInputElement | HTMLSelectElement, value: string) => {
      if (input.value !== value) {
        input.value = value;
      }
    };
    write(this.#name, facts.name ?? "");
    write(this.#note, facts.note ?? "");
    write(this.#merged, facts.merged ?? "");
    this.#hidden.checked = facts.hidden === true;
  }
}

export class Naming implements Panel {
  readonly id = "names";
  readonly title = "Names";
  readonly element = element("div", { class: "naming" });
  readonly #state: State;
  readonly #memo = new Memo();
  readonly #rows: Row[] = [];
  readonly #body = element("tbody");

  constructor(state: State) {
    this.#state = state;
    const note =
      "Names go with letter and colour while layers and number of clusters move; Python has them as cluster_names. " +
      "Merged clusters are shown as one: shares and contributions add up, the entropy is that of the clusters before.";
    this.element.append(
      tableOf("Names of clusters", headRow("Cluster", "Name", "Note", "Shown as", "Hide"), this.#body),
      element("p", { class: "note" }, note),
    );
  }

  update({ raw, names, colours, segmentation }: View): void {
    if (!this.#memo.changed(raw, names, colours)) {
      return;
    }
    const letters = inOrder(raw).map((k) => letter(raw, k));
    const colourOf = new Map(Array.from(segmentation.slot, (_, k) => [letter(segmentation, k), colours[k]] as const));
    letters.forEach((of, i) => {
      this.#rows[i] ??= new Row((who, facts) => this.#set(who, facts, raw));
      const facts = factsOf(names, of);
      const others = letters.filter((other) => other !== of && !leadsTo(names, other, of));
      const colour = colourOf.get(of) ?? colourOf.get(facts.merged ?? "") ?? "#888888";
      this.#rows[i]!.show(of, colour, facts, others);
      if (this.#rows[i]!.element.parentNode === null) {
        this.#body.append(this.#rows[i]!.element);
      }
    });
    for (const row of this.#rows.splice(letters.length)) {
      row.element.remove();
    }
  }

  #set(of: string, facts: ClusterFacts, _: Segmentation): void {
    const { [of]: __, ...others } = this.#state.get("cluster_names") ?? {};
    const told = Object.fromEntries(Object.entries(facts).filter(([, value]) => value));
    this.#state.set("cluster_names", Object.keys(told).length > 0 ? { ...others, [of]: told } : others);
  }
}

/** Whether a cluster is shown as another one, directly or by way of others: merging back would be a ring. */
function leadsTo(names: ClusterNames, from: string, to: string): boolean {
  const seen = new Set<string>();
  for (let at: string | undefined = from; at && !seen.has(at); at = factsOf(names, at).merged) {
    if (at === to) {
      return true;
    }
    seen.add(at);
  }
  return false;
}
