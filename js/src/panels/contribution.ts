// The clusters of this record: legend and signed contributions to the chosen target in one table.
import { element, setText, signed } from "../element.ts";
import { textOn } from "../palette.ts";
import { letter, meanEntropy, type Segmentation } from "../segmentation.ts";

export class ContributionPanel {
  readonly element: HTMLElement;
  readonly #caption = element("h3");
  readonly #head = element("thead");
  readonly #body = element("tbody");
  readonly #sums = element("div", { class: "sums" });
  readonly #note = element("p", { class: "note" });
  readonly #onHover: (cluster: number) => void;

  constructor(onHover: (cluster: number) => void) {
    this.#onHover = onHover;
    const table = element("table", {}, this.#head, this.#body);
    this.element = element("section", { class: "panel contribution" }, this.#caption, table, this.#sums, this.#note);
    table.addEventListener("pointerover", (event) => {
      const row = (event.target as Element).closest("tr[data-cluster]");
      this.#onHover(row ? Number(row.getAttribute("data-cluster")) : -1);
    });
    table.addEventListener("pointerleave", () => this.#onHover(-1));
  }

  update(segmentation: Segmentation | null, colours: readonly string[], target: string): void {
    this.element.hidden = segmentation === null;
    if (!segmentation) {
      return;
    }
    const { contribution, proportion } = segmentation;
    const column = segmentation.targets.indexOf(target);
    const width = segmentation.targets.length;
    const values = contribution && column >= 0 ? (k: number) => contribution.values[k * width + column]! : null;
    const unit = segmentation.output === "probability" ? "logit" : segmentation.predictionUnits || "output";
    const clusters = Array.from(segmentation.slot, (_, k) => k).sort(
      (a, b) => segmentation.slot[a]! - segmentation.slot[b]!,
    );
    const masked = values && contribution ? contribution.masked[column]! : 0;
    const largest = values ? Math.max(1e-12, Math.abs(masked), ...clusters.map((k) => Math.abs(values(k)))) : 1;
    const entropy = meanEntropy(segmentation);

    this.element.classList.toggle("legend", values === null);
    setText(this.#caption, values ? `Clusters and their contribution to ${target}` : "Clusters");
    this.#head.replaceChildren(
      element(
        "tr",
        {},
        element("th", { scope: "col" }, element("span", { class: "hidden" }, "Cluster")),
        element("th", { scope: "col", class: "number" }, "Share"),
        element("th", { scope: "col", class: "number" }, "Entropy"),
        ...(values ? [element("th", { scope: "col", colspan: 2, class: "bars" }, `Contribution (${unit})`)] : []),
      ),
    );
    this.#body.replaceChildren(
      ...clusters.map((k) => {
        const share = proportion[k]!;
        const colour = colours[k] ?? "#888888";
        const key = element("span", { class: "key" }, letter(segmentation, k));
        key.style.background = colour;
        key.style.color = textOn(colour);
        return element(
          "tr",
          { "data-cluster": k, class: share > 0 ? undefined : "absent" },
          element("th", { scope: "row" }, key),
          element("td", { class: "number" }, Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "\u2013"),
          element("td", { class: "number" }, Number.isFinite(entropy[k]) ? entropy[k]!.toFixed(2) : "\u2013"),
          ...(values ? bar(values(k), largest, colour) : []),
        );
      }),
      ...(values && masked !== 0 ? [maskedRow(masked, largest)] : []),
    );

    if (contribution && values) {
      const logit = contribution.logit[column]!;
      const intercept = contribution.intercept[column]!;
      const sum = clusters.reduce((total, k) => total + values(k), masked);
      const error = contribution.completenessError;
      this.#sums.replaceChildren(
        element("span", {}, `Sum ${signed(sum)}`),
        element(
          "span",
          {},
          `${unit} ${signed(logit)} less intercept ${signed(intercept)} = ${signed(logit - intercept)}`,
        ),
        element("span", {}, error === null ? "" : `completeness error ${error.toExponential(0)}`),
      );
      setText(this.#note, [contribution.method, segmentation.contributionNote].filter(Boolean).join(". "));
    } else {
      this.#sums.replaceChildren();
      setText(this.#note, segmentation.contributionNote || "No contributions for this network");
    }
  }

  /** Marks the cluster that the pointer is on elsewhere. */
  highlight(cluster: number): void {
    for (const row of this.#body.rows) {
      row.classList.toggle("on", Number(row.dataset.cluster ?? -2) === cluster);
    }
  }
}

function maskedRow(value: number, largest: number): HTMLTableRowElement {
  return element(
    "tr",
    {},
    element("th", { scope: "row", colspan: 3 }, "masked cells"),
    ...bar(value, largest, "var(--muted)"),
  );
}

function bar(value: number, largest: number, colour: string): HTMLTableCellElement[] {
  const share = (50 * Math.abs(value)) / largest;
  const fill = element("i");
  fill.style.background = colour;
  fill.style.width = `${share}%`;
  fill.style.left = `${value < 0 ? 50 - share : 50}%`;
  return [
    element("td", { class: "track" }, element("div", { "aria-hidden": "true" }, fill)),
    element("td", { class: "number" }, signed(value)),
  ];
}
