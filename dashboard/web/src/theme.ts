// Dark or light: the system's wish until the reader chooses, then the choice, which is stored.

const KEY = "optionlake-theme";
type Theme = "dark" | "light";

const system = matchMedia("(prefers-color-scheme: light)");

function stored(): Theme | null {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === "dark" || theme === "light" ? theme : null;
  } catch {
    return null; // Storage can be forbidden; the system's wish then rules.
  }
}

export function currentTheme(): Theme {
  return stored() ?? (system.matches ? "light" : "dark");
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = currentTheme();
}

export function toggleTheme(): void {
  const next: Theme = currentTheme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Not stored: the choice lasts as long as the page.
  }
  document.documentElement.dataset.theme = next;
}

export function onSystemTheme(listener: () => void): void {
  system.addEventListener("change", listener);
}
