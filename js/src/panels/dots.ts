// Very many cells on the map: a square each, written into pixels. Which cell is on top of a pixel does not depend on
// the threshold, so that a new threshold repaints the squares of the cells that it moves across, and nothing else.
import { pixelOf } from "../ink.ts";
import type { Theme } from "../paper.ts";
import type { Segmentation } from "../segmentation.ts";
import { lookOf, MASKED, UNCERTAIN } from "../segments.ts";
import type { View } from "./panel.ts";

/** CSS px, sides of a square and of one that is selected */
const SIDE = 1.5;
const SELECTED_SIDE = 2.5;
/** Cells are kept by entropy in so many drawers: sorting 100,000 of them would take longer than a frame. */
const DRAWERS = 1024;
/** Parts of a CSS px that sums of positions count in: whole numbers add up alike in any order. */
const PARTS = 64;

/** Where the letter of a cluster stands: means of its certain cells are sums over their number. */
export interface Middle {
  x: number;
  y: number;
  n: number;
}

export class Dots {
  readonly canvas = document.createElement("canvas");
  width = 0;
  height = 0;
  /** Of the last paint: how many cells look otherwise than before it. */
  moved = 0;
  #points: Float64Array = new Float64Array(0);
  #segmentation: Segmentation | null = null;
  #selected: Uint8Array | null = null;
  #threshold = 0;
  #ratio = 1;
  /** Upper left pixel of each cell's square, -1 = none */
  #corner = new Int32Array(0);
  #looks = new Int16Array(0);
  /** The cell on top of each pixel, -1 = none */
  #top = new Int32Array(0);
  /** Cells by drawer, and where each drawer begins */
  #filed = new Int32Array(0);
  readonly #begin = new Int32Array(DRAWERS + 1);
  #middles: Middle[] = [];
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(0);
  #painted: readonly unknown[] = [];

  /** Other cells, or others selected. `points`: x, y of each cell in CSS px, NaN = not drawn; sizes in device pixels. */
  place(points: Float64Array, view: View, width: number, height: number, ratio: number): void {
    const { segmentation, selected, threshold } = view;
    const n = segmentation.centre.length;
    if (this.#looks.length !== n) {
      this.#corner = new Int32Array(n);
      this.#looks = new Int16Array(n);
      this.#filed = new Int32Array(n);
    }
    if (this.width !== width || this.height !== height) {
      [this.width, this.height] = [width, height];
      [this.canvas.width, this.canvas.height] = [width, height];
      this.#image = new ImageData(width, height);
      this.#pixels = new Uint32Array(this.#image.data.buffer);
      this.#top = new Int32Array(width * height);
    }
    this.#points = points;
    this.#segmentation = segmentation;
    this.#selected = selected;
    this.#ratio = ratio;
    this.#painted = [];
    this.#stack();
    this.#file();
    this.#look(threshold);
  }

