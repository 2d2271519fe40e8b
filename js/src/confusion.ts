// The confusion matrix of two sides in seconds: the same as the rows under the trace, for those who do not see them.
import { type Agreement, jaccard } from "./agreement.ts";
import { element } from "./element.ts";
import { factsOf } from "./panels/names.ts";
import { cell, inOrder, paintKey } from "./panels/panel.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import type { ClusterNames } from "./state.ts";

const NAME = "Seconds in which clusters of a (rows) and of b (columns) coincide";

export class ConfusionTable {
  readonly #place = element("div", { class: "wide" });
  readonly element = element(
    "details",
    { "data-ecg": "confusion" },
    element("summary", {}, "Clusters of both sides, in seconds of this record"),
    this.#place,
  );

  update(
    found: Agreement,
    a: Segmentation,
    b: Segmentation,
    [first, second]: readonly [readonly string[], readonly string[]],
    names: ClusterNames,
  ): void {
    const [rows, columns] = [inOrder(a), inOrder(b)];
    const head = (segmentation: Segmentation, k: number, colour: string | undefined, scope: "row" | "col") => {
      const of = letter(segmentation, k);
      const key = element("span", {}, of);
      paintKey(key, colour ?? "#888888");
      const name = scope === "row" ? factsOf(names, of).name : "";
      const given = name ? [element("bdi", { class: "given", title: name }, name)] : [];
      return element("th", { scope, class: scope === "col" && "number" }, key, ...given);
    };
    const titles = element(
      "tr",
      {},
      element("th", { scope: "col" }, "a \\ b"),
      ...columns.map((k) => head(b, k, second[k], "col")),
      element("th", { scope: "col", class: "number" }, "Jaccard"),
    );
    const body = rows.map((i) => {
      const partner = columns.find((j) => a.slot[i] === b.slot[j]);
      const cells = columns.map((j) => {
        const seconds = found.overlap[i * found.columns + j]!;
        return cell(seconds === 0 ? "\u2013" : seconds.toFixed(2), j === partner ? "number matched" : "number");
      });
      const share = partner === undefined ? Number.NaN : jaccard(found, i, partner);
      const last = cell(Number.isFinite(share) ? share.toFixed(2) : "\u2013");
      return element("tr", {}, head(a, i, first[i], "row"), ...cells, last);
    });
    const table = element("table", { "aria-label": NAME }, element("thead", {}, titles), element("tbody", {}, ...body));
    this.#place.replaceChildren(table);
  }
}
