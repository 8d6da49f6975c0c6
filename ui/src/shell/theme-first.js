// Chooses the theme before anything is painted; the page itself takes over from here (theme.svelte.ts).
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem('drey.theme');
  } catch {
    // Storage may be forbidden: the system's theme then.
  }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
