// The theme: dark, light, or what the system says, changing with it.
import { readStored, writeStored } from './stored.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type ThemeChoice = (typeof THEMES)[number];

const isChoice = (value: unknown): value is ThemeChoice => THEMES.includes(value as ThemeChoice);

class Theme {
  choice = $state<ThemeChoice>(readStored('theme', isChoice, 'system'));
  #system = matchMedia('(prefers-color-scheme: dark)');

  constructor() {
    this.#system.addEventListener('change', () => this.#paint());
    this.#paint();
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    writeStored('theme', choice);
    this.#paint();
  }

  #paint(): void {
    const dark = this.choice === 'dark' || (this.choice === 'system' && this.#system.matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  }
}

export const theme = new Theme();
