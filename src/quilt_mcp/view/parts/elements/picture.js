// Picture: an image drawn on a canvas, which no policy of a host forbids, with fit and zoom; and two of them side by side or under a slider.
import { button, el, fill, notice, put } from "./dom.js";
import { bytesOf, countText } from "../text.js";

const MOST_PIXELS = 16_000_000;
const MOST_MADE = 200_000_000;

/** A canvas with what a tool's image block holds, scaled down where it has more than ``MOST_PIXELS``. Throws where it is no image. */
export async function drawn(block, label) {
  let map;
  try {
    const bytes = new Blob([bytesOf(block.data)], { type: block.mimeType }),
      size = sizeOf(bytesOf(block.data.slice(0, 60_000)));
    const scale = size ? Math.min(1, Math.sqrt(MOST_PIXELS / (size.width * size.height))) : 1;
    if (size && !(size.width * size.height <= MOST_MADE)) throw new Error();
    map = await createImageBitmap(
      bytes,
      scale < 1
        ? {
            resizeWidth: Math.max(1, Math.round(size.width * scale)),
            resizeHeight: Math.max(1, Math.round(size.height * scale)),
          }
        : {},
    );
  } catch {
    throw {
      code: "no_image",
      message: "The picture cannot be drawn: its bytes are no image that this browser knows.",
      next: "Download the file, or read what is known of it.",
    };
  }
  const canvas = el("canvas", { role: "img", "aria-label": label, width: map.width, height: map.height });
  canvas.getContext("2d").drawImage(map, 0, 0);
  map.close();
  return canvas;
}

/** Of a PNG or a JPEG by its first bytes; null for another. */
function sizeOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 24 && view.getUint32(0) === 0x89504e47)
    return { width: view.getUint32(16), height: view.getUint32(20) };
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const kind = bytes[at + 1];
    if (kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind))
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
  return null;
}

/** With buttons for its size. ``about``: the tool's description of it. */
export async function picture(read, name) {
  const about = read.data,
    canvas = await drawn(read.picture, `Picture ${name}`);
  const frame = el(
    "div",
    { class: "picture", tabindex: "0", role: "region", "aria-label": `Picture ${name}, scrolls when it is enlarged` },
    canvas,
  );
  let scale = 0;
  const level = el("span", { class: "level", role: "status" });
  const set = (to) => {
    scale = to;
    canvas.style.inlineSize = scale ? `${Math.round(canvas.width * scale)}px` : "";
    frame.dataset.fit = scale ? "no" : "yes";
    level.textContent = scale ? `${Math.round(scale * 100)} %` : "fit";
  };
  const now = () => scale || canvas.getBoundingClientRect().width / canvas.width || 1;
  set(0);
  frame.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") set(Math.min(16, now() * 1.5));
    else if (event.key === "-") set(Math.max(0.05, now() / 1.5));
    else if (event.key === "0") set(0);
  });
  const whole =
    about.width && about.height
      ? `${about.width} × ${about.height} pixels${canvas.width < about.width ? `, shown as ${canvas.width} × ${canvas.height}` : ""}`
      : "";
  const pages = about.pages > 1 ? `, the first of ${countText(about.pages, "picture")}` : "";
  return el(
    "div",
    {},
    el(
      "p",
      { class: "tools" },
      button("Fit", () => set(0)),
      button("100 %", () => set(1)),
      button("−", () => set(Math.max(0.05, now() / 1.5)), { "aria-label": "Smaller" }),
      button("+", () => set(Math.min(16, now() * 1.5)), { "aria-label": "Larger" }),
      level,
      el("span", { class: "quiet" }, `${about.format ?? ""} ${whole}${pages}`),
    ),
    frame,
  );
}

/** ``before`` and ``after``: how each is read. Side by side, or one over the other with a line between them. */
export function twoPictures(before, after) {
  const room = el("div", {}, el("p", { class: "waiting" }, "Drawing both pictures"));
  Promise.all([before(), after()])
    .then(async ([old, now]) => {
      if (!old.picture || !now.picture) throw { message: "One of the two is no picture.", next: "Open each of them." };
      const [first, second] = [await drawn(old.picture, "Before"), await drawn(now.picture, "After")];
      const sides = el(
        "div",
        { class: "sides" },
        el("figure", {}, first, el("figcaption", {}, "Before")),
        el("figure", {}, second, el("figcaption", {}, "After")),
      );
      const stack = el("div", { class: "stack", hidden: true });
      const slide = el("input", {
        type: "range",
        min: 0,
        max: 100,
        value: 50,
        "aria-label": "How much of the picture before is shown, in percent",
      });
      const over = el("div", { class: "over" });
      for (const one of [over, slide]) one.style.setProperty("inline-size", `min(100%, ${second.width}px)`);
      put(stack, el("p", { class: "quiet" }, "Before is left of the line, after right of it."), over, slide);
      const set = () => {
        first.style.clipPath = `inset(0 ${100 - slide.value}% 0 0)`;
        over.style.setProperty("--line", `${slide.value}%`);
      };
      slide.addEventListener("input", set);
      const choose = (isStack) => {
        pressed.forEach((one, number) => one.setAttribute("aria-pressed", String(isStack === (number === 1))));
        sides.hidden = isStack;
        stack.hidden = !isStack;
        if (isStack) {
          fill(over, second, first);
          set();
        } else {
          first.style.clipPath = "";
          sides.children[0].prepend(first);
          sides.children[1].prepend(second);
        }
      };
      const pressed = [button("Side by side", () => choose(false)), button("Slider", () => choose(true))];
      choose(false);
      fill(room, el("p", { class: "tools" }, pressed), sides, stack);
    })
    .catch((problem) => fill(room, notice(problem)));
  return room;
}
