// Numbers and times as an Indian desk writes them. Null (NaN, undefined) is an en dash.

export const NULL = "–";
const MINUS = "−";
const IST = "Asia/Kolkata";

type Maybe = number | null | undefined;

function isNull(value: Maybe): value is null | undefined {
  return value === null || value === undefined || Number.isNaN(value);
}

/** Digits grouped the Indian way: 12,34,567. */
export function grouped(digits: string): string {
  if (digits.length <= 3) return digits;
  const head = digits.slice(0, -3).replace(/\B(?=(\d\d)+$)/g, ",");
  return `${head},${digits.slice(-3)}`;
}

function fixed(value: number, decimals: number): string {
  const [whole = "0", fraction] = Math.abs(value).toFixed(decimals).split(".");
  return fraction === undefined ? grouped(whole) : `${grouped(whole)}.${fraction}`;
}

function signed(value: number, text: string): string {
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? MINUS : "+") + text;
}

export function plain(value: Maybe, decimals: number): string {
  if (isNull(value)) return NULL;
  const text = fixed(value, decimals);
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

export const price = (value: Maybe): string => plain(value, 2);
export const ratio = (value: Maybe): string => plain(value, 2);
export const delta = (value: Maybe): string => plain(value, 2);
export const count = (value: Maybe): string => plain(value, 0);

export function strike(value: Maybe): string {
  return isNull(value) ? NULL : plain(value, Number.isInteger(value) ? 0 : 2);
}

export function gamma(value: Maybe): string {
  return isNull(value) ? NULL : plain(value, Math.abs(value) >= 0.01 ? 4 : 5);
}

/** An implied volatility, a fraction, in per cent. */
export function volatility(value: Maybe): string {
  return isNull(value) ? NULL : plain(value * 100, 1);
}

export function percent(value: Maybe): string {
  return isNull(value) ? NULL : `${signed(value, fixed(value, 2))}%`;
}

const SCALES: readonly [number, string][] = [
  [1e7, "Cr"],
  [1e5, "L"],
  [1e3, "K"],
];

/** Units, shortened: 950, 12.5K, 8.40L, 1.25Cr. Three digits, so that columns stay narrow. */
export function quantity(value: Maybe): string {
  if (isNull(value)) return NULL;
  const size = Math.abs(value);
  // The threshold is where rounding reaches the scale: 99,950 is already 1.00L.
  const scale = SCALES.find(([at]) => size >= at * 0.9995);
  const text = scale ? three(size / scale[0]) + scale[1] : String(Math.round(size));
  return value < 0 ? MINUS + text : text;
}

export function signedQuantity(value: Maybe): string {
  if (isNull(value)) return NULL;
  return value > 0 ? `+${quantity(value)}` : quantity(value);
}

/** ₹ crore with a sign; small figures keep their decimals. */
export function crore(value: Maybe): string {
  if (isNull(value)) return NULL;
  const size = Math.abs(value);
  return signed(value, fixed(value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2));
}

function three(value: number): string {
  return fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
}

/** Milliseconds since something, short: 0.3s, 12s, 4m, 3h, 2d. */
export function age(ms: Maybe): string {
  if (isNull(ms)) return NULL;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  if (seconds < 99.5) return `${Math.round(seconds)}s`;
  if (seconds < 99 * 60) return `${Math.round(seconds / 60)}m`;
  if (seconds < 47.5 * 3600) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86400)}d`;
}

/** Milliseconds as words for a sentence. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: IST,
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat("en-GB", { timeZone: IST, day: "2-digit", month: "short" });

/** Time of day in India. */
export function time(ms: Maybe): string {
  return isNull(ms) ? NULL : clock.format(ms);
}

export function timeToMs(ms: Maybe): string {
  if (isNull(ms)) return NULL;
  return `${clock.format(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
}

/** Date and time in India, with the year if it is not the one of `nowMs`. */
export function dayAndTime(ms: Maybe, nowMs: number): string {
  if (isNull(ms)) return NULL;
  const year = today(ms).slice(0, 4);
  const date = year === today(nowMs).slice(0, 4) ? day.format(ms) : `${day.format(ms)} ${year}`;
  return `${date} ${clock.format(ms).slice(0, 5)}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** An ISO date as 01 Dec, with the year where the day and month alone could be taken for another. */
export function date(iso: string, today: string): string {
  const [year = "", month = "1", dayOfMonth = ""] = iso.split("-");
  const short = `${dayOfMonth} ${MONTHS[Number(month) - 1]}`;
  return daysBetween(today, iso) < 300 ? short : `${short} ${year.slice(2)}`;
}

/** Calendar days between two ISO dates. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000);
}

/** The ISO date in India. */
export function today(ms: number): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: IST }).format(ms);
}

/** A status of the feed as words: no_quote → no quote. */
export function words(status: string | undefined): string {
  return (status ?? "not known").replaceAll("_", " ");
}
