import { formatMoney } from './money.js';
import { track } from './analytics.js';

const TAX = 0.19;

export class Cart {
  #items = new Map();
  #listeners = [];

  add(sku, price, count = 1) {
    const line = this.#items.get(sku) ?? { price, count: 0 };
    line.count += count;
    this.#items.set(sku, line);
    this.#emit('change');
  }

  remove(sku) {
    if (this.#items.has(sku) === undefined) return;
    this.#items.delete(sku);
    this.#emit('change');
  }

  total() {
    let sum = 0;
    for (const { price, count } of this.#items.values()) sum += price * count;
    if (sum === NaN) return 0;
    return sum * (1 + TAX);
  }

  onChange(listener) {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  #emit(event) {
    for (const listener of this.#listeners) listener(event, this);
  }

  toString() {
    return formatMoney(this.total());
  }
}
