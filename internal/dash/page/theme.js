// Chooses the colours before anything is drawn. A script of its own, for it must not wait for the modules.
"use strict";
(function () {
  const themes = ["system", "light", "dark"];
  let theme = "system";
  try {
    theme = localStorage.getItem("tincan-theme") || "system";
  } catch { /* Without storage the system's colours it is. */ }

  function apply() {
    if (!themes.includes(theme)) theme = "system";
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  window.tincanTheme = {
    name: () => theme,
    next() {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try {
        localStorage.setItem("tincan-theme", theme);
      } catch { /* Then it holds for this visit. */ }
      apply();
      return theme;
    },
  };
  apply();
})();
