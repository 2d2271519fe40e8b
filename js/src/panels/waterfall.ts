// From the intercept to the logit, one step a cluster: what the split adds up to, and by how much it misses.
import { element, setText, signed } from "../element.ts";
import { cell, clusterHead, headRow, inOrder, Memo, type Panel, tableOf, type View } from "./panel.ts";

interface Step {
  readonly head: HTMLTableCellElement;
  readonly from: number;
  readonly to: number;
  readonly colour: string;
  readonly total: boolean;
}

export class Waterfall implements Panel {
  readonly id = "waterfall";
  readonly title = "Waterfall";
  readonly element = element("div", { class: "waterfall" });
  readonly #memo = new Memo();
  readonly #sum = element("p", { class: "sums", "data-ecg": "completeness" });
  readonly #note = element("p", { class: "note" });

  update(view: View): void {
    const { segmentation, colours, target, names } = view;
    if (!this.#memo.changed(segmentation, colours, target, names)) {
      return;
    }
    const { contribution, targets } = segmentation;
    const column = targets.indexOf(target);
    if (!contribution || column < 0) {
      setText(this.#note, segmentation.contributionNote || "No contributions for this network");
      this.element.replaceChildren(this.#note);
      return;
    }
    const value = (k: number) => contribution.values[k * targets.length + column]!;
    const plain = (text: string) => element("th", { scope: "row" }, text);
    const unit = segmentation.output === "probability" ? "logit" : segmentation.predictionUnits || "output";
    const intercept = contribution.intercept[column]!;
    const steps: Step[] = [{ head: plain("Intercept"), from: 0, to: intercept, colour: "var(--muted)", total: true }];
    let level = intercept;
    const step = (head: HTMLTableCellElement, by: number, colour: string) => {
      steps.push({ head, from: level, to: level + by, colour, total: false });
      level += by;
    };
    for (const k of inOrder(segmentation).sort((a, b) => Math.abs(value(b)) - Math.abs(value(a)))) {
      step(clusterHead(view, k), value(k), colours[k] ?? "var(--muted)");
    }
    if (contribution.masked[column]) {
      step(plain("Masked cells"), contribution.masked[column]!, "var(--muted)");
    }
    const logit = contribution.logit[column]!;
    steps.push({ head: plain(unit), from: 0, to: logit, colour: "var(--text)", total: true });
    const low = Math.min(0, ...steps.map(({ from, to }) => Math.min(from, to)));
    const high = Math.max(0, ...steps.map(({ from, to }) => Math.max(from, to)));
    const share = (x: number) => (100 * (x - low)) / (high - low || 1);
    const rows = steps.map(({ head, from, to, colour, total }) => {
      const bar = element("i");
      bar.style.left = `${share(Math.min(from, to)).toFixed(2)}%`;
      bar.style.width = `max(1px, ${(share(Math.max(from, to)) - share(Math.min(from, to))).toFixed(2)}%)`;
      bar.style.background = colour;
      const track = element("div", { "aria-hidden": "true" }, bar);
      track.style.setProperty("--zero", `${share(0).toFixed(2)}%`);
      const row = element("tr", { class: total && "total" }, head, element("td", { class: "track steps" }, track));
      row.append(cell(total ? "" : signed(to - from)), cell(signed(to)));
      return row;
    });
    const head = headRow("Step", "", "Adds", "Level");
    const missing = Math.abs(level - logit);
    setText(
      this.#sum,
      `Intercept and clusters add up to ${signed(level, 3)}, the ${unit} of ${target} is ${signed(logit, 3)}: ` +
        `they differ by ${missing.toExponential(0)}`,
    );
    setText(this.#note, [contribution.method, segmentation.contributionNote].filter(Boolean).join(". "));
    const table = tableOf(`Contributions to ${target}, step by step`, head, element("tbody", {}, ...rows));
    this.element.replaceChildren(table, this.#sum, this.#note);
  }
}
