// The bar over a long recording: all of it at once, and where one is. Its handle is the thumb of a native slider.
import { type Density, drawDensity } from "../density.ts";
import { element, setText } from "../element.ts";
import type { Area } from "../layout.ts";
import { keyTarget, zoomsOf, zoomText } from "../navigation.ts";
import type { Navigator } from "../navigator.ts";
import type { Overview } from "../overview.ts";
import type { Theme } from "../paper.ts";
import { axisStep, clock, timeText } from "../ruler.ts";

/** CSS px. The axis keeps this much to either side, so that the thumb of a slider always covers what it stands for. */
const INSET = 5;
const ENVELOPE = 34;
const SHARES = 16;
const AXIS = 15;
const HEIGHT = ENVELOPE + 2 + SHARES + AXIS;

export class OverviewBar {
  readonly element: HTMLElement;
  readonly #navigator: Navigator;
  readonly #canvas = element("canvas", { "aria-hidden": "true", "data-ecg": "overview" });
  readonly #context = this.#canvas.getContext("2d")!;
  readonly #input = element("input", {
    type: "range",
    "data-ecg": "position",
    "aria-label": "Position in the recording",
    min: 0,
    step: "any",
  });
  readonly #output = element("output");
  readonly #title = element("span", { class: "name" });
  readonly #zooms = element("span", { class: "zooms", role: "group", "aria-label": "Length shown" });
  #drawn: readonly unknown[] = [];
  #whole = "";

  constructor(navigator: Navigator) {
    this.#navigator = navigator;
    const bar = element("span", { class: "bar-of-all" }, this.#canvas, this.#input);
    const head = element("span", { class: "head" }, this.#title, this.#output);
    this.element = element(
      "div",
      { class: "overview", hidden: true },
      element("label", { class: "field" }, head, bar),
      this.#zooms,
    );
    this.#canvas.style.height = `${HEIGHT}px`;
    this.#input.addEventListener("input", () => {
      navigator.moveTo(navigator.sight.whole[0] + Number(this.#input.value));
    });
    // The steps of a slider that can be drawn to any place are left to the page.
    this.#input.addEventListener("keydown", (event) => {
      const target = keyTarget(event.key, navigator.sight, "PageUp");
      if (target !== null) {
        event.preventDefault();
        navigator.moveTo(target);
      }
    });
  }

  /** Shows where one is; cheap enough for every frame of a drag. */
  update(overview: Overview | null, width: number): void {
    this.element.hidden = overview === null;
    if (!overview) {
      return;
    }
    const { start, seconds, whole } = this.#navigator.sight;
    const length = whole[1] - whole[0];
    this.#nameZooms(whole, seconds);
    const handle = (seconds / length) * (width - 2 * INSET) + 2 * INSET;
    this.#input.style.setProperty("--handle", `${handle.toFixed(2)}px`);
    this.#input.disabled = seconds >= length;
    this.#input.max = String(Math.max(length - seconds, 0));
    this.#input.value = String(start - whole[0]);
    const from = clock(start - whole[0], true);
    const to = clock(start - whole[0] + seconds, true);
    const text = `${from} to ${to} of ${timeText(length)}`;
    setText(this.#output, text);
    if (this.#input.getAttribute("aria-valuetext") !== text) {
      this.#input.setAttribute("aria-valuetext", text);
    }
    const lead = leadOf(overview);
    const read = overview.read < 1 ? `, ${Math.floor(100 * overview.read)} % read` : "";
    setText(this.#title, `Recording: lead ${overview.leads[lead] ?? ""} and clusters${read}`);
  }

  #nameZooms(whole: readonly [number, number], seconds: number): void {
    const key = whole.join();
    if (key !== this.#whole) {
      this.#whole = key;
      this.#zooms.replaceChildren(
        ...zoomsOf(whole).map((zoom) => {
          const text = zoomText(zoom, whole);
          const button = element(
            "button",
            { type: "button", "data-seconds": zoom, title: `Show ${text === "all" ? "the whole recording" : text}` },
            text,
          );
          button.addEventListener("click", () => this.#navigator.zoomTo(zoom));
          return button;
        }),
      );
    }
    for (const button of this.#zooms.children) {
      const pressed = String(Number((button as HTMLElement).dataset.seconds) === seconds);
      if (button.getAttribute("aria-pressed") !== pressed) {
        button.setAttribute("aria-pressed", pressed);
      }
    }
  }

  /** Draws the recording, when something in it is new. */
  paint(
    overview: Overview | null,
    density: Density | null,
    colours: readonly string[],
    cluster: number,
    width: number,
    theme: Theme,
    font: string,
  ): void {
    if (!overview || width === 0) {
      return;
    }
    const wanted = [overview, density, colours, cluster, width, theme, font, devicePixelRatio];
    if (wanted.every((value, i) => value === this.#drawn[i])) {
      return;
    }
    this.#drawn = wanted;
    const c = this.#context;
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(HEIGHT * ratio);
    c.fillStyle = theme.paper;
    c.fillRect(0, 0, this.#canvas.width, (ENVELOPE + 2 + SHARES) * ratio);
    const inner = width - 2 * INSET;
    const area: Area = {
      t0: overview.start,
      t1: overview.end,
      speed: inner / (overview.end - overview.start),
      x: INSET,
      y: ENVELOPE + 2,
      height: SHARES,
    };
    drawEnvelope(c, ratio, overview, inner, theme);
    if (density) {
      drawDensity(c, ratio, area, density, colours, cluster);
    }
    drawAxis(c, ratio, area, width, theme, font);
  }

  dispose(): void {
    this.#canvas.width = 0;
  }
}

function leadOf({ leads }: Overview): number {
  return Math.max(0, leads.indexOf("II"));
}

/** A column from least to greatest. The height is that of all but the most extreme columns: artefacts are cut off. */
function drawEnvelope(c: CanvasRenderingContext2D, ratio: number, overview: Overview, inner: number, theme: Theme) {
  const { columns, envelope } = overview;
  const from = 2 * columns * leadOf(overview);
  const bounds = envelope.subarray(from, from + 2 * columns);
  const known = bounds.filter((value) => !Number.isNaN(value)).sort();
  const low = known[Math.floor(0.01 * known.length)] ?? 0;
  const high = known[Math.min(known.length - 1, Math.floor(0.99 * known.length))] ?? 1;
  const middle = (low + high) / 2;
  const half = Math.max((high - low) / 2, 0.1) * 1.15;
  const y = (value: number) => {
    const share = Math.min(Math.max((value - middle) / half, -1), 1);
    return (ENVELOPE / 2) * (1 - share) * ratio;
  };
  c.fillStyle = theme.ink;
  for (let i = 0; i < columns; i++) {
    const [least, greatest] = [bounds[2 * i]!, bounds[2 * i + 1]!];
    const left = Math.round((INSET + (inner * i) / columns) * ratio);
    const right = Math.max(left + 1, Math.round((INSET + (inner * (i + 1)) / columns) * ratio));
    if (Number.isNaN(least)) {
      c.fillStyle = theme.uncertain;
      c.fillRect(left, 0, right - left, ENVELOPE * ratio);
      c.fillStyle = theme.ink;
    } else {
      const top = y(greatest);
      c.fillRect(left, top, right - left, Math.max(y(least) - top, ratio));
    }
  }
}

function drawAxis(c: CanvasRenderingContext2D, ratio: number, area: Area, width: number, theme: Theme, font: string) {
  const y = area.y + area.height;
  const step = axisStep(area.speed, 58);
  c.clearRect(0, y * ratio, width * ratio, AXIS * ratio);
  c.font = `${11 * ratio}px ${font}`;
  c.textBaseline = "alphabetic";
  c.fillStyle = theme.muted;
  for (let time = 0; time <= area.t1 - area.t0 + 1e-6; time += step) {
    const x = area.x + time * area.speed;
    c.fillRect(Math.round(x * ratio), y * ratio, Math.max(1, Math.round(ratio)), 3 * ratio);
    const text = clock(time, step < 60);
    const half = c.measureText(text).width / 2 / ratio;
    c.textAlign = "left";
    c.fillText(text, Math.min(Math.max(x - half, 0), width - 2 * half) * ratio, (y + 13) * ratio);
  }
}
