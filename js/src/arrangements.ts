// How leads are placed on ECG paper, and what a user may choose of the paper. Pure.
import { GAIN, LARGE, SPEED } from "./paper.ts";

export const SPEEDS = [12.5, 25, 50] as const; // mm/s
export const GAINS = [5, 10, 20] as const; // mm/mV

export type Arrangement = "3x4" | "3x4-simultaneous" | "6x2" | "cabrera" | "rows" | "leads";

export const ARRANGEMENTS = [
  ["3x4", "3 \u00d7 4 + II"],
  ["3x4-simultaneous", "3 \u00d7 4 + II, simultaneous"],
  ["6x2", "6 \u00d7 2"],
  ["cabrera", "Cabrera 6 \u00d7 2"],
  ["rows", "12 \u00d7 1"],
  ["leads", "chosen leads"],
] as const satisfies readonly (readonly [Arrangement, string])[];

/** What decides where a lead lies. */
export interface PaperSettings {
  readonly arrangement: Arrangement;
  /** mm of paper for one second; recordings drawn slower than real paper have their own */
  readonly speed: number;
  /** mm of paper for one unit of the signal */
  readonly gain: number;
  /** Names of the leads of the arrangement "leads", in their order on the paper. */
  readonly leads: readonly string[];
}

export const STANDARD: PaperSettings = { arrangement: "3x4", speed: SPEED, gain: GAIN, leads: ["II"] };

const STANDARD_COLUMNS = [
  ["I", "II", "III"],
  ["aVR", "aVL", "aVF"],
  ["V1", "V2", "V3"],
  ["V4", "V5", "V6"],
];
const LIMB = ["I", "II", "III", "aVR", "aVL", "aVF"];
const CHEST = ["V1", "V2", "V3", "V4", "V5", "V6"];
/** Aloud, and as a label: the lead aVR upside down, which lies between I and II. */
export const INVERTED = "\u2212aVR";

/** Leads by column; none for the arrangements in rows. */
export const COLUMNS: Partial<Record<Arrangement, readonly (readonly string[])[]>> = {
  "3x4": STANDARD_COLUMNS,
  "3x4-simultaneous": STANDARD_COLUMNS,
  "6x2": [LIMB, CHEST],
  cabrera: [["aVL", "I", INVERTED, "II", "aVF", "III"], CHEST],
};

export const TITLES: Partial<Record<Arrangement, string>> = {
  "3x4": "3 \u00d7 4 + II",
  "3x4-simultaneous": "3 \u00d7 4 + II",
  "6x2": "6 \u00d7 2",
  cabrera: "Cabrera 6 \u00d7 2",
};

export function hasTwelveLeads(leads: readonly string[]): boolean {
  return [...LIMB, ...CHEST].every((lead) => leads.includes(lead));
}

/** Index of a lead named in a column, and whether it is drawn upside down. */
export function placed(leads: readonly string[], name: string): { lead: number; sign: 1 | -1 } {
  return name === INVERTED ? { lead: leads.indexOf("aVR"), sign: -1 } : { lead: leads.indexOf(name), sign: 1 };
}

/** The leads in rows: the chosen ones that this recording has, or all. */
export function rowsOf(leads: readonly string[], settings: PaperSettings): number[] {
  const chosen = settings.arrangement === "leads" ? settings.leads.map((name) => leads.indexOf(name)) : [];
  const known = chosen.filter((lead) => lead >= 0);
  return known.length > 0 ? known : leads.map((_, lead) => lead);
}

/** mm from row to row; multiples of a large square put every baseline on a heavy line. */
export function pitchOf(arrangement: Arrangement, rows: number, gain: number): number {
  const columns = COLUMNS[arrangement];
  const at10 = columns ? (columns.length === 4 ? 25 : 20) : rows === 1 ? 40 : rows <= 4 ? 25 : 15;
  const wider = gain > GAIN ? 1.6 : gain < GAIN ? 0.6 : 1;
  return Math.max(2, Math.ceil((at10 * wider) / LARGE)) * LARGE;
}
