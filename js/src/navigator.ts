// Moves through a recording: keeps what is seen, and asks the kernel for what will be needed next.
import { lastStart, type Sight, sightOf, WINDOW } from "./layout.ts";
import { isEnough, movedTo, sightIn, wantedSpan, zoomedTo } from "./navigation.ts";
import type { Overview } from "./overview.ts";
import type { Recording } from "./recording.ts";
import type { State } from "./state.ts";

/** So many of the last requests are known again when the kernel answers them late. */
const REMEMBERED = 16;

export class Navigator {
  readonly #state: State;
  readonly #onMove: () => void;
  readonly #asked: [number, number][] = [];
  #record: string | null = null;
  #long = false;
  sight: Sight = { start: 0, seconds: WINDOW, whole: [0, WINDOW] };

  constructor(state: State, onMove: () => void) {
    this.#state = state;
    this.#onMove = onMove;
  }

  /** Whether only a part of the recording is there at a time. */
  get long(): boolean {
    return this.#long;
  }

  /** Takes over what is known of the recording; a new one is shown from its beginning. */
  update(recording: Recording, overview: Overview | null): void {
    const whole: [number, number] = overview ? [overview.start, overview.end] : [recording.start, recording.end];
    const known = this.#record === recording.record && this.#long === (overview !== null);
    this.#record = recording.record;
    this.#long = overview !== null;
    if (!known) {
      this.#asked.length = 0;
      this.sight = overview
        ? movedTo({ start: whole[0], seconds: Math.min(WINDOW, whole[1] - whole[0]), whole }, whole[0])
        : sightOf(recording);
      if (overview) {
        this.spanChanged();
      }
    } else if (whole[0] !== this.sight.whole[0] || whole[1] !== this.sight.whole[1]) {
      this.sight = movedTo({ ...this.sight, whole }, this.sight.start);
    }
    this.#ask(false);
  }

  moveTo(start: number): void {
    this.#set(movedTo(this.sight, start));
  }

  zoomTo(seconds: number, at?: number): void {
    this.#set(zoomedTo(this.sight, seconds, at));
  }

  /** Seconds between the earliest and the latest place; 0 where all is seen. */
  reach(recording: Recording): number {
    return this.#long ? this.sight.whole[1] - this.sight.whole[0] - this.sight.seconds : lastStart(recording);
  }

  /** Someone has asked for a span: Python, another view, or the kernel that answers what this view has asked. */
  spanChanged(): void {
    const [from, to] = this.#state.get("span") ?? [];
    if (!this.#long || from === undefined || to === undefined) {
      return;
    }
    // A view that asked back for its own place would be asked back by the other one, for ever: it goes along.
    const own = this.#asked.some(([a, b]) => from <= a + 1e-6 && to >= b - 1e-6);
    if (!own && !isEnough([from, to], this.sight)) {
      this.#asked.length = 0;
      this.sight = sightIn([from, to], this.sight);
      this.#onMove();
    }
  }

  #set(sight: Sight): void {
    if (sight.start !== this.sight.start || sight.seconds !== this.sight.seconds) {
      this.sight = sight;
      this.#ask(true);
      this.#onMove();
    }
  }

  #ask(moved: boolean): void {
    if (!this.#long || isEnough(this.#state.get("span"), this.sight)) {
      return;
    }
    const span = wantedSpan(this.sight);
    const last = this.#asked.at(-1);
    if (!moved && last && last[0] === span[0] && last[1] === span[1]) {
      return; // asked for; what the kernel makes of it is its to say
    }
    this.#asked.push(span);
    this.#asked.splice(0, this.#asked.length - REMEMBERED);
    this.#state.set("span", span);
  }
}
