import { useState } from 'react';
import { ofMachine, THEME_KEY } from '../storage';
import { Icon, type IconName } from './icons';

type Theme = 'system' | 'light' | 'dark';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const ICONS: Record<Theme, IconName> = { system: 'system', light: 'sun', dark: 'moon' };

function stored(): Theme {
  const value = ofMachine.getItem(THEME_KEY);
  return value === 'light' || value === 'dark' ? value : 'system';
}

export function applyTheme(theme: Theme = stored()): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function ThemeButton() {
  const [theme, setTheme] = useState(stored);
  const turn = (): void => {
    const next = NEXT[theme];
    ofMachine.setItem(THEME_KEY, next);
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" className="nav-item" onClick={turn} aria-label={`Theme: ${theme}. Change it`}>
      <Icon name={ICONS[theme]} />
      <span>Theme: {theme}</span>
    </button>
  );
}
