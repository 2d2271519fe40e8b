// The factory that anywidget and other hosts of its module format call. A host may share this module between
// widgets, so everything lives in closures and nothing at module level.
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import { State, type Traits } from "./state.ts";
import { hideStill } from "./still.ts";
import { View } from "./view.ts";

/** anywidget before 0.11 passes no signal. */
type Props<T> = Omit<T, "signal"> & { signal?: AbortSignal };

export default () => {
  let shared: State | null = null;

  return {
    initialize({ model, signal }: Props<InitializeProps<Traits>>) {
      const state = new State(model);
      shared = state;
      const showStill = hideStill(model.get("still"));
      return once(signal, () => {
        showStill();
        state.dispose();
        shared = shared === state ? null : shared;
      });
    },

    render({ model, el, signal }: Props<RenderProps<Traits>>) {
      const own = shared === null ? new State(model as AnyModel<Traits>) : null;
      const view = new View(own ?? shared!);
      el.append(view.element);
      return once(signal, () => {
        view.dispose();
        own?.dispose();
      });
    },
  };
};

/** Hosts end a view by the signal, by the returned function, or by both. */
function once(signal: AbortSignal | undefined, clean: () => void): () => void {
  let done = false;
  const run = () => {
    if (!done) {
      done = true;
      signal?.removeEventListener("abort", run);
      clean();
    }
  };
  signal?.addEventListener("abort", run);
  return run;
}
