/** The part of the browser's Storage that is used here. */
type Kept = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'key' | 'length'>;

/** Lasts until the page is left. */
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

/** A browser that is told to store nothing for a site throws as soon as its storage is read. */
function kept(storage: () => Storage): Kept {
  try {
    return storage();
  } catch {
    return inMemory();
  }
}

/** Lasts as long as the tab. */
export const ofTab = kept(() => sessionStorage);

/** Stays on this machine. */
export const ofMachine = kept(() => localStorage);

/** In `ofTab`: the token, kept by the dashboard and used by GraphiQL too. */
export const TOKEN_KEY = 'hookline.token';

/** In `ofMachine`: the theme of both pages. */
export const THEME_KEY = 'hookline.theme';
