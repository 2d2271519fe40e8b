// Styles of the shadow root. Colours follow JupyterLab where it defines them.

export const STYLE = /* css */ `
:host { display: block; contain: content; }
.ecg {
  --text: var(--jp-ui-font-color1, #1f2328);
  --muted: var(--jp-ui-font-color2, #5c6167);
  --surface: var(--jp-layout-color1, #ffffff);
  --line: var(--jp-border-color2, #d8dbdf);
  --field: var(--jp-input-border-color, #b4b9c0);
  --accent: var(--jp-brand-color1, #1565c0);
  --hover: var(--jp-layout-color2, #eef0f2);
  --bad: var(--jp-error-color1, #c62828);
  --warn: var(--jp-warn-color1, #b26a00);
  color-scheme: light;
  container-type: inline-size;
  contain-intrinsic-inline-size: 480px; /* a row of boxes asks for the content's width; containment would say 0 */
  box-sizing: border-box;
  padding: 8px 10px 10px;
  background: var(--surface);
  color: var(--text);
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif);
  font-variant-numeric: tabular-nums;
}
.ecg[data-theme="dark"] {
  --text: var(--jp-ui-font-color1, #e8eaed);
  --muted: var(--jp-ui-font-color2, #a4abb3);
  --surface: var(--jp-layout-color1, #15171a);
  --line: var(--jp-border-color2, #33373d);
  --field: var(--jp-input-border-color, #555b63);
  --accent: var(--jp-brand-color1, #64b5f6);
  --hover: var(--jp-layout-color2, #24282d);
  --bad: var(--jp-error-color1, #ef9a9a);
  --warn: var(--jp-warn-color1, #ffb74d);
  color-scheme: dark;
}
.ecg *, .ecg *::before { box-sizing: border-box; }
[hidden], .hidden:not(:focus) { display: none !important; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.controls { display: grid; gap: 8px 20px; padding-bottom: 8px; border-bottom: 1px solid var(--line); }
.sliders { display: grid; gap: 8px 20px; }
.choosers { display: grid; gap: 8px 12px; grid-template-columns: 1fr 1fr; }
.field { display: flex; flex-direction: column; gap: 3px; min-width: 0; }
.head { display: flex; justify-content: space-between; gap: 8px; min-width: 0; }
.name { color: var(--muted); font-size: 12px; white-space: nowrap; }
output { font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
input[type="range"] { width: 100%; height: 18px; margin: 0; accent-color: var(--accent); cursor: pointer; }
select {
  width: 100%; height: 24px; padding: 0 4px; font: inherit; font-size: 12px; color: inherit;
  background: var(--surface); border: 1px solid var(--field); border-radius: 2px; text-overflow: ellipsis;
}
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }

.bar { display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: center; min-height: 34px; padding: 6px 0; }
.ready { margin-left: auto; padding-right: 8px; color: var(--muted); font-size: 11px; }
.status { overflow-wrap: anywhere; }
.facts { font-weight: 600; }
.meaning { color: var(--muted); font-size: 11px; }
.readout { padding-top: 5px; min-height: 23px; font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hint { color: var(--muted); }
.picture { position: relative; min-width: 0; }
.progress {
  position: absolute; z-index: 1; top: 0; right: 0; display: inline-flex; gap: 7px; align-items: center; padding: 2px 9px;
  background: var(--surface); border: 1px solid var(--line); border-radius: 2px; font-size: 12px;
  animation: appear 0s 0.15s both; /* what takes less than this does not flicker */
}
.progress::before {
  content: ""; width: 10px; height: 10px; border-radius: 50%;
  border: 2px solid var(--line); border-top-color: var(--accent); animation: turn 0.9s linear infinite;
}
@keyframes appear { from { visibility: hidden; } to { visibility: visible; } }
@keyframes turn { to { transform: rotate(1turn); } }
@media (prefers-reduced-motion: reduce) { .progress::before { animation: none; } }
.error {
  margin: 8px 0 0; padding: 6px 10px; border: 1px solid var(--bad); border-left-width: 4px; border-radius: 2px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}

.body { display: grid; gap: 12px 20px; grid-template-columns: minmax(0, 1fr); }
figure { margin: 0; min-width: 0; }
figure canvas { display: block; border-radius: 2px; touch-action: pan-y pinch-zoom; cursor: crosshair; }
figure canvas.wide { touch-action: pan-x pan-y pinch-zoom; padding: 0; margin: 0; } /* no table that scrolls */
figure canvas.long { touch-action: pan-y; }
.scroll { overflow-x: auto; padding: 2px; margin: -2px; } /* room for the outline of focus */
figure .field { padding-top: 6px; }
.paper { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: flex-end; padding-bottom: 8px; }
.paper .field { flex: 0 1 auto; padding-top: 0; }
.paper select { width: auto; min-width: 64px; max-width: 190px; }
.saves { display: flex; gap: 4px; }
.paper button, .measuring button, .leads summary {
  min-width: 44px; height: 24px; padding: 0 8px; font: inherit; font-size: 12px; color: inherit; cursor: pointer;
  background: var(--surface); border: 1px solid var(--field); border-radius: 2px;
}
.paper button:hover, .measuring button:hover { background: var(--hover); }
.leads.field { position: relative; display: block; }
.leads summary { display: list-item; padding: 2px 8px; white-space: nowrap; }
.boxes {
  position: absolute; z-index: 2; top: 26px; left: 0; display: grid; grid-template-columns: repeat(4, auto); gap: 4px 12px;
  max-height: 220px; overflow: auto; padding: 8px 10px; background: var(--surface); border: 1px solid var(--field);
  border-radius: 2px; font-size: 12px;
}
.boxes label { display: flex; gap: 4px; align-items: center; white-space: nowrap; }
.boxes input { margin: 0; accent-color: var(--accent); }
.badges { display: flex; flex-wrap: wrap; gap: 4px 8px; padding-bottom: 6px; }
.badge { padding: 0 7px; border: 1px solid var(--warn); border-radius: 2px; font-size: 12px; overflow-wrap: anywhere; }
.measuring { padding-top: 4px; font-size: 12px; }
.measuring output { white-space: normal; color: var(--muted); }
.measuring ul { margin: 2px 0 0; padding: 0; list-style: none; }
.measuring li { display: flex; gap: 8px; align-items: center; justify-content: space-between; max-width: 720px; padding: 1px 4px; overflow-wrap: anywhere; }
.measuring li:hover { background: var(--hover); }
.measuring button { min-width: 24px; padding: 0; }
figure canvas.measuring { cursor: crosshair; touch-action: none; }
canvas.long { cursor: grab; }
canvas.long.measuring { cursor: crosshair; }
canvas.moving { cursor: grabbing; }
.overview { padding-top: 8px; }
.bar-of-all { position: relative; display: block; height: 67px; }
.bar-of-all canvas { display: block; width: 100%; border-radius: 2px; cursor: default; }
.bar-of-all input {
  position: absolute; inset: 0 0 auto 0; width: 100%; height: 52px; margin: 0; background: none;
  appearance: none; -webkit-appearance: none; cursor: pointer;
}
.bar-of-all input::-webkit-slider-runnable-track { height: 52px; background: none; }
.bar-of-all input::-moz-range-track { height: 52px; background: none; }
.bar-of-all input::-webkit-slider-thumb {
  -webkit-appearance: none; width: var(--handle, 10px); height: 52px; border: 2px solid var(--accent);
  border-radius: 2px; background: color-mix(in srgb, var(--accent) 14%, transparent); cursor: grab;
}
.bar-of-all input::-moz-range-thumb {
  box-sizing: border-box; width: var(--handle, 10px); height: 52px; border: 2px solid var(--accent);
  border-radius: 2px; background: color-mix(in srgb, var(--accent) 14%, transparent); cursor: grab;
}
.zooms { display: flex; flex-wrap: wrap; gap: 4px; padding-top: 4px; }
.zooms button {
  min-width: 44px; height: 24px; padding: 0 8px; font: inherit; font-size: 12px; color: inherit; cursor: pointer;
  background: var(--surface); border: 1px solid var(--field); border-radius: 2px;
}
.zooms button:hover { background: var(--hover); }
.zooms button[aria-pressed="true"] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); font-weight: 600; }
figcaption { padding-top: 1px; color: var(--muted); font-size: 11px; line-height: 1.45; }
.empty { padding: 48px 0; text-align: center; color: var(--muted); }
.panels { display: grid; gap: 12px 24px; grid-template-columns: minmax(0, 1fr); align-content: start; }
.panel { min-width: 0; }
.panel canvas { display: block; cursor: crosshair; }
h3 { margin: 0 0 4px; font-size: 12px; font-weight: 600; color: var(--text); overflow-wrap: anywhere; }

table { width: 100%; border-collapse: collapse; font-size: 12px; line-height: 18px; }
th { font-weight: 400; text-align: left; }
thead th { color: var(--muted); font-size: 11px; border-bottom: 1px solid var(--line); }
td, th { padding: 0 6px 0 0; }
.number { text-align: right; white-space: nowrap; width: 1%; padding-left: 6px; }
.legend table { max-width: 220px; }
thead .bars { text-align: center; padding-left: 12px; }
tbody tr:hover, tbody tr.on { background: var(--hover); }
tbody tr.absent { color: var(--muted); }
.absent .key { opacity: 0.45; }
.key {
  display: inline-block; width: 18px; border-radius: 2px; text-align: center; font-weight: 600; font-size: 11px; line-height: 15px;
}
tbody th[colspan] { color: var(--muted); }
.track { padding: 0 0 0 12px; }
.track div { position: relative; height: 11px; min-width: 60px; }
.track div::before { content: ""; position: absolute; left: 50%; top: -4px; bottom: -3px; border-left: 1px solid var(--field); }
.track i { position: absolute; top: 0; bottom: 0; }
.sums { display: flex; flex-wrap: wrap; gap: 0 12px; margin-top: 4px; padding-top: 4px; border-top: 1px solid var(--line); font-size: 12px; }
.note { margin: 3px 0 0; color: var(--muted); font-size: 11px; line-height: 1.4; overflow-wrap: anywhere; }

@container (min-width: 560px) {
  .sliders { grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); }
  .choosers { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .panels { grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
}
@container (min-width: 1160px) {
  .controls { grid-template-columns: minmax(0, 1.5fr) minmax(0, 1fr); }
  .body { grid-template-columns: minmax(0, 1fr) 300px; }
  .panels { grid-template-columns: minmax(0, 1fr); }
}

.scroll { position: relative; }
canvas.marks { position: absolute; top: 2px; left: 2px; pointer-events: none; }
canvas.pinned { margin-top: 2px; cursor: default; }
.compare, .chosen { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; padding-top: 4px; font-size: 12px; }
.tabs { display: flex; flex-wrap: wrap; gap: 0 2px; border-bottom: 1px solid var(--line); }
.tabs button {
  min-height: 28px; padding: 3px 7px; font: inherit; font-size: 12px; color: var(--muted); cursor: pointer;
  background: none; border: 0; border-bottom: 2px solid transparent;
}
.tabs button:hover { color: var(--text); background: var(--hover); }
.tabs button[aria-selected="true"] { color: var(--text); border-bottom-color: var(--accent); font-weight: 600; }
.opened { padding: 8px 3px 3px; margin: 0 -3px; overflow-x: auto; min-height: 80px; }
.naming .number { text-align: left; width: auto; padding-left: 0; }
.contribution tbody th { padding-left: 3px; }
.contribution .given { max-width: 4.5em; }
.contribution { overflow-x: auto; }
.map canvas { touch-action: none; cursor: crosshair; }
.compare button, .chosen button {
  min-height: 24px; padding: 0 8px; font: inherit; font-size: 12px; color: inherit; cursor: pointer;
  background: var(--surface); border: 1px solid var(--field); border-radius: 2px;
}
.compare button[aria-pressed="true"] { border-color: var(--accent); }
.choose { font: inherit; font-size: 12px; color: inherit; background: none; border: 1px solid transparent; border-radius: 2px; cursor: pointer; padding: 0 4px; min-height: 20px; }
.choose.key { width: 24px; min-height: 20px; padding: 0; font-size: 11px; font-weight: 600; border: 1px solid var(--line); }
.choose[aria-pressed="true"] { outline: 2px solid var(--accent); outline-offset: 1px; }
.choose:disabled { cursor: default; }
.given { display: inline-block; max-width: 9em; margin-left: 5px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; vertical-align: bottom; }
.wide { overflow-x: auto; padding: 3px; margin: -3px; }
.wide.tall { max-height: 320px; overflow-y: auto; }
.wide.tall thead th { position: sticky; top: 0; background: var(--surface); }
tbody th { white-space: nowrap; }
.steps div::before { left: var(--zero, 0); }
.plain div::before { left: 0; }
.track b { position: absolute; top: -3px; bottom: -3px; width: 2px; background: var(--text); }
.total th, .total td { font-weight: 600; }
.heat { padding: 1px; background: color-mix(in srgb, var(--accent) calc(0.6 * var(--heat)), transparent); }
.heat .choose { width: 100%; min-width: 28px; }
.naming input[type="text"] { width: 100%; min-width: 64px; font: inherit; font-size: 12px; color: inherit; background: var(--surface); border: 1px solid var(--field); border-radius: 2px; padding: 2px 4px; }
.naming select, .beats select { font: inherit; font-size: 12px; color: inherit; background: var(--surface); border: 1px solid var(--field); border-radius: 2px; }
.naming input[type="checkbox"] { width: 18px; height: 18px; accent-color: var(--accent); }
.field.inline { flex-direction: row; align-items: center; gap: 6px; padding-bottom: 4px; font-size: 12px; }
.controls.second { padding-top: 8px; }
.second .sides { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; font-size: 12px; min-width: 0; }
.second .side { display: inline-flex; flex-wrap: wrap; gap: 2px 6px; min-width: 0; }
.side bdi { max-width: 24em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.side [data-ecg="other-status"] { color: var(--muted); overflow-wrap: anywhere; }
.second .links { display: flex; flex-wrap: wrap; gap: 4px 10px; color: var(--muted); }
.links label { display: inline-flex; gap: 4px; align-items: center; min-height: 24px; color: var(--text); }
.links input { width: 16px; height: 16px; margin: 0; accent-color: var(--accent); }
.second .sides .field { flex-direction: row; align-items: center; gap: 6px; }
.second .sides select { width: auto; }
.comparison { padding-top: 4px; font-size: 12px; overflow-wrap: anywhere; }
.comparison summary { min-height: 24px; padding-top: 3px; cursor: pointer; }
.comparison table, .comparison .number { width: auto; }
.comparison td, .comparison th { padding: 0 6px; }
.matched { font-weight: 600; box-shadow: inset 0 -2px 0 var(--accent); }
.other-sheet { margin-top: 10px; }
.scroll.beside { display: grid; grid-template-columns: max-content max-content; column-gap: 12px; align-items: start; }
.scroll.beside .other-sheet { grid-area: 1 / 2; margin-top: 0; }
.scroll.beside .rows { grid-area: 2 / 1; }
@container (min-width: 1160px) { .controls.second { grid-template-columns: minmax(0, 1fr); } }
@media (forced-colors: active) { .key, .track i, .track b, .heat { forced-color-adjust: none; } .tabs button[aria-selected="true"] { border-bottom-color: Highlight; } }
@media (prefers-reduced-motion: reduce) { .ecg *, .ecg *::before { animation: none !important; transition: none !important; } }
`;
