// Patterns that say "uncertain" and "no data" without colour.

/** A pattern of diagonal lines or of crosses whose tile is a few mm of paper. */
export function hatch(
  target: CanvasRenderingContext2D,
  colour: string,
  mm: number,
  kind: "lines" | "crosses",
): CanvasPattern | string {
  const size = Math.max(6, Math.round((kind === "lines" ? 2.2 : 3) * mm));
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const c = tile.getContext("2d");
  if (!c) {
    return colour;
  }
  c.strokeStyle = colour;
  c.lineWidth = Math.max(1, 0.2 * mm);
  c.beginPath();
  // Drawn beyond the tile's edges, so that neighbouring tiles join without a notch.
  for (const shift of [-size, 0, size]) {
    c.moveTo(shift - 1, size + 1);
    c.lineTo(shift + size + 1, -1);
    if (kind === "crosses") {
      c.moveTo(shift - 1, -1);
      c.lineTo(shift + size + 1, size + 1);
    }
  }
  c.stroke();
  return target.createPattern(tile, "repeat") ?? colour;
}
