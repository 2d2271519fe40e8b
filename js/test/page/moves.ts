// What a user does, step by step, and the milliseconds of script that each step takes: its handlers and its frame.
import type { MockModel } from "../model.ts";
import { type Options, result, waveform } from "../synthetic.ts";

const ahead = window.requestAnimationFrame.bind(window);
let spent = 0;
window.requestAnimationFrame = (callback) =>
  ahead((time) => {
    const start = performance.now();
    callback(time);
    spent += performance.now() - start;
  });

const nextFrame = () => new Promise<void>((done) => ahead(() => done()));

/** Two frames: sizes and sights are observed after the first one and may ask for another. */
async function settled(): Promise<void> {
  await nextFrame();
  await nextFrame();
}

/** ms of script of each step: what it calls at once and the frames that follow. */
async function measure(steps: number, step: (i: number) => void): Promise<number[]> {
  const out: number[] = [];
  await settled();
  for (let i = 0; i < steps; i++) {
    spent = 0;
    const start = performance.now();
    step(i);
    const handlers = performance.now() - start;
    await settled();
    out.push(handlers + spent);
  }
  return out;
}

export function moves(mock: MockModel, options: Options) {
  const root = () => document.querySelector(".ecg-widget")!.shadowRoot!;
  const control = (name: string) => root().querySelector<HTMLInputElement>(`[data-ecg="${name}"]`)!;
  const set = (name: string, value: number | string) => {
    const input = control(name);
    input.value = String(value);
    input.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
  };
  /** There and back again, one step at a time. */
  const sweep = (i: number, n: number) => (Math.floor(i / n) % 2 ? n - 1 - (i % n) : i % n) / (n - 1);
  const records = ["00001", "00003"].map((record) => ({
    record,
    waveform: waveform({ ...options, record, offset: record === "00001" ? 0 : 0.01 }),
    result: result({ ...options, record, clusters: 20, layers: mock.get("layers") }),
  }));
  const ready = (record: string) =>
    Object.fromEntries(
      Array.from({ length: 19 }, (_, i) => i + 2).map((clusters) => [
        String(clusters),
        result({ ...options, record, clusters, layers: mock.get("layers") }),
      ]),
    );

  const hover = (n: number) =>
    measure(n, (i) => {
      const canvas = control("waveform") as unknown as HTMLCanvasElement;
      const box = canvas.getBoundingClientRect();
      const init = {
        clientX: box.left + box.width * (0.1 + 0.8 * sweep(i, 97)),
        clientY: box.top + box.height * 0.4,
        bubbles: true,
      };
      canvas.dispatchEvent(new PointerEvent("pointermove", init));
    });

  return {
    settled,
    /** Paints that happen while thresholds, clusters and records change and nobody can see the view; then one more. */
    unseen: async (n: number) => {
      const paints = () => Number(control("waveform").dataset.paints);
      document.body.style.paddingTop = "9000px";
      await settled();
      await settled();
      const before = paints();
      for (let i = 0; i < n; i++) {
        set("threshold", (0.05 + 0.9 * sweep(i, 61)).toFixed(2));
        set("clusters", 2 + (i % 19));
        mock.receive({ ready: null, ...records[i % 2]! });
        await nextFrame();
      }
      const unseen = paints() - before;
      document.body.style.paddingTop = "";
      for (let i = 0; i < 6; i++) {
        await settled();
      }
      return [unseen, paints() - before - unseen];
    },
    /** Bytes of the picture and the map that differ after repaints of parts from one repaint of all. */
    differing: async () => {
      const pixels = () =>
        ["waveform", "map"].map((name) => {
          const canvas = control(name) as unknown as HTMLCanvasElement;
          return canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height).data;
        });
      let different = 0;
      for (const [from, to] of [
        [0.5, 0.47],
        [0.3, 0.32],
        [0.47, 0.9],
      ] as const) {
        set("threshold", from);
        await hover(7);
        set("threshold", to);
        await hover(23);
        const parts = pixels();
        for (const light of ["false", "true"]) {
          document.body.dataset.jpThemeLight = light;
          await settled();
          await settled();
        }
        pixels().forEach((whole, i) => {
          different += whole.reduce((sum, value, at) => sum + (value === parts[i]![at] ? 0 : 1), 0);
        });
      }
      return different;
    },
    colour: async (value: string) => {
      set("colouring", value);
      await settled();
    },
    /** The kernel's answers come between the steps: a step is what the page does of its own. */
    pan: (n: number) =>
      measure(n, (i) => {
        const slider = control("position");
        slider.value = String(Number(slider.max) / 2 + 0.05 * i);
        slider.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      }),
    /** Everything that a kernel computes ahead. */
    prepare: async () => {
      mock.receive({ ready: ready(mock.get("record")) });
      set("clusters", 20);
      await settled();
    },
    threshold: (n: number) => measure(n, (i) => set("threshold", (0.05 + 0.9 * sweep(i, 61)).toFixed(2))),
    clusters: (n: number) => measure(n, (i) => set("clusters", Math.round(2 + 18 * sweep(i, 19)))),
    /** The kernel's answer to another record: it is there at once, so that the page alone is measured. */
    record: (n: number) => measure(n, (i) => mock.receive({ ready: null, ...records[(i + 1) % 2]! })),
    hover,
    resize: (n: number) =>
      measure(n, (i) => {
        document.body.style.width = `${1376 - 8 * (i % 12)}px`;
      }),
    window: (n: number) => measure(n, (i) => set("start", (sweep(i, 61) * Number(control("start").max)).toFixed(1))),
  };
}
