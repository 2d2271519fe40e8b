// What stands still under and over the traces: the paper's grid, and names, pulses and times.
import type { Scene } from "./canvas.ts";
import { PULSE_X } from "./layout.ts";
import { GAIN, LARGE, SMALL, SPEED } from "./paper.ts";
import { ruling } from "./ruler.ts";

/** Device pixels below which lines melt into a tint. */
const CLOSE = 2.5;

/** Draws names and times in fonts of this scene: sizes are mm of paper, yet never below `least` CSS px. */
export function fontOf(mm: number, scene: Scene, size: number, weight: number, least = 10): string {
  return `${weight} ${Math.max(size * mm, least * scene.devicePixelRatio).toFixed(1)}px ${scene.font}`;
}

/** What of the grid a scene shows; two scenes of one key share it. */
export function gridKey(mm: number, { layout, theme }: Scene): string {
  const moving = layout.speed === SPEED ? "" : layout.window[0];
  return [mm, layout.widest, layout.gridHeight, layout.speed, theme.paper, moving].join();
}

export function drawGrid(c: CanvasRenderingContext2D, mm: number, { layout, theme }: Scene): void {
  const width = Math.round(layout.widest * mm);
  const height = Math.round(layout.gridHeight * mm);
  const thin = Math.max(1, Math.round(0.1 * mm));
  if (layout.speed === SPEED) {
    // A large square is a whole number of pixels: all of them are one.
    const tile = document.createElement("canvas");
    const side = Math.round(LARGE * mm);
    tile.width = side;
    tile.height = side;
    const t = tile.getContext("2d")!;
    for (const [step, colour] of [
      [SMALL, theme.small],
      [LARGE, theme.large],
    ] as const) {
      t.fillStyle = colour;
      for (let at = step === SMALL ? SMALL : 0; at < LARGE && step * mm >= CLOSE; at += step) {
        t.fillRect(Math.round(at * mm), 0, thin, side);
        t.fillRect(0, Math.round(at * mm), side, thin);
      }
    }
    c.fillStyle = c.createPattern(tile, "repeat") ?? theme.small;
    c.fillRect(0, 0, width, height);
    return;
  }
  // Slower than 25 mm/s the squares would be times that nobody counts in: the lines stand at round times instead.
  const { small, large } = ruling(layout.speed);
  const { t0, t1, x } = layout.clusterStrip;
  const origin = layout.origin;
  for (const [step, colour] of [
    [small, theme.small],
    [large, theme.large],
  ] as const) {
    if (step === 0 || step * layout.speed * mm < CLOSE) {
      continue;
    }
    c.fillStyle = colour;
    for (let i = Math.ceil((t0 - origin) / step - 1e-6); i * step <= t1 - origin + 1e-6; i++) {
      if (step === large || Math.abs((i * step) / large - Math.round((i * step) / large)) > 1e-6) {
        c.fillRect(Math.round((x + (i * step + origin - t0) * layout.speed) * mm), 0, thin, height);
      }
    }
  }
  c.fillStyle = theme.large;
  for (let y = 0; y <= layout.gridHeight; y += LARGE) {
    c.fillRect(0, Math.round(y * mm), width, thin);
  }
}

/** Over the traces. `covered` is the stretch of time that there is a signal for. */
export function drawText(
  c: CanvasRenderingContext2D,
  mm: number,
  scene: Scene,
  covered: readonly [number, number],
): void {
  const { layout, theme } = scene;
  c.strokeStyle = theme.ink;
  c.lineWidth = Math.max(1, 0.25 * mm);
  c.lineJoin = "miter";
  c.beginPath();
  // 1 mV for 0.2 s with short feet; where 0.2 s is a hair's breadth, a bar that can be seen.
  const wide = Math.max(0.2 * layout.speed, 0.8);
  for (const baseline of layout.pulses) {
    const [left, right] = [PULSE_X + 1, PULSE_X + 1 + wide];
    c.moveTo(PULSE_X * mm, baseline * mm);
    c.lineTo(left * mm, baseline * mm);
    c.lineTo(left * mm, (baseline - GAIN) * mm);
    c.lineTo(right * mm, (baseline - GAIN) * mm);
    c.lineTo(right * mm, baseline * mm);
    c.lineTo((right + 1) * mm, baseline * mm);
  }
  for (const { x, y } of layout.separators) {
    c.moveTo(x * mm, (y - 2.5) * mm);
    c.lineTo(x * mm, (y + 2.5) * mm);
  }
  c.stroke();
  c.lineJoin = "round";
  c.textBaseline = "alphabetic";
  const fonts = { lead: fontOf(mm, scene, 3.4, 600), axis: fontOf(mm, scene, 2.6, 400) };
  for (const label of layout.labels) {
    const lead = label.role === "lead";
    c.font = label.upright ? fontOf(mm, scene, 2.6, 400, 8) : fonts[label.role];
    c.textAlign = label.align;
    const [x, y] = [label.x * mm, label.y * mm];
    c.fillStyle = lead ? theme.ink : theme.muted;
    if (lead) {
      c.strokeStyle = theme.paper;
      c.lineWidth = 3 * scene.devicePixelRatio;
      if (layout.slow) {
        // Many beats side by side are a solid ground, on which an outline is not enough.
        c.fillStyle = theme.paper;
        c.fillRect(x - 0.5 * mm, y - 3.4 * mm, c.measureText(label.text).width + mm, 4.4 * mm);
        c.fillStyle = theme.ink;
      }
      c.strokeText(label.text, x, y);
      c.fillText(label.text, x, y);
      continue;
    }
    c.save();
    c.translate(x, y);
    c.rotate(label.upright ? -Math.PI / 2 : 0);
    c.fillText(label.text, 0, 0);
    c.restore();
  }
  c.font = fonts.axis;
  c.fillStyle = theme.muted;
  c.textAlign = "center";
  const bottom = layout.entropyStrip.y + layout.entropyStrip.height;
  for (const { x, text } of layout.seconds) {
    c.fillText(text, x * mm, (bottom + 4) * mm);
    c.fillRect(Math.round(x * mm), bottom * mm, Math.max(1, Math.round(0.2 * mm)), mm);
  }
  drawReading(c, mm, scene, covered);
}

/** Blank paper where nothing has been read yet says so: it is neither silence nor a gap. */
function drawReading(
  c: CanvasRenderingContext2D,
  mm: number,
  { layout, theme, font, devicePixelRatio }: Scene,
  [start, end]: readonly [number, number],
): void {
  const { x, t0, t1 } = layout.clusterStrip;
  c.font = `500 ${13 * devicePixelRatio}px ${font}`;
  c.fillStyle = theme.muted;
  c.textBaseline = "middle";
  for (const [from, to] of [
    [t0, Math.min(t1, start)],
    [Math.max(t0, end), t1],
  ] as const) {
    if (to - from > 0.02 * (t1 - t0)) {
      const middle = (from + to) / 2;
      c.fillText("reading", (x + (middle - t0) * layout.speed) * mm, (layout.gridHeight / 2) * mm);
    }
  }
}
