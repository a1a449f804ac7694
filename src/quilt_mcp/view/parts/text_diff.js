// Text diff: two texts line by line, with what stayed around each change.
import { el } from "./dom.js";
import { visible } from "./text.js";

const MOST_LINES = 4_000;
const MOST_STEPS = 3_000;
const AROUND = 3;

/** Lines that were removed and added, as a list; null where the texts are too unlike or too long to be compared here. */
export function textDiff(before, after) {
  const [old, now] = [visible(before).split("\n"), visible(after).split("\n")];
  if (old.length > MOST_LINES || now.length > MOST_LINES) return null;
  const steps = shortest(old, now);
  if (!steps) return null;
  const kept = new Set();
  steps.forEach((one, at) => { if (one.kind !== " ") for (let near = at - AROUND; near <= at + AROUND; near++) kept.add(near); });
  const lines = [];
  let isGap = false;
  steps.forEach((one, at) => {
    if (!kept.has(at)) { if (!isGap) lines.push(el("span", { class: "gap" }, "⋯\n")); isGap = true; return; }
    isGap = false;
    lines.push(el(one.kind === "-" ? "del" : one.kind === "+" ? "b" : "span", { class: one.kind === "-" ? "removed" : one.kind === "+" ? "added" : "" }, `${one.kind} ${one.text}\n`));
  });
  return el("pre", { class: "code textdiff", tabindex: "0", role: "group", "aria-label": "Changed lines" }, lines);
}

/** Myers' greedy way: [{ kind: ' ', '-' or '+', text }], or null beyond ``MOST_STEPS`` changes. */
export function shortest(old, now) {
  let head = 0, tail = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  while (tail < old.length - head && tail < now.length - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const a = old.slice(head, old.length - tail), b = now.slice(head, now.length - tail), most = Math.min(a.length + b.length, MOST_STEPS);
  const trace = [];
  let reach = new Map([[1, 0]]), found = -1;
  for (let depth = 0; depth <= most && found < 0; depth++) {
    trace.push(new Map(reach));
    for (let diagonal = -depth; diagonal <= depth; diagonal += 2) {
      const isDown = diagonal === -depth || (diagonal !== depth && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));
      let x = isDown ? reach.get(diagonal + 1) ?? 0 : (reach.get(diagonal - 1) ?? 0) + 1, y = x - diagonal;
      while (x < a.length && y < b.length && a[x] === b[y]) [x, y] = [x + 1, y + 1];
      reach.set(diagonal, x);
      if (x >= a.length && y >= b.length) { found = depth; break; }
    }
    if (depth * depth > 4_000_000) return null;
  }
  if (found < 0) return null;
  const steps = [];
  let [x, y] = [a.length, b.length];
  for (let depth = found; depth > 0; depth--) {
    reach = trace[depth];
    const diagonal = x - y, isDown = diagonal === -depth || (diagonal !== depth && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));
    const from = isDown ? diagonal + 1 : diagonal - 1, fromX = reach.get(from) ?? 0, fromY = fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) { steps.push({ kind: " ", text: a[x - 1] }); [x, y] = [x - 1, y - 1]; }
    if (isDown) steps.push({ kind: "+", text: b[--y] });
    else steps.push({ kind: "-", text: a[--x] });
  }
  while (x > 0) { steps.push({ kind: " ", text: a[--x] }); y--; }
  return [...old.slice(0, head).map((text) => ({ kind: " ", text })), ...steps.reverse(), ...old.slice(old.length - tail).map((text) => ({ kind: " ", text }))];
}
