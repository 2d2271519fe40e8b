// `npm run page`: the widget in a browser without Python, rebuilt on each reload.
import { fileURLToPath } from "node:url";
import { context } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const page = await context({
  entryPoints: [`${here}page.ts`],
  outfile: `${here}page.js`,
  bundle: true,
  format: "esm",
  write: false,
  sourcemap: "inline",
});
const { port } = await page.serve({ servedir: here, host: "127.0.0.1", port: Number(process.argv[2] ?? 8642) });
process.stdout.write(`http://127.0.0.1:${port}/\n`);
