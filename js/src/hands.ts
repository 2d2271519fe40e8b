// Pointer, wheel and keys on the paper: they read a cell, draw the paper along, and zoom.
import { keyTarget, zoomStep } from "./navigation.ts";
import type { Navigator } from "./navigator.ts";

/** CSS px that a pressed pointer moves before it draws the paper along */
const SLACK = 3;
/** CSS px of wheel for one step of zoom, and how much farther apart or nearer two fingers move for one */
const NOTCH = 50;
const SPREAD = 1.5;

export interface Paper {
  /** Time under a point of the canvas in CSS px, s, and CSS px for one second. */
  timeAt(x: number): number;
  perSecond(): number;
  hover(x: number, y: number): void;
  leave(): void;
  /** One cell on or back; false where there are no cells to step through. */
  stepCell(by: 1 | -1): boolean;
  /** Calipers come first: each says whether the event was for them. */
  readonly measuring: {
    press(x: number, y: number): boolean;
    moveTo(x: number): boolean;
    release(): void;
    cancel(): void;
    key(event: KeyboardEvent): boolean;
  };
}

export function listenTo(canvas: HTMLCanvasElement, navigator: Navigator, paper: Paper): void {
  let grip: { x: number; start: number; moving: boolean } | null = null;
  let turned = 0;
  /** x of what presses the canvas, by pointer; how far two of them were apart at the last step of zoom */
  const fingers = new Map<number, number>();
  let apart = 0;
  const distance = () => Math.max(...fingers.values()) - Math.min(...fingers.values());

  const pinch = () => {
    const now = distance();
    const out = apart >= now * SPREAD;
    if (out || now >= Math.max(apart, SLACK) * SPREAD) {
      apart = now;
      const middle = (Math.max(...fingers.values()) + Math.min(...fingers.values())) / 2;
      navigator.zoomTo(zoomStep(navigator.sight, out ? 1 : -1), paper.timeAt(middle));
    }
  };

  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event.offsetX);
    if (fingers.size === 2 && navigator.long) {
      paper.measuring.cancel();
      grip = null;
      apart = distance();
      return;
    }
    if (event.button === 0 && paper.measuring.press(event.offsetX, event.offsetY)) {
      canvas.setPointerCapture(event.pointerId);
      return;
    }
    if (event.button === 0 && navigator.long) {
      grip = { x: event.offsetX, start: navigator.sight.start, moving: false };
      canvas.setPointerCapture(event.pointerId);
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    if (fingers.has(event.pointerId)) {
      fingers.set(event.pointerId, event.offsetX);
    }
    if (fingers.size > 1 && navigator.long) {
      pinch();
    } else if (grip && (grip.moving || Math.abs(event.offsetX - grip.x) > SLACK)) {
      grip.moving = true;
      canvas.classList.add("moving");
      paper.leave();
      navigator.moveTo(grip.start - (event.offsetX - grip.x) / paper.perSecond());
    } else if (!paper.measuring.moveTo(event.offsetX)) {
      paper.hover(event.offsetX, event.offsetY);
    }
  });
  const release = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    paper.measuring.release();
    grip = null;
    canvas.classList.remove("moving");
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => paper.leave());
  canvas.addEventListener("blur", () => paper.leave());

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!navigator.long) {
        return;
      }
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      if (event.ctrlKey) {
        event.preventDefault();
        turned += lines * event.deltaY;
        if (Math.abs(turned) >= NOTCH) {
          navigator.zoomTo(zoomStep(navigator.sight, turned > 0 ? 1 : -1), paper.timeAt(event.offsetX));
          turned = 0;
        }
        return;
      }
      // Up and down scrolls the notebook, unless the wheel is turned with Shift.
      const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
        event.preventDefault();
        navigator.moveTo(navigator.sight.start + (lines * across) / paper.perSecond());
      }
    },
    { passive: false },
  );

  canvas.addEventListener("keydown", (event) => {
    if (paper.measuring.key(event)) {
      event.preventDefault();
      return;
    }
    if (event.key === "Escape") {
      paper.leave();
      return;
    }
    const by = ({ ArrowLeft: -1, ArrowRight: 1 } as const)[event.key];
    if (by !== undefined && !event.shiftKey && paper.stepCell(by)) {
      event.preventDefault();
      return;
    }
    const target = navigator.long ? keyTarget(event.key, navigator.sight, "PageDown") : null;
    // Up and down scroll the notebook.
    if (target !== null && event.key !== "ArrowUp" && event.key !== "ArrowDown") {
      event.preventDefault();
      navigator.moveTo(target);
    }
  });
}
