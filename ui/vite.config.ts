// How the page is built: relative addresses, hashed names, nothing that a strict content security policy refuses.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/** Puts the small blocking script that chooses the theme before the first paint into the page, under a hashed name. */
function themeFirst(): Plugin {
  const source = readFileSync(new URL('./src/shell/theme-first.js', import.meta.url), 'utf8');
  const hash = createHash('sha256').update(source).digest('base64url').slice(0, 8);
  const fileName = `assets/theme-first-${hash}.js`;
  let building = false;
  return {
    name: 'theme-first',
    configResolved(config) {
      building = config.command === 'build';
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source });
    },
    transformIndexHtml: {
      order: 'post',
      handler: (html) =>
        html.replace('<!--theme-first-->', `<script src="./${building ? fileName : 'src/shell/theme-first.js'}"></script>`),
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [themeFirst(), svelte()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    sourcemap: false,
    target: 'es2022',
    // A data: address would be refused by default-src 'self'.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  // `npx vite` beside a running drey: DREY_URL names it.
  server: { proxy: process.env.DREY_URL ? { '/api': process.env.DREY_URL } : undefined },
});
