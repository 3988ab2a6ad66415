// What this browser remembers: recent filters and saved views. Where it may not, nothing is remembered.

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(`autolog.${name}`)) ?? [];
  } catch {
    return [];
  }
}

function write(name, value) {
  try {
    localStorage.setItem(`autolog.${name}`, JSON.stringify(value));
  } catch {
    // Private windows and full disks.
  }
}

const RECENT = 20;

export const recentFilters = () => read("filters");

export function rememberFilter(filter) {
  if (filter.trim()) write("filters", [filter, ...recentFilters().filter((one) => one !== filter)].slice(0, RECENT));
}

// [{name, params}], in order of their names.
export const savedViews = () => read("views");

export function saveView(name, params) {
  const others = savedViews().filter((view) => view.name !== name);
  write("views", [...others, { name, params }].sort((a, b) => a.name.localeCompare(b.name)));
}

export function forgetView(name) {
  write("views", savedViews().filter((view) => view.name !== name));
}
