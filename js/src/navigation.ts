// Where one is in a long recording, and what the kernel is asked for. Pure.
import { CELLS, type Sight, WINDOW } from "./layout.ts";
import { timeText } from "./ruler.ts";

/** s, lengths of what is seen at once; the first is 25 mm/s */
const ZOOMS = [WINDOW, 30, CELLS, 300, 1800, 7200] as const;
/** s; spans start and end at multiples of this, so that two that ask for nearly the same ask for the same */
const GRID = 10;
/** s, the longest span whose cells the kernel computes */
const SEGMENTS = 120;
/** A span of more screens than this is too coarse for one of them. */
const COARSE = 8;

/** Lengths to choose from, the whole recording last. */
export function zoomsOf([start, end]: readonly [number, number]): number[] {
  return [...ZOOMS.filter((seconds) => seconds < end - start), end - start];
}

export function zoomText(seconds: number, whole: readonly [number, number]): string {
  return seconds >= whole[1] - whole[0] ? "all" : timeText(seconds);
}

/** The same sight elsewhere, inside the recording. */
export function movedTo(sight: Sight, start: number): Sight {
  const [first, end] = sight.whole;
  const last = Math.max(first, end - sight.seconds);
  return { ...sight, start: Math.min(Math.max(start, first), last) };
}

/** More or less of the recording, so that the moment `at` stays where it is on the screen. */
export function zoomedTo(sight: Sight, seconds: number, at = sight.start + sight.seconds / 2): Sight {
  const share = Math.min(Math.max((at - sight.start) / sight.seconds, 0), 1);
  return movedTo({ ...sight, seconds }, at - share * seconds);
}

/** The next longer (1) or shorter (-1) length. */
export function zoomStep(sight: Sight, direction: 1 | -1): number {
  const zooms = zoomsOf(sight.whole);
  const longer = zooms.find((seconds) => seconds > sight.seconds);
  const shorter = zooms.filter((seconds) => seconds < sight.seconds).at(-1);
  return (direction > 0 ? longer : shorter) ?? sight.seconds;
}

/** Where a key leads, s, or null where it leads nowhere. `later` is the page key that goes on in time. */
export function keyTarget(key: string, sight: Sight, later: "PageUp" | "PageDown"): number | null {
  const { start, seconds, whole } = sight;
  const pages = later === "PageDown" ? { PageDown: 1, PageUp: -1 } : { PageDown: -1, PageUp: 1 };
  const screens: Record<string, number> = {
    ArrowLeft: -0.1,
    ArrowDown: -0.1,
    ArrowRight: 0.1,
    ArrowUp: 0.1,
    ...pages,
  };
  if (key === "Home" || key === "End") {
    return movedTo(sight, key === "Home" ? whole[0] : whole[1]).start;
  }
  const by = screens[key];
  return by === undefined ? null : movedTo(sight, start + by * seconds).start;
}

/** s to either side of what is seen: a screen, less where more would cost the cells of all of it. */
function margin(seconds: number): number {
  return seconds > CELLS ? seconds : Math.min(seconds, (SEGMENTS - seconds) / 2 - GRID);
}

/** What to ask the kernel for: about three screens, rounded outwards, inside the recording. */
export function wantedSpan({ start, seconds, whole: [first, end] }: Sight): [number, number] {
  const side = margin(seconds);
  const from = first + Math.floor((start - side - first) / GRID + 1e-9) * GRID;
  const to = first + Math.ceil((start + seconds + side - first) / GRID - 1e-9) * GRID;
  return [Math.max(first, from), Math.min(end, to)];
}

/** Whether what has been asked for serves what is seen, with half a screen to spare on either side. */
export function isEnough(span: readonly number[] | undefined, sight: Sight): boolean {
  const [from, to] = span ?? [];
  if (from === undefined || to === undefined) {
    return false;
  }
  const { start, seconds, whole } = sight;
  const spare = margin(seconds) / 2;
  const covers = from <= Math.max(whole[0], start - spare) + 1e-6;
  const reaches = to >= Math.min(whole[1], start + seconds + spare) - 1e-6;
  // The kernel widens what is asked for to whole windows.
  const fine = to - from <= (seconds <= CELLS ? SEGMENTS + 3 * GRID : COARSE * seconds);
  return covers && reaches && fine;
}

/** What to show of a span that someone else has asked for: its middle, at the largest fitting length. */
export function sightIn(span: readonly [number, number], sight: Sight): Sight {
  const length = span[1] - span[0];
  const zooms = zoomsOf(sight.whole);
  const whole = sight.whole[1] - sight.whole[0];
  const seconds = length >= whole ? whole : (zooms.filter((zoom) => zoom <= length / 2).at(-1) ?? zooms[0]!);
  return movedTo({ ...sight, seconds }, (span[0] + span[1] - seconds) / 2);
}
