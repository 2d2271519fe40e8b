// What stands still under and over the traces: the paper's grid, and names, pulses and times.
import type { Scene } from "./canvas.ts";
import type { Flag } from "./flags.ts";
import { type Layout, PULSE_X } from "./layout.ts";
import { LARGE, SMALL, type Theme } from "./paper.ts";
import type { Pen } from "./pen.ts";
import { ruling } from "./ruler.ts";

/** Device pixels below which lines melt into a tint. */
const CLOSE = 2.5;

/** Draws names and times in fonts of this scene: sizes are mm of paper, yet never below `least` CSS px. */
export function fontOf(mm: number, scene: Scene, size: number, weight: number, least = 10): string {
  return `${weight} ${Math.max(size * mm, least * scene.devicePixelRatio).toFixed(1)}px ${scene.font}`;
}

/** What of the grid a scene shows; two scenes of one key share it. */
export function gridKey(mm: number, { layout, theme }: Scene): string {
  const moving = layout.slow ? layout.window[0] : "";
  return [mm, layout.widest, layout.gridHeight, layout.speed, theme.paper, moving].join();
}

/** Each line stands where its millimetre is, to the nearest pixel: no error adds up along the paper. */
export function drawGrid(c: Pen, mm: number, { layout, theme }: Scene): void {
  const { widest, gridHeight } = layout;
  const [width, height] = [Math.round(widest * mm), Math.round(gridHeight * mm)];
  const thin = Math.max(1, Math.round(0.1 * mm));
  const upright = (x: number) => c.fillRect(Math.round(x * mm - (thin - 1) / 2), 0, thin, height);
  const level = (y: number) => c.fillRect(0, Math.round(y * mm - (thin - 1) / 2), width, thin);
  if (!layout.slow && SMALL * mm >= CLOSE) {
    c.fillStyle = theme.small;
    for (let at = SMALL; at < Math.max(widest, gridHeight); at += SMALL) {
      if (at % LARGE !== 0) {
        if (at < widest) upright(at);
        if (at < gridHeight) level(at);
      }
    }
  }
  if (layout.slow) {
    drawTimes(c, mm, layout, theme, upright);
  }
  c.fillStyle = theme.large;
  for (let at = 0; at < widest && !layout.slow; at += LARGE) {
    upright(at);
  }
  for (let at = 0; at <= gridHeight; at += LARGE) {
    level(at);
  }
}

/** Slower than real paper the squares would be times that nobody counts in: lines stand at round times instead. */
function drawTimes(c: Pen, mm: number, layout: Layout, theme: Theme, upright: (x: number) => void): void {
  const { small, large } = ruling(layout.speed);
  const { t0, t1, x } = layout.clusterStrip;
  const { origin } = layout;
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
        upright(x + (i * step + origin - t0) * layout.speed);
      }
    }
  }
}

/** Over the traces. `covered` is the stretch of time that there is a signal for. */
export function drawText(c: Pen, mm: number, scene: Scene, covered: readonly [number, number]): void {
  const { layout, theme } = scene;
  c.strokeStyle = theme.ink;
  c.lineWidth = Math.max(1, 0.25 * mm);
  c.lineJoin = "miter";
  c.beginPath();
  // 1 mV (one unit of the signal) for 0.2 s with short feet; where 0.2 s is a hair's breadth, a bar that can be seen.
  const wide = Math.max(0.2 * layout.speed, 0.8);
  for (const baseline of layout.pulses) {
    const [left, right] = [PULSE_X + 1, PULSE_X + 1 + wide];
    c.moveTo(PULSE_X * mm, baseline * mm);
    c.lineTo(left * mm, baseline * mm);
    c.lineTo(left * mm, (baseline - layout.gain) * mm);
    c.lineTo(right * mm, (baseline - layout.gain) * mm);
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

/** Triangles: at the limit of the recorder, and where a line goes on beyond the paper. */
export function drawFlags(c: Pen, mm: number, { theme }: Scene, flags: readonly Flag[]): void {
  c.fillStyle = theme.alert;
  for (const { kind, x, y } of flags) {
    const [tip, foot] = kind === "above" ? [0.4, 2.4] : kind === "below" ? [-0.4, -2.4] : [-0.6, -2.6];
    c.beginPath();
    c.moveTo(x * mm, (y + tip) * mm);
    c.lineTo((x - 1.2) * mm, (y + foot) * mm);
    c.lineTo((x + 1.2) * mm, (y + foot) * mm);
    c.fill();
  }
}

/** Blank paper where nothing has been read yet says so: it is neither silence nor a gap. */
function drawReading(
  c: Pen,
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
