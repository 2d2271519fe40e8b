import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Embedded, EmbeddedModel, EmbeddedState, numbersText, readContainer, unpack } from "../src/host.ts";
import { result, waveform } from "./synthetic.ts";

const layers = [["blocks.1"], ["blocks.2", "blocks.3"]];
const seconds = { seconds: 2 };

beforeEach(() => {
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("requestAnimationFrame", () => 1); // no frame ever comes: what is there is there at once
  vi.stubGlobal("cancelAnimationFrame", () => {});
});
afterEach(() => {
  vi.unstubAllGlobals();
});

function embedded(): Embedded {
  const results = (record: string) =>
    layers.map((names) =>
      Object.fromEntries([2, 3, 5].map((k) => [k, result({ ...seconds, record, clusters: k, layers: names })])),
    );
  return {
    format: 1,
    traits: { layers: layers[0]!, n_clusters: 3, threshold: 0.5, record: "a", target: "NORM" },
    choices: {
      layers: layers.map((value) => ({ value, label: value.join("+"), stride_ms: 40, width_ms: 300 })),
      n_clusters: [2, 5],
      records: ["a", "constructor"],
      targets: ["NORM"],
    },
    waveforms: {
      a: waveform({ ...seconds, record: "a" }),
      constructor: waveform({ ...seconds, record: "constructor" }),
    } as unknown as Embedded["waveforms"],
    results: { a: results("a"), constructor: results("constructor") } as unknown as Embedded["results"],
    missing: {},
  };
}

describe("an exported page", () => {
  it("answers every move before set returns", () => {
    const state = new EmbeddedState(new EmbeddedModel(embedded()).model);
    const shown = () => {
      const { recording, segmentation } = state.picture!;
      return [recording.record, segmentation?.nClusters, segmentation?.layers.join("+")];
    };
    expect(shown()).toEqual(["a", 3, "blocks.1"]);
    state.set("n_clusters", 5);
    expect(shown()).toEqual(["a", 5, "blocks.1"]);
    state.set("layers", ["blocks.2", "blocks.3"]);
    expect(shown()).toEqual(["a", 5, "blocks.2+blocks.3"]);
    state.set("record", "constructor");
    expect(shown()).toEqual(["constructor", 5, "blocks.2+blocks.3"]);
    expect(state.get("error")).toBe("");
    expect(state.stale).toBe(false);
    expect(state.readyClusters).toEqual([2, 3, 5]);
  });

  it("says what it does not hold, and no longer once it is left", () => {
    const state = new EmbeddedState(new EmbeddedModel(embedded()).model);
    state.set("n_clusters", 4);
    expect(state.error).toBe(
      "4 clusters of blocks.1 are not in this page: it holds 2 to 3, 5. Export it again with them.",
    );
    state.set("n_clusters", 5);
    expect(state.error).toBe("");
    state.set("record", "toString");
    expect(state.error).toMatch(/not in this page/);
  });

  it("tells listeners of what changed alone", () => {
    const model = new EmbeddedModel(embedded());
    const heard: string[] = [];
    for (const name of ["record", "waveform", "result", "ready", "error", "threshold"]) {
      model.on(`change:${name}`, () => heard.push(name));
    }
    model.set("threshold", 0.2);
    expect(heard.splice(0)).toEqual(["threshold"]);
    model.set("n_clusters", 2);
    expect(heard.splice(0)).toEqual(["result"]);
    const listener = vi.fn();
    model.on("change:record", listener);
    model.off("change:record", listener);
    model.set("record", "constructor");
    expect(heard.sort()).toEqual(["ready", "record", "result", "waveform"]);
    expect(listener).not.toHaveBeenCalled();
  });
});

/** As ecg_widget/container.py writes it. */
function container(header: object, buffers: Uint8Array): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((4 + text.length) / 8) * 8;
  const out = new Uint8Array(start + buffers.length);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  out.set(buffers, start);
  return out.buffer;
}

describe("the data of a page", () => {
  const variable = { dims: ["cell"], shape: [3], dtype: "int8", attrs: {}, data: { at: 8, bytes: 3 } };
  const named = { dims: ["lead"], shape: [1], dtype: "str", attrs: {}, data: ["II"] };
  const one = { attrs: {}, coords: { lead: named }, data_vars: { cluster: variable } };
  const header = { format: 1, waveforms: {}, results: { é: [{ "2": one }] }, choices: {}, traits: {}, missing: {} };
  const buffers = Uint8Array.from([9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 255, 0]);

  it("is put together again", () => {
    const found = readContainer(container(header, buffers)).results.é![0]!["2"]!;
    expect([...(found.data_vars.cluster!.data as Uint8Array)]).toEqual([1, 2, 255]);
    expect(found.coords.lead!.data).toEqual(["II"]);
  });

  it("of another format is refused, cut short too", () => {
    expect(() => readContainer(container({ ...header, format: 2 }, buffers))).toThrow(/expected format 1, got 2/);
    expect(() => readContainer(container(header, buffers.slice(0, 9)))).toThrow(RangeError);
  });

  it("comes out of base64 of compressed bytes", async () => {
    const stream = new Blob([container(header, buffers)]).stream().pipeThrough(new CompressionStream("deflate"));
    const packed = new Uint8Array(await new Response(stream).arrayBuffer());
    const found = await unpack(`\n${btoa(String.fromCharCode(...packed))}\n`);
    expect(Object.keys(found.results)).toEqual(["é"]);
    await expect(unpack(btoa("not compressed"))).rejects.toThrow();
  });
});

it("numbers are written as ranges", () => {
  expect(numbersText([12, 3, 2, 4])).toBe("2 to 4, 12");
  expect(numbersText([])).toBe("none");
});