  /** The squares in `colours`, faded where another cluster is pointed at or others are selected. */
  paint(view: View, theme: Theme): void {
    const { colours, cluster, threshold } = view;
    const of = [this.#segmentation, this.#selected, colours, cluster, theme];
    const same = of.every((value, i) => value === this.#painted[i]);
    const palette = this.#palette(view, theme);
    this.moved = 0;
    if (!same) {
      this.#look(threshold);
      this.#paintAll(palette);
    } else if (threshold !== this.#threshold) {
      this.#move(threshold, palette);
    } else {
      return;
    }
    this.#painted = of;
    this.canvas.getContext("2d")!.putImageData(this.#image, 0, 0);
  }

  /** By cluster */
  get middles(): readonly Middle[] {
    return this.#middles.map(({ x, y, n }) => ({ x: x / PARTS, y: y / PARTS, n }));
  }

  dispose(): void {
    this.canvas.width = 0;
    this.width = 0;
    this.#image = new ImageData(1, 1);
    this.#pixels = this.#top = new Int32Array(0) as never;
  }

  /** In their order of time, the selected ones above all others. */
  #stack(): void {
    const [top, corner, points, selected] = [this.#top, this.#corner, this.#points, this.#selected];
    const { width, height } = this;
    top.fill(-1);
    for (const pass of selected ? [0, 1] : [0]) {
      const side = this.#side(pass === 1);
      for (let i = 0; i < corner.length; i++) {
        if (selected && Boolean(selected[i]) !== (pass === 1)) {
          continue;
        }
        const x = Math.round(points[2 * i]! * this.#ratio - side / 2);
        const y = Math.round(points[2 * i + 1]! * this.#ratio - side / 2);
        // Not so for NaN either.
        if (!(x >= 0 && y >= 0 && x + side <= width && y + side <= height)) {
          corner[i] = -1;
          continue;
        }
        corner[i] = y * width + x;
        for (let row = corner[i]!, end = row + side * width; row < end; row += width) {
          for (let at = row; at < row + side; at++) {
            top[at] = i;
          }
        }
      }
    }
  }

  #side(selected: boolean): number {
    return Math.max(1, Math.round((selected ? SELECTED_SIDE : SIDE) * this.#ratio));
  }

  #file(): void {
    const { entropy } = this.#segmentation!;
    const begin = this.#begin.fill(0);
    const n = this.#filed.length;
    for (let i = 0; i < n; i++) {
      begin[drawer(entropy[i]!) + 1]! += 1;
    }
    for (let d = 0; d < DRAWERS; d++) {
      begin[d + 1]! += begin[d]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      // From the back, so that each drawer's begin is where it began once all are filed.
      const d = drawer(entropy[i]!);
      this.#filed[--begin[d + 1]!] = i;
    }
    // Each begin has moved to the drawer before it.
    begin.copyWithin(0, 1);
    begin[DRAWERS] = n;
  }

  /** What every cell looks like. */
  #look(threshold: number): void {
    const segmentation = this.#segmentation!;
    this.#threshold = threshold;
    this.#middles = Array.from(segmentation.slot, () => ({ x: 0, y: 0, n: 0 }));
    for (let i = 0; i < this.#looks.length; i++) {
      const look = lookOf(segmentation, i, threshold);
      this.#looks[i] = look;
      this.#count(look, i, 1);
    }
  }

  #count(look: number, i: number, by: 1 | -1): void {
    const middle = look < 0 ? undefined : this.#middles[look];
    if (middle) {
      middle.x += by * Math.round(this.#points[2 * i]! * PARTS);
      middle.y += by * Math.round(this.#points[2 * i + 1]! * PARTS);
      middle.n += by;
    }
  }

  /** Those between the old threshold and the new one. */
  #move(threshold: number, palette: Palette): void {
    const segmentation = this.#segmentation!;
    // Of a cell at the very threshold, float32 decides.
    const [a, b] = [drawer(Math.fround(threshold)), drawer(Math.fround(this.#threshold))];
    const end = this.#begin[Math.max(a, b) + 1]!;
    for (let at = this.#begin[Math.min(a, b)]!; at < end; at++) {
      const i = this.#filed[at]!;
      const look = lookOf(segmentation, i, threshold);
      const before = this.#looks[i]!;
      if (look !== before) {
        this.#count(before, i, -1);
        this.#count(look, i, 1);
        this.#looks[i] = look;
        this.#square(i, this.#colour(i, palette));
        this.moved += 1;
      }
    }
    this.#threshold = threshold;
  }

  #square(i: number, colour: number): void {
    const [top, pixels, { width }] = [this.#top, this.#pixels, this];
    const side = this.#side(Boolean(this.#selected?.[i]));
    const first = this.#corner[i]!;
    for (let row = first; first >= 0 && row < first + side * width; row += width) {
      for (let at = row; at < row + side; at++) {
        if (top[at] === i) {
          pixels[at] = colour;
        }
      }
    }
  }

  #paintAll(palette: Palette): void {
    const [top, pixels] = [this.#top, this.#pixels];
    for (let at = 0; at < top.length; at++) {
      const i = top[at]!;
      pixels[at] = i < 0 ? 0 : this.#colour(i, palette);
    }
  }

  #colour(i: number, { colours, uncertain, faint, cluster }: Palette): number {
    const look = this.#looks[i]!;
    if (look === MASKED) {
      return 0;
    }
    const pale = this.#selected ? !this.#selected[i] : cluster >= 0 && cluster !== this.#segmentation!.cluster[i];
    return pale ? faint : look === UNCERTAIN ? uncertain : (colours[look] ?? uncertain);
  }

  #palette({ colours, cluster }: View, theme: Theme): Palette {
    return {
      colours: colours.map(opaque),
      uncertain: opaque(theme.muted),
      faint: opaque(theme.faint),
      cluster,
    };
  }
}

/** Pixel values */
interface Palette {
  readonly colours: readonly number[];
  readonly uncertain: number;
  readonly faint: number;
  readonly cluster: number;
}

function opaque(colour: string): number {
  return (pixelOf(colour) | 0xff000000) >>> 0;
}

/** 0 for NaN too: no threshold moves it. */
function drawer(entropy: number): number {
  const d = Math.floor(entropy * DRAWERS);
  return d >= DRAWERS ? DRAWERS - 1 : d > 0 ? d : 0;
}
