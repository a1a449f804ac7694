// Window: of many rows of one height, those that can be seen. The others are empty room above and below.

const MORE = 12;

export class Rows {
  #shown = new Map();
  #range = "";

  /** ``scroller`` scrolls ``body``, which holds the rows. ``room()`` makes an element that takes a height. ``row(number)`` makes
      a row. */
  constructor({ scroller, body, height, room, row }) {
    Object.assign(this, { scroller, body, height, row, count: 0 });
    [this.above, this.below] = [room(), room()];
    body.append(this.above, this.below);
    let isAsked = false;
    const later = () => {
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        this.draw();
      });
    };
    scroller.addEventListener("scroll", later, { passive: true });
    new ResizeObserver(later).observe(scroller);
  }

  /** All rows anew: there are ``count`` now. Room is made for them first: what is scrolled stays where it is. */
  reset(count) {
    this.count = count;
    this.below.hidden = false;
    this.below.style.height = `${count * this.height}px`;
    for (const one of this.#shown.values()) one.remove();
    this.#shown.clear();
    this.#range = "";
    this.draw();
  }

  element(number) {
    return this.#shown.get(number);
  }

  /** Brings a row into sight and gives it. */
  reach(number) {
    const top = number * this.height,
      seen = this.scroller.clientHeight;
    const head = this.body.offsetTop - this.scroller.offsetTop > 0 ? this.height : 0;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.height + head > this.scroller.scrollTop + seen)
      this.scroller.scrollTop = top + this.height + head - seen;
    this.draw();
    return this.element(number);
  }

  draw() {
    const seen = Math.max(this.scroller.clientHeight, 200),
      top = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(top / this.height) - MORE),
      end = Math.min(this.count, Math.ceil((top + seen) / this.height) + MORE);
    const range = `${first}:${end}:${this.count}`;
    if (range === this.#range) return;
    this.#range = range;
    for (const [number, one] of this.#shown)
      if (number < first || number >= end) {
        one.remove();
        this.#shown.delete(number);
      }
    let next = this.below;
    for (let number = end - 1; number >= first; number--) {
      let one = this.#shown.get(number);
      if (!one) {
        one = this.row(number);
        this.#shown.set(number, one);
        this.body.insertBefore(one, next);
      }
      next = one;
    }
    this.above.style.height = `${first * this.height}px`;
    this.below.style.height = `${Math.max(0, this.count - end) * this.height}px`;
    for (const [one, height] of [
      [this.above, first],
      [this.below, this.count - end],
    ])
      one.hidden = height <= 0;
  }
}
