// One ES module with the styles inside: what anywidget loads is this file and nothing else, online or off.
import { context } from "esbuild";

const build = await context({
  entryPoints: ["src/widget.ts"],
  outfile: "../ecg_widget/static/widget.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: !process.argv.includes("--watch"),
  legalComments: "none",
  // A surrogate pair or a dash must survive hosts that serve or inline the text without a charset.
  charset: "ascii",
  logLevel: "info",
});
if (process.argv.includes("--watch")) {
  await build.watch();
} else {
  await build.rebuild();
  await build.dispose();
}
