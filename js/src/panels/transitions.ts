// Which cluster follows which: a graph, and the commonest transitions as buttons.
import { element, setText } from "../element.ts";
import { textOn } from "../palette.ts";
import { letter } from "../segmentation.ts";
import { transitions } from "./intervals.ts";
import { cell, chooser, headRow, inOrder, Memo, type Panel, sized, tableOf, type View } from "./panel.ts";

const LISTED = 12;
const NODE = 11;
/** Fewer than this share of the commonest are not drawn: a graph of everything shows nothing. */
const RARE = 0.04;

export class Transitions implements Panel {
  readonly id = "transitions";
  readonly title = "Transitions";
  readonly element = element("div", { class: "transitions" });
  readonly #memo = new Memo();
  readonly #canvas = element("canvas", { role: "img" });
  readonly #list = element("div");
  readonly #note = element("p", { class: "note" });

  constructor() {
    this.element.append(this.#canvas, this.#list, this.#note);
  }

  update(view: View): void {
    const { segmentation, colours, theme, font, width, names } = view;
    if (!this.#memo.changed(segmentation, colours, theme, width, names, devicePixelRatio)) {
      return;
    }
    const k = segmentation.slot.length;
    const counts = transitions(segmentation);
    const out = Array.from({ length: k }, (_, a) => counts.subarray(a * k, (a + 1) * k).reduce((s, n) => s + n, 0));
    const ranked = Array.from(counts.keys())
      .filter((i) => counts[i]! > 0)
      .sort((a, b) => counts[b]! - counts[a]! || a - b);
    this.#draw(view, counts, ranked, colours, font, width);
    const rows = ranked.slice(0, LISTED).map((i) => {
      const [from, to] = [Math.floor(i / k), i % k];
      const text = `${letter(segmentation, from)} \u2192 ${letter(segmentation, to)}`;
      const said = `Select ${letter(segmentation, from)} to ${letter(segmentation, to)}, ${counts[i]} times`;
      const head = element("th", { scope: "row" }, chooser(segmentation, { from, to }, text, said));
      return element("tr", {}, head, cell(String(counts[i])), cell(`${Math.round((100 * counts[i]!) / out[from]!)} %`));
    });
    const table = tableOf(
      "Commonest transitions",
      headRow("Transition", "Times", "Of leaving"),
      element("tbody", {}, ...rows),
    );
    this.#list.replaceChildren(...(rows.length > 0 ? [table] : []));
    const all = ranked.reduce((sum, i) => sum + counts[i]!, 0);
    setText(
      this.#note,
      `${all} changes of cluster between neighbouring cells of this record, of ${ranked.length} kinds` +
        `${ranked.length > LISTED ? `; the ${LISTED} commonest are listed` : ""}. A selected transition marks the cells on both sides.`,
    );
    this.#canvas.hidden = rows.length === 0;
    const main = ranked[0] === undefined ? "" : `, most often ${rows[0]!.cells[0]!.textContent}`;
    this.#canvas.setAttribute("aria-label", `Graph of ${ranked.length} transitions between ${k} clusters${main}`);
    void theme;
  }

  #draw(
    { segmentation, theme }: View,
    counts: Uint32Array,
    ranked: readonly number[],
    colours: readonly string[],
    font: string,
    wide: number,
  ): void {
    const width = Math.min(wide, 340);
    const height = Math.min(width, 250);
    const c = sized(this.#canvas, width, height);
    const order = inOrder(segmentation);
    const k = order.length;
    const place = order.map(() => [0, 0] as [number, number]);
    order.forEach((cluster, i) => {
      const angle = (2 * Math.PI * i) / k - Math.PI / 2;
      const [rx, ry] = [width / 2 - NODE - 16, height / 2 - NODE - 10];
      place[cluster] = [width / 2 + rx * Math.cos(angle), height / 2 + ry * Math.sin(angle)];
    });
    const most = counts[ranked[0] ?? 0] ?? 1;
    for (const i of ranked.filter((edge) => counts[edge]! >= RARE * most).reverse()) {
      const share = counts[i]! / most;
      c.strokeStyle = c.fillStyle = theme.ink;
      c.globalAlpha = 0.2 + 0.65 * share;
      c.lineWidth = 0.75 + 3.25 * share;
      arrow(c, place[Math.floor(i / k)]!, place[i % k]!);
    }
    c.globalAlpha = 1;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.font = `600 12px ${font}`;
    order.forEach((cluster) => {
      const [x, y] = place[cluster]!;
      const colour = colours[cluster] ?? theme.muted;
      c.beginPath();
      c.arc(x, y, NODE, 0, 2 * Math.PI);
      c.fillStyle = colour;
      c.fill();
      c.strokeStyle = theme.muted;
      c.lineWidth = 1;
      c.stroke();
      c.fillStyle = textOn(colour);
      c.fillText(letter(segmentation, cluster), x, y + 0.5);
    });
  }
}

/** A bent arrow, so that there and back lie apart. */
function arrow(c: CanvasRenderingContext2D, [ax, ay]: [number, number], [bx, by]: [number, number]): void {
  const [dx, dy] = [bx - ax, by - ay];
  const length = Math.hypot(dx, dy) || 1;
  const [mx, my] = [(ax + bx) / 2 - 0.14 * dy, (ay + by) / 2 + 0.14 * dx];
  const end = Math.hypot(bx - mx, by - my) || 1;
  const [ux, uy] = [(bx - mx) / end, (by - my) / end];
  const tip = [bx - ux * (NODE + 1), by - uy * (NODE + 1)] as const;
  const head = Math.min(4 + c.lineWidth, length / 3);
  c.beginPath();
  c.moveTo(ax, ay);
  c.quadraticCurveTo(mx, my, tip[0] - (ux * head) / 2, tip[1] - (uy * head) / 2);
  c.stroke();
  c.beginPath();
  c.moveTo(tip[0], tip[1]);
  c.lineTo(tip[0] - ux * head - uy * head * 0.5, tip[1] - uy * head + ux * head * 0.5);
  c.lineTo(tip[0] - ux * head + uy * head * 0.5, tip[1] - uy * head - ux * head * 0.5);
  c.fill();
}
