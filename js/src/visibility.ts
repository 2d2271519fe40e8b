// Whether anybody can see an element: on the screen, in a tab that is shown. And when its theme changes.
import { watchTheme } from "./theme.ts";

export class Visibility {
  /** Not before the browser has said so: a view that is made off the screen does nothing at all. */
  #onScreen = false;
  readonly #stop: (() => void)[] = [];

  constructor(target: Element, onSeen: () => void, onTheme: () => void) {
    const observer = new IntersectionObserver((entries) => {
      this.#onScreen = entries[entries.length - 1]!.isIntersecting;
      if (this.seen) {
        onSeen();
      }
    });
    observer.observe(target);
    const shown = () => {
      if (this.seen) {
        onSeen();
      }
    };
    document.addEventListener("visibilitychange", shown);
    this.#stop.push(
      () => observer.disconnect(),
      () => document.removeEventListener("visibilitychange", shown),
      watchTheme(onTheme),
    );
  }

  get seen(): boolean {
    return this.#onScreen && !document.hidden;
  }

  dispose(): void {
    this.#onScreen = false;
    for (const stop of this.#stop) {
      stop();
    }
  }
}
