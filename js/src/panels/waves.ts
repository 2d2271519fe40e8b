// Cluster x wave: of the cells of each cluster, the share whose middle lies in each wave.
import { element, setText } from "../element.ts";
import { letter } from "../segmentation.ts";
import { waveName } from "./intervals.ts";
import { chooser, clusterHead, headRow, inOrder, Memo, type Panel, tableOf, type View } from "./panel.ts";

export class Waves implements Panel {
  readonly id = "waves";
  readonly title = "Waves";
  readonly element = element("div", { class: "waves" });
  readonly #memo = new Memo();
  readonly #note = element("p", { class: "note" });

  update(view: View): void {
    const { segmentation, colours, names } = view;
    if (!this.#memo.changed(segmentation, colours, names)) {
      return;
    }
    const { wave, cluster } = segmentation;
    if (!wave) {
      setText(
        this.#note,
        "These records come without waves: the data has no variable wave. Open records that were marked (LUDB, wave annotations), or add one.",
      );
      this.element.replaceChildren(this.#note);
      return;
    }
    const codes = [...new Set(Array.from(wave))].sort((a, b) => (a < 0 ? 99 : a) - (b < 0 ? 99 : b));
    const rows = inOrder(segmentation).map((k) => {
      const counts = codes.map(() => 0);
      for (let i = 0; i < cluster.length; i++) {
        if (cluster[i] === k) {
          counts[codes.indexOf(wave[i]!)]! += 1;
        }
      }
      const all = counts.reduce((sum, n) => sum + n, 0);
      const cells = counts.map((n, c) => {
        const share = all ? n / all : 0;
        const said = `cluster ${letter(segmentation, k)} in ${waveName(segmentation, codes[c]!)}: ${n} of ${all} cells`;
        const button = chooser(
          segmentation,
          { cluster: k, wave: codes[c]! },
          n ? `${Math.round(100 * share)}` : "\u00b7",
          `Select ${said}`,
        );
        button.disabled = n === 0;
        button.title = said;
        const td = element("td", { class: "heat" }, button);
        td.style.setProperty("--heat", `${(70 * share).toFixed(1)}%`);
        return td;
      });
      return element("tr", {}, clusterHead(view, k), ...cells);
    });
    const head = headRow("Cluster", ...codes.map((code) => waveName(segmentation, code)));
    setText(
      this.#note,
      "Percent of the cells of each cluster in this record, by the wave that a cell's middle lies in.",
    );
    this.element.replaceChildren(
      tableOf("Waves that the cells of each cluster lie in", head, element("tbody", {}, ...rows)),
      this.#note,
    );
  }
}
