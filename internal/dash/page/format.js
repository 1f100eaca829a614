// Numbers as people read them.

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** bytes writes a size: "14 B", "3.2 MiB". */
export function bytes(n) {
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  const digits = unit === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2;
  return `${trim(n.toFixed(digits))} ${units[unit]}`;
}

const trim = (s) => (s.includes(".") ? s.replace(/\.?0+$/, "") : s);

export const rate = (n) => `${bytes(n < 1 ? 0 : n)}/s`;

/** count writes a number of things: "1,204", "3.2 M". */
export function count(n) {
  if (n < 1e6) return Math.round(n).toLocaleString("en");
  return n < 1e9 ? `${trim((n / 1e6).toFixed(1))} M` : `${trim((n / 1e9).toFixed(1))} G`;
}

/** duration writes milliseconds: "12 µs", "3.4 ms", "1.2 s", "3 min 20 s", "2 h 5 min". */
export function duration(ms) {
  if (ms <= 0) return "0";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${trim(ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0))} ms`;
  const s = ms / 1000;
  if (s < 60) return `${trim(s.toFixed(s < 10 ? 1 : 0))} s`;
  const whole = Math.floor(s);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** age is a duration in whole seconds, for what counts up before the reader's eyes. */
export const age = (ms) => duration(Math.max(1000, Math.floor(ms / 1000) * 1000));

/** stamp writes the time of a step since the connection began: "+0.012 s". */
export function stamp(ms) {
  if (ms < 1000) return `+${trim(ms.toFixed(ms < 10 ? 2 : 1))} ms`;
  if (ms < 60000) return `+${(ms / 1000).toFixed(2)} s`;
  return `+${duration(ms)}`;
}

/** clock writes a time of day. */
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
