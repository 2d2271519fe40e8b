// The widget beside a mock kernel: ?k=8&theme=dark&views=2&seconds=30&leads=II&gap=1&error=text&threshold=0.4
// A long recording: ?hours=24&rate=250&leads=I,II,V1&delay=300&read=0.4

import widget from "../../src/widget.ts";
import { answerSpans, LongRecording } from "../long.ts";
import { MockModel } from "../model.ts";
import { type Options, result, waveform } from "../synthetic.ts";
import { moves } from "./moves.ts"; // first: it counts frames

const query = new URLSearchParams(location.search);
const number = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise);
const options: Options = {
  seconds: number("seconds", 10),
  rate: number("rate", 500),
  stride: number("stride", 0.04),
  offset: number("offset", 0),
  waves: query.has("waves"),
  ...(query.has("leads") ? { leads: query.get("leads")!.split(",") } : {}),
  ...(query.has("gap") ? { gap: [6.1, 7.3] as [number, number] } : {}),
};
if (query.has("theme")) {
  document.body.dataset.jpThemeLight = String(query.get("theme") !== "dark");
}

const layers = [["blocks.1", "blocks.2", "blocks.3"], ["blocks.1"], ["blocks.2"], ["blocks.3"]];
const mock = new MockModel({
  layers: layers[0]!,
  n_clusters: number("k", 8),
  threshold: number("threshold", 0.5),
  record: "00001",
  error: query.get("error") ?? "",
  progress: query.get("progress") ?? "",
  choices: {
    layers: layers.map((value, i) => ({
      value,
      label: i === 0 ? "last three blocks" : value[0]!,
      stride_ms: 40,
      width_ms: [1240, 350, 680, 1240][i]!,
    })),
    n_clusters: [2, 20],
    records: ["00001", "00002 <b>bold</b>", "00003"],
    targets: ["NORM", "MI", "STTC", "CD", "HYP"],
  },
});

/** Answers like Python does: the newest request wins, a little later. */
function compute(): void {
  const record = mock.get("record");
  const layersNow = mock.get("layers");
  const known = mock.get("waveform")?.attrs.record === record;
  mock.receive({
    progress: "",
    ...(known ? {} : { waveform: waveform({ ...options, record }) }),
    result: result({ ...options, record, clusters: mock.get("n_clusters"), layers: layersNow }),
  });
}
let timer = 0;
for (const name of query.has("hours") ? [] : ["n_clusters", "layers", "record"]) {
  mock.on(`change:${name}`, () => {
    mock.receive({ progress: "clustering" });
    clearTimeout(timer);
    timer = setTimeout(compute, number("delay", 120)) as unknown as number;
  });
}

const start = performance.now();
const long = query.has("hours") ? new LongRecording({ ...options, hours: number("hours", 24), record: "00001" }) : null;
const spans = long && answerSpans(mock, long, number("delay", 120));
if (long && query.has("read")) {
  mock.receive({ overview: long.overview(number("read", 1)) });
}
if (!long && !query.has("pending")) {
  compute();
}
const definition = widget();
definition.initialize({ model: mock.model, experimental: undefined as never });
for (let i = 0; i < number("views", 1); i++) {
  const el = document.createElement("div");
  el.style.marginBottom = "16px";
  document.body.append(el);
  definition.render({ model: mock.model, el, host: undefined as never, experimental: undefined as never });
}
Object.assign(window, { mock, spans, moves: moves(mock, options), started: performance.now() - start });
