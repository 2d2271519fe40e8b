// What anywidget loads is one ES module with the styles inside and nothing else, online or off.
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { context } from "esbuild";

const watching = process.argv.includes("--watch");

/**
 * The script as a module that runs it once in a page. A host loads a module anew for every widget, and a browser never
 * lets go of one: twenty runs of a cell would leave twenty compiled copies.
 */
const once = {
  name: "once",
  setup: (build) =>
    build.onEnd(async ({ outputFiles }) => {
      for (const { path, text } of outputFiles ?? []) {
        const key = `ecg_widget ${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
        await mkdir(dirname(path), { recursive: true });
        await writeFile(
          path,
          `function make() {\n${text}return bundle.default;\n}\nexport default globalThis[Symbol.for("${key}")] ??= make();\n`,
        );
      }
    }),
};

const common = {
  bundle: true,
  format: "iife",
  target: "es2022",
  minify: !watching,
  legalComments: "none",
  // A surrogate pair or a dash must survive hosts that serve or inline the text without a charset.
  charset: "ascii",
  logLevel: "info",
};
const builds = await Promise.all([
  context({
    ...common,
    entryPoints: ["src/widget.ts"],
    outfile: "../ecg_widget/static/widget.js",
    globalName: "bundle",
    write: false,
    plugins: [once],
  }),
  // What an exported page carries: the same view and its data's reader, as a script.
  context({ ...common, entryPoints: ["src/page.ts"], outfile: "../ecg_widget/static/page.js" }),
]);
if (watching) {
  await Promise.all(builds.map((build) => build.watch()));
} else {
  await Promise.all(builds.map((build) => build.rebuild()));
  await Promise.all(builds.map((build) => build.dispose()));
}
