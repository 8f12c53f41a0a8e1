// JSON in which no number is rounded.

/** A number that JavaScript cannot hold: its text, as it came. */
export class Exact {
  constructor(source) {
    this.source = source;
  }
  toString() {
    return this.source;
  }
  toJSON() {
    return typeof JSON.rawJSON === "function" ? JSON.rawJSON(this.source) : this.source;
  }
}

/** Reads JSON. `1.50` and 20-digit ids stay what they were, where the browser tells their text. */
export function parse(text) {
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && context?.source !== undefined && context.source !== String(value)
      ? new Exact(context.source)
      : value,
  );
}

/** Writes it, two blanks deep. */
export const pretty = (value) => JSON.stringify(value, null, 2);

/** Plain data as an ordinary number, for what is drawn and counted. */
export const number = (value) => (value instanceof Exact ? Number(value.source) : value);
