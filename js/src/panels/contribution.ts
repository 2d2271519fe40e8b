// The clusters of this record: legend and signed contributions to the chosen target in one table.
import { element, setText, signed } from "../element.ts";
import { letter, meanEntropy, type Segmentation } from "../segmentation.ts";
import type { ClusterFacts, ClusterNames } from "../state.ts";
import { choiceKey } from "./intervals.ts";
import { factsOf } from "./names.ts";
import { paintKey } from "./panel.ts";

/** A row that is kept: a new number of clusters changes texts and colours, and adds or removes what differs. */
class Row {
  readonly element: HTMLTableRowElement;
  readonly #key = element("button", { type: "button", class: "choose", "aria-pressed": "false" });
  readonly #given = element("bdi", { class: "given" });
  readonly #share = element("td", { class: "number" });
  readonly #entropy = element("td", { class: "number" });
  readonly #fill = element("i");
  readonly #track = element("td", { class: "track" }, element("div", { "aria-hidden": "true" }, this.#fill));
  readonly #value = element("td", { class: "number" });

  constructor() {
    const head = element("th", { scope: "row" }, this.#key, this.#given);
    this.element = element("tr", {}, head, this.#share, this.#entropy, this.#track, this.#value);
  }

  cluster(cluster: number, name: string, facts: ClusterFacts, colour: string, share: number, entropy: number): void {
    setAttribute(this.element, "data-cluster", String(cluster));
    this.element.classList.toggle("absent", !(share > 0));
    setText(this.#key, name);
    paintKey(this.#key, colour);
    setAttribute(this.#key, "data-choice", choiceKey({ cluster }));
    setAttribute(this.#key, "data-label", `cluster ${name}`);
    setAttribute(this.#key, "aria-label", `Select cluster ${name}`);
    setText(this.#given, facts.name ?? "");
    this.#given.title = [facts.name, facts.note].filter(Boolean).join(": ");
    setText(this.#share, Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "\u2013");
    setText(this.#entropy, Number.isFinite(entropy) ? entropy.toFixed(2) : "\u2013");
  }

  bar(value: number | null, largest: number, colour: string): void {
    this.#track.hidden = value === null;
    this.#value.hidden = value === null;
    if (value !== null) {
      const share = (50 * Math.abs(value)) / largest;
      this.#fill.style.background = colour;
      this.#fill.style.width = `${share.toFixed(2)}%`;
      this.#fill.style.left = `${(value < 0 ? 50 - share : 50).toFixed(2)}%`;
      setText(this.#value, signed(value));
    }
  }
}

export class ContributionPanel {
  readonly element: HTMLElement;
  readonly #caption = element("h3");
  readonly #unit = element("th", { scope: "col", colspan: 2, class: "bars" });
  readonly #body = element("tbody");
  readonly #rows: Row[] = [];
  readonly #masked = element("tr");
  readonly #sums = [element("span"), element("span"), element("span")] as const;
  readonly #note = element("p", { class: "note" });
  #pointed: HTMLElement | null = null;

  constructor(onHover: (cluster: number) => void) {
    const column = (...children: (Node | string)[]) => element("th", { scope: "col", class: "number" }, ...children);
    const name = element("th", { scope: "col" }, "Cluster");
    const head = element("thead", {}, element("tr", {}, name, column("Share"), column("Entropy"), this.#unit));
    const table = element("table", {}, head, this.#body);
    const sums = element("div", { class: "sums" }, ...this.#sums);
    this.element = element("section", { class: "panel contribution" }, this.#caption, table, sums, this.#note);
    table.addEventListener("pointerover", (event) => {
      const row = (event.target as Element).closest("tr[data-cluster]");
      onHover(row ? Number(row.getAttribute("data-cluster")) : -1);
    });
    table.addEventListener("pointerleave", () => onHover(-1));
  }

  update(segmentation: Segmentation | null, colours: readonly string[], target: string, names: ClusterNames): void {
    this.element.hidden = segmentation === null;
    if (!segmentation) {
      return;
    }
    const { contribution, proportion, slot } = segmentation;
    const column = segmentation.targets.indexOf(target);
    const width = segmentation.targets.length;
    const values = contribution && column >= 0 ? (k: number) => contribution.values[k * width + column]! : null;
    const unit = segmentation.output === "probability" ? "logit" : segmentation.predictionUnits || "output";
    const clusters = Array.from(slot, (_, k) => k).sort((a, b) => slot[a]! - slot[b]!);
    const masked = values && contribution ? contribution.masked[column]! : 0;
    const largest = values ? Math.max(1e-12, Math.abs(masked), ...clusters.map((k) => Math.abs(values(k)))) : 1;
    const entropy = meanEntropy(segmentation);

    this.element.classList.toggle("legend", values === null);
    setText(this.#caption, values ? `Clusters and their contribution to ${target}` : "Clusters");
    this.#unit.hidden = values === null;
    setText(this.#unit, `Contribution (${unit})`);
    clusters.forEach((k, i) => {
      this.#rows[i] ??= new Row();
      const row = this.#rows[i]!;
      const colour = colours[k] ?? "#888888";
      const name = letter(segmentation, k);
      row.cluster(k, name, factsOf(names, name), colour, proportion[k]!, entropy[k]!);
      row.bar(values?.(k) ?? null, largest, colour);
      if (row.element.parentNode === null) {
        this.#body.insertBefore(row.element, this.#masked.parentNode ? this.#masked : null);
      }
    });
    for (const row of this.#rows.splice(clusters.length)) {
      row.element.remove();
    }
    this.#masked.remove();
    if (values && masked !== 0) {
      this.#masked.replaceChildren(...maskedCells(masked, largest));
      this.#body.append(this.#masked);
    }
    this.#sums[0].parentElement!.hidden = !values;
    if (contribution && values) {
      const logit = contribution.logit[column]!;
      const intercept = contribution.intercept[column]!;
      const sum = clusters.reduce((total, k) => total + values(k), masked);
      const error = contribution.completenessError;
      const windows = segmentation.windows > 1 ? `, mean of ${segmentation.windows} windows` : "";
      const difference = `${signed(logit)} less intercept ${signed(intercept)} = ${signed(logit - intercept)}`;
      setText(this.#sums[0], `Sum ${signed(sum)}`);
      setText(this.#sums[1], `${unit} ${difference}${windows}`);
      setText(this.#sums[2], error === null ? "" : `completeness error ${error.toExponential(0)}`);
      setText(this.#note, [contribution.method, segmentation.contributionNote].filter(Boolean).join(". "));
    } else {
      setText(this.#note, segmentation.contributionNote || "No contributions for this network");
    }
  }

  /** Marks the cluster that the pointer is on elsewhere. */
  highlight(cluster: number): void {
    const row = cluster < 0 ? undefined : this.#rows.find(({ element: e }) => Number(e.dataset.cluster) === cluster);
    if (this.#pointed !== (row?.element ?? null)) {
      this.#pointed?.classList.remove("on");
      row?.element.classList.add("on");
      this.#pointed = row?.element ?? null;
    }
  }
}

function maskedCells(value: number, largest: number): HTMLTableCellElement[] {
  const row = new Row();
  row.bar(value, largest, "var(--muted)");
  const [track, number] = Array.from(row.element.cells).slice(-2);
  return [element("th", { scope: "row", colspan: 3 }, "masked cells"), track!, number!];
}

function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
}
