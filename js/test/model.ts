// A widget model as a host gives it: get, set, save, events. Counts what would travel to the kernel.
import type { AnyModel } from "@anywidget/types";
import type { Traits } from "../src/state.ts";

type Callback = () => void;

export class MockModel {
  readonly saves: Partial<Traits>[] = [];
  readonly #values: Traits;
  readonly #callbacks = new Map<string, Set<Callback>>();
  #unsaved: Partial<Traits> = {};

  constructor(values: Partial<Traits> = {}) {
    this.#values = {
      layers: ["blocks.2"],
      n_clusters: 8,
      threshold: 0.5,
      record: "1",
      target: "NORM",
      span: [],
      calipers: [],
      display: {},
      selection: {},
      cluster_names: {},
      waveform: null,
      result: null,
      overview: null,
      ready: null,
      choices: null,
      error: "",
      progress: "",
      ...values,
    };
  }

  get = <K extends keyof Traits>(name: K): Traits[K] => this.#values[name];

  set = <K extends keyof Traits>(name: K, value: Traits[K]): void => {
    this.#unsaved = { ...this.#unsaved, [name]: value };
    this.receive({ [name]: value });
  };

  save_changes = (): void => {
    this.saves.push(this.#unsaved);
    this.#unsaved = {};
  };

  on = (event: string, callback: Callback): void => {
    this.#callbacks.set(event, (this.#callbacks.get(event) ?? new Set()).add(callback));
  };

  off = (event: string, callback: Callback): void => {
    this.#callbacks.get(event)?.delete(callback);
  };

  /** What the kernel sends: one update of several traits, then one event for each of them. */
  receive(values: Partial<Traits>): void {
    Object.assign(this.#values, values);
    for (const name of Object.keys(values)) {
      for (const callback of this.#callbacks.get(`change:${name}`) ?? []) {
        callback();
      }
    }
  }

  get listeners(): number {
    return [...this.#callbacks.values()].reduce((sum, set) => sum + set.size, 0);
  }

  /** The same object under the type that the page expects. */
  get model(): AnyModel<Traits> {
    return this as unknown as AnyModel<Traits>;
  }
}
