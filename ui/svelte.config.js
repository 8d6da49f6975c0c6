// How Svelte compiles: runes only, types stripped, and one warning that is wrong here.
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

export default {
  preprocess: vitePreprocess({ style: false }),
  compilerOptions: {
    runes: true,
    // What scrolls must be reachable by keyboard (WCAG 2.1.1), so regions that scroll have a tabindex of 0.
    warningFilter: (warning) => warning.code !== 'a11y_no_noninteractive_tabindex',
  },
};
