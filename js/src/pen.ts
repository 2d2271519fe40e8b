// What a scene is drawn with: the part of a canvas' context that an SVG can record as well.

type Drawn =
  | "fillStyle"
  | "strokeStyle"
  | "lineWidth"
  | "lineJoin"
  | "globalAlpha"
  | "font"
  | "textAlign"
  | "textBaseline"
  | "fillRect"
  | "strokeRect"
  | "beginPath"
  | "moveTo"
  | "lineTo"
  | "stroke"
  | "fill"
  | "fillText"
  | "strokeText"
  | "measureText"
  | "setLineDash"
  | "save"
  | "restore"
  | "translate"
  | "rotate";

export type Pen = Pick<CanvasRenderingContext2D, Drawn> & {
  /** What follows belongs to a part of this name; a canvas has no use for it. */
  part?(name: string): void;
};
