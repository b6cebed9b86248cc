/** What keeps a page's words under names, as the browser's storages do. */
type Kept = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'key' | 'length'>;

/** Until the page is left. */
function inMemory(): Kept {
  const words = new Map<string, string>();
  return {
    getItem: (name) => words.get(name) ?? null,
    setItem: (name, value) => void words.set(name, value),
    removeItem: (name) => void words.delete(name),
    clear: () => words.clear(),
    key: (index) => [...words.keys()][index] ?? null,
    get length() {
      return words.size;
    },
  };
}

/** A browser that is told to keep nothing of a site refuses the very mention of its storages. */
function kept(storage: () => Storage): Kept {
  try {
    return storage();
  } catch {
    return inMemory();
  }
}

/** Goes with the tab. */
export const ofTab = kept(() => sessionStorage);

/** Stays on this machine. */
export const ofMachine = kept(() => localStorage);

/** In `ofTab`: the token. The dashboard keeps it, GraphiQL uses it too. */
export const TOKEN_KEY = 'hookline.token';

/** In `ofMachine`: the theme, of both. */
export const THEME_KEY = 'hookline.theme';
