// Share of each cluster in this record beside its share in all records that the clusters were found in.
import { element, setText } from "../element.ts";
import { cell, clusterHead, headRow, inOrder, Memo, type Panel, tableOf, type View } from "./panel.ts";

export class Shares implements Panel {
  readonly id = "shares";
  readonly title = "Shares";
  readonly element = element("div", { class: "shares" });
  readonly #memo = new Memo();
  readonly #note = element("p", { class: "note" });

  update(view: View): void {
    const { segmentation, colours, names } = view;
    if (!this.#memo.changed(segmentation, colours, names)) {
      return;
    }
    const { proportion, cohort } = segmentation;
    const most = Math.max(1e-9, ...proportion, ...(cohort ?? [])) || 1;
    const percent = (x: number | undefined) =>
      x === undefined || !Number.isFinite(x) ? "\u2013" : `${(100 * x).toFixed(1)} %`;
    const rows = inOrder(segmentation).map((k) => {
      const bar = element("i");
      bar.style.width = `${((100 * (proportion[k]! || 0)) / most).toFixed(2)}%`;
      bar.style.background = colours[k] ?? "var(--muted)";
      const track = element("div", { "aria-hidden": "true" }, bar);
      if (cohort) {
        const tick = element("b");
        tick.style.left = `${((100 * cohort[k]!) / most).toFixed(2)}%`;
        track.append(tick);
      }
      const ratio = cohort && cohort[k]! > 0 ? proportion[k]! / cohort[k]! : Number.NaN;
      return element(
        "tr",
        {},
        clusterHead(view, k),
        element("td", { class: "track plain" }, track),
        cell(percent(proportion[k])),
        cell(percent(cohort?.[k])),
        cell(Number.isFinite(ratio) ? `\u00d7 ${ratio.toFixed(2)}` : "\u2013"),
      );
    });
    setText(
      this.#note,
      cohort
        ? "Bar: this record. Line: all cells that the clusters were found in, of all records. Ratio: this record by all."
        : "This result has no shares of all records.",
    );
    const head = headRow("Cluster", "", "Record", "All", "Ratio");
    this.element.replaceChildren(
      tableOf("Share of each cluster in this record and in all", head, element("tbody", {}, ...rows)),
      this.#note,
    );
  }
}
