// What the user calls clusters, and which of them are shown as one. Pure.
import { letter, type Segmentation } from "../segmentation.ts";
import type { ClusterFacts, ClusterNames } from "../state.ts";
import type { Values } from "../wire.ts";

/** Marks that turn the direction of the text around them: they may stand in a name, not in a sentence with one. */
const TURNS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;
/** Characters of a name where there is room for a sentence. */
const ROOM = 60;

export function factsOf(names: ClusterNames, of: string): ClusterFacts {
  return names[of] ?? {};
}

/** A name inside a sentence: isolated, without turns, cut. */
export function quoted(name: string): string {
  const plain = name.replace(TURNS, "").replace(/\s+/g, " ").trim();
  const cut = plain.length > ROOM ? `${Array.from(plain).slice(0, ROOM).join("")}\u2026` : plain;
  return cut && `\u2068${cut}\u2069`;
}

/** "A" or "A (P wave)" */
export function titleOf(segmentation: Segmentation, cluster: number, names: ClusterNames): string {
  const of = letter(segmentation, cluster);
  const name = quoted(factsOf(names, of).name ?? "");
  return name ? `${of} (${name})` : of;
}

/** By cluster, the cluster that it is shown as: itself, unless it is merged into one that is there. */
export function mergedInto(slot: Values, names: ClusterNames): number[] {
  const slots = Array.from(slot);
  const next = slots.map((s, k) => {
    const into = factsOf(names, String.fromCharCode(65 + s)).merged;
    const target = into === undefined ? -1 : slots.indexOf(into.charCodeAt(0) - 65);
    return target < 0 ? k : target;
  });
  return next.map((_, k) => {
    let at = k;
    for (let steps = 0; steps < next.length && next[at] !== at; steps++) {
      at = next[at]!;
    }
    return next[at] === at ? at : k; // a ring is no merger
  });
}

/** The segmentation as it is shown: merged clusters are one. Shares and contributions add up, entropy stays. */
export function merged(segmentation: Segmentation, names: ClusterNames): Segmentation {
  const into = mergedInto(segmentation.slot, names);
  const kept = into.filter((target, k) => target === k);
  if (kept.length === into.length) {
    return segmentation;
  }
  const place = into.map((target) => kept.indexOf(target));
  const sum = (values: Values, width: number): Float32Array => {
    const out = new Float32Array(kept.length * width);
    place.forEach((to, k) => {
      for (let i = 0; i < width; i++) {
        out[to * width + i]! += values[k * width + i]!;
      }
    });
    return out;
  };
  const { contribution, cohort, density, targets } = segmentation;
  return {
    ...segmentation,
    cluster: Int16Array.from(segmentation.cluster, (k) => (k < 0 ? k : place[k]!)),
    slot: Uint8Array.from(kept, (k) => segmentation.slot[k]!),
    proportion: sum(segmentation.proportion, 1),
    cohort: cohort && sum(cohort, 1),
    contribution: contribution && { ...contribution, values: sum(contribution.values, targets.length) },
    density: density && {
      ...density,
      nClusters: kept.length,
      share: mergedShares(density.share, place, kept.length),
    },
  };
}

function mergedShares(share: Values, place: readonly number[], width: number): Values {
  const out = new Uint16Array((share.length / place.length) * width);
  for (let i = 0; i < share.length; i++) {
    out[Math.floor(i / place.length) * width + place[i % place.length]!]! += share[i]!;
  }
  return out;
}

/** Which clusters are merged, as text that is the same for the same mergers. */
export function mergers(names: ClusterNames): string {
  return Object.keys(names)
    .sort()
    .map((key) => `${key}${names[key]?.merged ?? ""}`)
    .filter((pair) => pair.length > 1)
    .join();
}
