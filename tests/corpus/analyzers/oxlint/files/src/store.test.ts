import { describe, expect, it, vi } from 'vitest';
import { createStore } from './store';

describe('store', () => {
  it('tells its listeners', () => {
    const store = createStore({ count: 0 });
    const listener = vi.fn();
    const stop = store.subscribe(listener);
    store.set({ count: 1 });
    expect(listener).toHaveBeenCalledWith({ count: 1 });
    stop();
    store.set({ count: 2 });
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('keeps what it was given', () => {
    const state = { count: 0 };
    expect(createStore(state).get()).toBe(state);
    expect(() => createStore(undefined as never)).toThrow();
  });
});
