// Text diff: two texts line by line, with what stayed around each change.
import { el } from "../elements/dom.js";
import { visible } from "../text.js";

const MOST_LINES = 4_000;
const MOST_STEPS = 1_000;
const AROUND = 3;

/** Lines that were removed and added, as a list; null where the texts are too unlike or too long to be compared here. */
export function textDiff(before, after) {
  const [old, now] = [visible(before).split("\n"), visible(after).split("\n")];
  if (old.length > MOST_LINES || now.length > MOST_LINES) return null;
  const steps = shortest(old, now);
  if (!steps) return null;
  const kept = new Set();
  steps.forEach((one, at) => {
    if (one.kind !== " ") for (let near = at - AROUND; near <= at + AROUND; near++) kept.add(near);
  });
  const lines = [];
  let isGap = false;
  steps.forEach((one, at) => {
    if (!kept.has(at)) {
      if (!isGap) lines.push(el("span", { class: "gap" }, "⋯\n"));
      isGap = true;
      return;
    }
    isGap = false;
    lines.push(
      el(
        one.kind === "-" ? "del" : one.kind === "+" ? "b" : "span",
        { class: one.kind === "-" ? "removed" : one.kind === "+" ? "added" : "" },
        `${one.kind} ${one.text}\n`,
      ),
    );
  });
  return el("pre", { class: "code textdiff", tabindex: "0", role: "group", "aria-label": "Changed lines" }, lines);
}

/** Myers' greedy way: [{ kind: ' ', '-' or '+', text }], or null beyond ``MOST_STEPS`` changes. */
export function shortest(old, now) {
  let head = 0,
    tail = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  while (
    tail < old.length - head &&
    tail < now.length - head &&
    old[old.length - 1 - tail] === now[now.length - 1 - tail]
  )
    tail++;
  const a = old.slice(head, old.length - tail),
    b = now.slice(head, now.length - tail),
    most = Math.min(a.length + b.length, MOST_STEPS);
  // How far each diagonal reaches, by its number more than ``most``; of each depth only what it may have changed is kept.
  const reach = new Int32Array(2 * most + 3),
    trace = [];
  const at = (diagonal) => diagonal + most + 1;
  const isDown = (depth, diagonal, ends) =>
    diagonal === -depth || (diagonal !== depth && ends(diagonal - 1) < ends(diagonal + 1));
  let found = -1;
  for (let depth = 0; depth <= most && found < 0; depth++) {
    trace.push(reach.slice(at(-depth - 1), at(depth + 1) + 1));
    for (let diagonal = -depth; diagonal <= depth; diagonal += 2) {
      let x = isDown(depth, diagonal, (one) => reach[at(one)]) ? reach[at(diagonal + 1)] : reach[at(diagonal - 1)] + 1,
        y = x - diagonal;
      while (x < a.length && y < b.length && a[x] === b[y]) [x, y] = [x + 1, y + 1];
      reach[at(diagonal)] = x;
      if (x >= a.length && y >= b.length) {
        found = depth;
        break;
      }
    }
  }
  if (found < 0) return null;
  const steps = [];
  let [x, y] = [a.length, b.length];
  for (let depth = found; depth > 0; depth--) {
    const ends = (one) => trace[depth][one + depth + 1],
      diagonal = x - y,
      goesDown = isDown(depth, diagonal, ends);
    const from = goesDown ? diagonal + 1 : diagonal - 1,
      fromX = ends(from),
      fromY = fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) {
      steps.push({ kind: " ", text: a[x - 1] });
      [x, y] = [x - 1, y - 1];
    }
    if (goesDown) steps.push({ kind: "+", text: b[--y] });
    else steps.push({ kind: "-", text: a[--x] });
  }
  while (x > 0) {
    steps.push({ kind: " ", text: a[--x] });
    y--;
  }
  return [
    ...old.slice(0, head).map((text) => ({ kind: " ", text })),
    ...steps.reverse(),
    ...old.slice(old.length - tail).map((text) => ({ kind: " ", text })),
  ];
}
