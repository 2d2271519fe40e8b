// Rules that no type checks: what a host that shares modules, a hospital without network and a hostile file ask for.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const SOURCE = new URL("../src/", import.meta.url);
const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

describe.each(files)("%s", (name) => {
  const text = readFileSync(new URL(name, SOURCE), "utf8");

  it("writes text nodes only", () =>
    expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/));
  it("loads nothing", () =>
    // The namespace of SVG is a name, which nothing loads.
    expect(text.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|fetch\(|import\(|XMLHttpRequest/));
  it("keeps no state at module level", () => expect(text).not.toMatch(/^(export )?(let|var) /m));
  it("is a readable length", () => expect(text.split("\n").length).toBeLessThan(name === "widget.ts" ? 101 : 352));
});
