// Settings that the browser keeps. It may not allow that: then they last until the page is closed.

const memory = new Map();

/** Returns a kept text, or null. `storage` is `localStorage` or `sessionStorage`, by name. */
export function recall(storage, key) {
  try {
    return window[storage].getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

export function keep(storage, key, value) {
  try {
    window[storage].setItem(key, value);
  } catch {
    memory.set(key, value);
  }
}
