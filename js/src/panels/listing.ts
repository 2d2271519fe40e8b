// The picture as a table: every stretch of one cluster, in order of time.
import { element, setText } from "../element.ts";
import { letter } from "../segmentation.ts";
import { findRuns, MASKED, Runs } from "../segments.ts";
import { titleOf } from "./names.ts";
import { cell, headRow, Memo, type Panel, tableOf, type View } from "./panel.ts";

const MOST = 300;
/** No entropy is above it: a stretch does not change while the threshold moves. */
const NEVER = 2;

export class Listing implements Panel {
  readonly id = "table";
  readonly title = "Table";
  readonly element = element("div", { class: "listing" });
  readonly #memo = new Memo();
  readonly #runs = new Runs();
  readonly #note = element("p", { class: "note" });

  update(view: View): void {
    const { segmentation, borders, names } = view;
    if (!this.#memo.changed(segmentation, borders, names)) {
      return;
    }
    const n = segmentation.centre.length;
    findRuns(segmentation, NEVER, 0, n, this.#runs);
    const rows: HTMLTableRowElement[] = [];
    for (let r = 0; r < Math.min(this.#runs.length, MOST); r++) {
      const [first, last, look] = [this.#runs.first[r]!, this.#runs.last[r]!, this.#runs.look[r]!];
      let sum = 0;
      for (let i = first; i <= last; i++) {
        sum += segmentation.entropy[i]!;
      }
      const masked = look === MASKED;
      const head = element("th", { scope: "row" }, masked ? "no data" : titleOf(segmentation, look, names));
      const entropy = masked ? "\u2013" : (sum / (last - first + 1)).toFixed(2);
      const row = element("tr", {}, cell(borders[first]!.toFixed(3)), cell(borders[last + 1]!.toFixed(3)));
      row.append(head, cell(entropy));
      if (!masked) {
        row.dataset.letter = letter(segmentation, look);
      }
      rows.push(row);
    }
    const table = tableOf(
      "Segments in order of time",
      headRow("From (s)", "To (s)", "Cluster", "Entropy"),
      element("tbody", {}, ...rows),
    );
    table.setAttribute("tabindex", "0");
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", "Segments in order of time");
    table.classList.add("tall");
    const more =
      this.#runs.length > MOST
        ? `The first ${MOST} of ${this.#runs.length} stretches`
        : `${this.#runs.length} stretches`;
    setText(this.#note, `${more} of cells of one cluster, with their mean entropy.`);
    this.element.replaceChildren(...(n > 0 ? [table] : []), this.#note);
  }
}
